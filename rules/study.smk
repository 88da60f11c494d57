"""Background studies: sky maps of one class with scrambled neutrinos, and their p-values."""


rule build_bank:
    input:
        study_skymaps,
    output:
        "studies/{study}/skymaps.hdf5",
    log:
        "logs/studies/{study}/build_bank.log",
    conda:
        "../envs/llama.yaml"
    params:
        code=code("build_bank"),
    message:
        "Reading the sky maps of {wildcards.study}"
    script:
        "../scripts/build_bank.py"


rule inject_background:
    input:
        bank="studies/{study}/skymaps.hdf5",
        response=event_response,
        events=f"{ARCHIVE}/events.hdf5",
    output:
        "studies/{study}/background/shard-{shard}.hdf5",
    log:
        "logs/studies/{study}/inject_background-{shard}.log",
    wildcard_constraints:
        shard=r"\d+",
    conda:
        "../envs/llama.yaml"
    params:
        search=SEARCH,
        numbers=shard_numbers,
        seed=SETTINGS.background.seed,
        p_astro=SETTINGS.background.p_astro,
        code=code("inject_background"),
    message:
        "Injections of {wildcards.study}, shard {wildcards.shard}"
    script:
        "../scripts/inject_background.py"


rule collate_populations:
    input:
        **{name: study_shards(name) for name in STUDIES},
    output:
        POPULATIONS,
        "populations.json",
    log:
        "logs/studies/collate_populations.log",
    conda:
        "../envs/llama.yaml"
    params:
        code=code("collate_populations"),
    message:
        "Collating the background of all studies"
    script:
        "../scripts/collate_populations.py"
