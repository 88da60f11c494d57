"""What people look at: figures and the summary page."""


rule draw_skymap:
    input:
        skymap="{event}/lvc_skymap.hdf5",
        info="{event}/skymap_info.json",
        neutrinos="{event}/icecube_neutrino_list.json",
        significance=of(EVENTS.significance),
        combined="{event}/combined_skymap.multiorder.fits",
    output:
        png=report(
            "{event}/coinc_skymap_lvc-i3.png",
            caption="report/coinc_skymap.rst",
            category="{event}",
            labels={"figure": "sky map and neutrinos"},
        ),
        pdf="{event}/coinc_skymap_lvc-i3.pdf",
    log:
        "logs/{event}/draw_skymap.log",
    conda:
        "../envs/llama.yaml"
    params:
        role=of(EVENTS.flag, name="ROLE"),
        code=code("draw_skymap"),
    message:
        "Drawing the sky map of {wildcards.event}"
    script:
        "../scripts/draw_skymap.py"


rule draw_scatter:
    input:
        significance=of(EVENTS.significance),
        map_background="{event}/map_background.hdf5",
    output:
        png=report(
            "{event}/coinc_scatter_lvc-i3.png",
            caption="report/coinc_scatter.rst",
            category="{event}",
            labels={"figure": "odds against the background"},
        ),
        pdf="{event}/coinc_scatter_lvc-i3.pdf",
    log:
        "logs/{event}/draw_scatter.log",
    conda:
        "../envs/llama.yaml"
    params:
        role=of(EVENTS.flag, name="ROLE"),
        populations=POPULATIONS,
        code=code("draw_scatter"),
    message:
        "Drawing the odds of {wildcards.event} against the background"
    script:
        "../scripts/draw_scatter.py"


rule write_summary:
    input:
        info="{event}/skymap_info.json",
        flags="{event}/flags.json",
        p_astro="{event}/p_astro.json",
        distances="{event}/lvc_skymap_distances.json",
        neutrinos="{event}/icecube_neutrino_list.json",
        significance=of(EVENTS.significance),
        latency="{event}/latency.json",
        combined="{event}/combined_skymap.json",
        skymap_png="{event}/coinc_skymap_lvc-i3.png",
        scatter_png="{event}/coinc_scatter_lvc-i3.png",
    output:
        html=report(
            "{event}/coinc_summary_i3_lvc.html",
            caption="report/coinc_summary.rst",
            category="{event}",
            labels={"figure": "summary"},
        ),
        pdf="{event}/coinc_summary_i3_lvc.pdf",
    log:
        "logs/{event}/write_summary.log",
    conda:
        "../envs/llama.yaml"
    params:
        code=code("write_summary"),
    message:
        "Writing the summary of {wildcards.event}"
    script:
        "../scripts/write_summary.py"
