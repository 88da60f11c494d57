"""The sky maps of a study in one file, skymaps.hdf5."""

from pathlib import Path

from llama.script import logged
from llama.study.bank import build_bank

with logged(snakemake.log[0]):
    build_bank([Path(path) for path in snakemake.input], snakemake.output[0])
