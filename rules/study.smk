"""Studies: sky maps of one class with scrambled neutrinos, their tables and their p-values."""


rule build_bank:
    input:
        response=of(NEUTRINOS.detectors.study_tables),
        maps=of(STUDIES.part_skymaps),
    output:
        "studies/{study}/skymaps/part-{part}.hdf5",
    log:
        "logs/studies/{study}/build_bank-{part}.log",
    wildcard_constraints:
        part=r"\d+",
    conda:
        "../envs/llama.yaml"
    params:
        search=of(STUDIES.weight_search),
        source=of(STUDIES.source_and_cache),
        fetch=of(STUDIES.part_superevents),
        code=code("build_bank"),
    message:
        "Reading the sky maps of {wildcards.study}, part {wildcards.part}"
    script:
        "../scripts/build_bank.py"


rule link_bank:
    input:
        parts=of(STUDIES.bank_parts),
        lists=of(STUDIES.lists),
    output:
        "studies/{study}/skymaps.hdf5",
    log:
        "logs/studies/{study}/link_bank.log",
    conda:
        "../envs/llama.yaml"
    params:
        # not broken_maps: it changes no number, only whether there are any (Studies.bank_parts)
        code=code("link_bank"),
    message:
        "Checking the sky maps of {wildcards.study}"
    script:
        "../scripts/link_bank.py"


rule inject:
    input:
        bank="studies/{study}/skymaps.hdf5",
        parts=of(STUDIES.bank_parts),
        lists=of(INJECTIONS.lists),
        response=of(NEUTRINOS.detectors.study_tables),
        events=of(NEUTRINOS.detectors.study_events),
        archive=of(NEUTRINOS.detectors.study_archives),
    output:
        "studies/{study}/{kind}/shard-{shard}.hdf5",
    log:
        "logs/studies/{study}/inject-{kind}-{shard}.log",
    wildcard_constraints:
        kind="background|signal|doublet|quadruplet",
        shard=r"\d+",
    conda:
        "../envs/llama.yaml"
    params:
        search=of(STUDIES.search),
        numbers=of(INJECTIONS.numbers),
        seed=of(INJECTIONS.seed),
        gps=of(INJECTIONS.gps),
        sampling=of(INJECTIONS.sampling),
        p_astro=SETTINGS.background.p_astro,
        code=code("inject"),
    message:
        "Injections of {wildcards.study}, {wildcards.kind} shard {wildcards.shard}"
    script:
        "../scripts/inject.py"


rule collate_table:
    input:
        of(INJECTIONS.shards),
    output:
        "studies/{study}.txt",
        "studies/{study}.txt.json",
    log:
        "logs/studies/{study}/collate_table.log",
    conda:
        "../envs/llama.yaml"
    params:
        code=code("collate_table"),
    message:
        "Collating the table of {wildcards.study}"
    script:
        "../scripts/collate_table.py"


rule collate_populations:
    input:
        # looked at only when this rule is: artifacts may be far away
        **{
            name: of(INJECTIONS.shards, study=name)
            for name in SETTINGS.background.studies
        },
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
