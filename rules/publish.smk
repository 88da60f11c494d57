"""What may go out, as drafts; the manifest that closes the tree; the page that shows it all."""


rule write_notice:
    input:
        info="{event}/skymap_info.json",
        neutrinos="{event}/icecube_neutrino_list.json",
        significance=event_significance,
    output:
        notice="{event}/gcn_notice.json",
        circular="{event}/gcn_circular_draft.txt",
    log:
        "logs/{event}/write_notice.log",
    conda:
        "../envs/llama.yaml"
    params:
        role=event_flag("ROLE"),
        code=code("write_notice"),
    message:
        "Writing notice and draft circular of {wildcards.event}"
    script:
        "../scripts/write_notice.py"


rule write_manifest:
    input:
        manifest_products,
    output:
        "{event}/manifest.json",
    log:
        "logs/{event}/write_manifest.log",
    conda:
        "../envs/llama.yaml"
    params:
        settings=SETTINGS.model_dump(mode="json"),
        code=code("write_manifest"),
    message:
        "Closing {wildcards.event} with its manifest"
    script:
        "../scripts/write_manifest.py"


rule write_page:
    input:
        page_inputs,
    output:
        "{event}/index.html",
    log:
        "logs/{event}/write_page.log",
    conda:
        "../envs/llama.yaml"
    params:
        code=code("write_page"),
    message:
        "Writing the page of {wildcards.event}"
    script:
        "../scripts/write_page.py"
