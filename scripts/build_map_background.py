"""The background of an event's own sky map, map_background.hdf5."""

from llama.event.make import make_map_background
from llama.script import logged, plain

with logged(snakemake.log[0]):
    source, params = snakemake.input, snakemake.params
    names = "search", "population", "seed", "p_astro", "injections", "from_archive", "grb"
    make_map_background(
        {name: plain(source[name]) for name in ("skymap", "response", "events")},
        snakemake.output[0],
        **{name: params[name] for name in (*names, "burst_sigma_deg", "observing", "gps")},
        threads=snakemake.threads,
    )
