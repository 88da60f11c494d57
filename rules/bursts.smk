"""The gamma-ray bursts around an event, as instruments' notices tell them."""


rule list_bursts:
    input:
        info=ancient("{event}/skymap_info.json"),
    output:
        "{event}/heard_grbs.json",
    log:
        "logs/{event}/list_bursts.log",
    priority: 20
    conda:
        "../envs/llama.yaml"
    params:
        gps=of(EVENTS.values, keys=["gps_time"]),
        heard=of(EVENTS.bursts.heard_version),
        grb=EVENTS.bursts.settings,
        topics=EVENTS.bursts.topics,
        code=code("list_bursts"),
    message:
        "Listing the gamma-ray bursts around {wildcards.event}"
    script:
        "../scripts/list_bursts.py"
