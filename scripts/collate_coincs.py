"""The table of a simulation's coincidences, coincs.dat, and its summary."""

import sys
from pathlib import Path

from llama.script import logged
from llama.study.simulate import collate_coincs

with logged(snakemake.log[0]):
    failed = collate_coincs(
        [Path(path) for path in snakemake.input.shards],
        snakemake.output.coincs,
        snakemake.output.summary,
        snakemake.params.simulation,
        {"psd": snakemake.input.psd},
        snakemake.params.broken_maps,
    )
    if failed:
        sys.stderr.write(f"{len(failed)} sky maps could not be made and are left out\n")
