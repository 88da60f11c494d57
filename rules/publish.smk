"""What may go out, what did and how fast; the manifest; the page that shows it all."""


rule write_notice:
    input:
        info="{event}/skymap_info.json",
        neutrinos="{event}/icecube_neutrino_list.json",
        significance=of(EVENTS.significance),
        combined="{event}/combined_skymap.json",
    output:
        notice="{event}/gcn_notice.json",
        circular="{event}/gcn_circular_draft.txt",
    log:
        "logs/{event}/write_notice.log",
    conda:
        "../envs/llama.yaml"
    params:
        role=of(EVENTS.flag, name="ROLE"),
        code=code("write_notice"),
    message:
        "Writing notice and draft circular of {wildcards.event}"
    script:
        "../scripts/write_notice.py"


rule write_latency:
    input:
        info="{event}/skymap_info.json",
        alerts=of(EVENTS.received),
        map="{event}/lvc_skymap.hdf5",
        neutrinos="{event}/icecube_neutrino_list.json",
        significance=of(EVENTS.significance),
    output:
        "{event}/latency.json",
    log:
        "logs/{event}/write_latency.log",
    conda:
        "../envs/llama.yaml"
    params:
        published=of(EVENTS.is_published),
        code=code("write_latency"),
    message:
        "Writing how fast {wildcards.event} went"
    script:
        "../scripts/write_latency.py"


rule write_manifest:
    input:
        of(EVENTS.before_manifest),
    output:
        "{event}/manifest.json",
    log:
        "logs/{event}/write_manifest.log",
    conda:
        "../envs/llama.yaml"
    params:
        settings=SETTINGS.model_dump(mode="json") | {"search": SEARCH},
        archive=of(NEUTRINOS.directory),
        code=code("write_manifest"),
    message:
        "Closing {wildcards.event} with its manifest"
    script:
        "../scripts/write_manifest.py"


rule write_page:
    input:
        of(EVENTS.before_page),
    output:
        "{event}/index.html",
    log:
        "logs/{event}/write_page.log",
    conda:
        "../envs/llama.yaml"
    params:
        receipts=of(EVENTS.receipt_versions),
        code=code("write_page"),
    message:
        "Writing the page of {wildcards.event}"
    script:
        "../scripts/write_page.py"


# What was sent, or why not. The messages themselves are in outbox/, which no rule touches: Snakemake
# deletes a receipt before it is made anew.
rule publish:
    input:
        of(PUBLISHING.published),
    output:
        "{event}/receipts/{channel}.json",
    log:
        "logs/{event}/publish-{channel}.log",
    wildcard_constraints:
        channel="|".join(CHANNELS),
    priority: 40
    localrule: True  # the secrets are here, and no droplet may have them
    conda:
        "../envs/llama.yaml"
    params:
        destinations=of(PUBLISHING.destinations),
        flags=of(PUBLISHING.flags),
        code=code("publish"),
    message:
        "Publishing {wildcards.event} by {wildcards.channel}, if it may be"
    script:
        "../scripts/publish.py"


# A rule without output, not a file: made whenever it is asked for, since it shows locks, silence and
# ages, which no file tells. No other rule asks; `llama run` and `llama status` write the same page.
rule:
    name:
        "status.html"
    log:
        "logs/write_status.log",
    conda:
        "../envs/llama.yaml"
    message:
        "Writing the page of all events"
    script:
        "../scripts/write_status.py"
