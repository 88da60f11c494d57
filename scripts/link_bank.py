"""All sky maps of a study as one file, skymaps.hdf5, that points to its parts."""

import sys
from pathlib import Path

from llama.script import logged
from llama.study.bank import Bank, link_banks
from llama.study.pairs import Lists

with logged(snakemake.log[0]):
    parts, lists = [Path(path) for path in snakemake.input.parts], list(snakemake.input.lists)
    policy = snakemake.config["background"]["broken_maps"]
    problems = link_banks(parts, snakemake.output[0], policy, Lists(lists) if lists else None)
    what = "sky maps or neutrino lists" if lists else "sky maps"
    report = [f"{len(problems)} {what} are broken and left out\n"] if problems else []
    with Bank(snakemake.output[0]) as bank:
        assumed = [bank.names[index] for index in bank.without_distance]
    if assumed:
        report.append(f"{len(assumed)} sky maps have no distance, the model assumes one\n")
    sys.stderr.writelines(report)
    names = [*problems, *(f"without distance: {name}" for name in assumed)]
    Path(snakemake.log[0]).write_text(
        "".join(report) + "".join(f"{name}\n" for name in names), encoding="utf-8"
    )
