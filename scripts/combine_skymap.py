"""Where the source is with the neutrinos: two sky maps, and their areas and distances."""

from llama.event.combined import make_combined
from llama.script import logged, plain

with logged(snakemake.log[0]):
    source, params = snakemake.input, snakemake.params
    names = ("skymap", "p_astro", "neutrinos", "info", "response", "significance")
    inputs = {name: plain(source[name]) for name in names}
    if source.bursts:
        inputs["bursts"] = source.bursts[0]
    make_combined(inputs, dict(snakemake.output.items()), search=params.search, grb=params.grb)
