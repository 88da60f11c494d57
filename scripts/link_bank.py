"""All sky maps of a study as one file, skymaps.hdf5, that points to its parts."""

import sys
from pathlib import Path

from llama.script import logged
from llama.study.bank import link_banks
from llama.study.pairs import Lists

with logged(snakemake.log[0]):
    parts, lists = [Path(path) for path in snakemake.input.parts], list(snakemake.input.lists)
    policy = snakemake.config["background"]["broken_maps"]
    problems = link_banks(parts, snakemake.output[0], policy, Lists(lists) if lists else None)
    what = "sky maps or neutrino lists" if lists else "sky maps"
    report = [f"{len(problems)} {what} are broken and left out\n", *(f"{p}\n" for p in problems)]
    if problems:
        Path(snakemake.log[0]).write_text("".join(report))
        sys.stderr.write(report[0])
