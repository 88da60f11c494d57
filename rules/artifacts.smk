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
        source=artifacts_source,
        fetch=part_lists,
        gps=lists_gps,
        code=code("read_lists"),
    message:
        "Reading the neutrino lists of {wildcards.study}, part {wildcards.part}"
    script:
        "../scripts/read_lists.py"
