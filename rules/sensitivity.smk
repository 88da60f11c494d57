"""What studies and single events can see: efficiencies, calibration, upper limits."""

STUDY_FIGURES = ("efficiency", "pp_plot", "distributions")
STUDY_PRODUCTS = [
    "sensitivity.json",
    *(f"{name}.{form}" for name in STUDY_FIGURES for form in ("png", "pdf")),
    "summary.html",
    "summary.pdf",
]


rule compute_sensitivity:
    input:
        bank="studies/{study}/skymaps.hdf5",
        parts=of(STUDIES.bank_parts),
        background=of(INJECTIONS.shards),
        signal=of(INJECTIONS.shards, kind="signal"),
        doublet=of(INJECTIONS.shards, kind="doublet"),
        quadruplet=of(INJECTIONS.shards, kind="quadruplet"),
    output:
        "studies/{study}/sensitivity.json",
    log:
        "logs/studies/{study}/compute_sensitivity.log",
    conda:
        "../envs/llama.yaml"
    params:
        triggers_per_year=of(STUDIES.triggers_per_year),
        code=code("compute_sensitivity"),
    message:
        "Computing the sensitivity of {wildcards.study}"
    script:
        "../scripts/compute_sensitivity.py"


rule draw_study:
    input:
        sensitivity="studies/{study}/sensitivity.json",
    output:
        **{
            f"{name}_{form}": (
                report(
                    f"studies/{{study}}/{name}.{form}",
                    caption=f"report/study_{name}.rst",
                    category="studies/{study}",
                    labels={"figure": name.replace("_", " ")},
                )
                if form == "png"
                else f"studies/{{study}}/{name}.{form}"
            )
            for name in STUDY_FIGURES
            for form in ("png", "pdf")
        },
    log:
        "logs/studies/{study}/draw_study.log",
    conda:
        "../envs/llama.yaml"
    params:
        code=code("draw_study"),
    message:
        "Drawing the sensitivity of {wildcards.study}"
    script:
        "../scripts/draw_study.py"


rule write_study_summary:
    input:
        sensitivity="studies/{study}/sensitivity.json",
        figures=expand("studies/{{study}}/{name}.png", name=STUDY_FIGURES),
    output:
        html=report(
            "studies/{study}/summary.html",
            caption="report/study_summary.rst",
            category="studies/{study}",
            labels={"figure": "summary"},
        ),
        pdf="studies/{study}/summary.pdf",
    log:
        "logs/studies/{study}/write_study_summary.log",
    conda:
        "../envs/llama.yaml"
    params:
        code=code("write_study_summary"),
    message:
        "Writing the summary of {wildcards.study}"
    script:
        "../scripts/write_study_summary.py"


# On request only: an alert's products must not wait for a few thousand injections.
rule compute_upper_limit:
    input:
        skymap=of(EVENTS.skymap),
        significance=of(EVENTS.significance),
        neutrinos="{event}/icecube_neutrino_list.json",
        response=of(NEUTRINOS.response),
        events=of(NEUTRINOS.background),
    output:
        limit="{event}/upper_limit_lvc-i3.json",
        injections="{event}/upper_limit_lvc-i3.hdf5",
    log:
        "logs/{event}/compute_upper_limit.log",
    conda:
        "../envs/llama.yaml"
    params:
        search=SEARCH,
        gps=of(NEUTRINOS.gps),
        seed=SETTINGS.background.seed,
        code=code("compute_upper_limit"),
    message:
        "Computing the upper limit on the emission of {wildcards.event}"
    script:
        "../scripts/compute_upper_limit.py"


# A study that is typed and not in the settings is answered by a sentence, not by Snakemake.
for study in COMMAND.studies():
    checked(STUDIES.known, study)


# `studies/bns-o3-H1L1V1/all` is a rule without output, like that of an event; `.../background` are the
# shards alone, which `llama dev dv launch` asks for.
for study in SETTINGS.background.studies:

    rule:
        name:
            f"studies/{study}/all"
        input:
            [f"studies/{study}.txt", *(f"studies/{study}/{p}" for p in STUDY_PRODUCTS)],

    rule:
        name:
            f"studies/{study}/background"
        input:
            of(INJECTIONS.shards, study=study),
