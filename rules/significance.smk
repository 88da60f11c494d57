"""The background of the event's own map, and the significance: end of the critical path."""


rule build_map_background:
    input:
        skymap="{event}/lvc_skymap.hdf5",
        response=of(NEUTRINOS.response),
        events=of(NEUTRINOS.background),
    output:
        "{event}/map_background.hdf5",
    log:
        "logs/{event}/build_map_background.log",
    priority: 40
    conda:
        "../envs/llama.yaml"
    threads: 2
    params:
        search=SEARCH,
        population=of(EVENTS.population),
        seed=SETTINGS.background.seed,
        p_astro=SETTINGS.background.p_astro,
        injections=SETTINGS.background.map_injections,
        from_archive=of(NEUTRINOS.is_from_archive),
        grb=of(EVENTS.bursts.model),
        burst_sigma_deg=of(EVENTS.bursts.sigma_deg),
        observing=of(NEUTRINOS.observing),
        gps=of(NEUTRINOS.gps),
        code=code("build_map_background"),
    message:
        "Drawing the background of the sky map of {wildcards.event}"
    script:
        "../scripts/build_map_background.py"


rule compute_significance:
    input:
        skymap="{event}/lvc_skymap.hdf5",
        distances="{event}/lvc_skymap_distances.json",
        p_astro="{event}/p_astro.json",
        neutrinos="{event}/icecube_neutrino_list.json",
        info="{event}/skymap_info.json",
        response=of(NEUTRINOS.response),
        bursts=of(EVENTS.bursts.files),
        map_background="{event}/map_background.hdf5",
        events=of(NEUTRINOS.background),
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
        grb=of(EVENTS.bursts.model),
        bursts=of(EVENTS.bursts.versions),
        alert_rates=SETTINGS.alert_rates.model_dump(mode="json"),
        run=SETTINGS.background.run,
        background=of(EVENTS.background_versions),
        populations=POPULATIONS,
        method=of(EVENTS.p_value_method),
        code=code("compute_significance"),
    message:
        "Computing the significance of {wildcards.event}"
    script:
        "../scripts/compute_significance.py"


# After the significance, which does not wait for it; notice, figure and GraceDB's log do.
rule combine_skymap:
    input:
        skymap="{event}/lvc_skymap.hdf5",
        p_astro="{event}/p_astro.json",
        neutrinos="{event}/icecube_neutrino_list.json",
        info="{event}/skymap_info.json",
        response=of(NEUTRINOS.response),
        bursts=of(EVENTS.bursts.files),
        significance=of(EVENTS.significance),
    output:
        combined="{event}/combined_skymap.multiorder.fits",
        coincidence="{event}/coincidence_skymap.multiorder.fits",
        summary="{event}/combined_skymap.json",
    log:
        "logs/{event}/combine_skymap.log",
    priority: 40
    conda:
        "../envs/llama.yaml"
    params:
        search=SEARCH,
        grb=of(EVENTS.bursts.model),
        bursts=of(EVENTS.bursts.versions),
        code=code("combine_skymap"),
    message:
        "Combining the sky map of {wildcards.event} with its neutrinos"
    script:
        "../scripts/combine_skymap.py"


# On request only, as `snakemake EVENT/regions`.
rule write_regions:
    input:
        combined="{event}/combined_skymap.multiorder.fits",
        coincidence="{event}/coincidence_skymap.multiorder.fits",
    output:
        expand("{{event}}/regions/{name}", name=REGIONS),
    log:
        "logs/{event}/write_regions.log",
    conda:
        "../envs/llama.yaml"
    params:
        code=code("write_regions"),
    message:
        "Writing where the source of {wildcards.event} is as MOCs"
    script:
        "../scripts/write_regions.py"
