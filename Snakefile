"""LLAMA: from gravitational-wave alerts to the significance of coincident neutrinos.

snakemake events/S190425z/all    one event
snakemake                        the newest events, what cron runs
snakemake populations.hdf5       the background studies named in the settings
snakemake --profile do-cluster   the same, on droplets
"""

from snakemake.utils import min_version

min_version("9.27")


report: "rules/report/workflow.rst"


include: "rules/common.smk"
include: "rules/common_locks.smk"
include: "rules/common_events.smk"
include: "rules/common_study.smk"
include: "rules/common_injections.smk"
include: "rules/common_publish.smk"


workdir: OUTPUT_DIR


wildcard_constraints:
    event=EVENT_DIR_PATTERN,
    study=STUDY_PATTERN,
    simulation=r"[a-z][a-z0-9]*-[a-z][a-z0-9]*",


rule all:
    input:
        wanted_studies if ON_FLEET or ON_SITE else tracked_products,


include: "rules/intake.smk"
include: "rules/skymap.smk"
include: "rules/neutrinos.smk"
include: "rules/significance.smk"
include: "rules/figures.smk"
include: "rules/publish.smk"
include: "rules/simulate.smk"
include: "rules/study.smk"
include: "rules/artifacts.smk"
include: "rules/sensitivity.smk"


# `events/S190425z/all` and `events/S190425z` are rules without output, not files: they list every
# product, so that a deleted or failed one is always found.
for alias, directory in requested_events().items():

    rule:
        name:
            alias
        input:
            requested_products(directory),


if ON_FLEET:
    # droplets share nothing with this machine, and only shards are worth the way
    workflow.localrules(*(r.name for r in workflow.rules if r.name != "inject"))


onstart:
    lock_all()
    tidy(SETTINGS.output_dir)
    write_plans()
