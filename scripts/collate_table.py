"""The collated table of a study, as in the operators' guide."""

from pathlib import Path

from llama.script import logged
from llama.study.tables import write_table

with logged(snakemake.log[0]):
    write_table([Path(path) for path in snakemake.input], snakemake.output[0])
