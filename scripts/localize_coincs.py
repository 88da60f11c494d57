"""The sky maps of one shard of detected binaries."""

import sys

from llama.script import logged
from llama.study.simulate import localize_coincs

with logged(snakemake.log[0]):
    params = snakemake.params
    first = params.numbers[0]
    for name in localize_coincs(
        snakemake.input.coincs, snakemake.output[0], first, params.simulation
    ):
        sys.stderr.write(f"could not be made: {name}\n")
