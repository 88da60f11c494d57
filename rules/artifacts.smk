"""Studies of artifacts: superevents and lists of background neutrinos that were made before."""


rule read_lists:
    output:
        "studies/{study}/lists/part-{part}.hdf5",
    log:
        "logs/studies/{study}/read_lists-{part}.log",
    wildcard_constraints:
        part=r"\d+",
    conda:
        "../envs/llama.yaml"
    params:
        source=of(STUDIES.source_and_cache),
        fetch=of(STUDIES.part_lists),
        gps=of(STUDIES.lists_gps),
        code=code("read_lists"),
    message:
        "Reading the neutrino lists of {wildcards.study}, part {wildcards.part}"
    script:
        "../scripts/read_lists.py"
