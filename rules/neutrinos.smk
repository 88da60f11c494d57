"""The neutrinos around an event."""


rule list_neutrinos:
    input:
        info=ancient("{event}/skymap_info.json"),
        given=of(EVENTS.neutrinos),
    output:
        "{event}/icecube_neutrino_list.json",
    log:
        "logs/{event}/list_neutrinos.log",
    priority: 20
    conda:
        "../envs/llama.yaml"
    params:
        event=of(EVENTS.values, keys=["graceid", "gps_time", "neutrino_file"]),
        window=of(NEUTRINOS.window_version),
        blinded=of(EVENTS.flag, name="BLINDED_NEUTRINOS"),
        online=of(NEUTRINOS.may_ask),
        fetch_maps=of(EVENTS.flag, name="ONLINE"),
        rate_hz=of(NEUTRINOS.rate_hz),
        window_s=list(NEUTRINOS.window),
        archive=NEUTRINOS.archive,
        sources=SETTINGS.neutrinos.source,
        streams=NEUTRINOS.detectors.streams(),
        code=code("list_neutrinos"),
    message:
        "Listing the neutrinos around {wildcards.event}"
    script:
        "../scripts/list_neutrinos.py"
