"""The list of a simulation's sky maps that some detectors have seen."""

from pathlib import Path

from llama.script import logged
from llama.study.skymaps import read_coincs, write_list

with logged(snakemake.log[0]):
    coincs = read_coincs(Path(snakemake.input.coincs))
    maps = Path(snakemake.input.coincs).parent / "maps"
    write_list(coincs, maps, snakemake.wildcards.detectors, snakemake.output[0])
