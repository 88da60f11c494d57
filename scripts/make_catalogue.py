"""The catalogue of a run, catalogue.json and catalogue.ecsv."""

from pathlib import Path

from llama.catalogue.make import make_catalogue
from llama.script import logged

with logged(snakemake.log[0]):
    params = snakemake.params
    make_catalogue(
        [Path(event) for event in params.events],
        params.left_out,
        snakemake.wildcards.run,
        params.seed,
        params.window_s,
        dict(snakemake.output.items()),
    )
