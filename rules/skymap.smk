"""The sky map as tiles, and its distance and areas."""


rule convert_skymap:
    input:
        of(EVENTS.skymap),
    output:
        "{event}/lvc_skymap.hdf5",
    log:
        "logs/{event}/convert_skymap.log",
    priority: 30
    conda:
        "../envs/llama.yaml"
    params:
        code=code("convert_skymap"),
    message:
        "Reading the sky map of {wildcards.event} into tiles"
    script:
        "../scripts/convert_skymap.py"


rule measure_skymap:
    input:
        "{event}/lvc_skymap.hdf5",
    output:
        "{event}/lvc_skymap_distances.json",
    log:
        "logs/{event}/measure_skymap.log",
    priority: 30
    conda:
        "../envs/llama.yaml"
    params:
        code=code("measure_skymap"),
    message:
        "Measuring distance and areas of {wildcards.event}"
    script:
        "../scripts/measure_skymap.py"
