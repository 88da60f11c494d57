"""LLAMA: from gravitational-wave alerts to the significance of coincident neutrinos.

snakemake events/S190425z/all    one event
snakemake                        the newest events, what cron runs
snakemake past_runs/o3/catalogue all events of a run as one search
snakemake populations.hdf5       the background studies named in the settings
snakemake --profile do-cluster   the same, on droplets
"""

from llama.plan.engine import Engine
from snakemake.utils import min_version

min_version("9.27")
ENGINE = Engine(workflow, logger)


report: "rules/report/workflow.rst"


include: "rules/common.smk"


# Made while this file is read, since Snakemake enters it now, and finds the events by their links
# when it builds the job graph. A list of the rules needs neither.
if not COMMAND.only_lists:
    checked(prepare, SETTINGS.output_dir, ENGINE.directory, ENGINE.warn)

    workdir: OUTPUT_DIR


wildcard_constraints:
    event=EVENT_DIR_PATTERN,
    study=STUDY_PATTERN,
    run=RUN_PATTERN,
    simulation=r"[a-z][a-z0-9]*-[a-z][a-z0-9]*",


rule all:
    input:
        of(STUDIES.wanted if ON_FLEET or ON_SITE else PUBLISHING.tracked),


include: "rules/intake.smk"
include: "rules/skymap.smk"
include: "rules/neutrinos.smk"
include: "rules/bursts.smk"
include: "rules/significance.smk"
include: "rules/figures.smk"
include: "rules/publish.smk"
include: "rules/simulate.smk"
include: "rules/study.smk"
include: "rules/artifacts.smk"
include: "rules/sensitivity.smk"
include: "rules/catalogue.smk"


# `events/S190425z/all` and `events/S190425z` are rules without output, not files: they list every
# product, so that a deleted or failed one is always found.
for alias, products in requested().items():

    rule:
        name:
            alias
        input:
            products,


if ON_FLEET:
    # droplets share nothing with this machine, and only shards are worth the way
    ENGINE.keep_local(away="inject")


onstart:
    start()
