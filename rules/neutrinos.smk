"""The neutrinos around an event."""


include: "common_neutrinos.smk"


rule list_neutrinos:
    input:
        info=ancient("{event}/skymap_info.json"),
        given=given_neutrinos,
    output:
        "{event}/icecube_neutrino_list.json",
    log:
        "logs/{event}/list_neutrinos.log",
    priority: 20
    conda:
        "../envs/llama.yaml"
    params:
        event=event_keys("graceid", "gps_time", "neutrino_file"),
        window=window_version,
        blinded=event_flag("BLINDED_NEUTRINOS"),
        online=may_ask,
        rate_hz=SEARCH["ratebgnu"],
        window_s=list(WINDOW),
        archive=ARCHIVE,
        sources=SETTINGS.neutrinos.source,
        code=code("list_neutrinos"),
    message:
        "Listing the neutrinos around {wildcards.event}"
    script:
        "../scripts/list_neutrinos.py"
