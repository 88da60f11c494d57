"""From the archived alert to the event's data and its sky map as published."""


rule read_alert:
    input:
        info="{event}/skymap_info.json",
        alert=of(EVENTS.alert),
    output:
        p_astro="{event}/p_astro.json",
        event_data="{event}/lvc_gracedb_event_data.json",
    log:
        "logs/{event}/read_alert.log",
    priority: 10
    conda:
        "../envs/llama.yaml"
    params:
        signal_rate_hz=SEARCH["far_signal_rate_hz"],
        code=code("read_alert"),
    message:
        "Reading the alert of {wildcards.event}"
    script:
        "../scripts/read_alert.py"


rule extract_skymap:
    input:
        info=ancient("{event}/skymap_info.json"),
        source=of(EVENTS.skymap_source),
    output:
        "{event}/lvc_skymap.fits{gz}",
    log:
        "logs/{event}/extract_skymap{gz}.log",
    wildcard_constraints:
        gz=r"(\.gz)?",
    priority: 30
    conda:
        "../envs/llama.yaml"
    params:
        skymap=of(
            EVENTS.values, keys=["skymap_file", "skymap_alert_file", "skymap_sha256"]
        ),
        code=code("extract_skymap"),
    message:
        "Taking the sky map of {wildcards.event} as published"
    script:
        "../scripts/extract_skymap.py"
