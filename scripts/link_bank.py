"""All sky maps of a study as one file, skymaps.hdf5, that points to its parts."""

import sys
from pathlib import Path

from llama.script import logged
from llama.study.bank import link_banks

with logged(snakemake.log[0]):
    parts = [Path(path) for path in snakemake.input]
    problems = link_banks(parts, snakemake.output[0], snakemake.config["background"]["broken_maps"])
    report = [f"{len(problems)} sky maps are broken and left out\n", *(f"{p}\n" for p in problems)]
    if problems:
        Path(snakemake.log[0]).write_text("".join(report))
        sys.stderr.write(report[0])
