"""The significance: end of the critical path from the alert."""


rule compute_significance:
    input:
        skymap="{event}/lvc_skymap.hdf5",
        distances="{event}/lvc_skymap_distances.json",
        p_astro="{event}/p_astro.json",
        neutrinos="{event}/icecube_neutrino_list.json",
        info="{event}/skymap_info.json",
        response=of(NEUTRINOS.response),
        bursts=of(EVENTS.bursts),
        events=of(NEUTRINOS.weighted_background),
    output:
        "{event}/significance{low}_lvc-i3.json",
    log:
        "logs/{event}/compute_significance{low}.log",
    wildcard_constraints:
        low="(_subthresh)?",
    priority: 50
    conda:
        "../envs/llama.yaml"
    params:
        search=SEARCH,
        grb=of(EVENTS.burst_model),
        bursts=of(EVENTS.burst_versions),
        alert_rates=SETTINGS.alert_rates.model_dump(mode="json"),
        run=SETTINGS.background.run,
        background=of(EVENTS.background_versions),
        populations=POPULATIONS,
        code=code("compute_significance"),
    message:
        "Computing the significance of {wildcards.event}"
    script:
        "../scripts/compute_significance.py"
