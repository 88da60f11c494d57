"""Regions of the combined sky maps as MOCs, and as files for DS9 and Aladin."""

from pathlib import Path

from llama.event.regions import write_regions
from llama.script import logged

with logged(snakemake.log[0]):
    write_regions(Path(snakemake.input.combined).parent, Path(snakemake.output[0]).parent)
