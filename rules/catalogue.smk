"""The events of a run as one search: table, statements, page."""


rule make_catalogue:
    input:
        of(CATALOGUES.inputs),
    output:
        json="{run}/catalogue.json",
        ecsv="{run}/catalogue.ecsv",
    log:
        "logs/{run}/make_catalogue.log",
    conda:
        "../envs/llama.yaml"
    params:
        events=of(CATALOGUES.events),
        left_out=of(CATALOGUES.left_out),
        window_s=NEUTRINOS.window.length_s,
        seed=SETTINGS.background.seed,
        code=code("make_catalogue"),
    message:
        "Making the catalogue of {wildcards.run}"
    script:
        "../scripts/make_catalogue.py"


rule draw_catalogue:
    input:
        "{run}/catalogue.json",
    output:
        png="{run}/catalogue_figure.png",
        pdf="{run}/catalogue_figure.pdf",
    log:
        "logs/{run}/draw_catalogue.log",
    conda:
        "../envs/llama.yaml"
    params:
        code=code("draw_catalogue"),
    message:
        "Drawing the catalogue of {wildcards.run}"
    script:
        "../scripts/draw_catalogue.py"


rule write_catalogue:
    input:
        catalogue="{run}/catalogue.json",
        figure="{run}/catalogue_figure.png",
    output:
        html="{run}/catalogue.html",
        pdf="{run}/catalogue.pdf",
    log:
        "logs/{run}/write_catalogue.log",
    conda:
        "../envs/llama.yaml"
    params:
        code=code("write_catalogue"),
    message:
        "Writing the page of the catalogue of {wildcards.run}"
    script:
        "../scripts/write_catalogue.py"
