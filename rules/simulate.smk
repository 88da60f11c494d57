"""Simulations: sky maps of a population of binaries, with the tools of ligo.skymap.

What costs CPU days is remade when its settings change, not with every version of LLAMA: the first
three rules have no `code`.
"""


rule sample_psds:
    input:
        of(SIMULATIONS.noise),
    output:
        psd="simulations/{simulation}/psd.xml.gz",
        reach="simulations/{simulation}/reach.json",
    log:
        "logs/simulations/{simulation}/sample_psds.log",
    conda:
        "../envs/skymap-simulation.yaml"
    params:
        simulation=of(SIMULATIONS.values, names=["distribution", "psds", "f_high_hz"]),
    message:
        "Noise of the detectors of {wildcards.simulation}"
    script:
        "../scripts/sample_psds.py"


rule realize_coincs:
    input:
        psd="simulations/{simulation}/psd.xml.gz",
        reach="simulations/{simulation}/reach.json",
    output:
        injections="simulations/{simulation}/injections/shard-{shard}.xml.gz",
        coincs="simulations/{simulation}/coincs/shard-{shard}.xml.gz",
    log:
        "logs/simulations/{simulation}/realize_coincs-{shard}.log",
    conda:
        "../envs/skymap-simulation.yaml"
    params:
        simulation=of(
            SIMULATIONS.values,
            names=[
                "distribution",
                "psds",
                "net_snr",
                "duty_cycle",
                "f_high_hz",
                "seed",
            ],
        ),
        numbers=of(SIMULATIONS.numbers),
    message:
        "Detecting binaries of {wildcards.simulation}, shard {wildcards.shard}"
    script:
        "../scripts/realize_coincs.py"


rule localize_coincs:
    input:
        coincs="simulations/{simulation}/coincs/shard-{shard}.xml.gz",
        psd="simulations/{simulation}/psd.xml.gz",
    output:
        directory("simulations/{simulation}/maps/shard-{shard}"),
    log:
        "logs/simulations/{simulation}/localize_coincs-{shard}.log",
    conda:
        "../envs/skymap-simulation.yaml"
    params:
        simulation=of(SIMULATIONS.values, names=["distribution", "seed"]),
        numbers=of(SIMULATIONS.numbers),
    message:
        "Sky maps of {wildcards.simulation}, shard {wildcards.shard}"
    script:
        "../scripts/localize_coincs.py"


rule collate_coincs:
    input:
        shards=of(SIMULATIONS.shards),
        psd="simulations/{simulation}/psd.xml.gz",
    output:
        coincs="simulations/{simulation}/coincs.dat",
        summary="simulations/{simulation}/simulation.json",
    log:
        "logs/simulations/{simulation}/collate_coincs.log",
    conda:
        "../envs/skymap-simulation.yaml"
    params:
        simulation=of(SIMULATIONS.values),
        broken_maps=SETTINGS.background.broken_maps,
        code=code("collate_coincs"),
    message:
        "Table of the coincidences of {wildcards.simulation}"
    script:
        "../scripts/collate_coincs.py"


checkpoint list_simulated:
    input:
        coincs="simulations/{simulation}/coincs.dat",
        shards=of(SIMULATIONS.shards),
    output:
        "simulations/{simulation}/{detectors}.csv",
    log:
        "logs/simulations/{simulation}/list_simulated-{detectors}.log",
    wildcard_constraints:
        detectors="(?:[A-Z][0-9])+",
    conda:
        "../envs/llama.yaml"
    params:
        code=code("list_simulated"),
    message:
        "List of the sky maps of {wildcards.simulation} seen by {wildcards.detectors}"
    script:
        "../scripts/list_simulated.py"
