"""The significance of the event, significance_lvc-i3.json or significance_subthresh_lvc-i3.json."""

from llama.event.make import make_significance
from llama.script import logged, plain

with logged(snakemake.log[0]):
    source, params = snakemake.input, snakemake.params
    names = ("skymap", "distances", "p_astro", "neutrinos", "info", "response")
    inputs = {name: plain(source[name]) for name in (*names, "map_background", "events")}
    if source.bursts:
        inputs["bursts"] = source.bursts[0]
    make_significance(
        inputs,
        snakemake.output[0],
        search=params.search,
        grb=params.grb,
        run=params.run,
        populations=params.populations,
        backgrounds=params.background,
        method=params.method,
        alert_rates=params.alert_rates,
    )
