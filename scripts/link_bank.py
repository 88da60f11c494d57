"""All sky maps of a study as one file, skymaps.hdf5, that points to its parts."""

import sys
from pathlib import Path

from llama.script import logged
from llama.study.bank import Bank, link_banks

with logged(snakemake.log[0]):
    parts = [Path(path) for path in snakemake.input]
    problems = link_banks(parts, snakemake.output[0], snakemake.config["background"]["broken_maps"])
    report = [f"{len(problems)} sky maps are broken and left out\n"] if problems else []
    with Bank(snakemake.output[0]) as bank:
        assumed = [bank.names[index] for index in bank.without_distance]
    if assumed:
        report.append(f"{len(assumed)} sky maps have no distance, the model assumes one\n")
    sys.stderr.writelines(report)
    names = [*problems, *(f"without distance: {name}" for name in assumed)]
    Path(snakemake.log[0]).write_text("".join(report) + "".join(f"{name}\n" for name in names))
