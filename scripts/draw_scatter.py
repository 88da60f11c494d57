"""The event's odds against the background, coinc_scatter_lvc-i3.png and .pdf."""

from pathlib import Path

from llama.event.populations import OF_BURSTS, OF_MAP, read_background, read_map_background
from llama.event.ranks import without_energy
from llama.event.results import Significance, read
from llama.figures.scatter import draw_scatter
from llama.script import logged

with logged(snakemake.log[0]):
    significance = read(Path(snakemake.input.significance), Significance)
    odds = weights = None
    if significance.p_value is not None:
        if significance.is_of_map:
            which = OF_BURSTS if significance.without_bursts else OF_MAP
            background = read_map_background(Path(snakemake.input.map_background), which)
        else:
            populations = Path(snakemake.params.populations)
            background = read_background(populations, significance.p_value_population)
        background = (
            without_energy(background) if significance.p_value_without_energy else background
        )
        odds, weights = background["odds"], background.get("weights", {}).get("weights")
    out = snakemake.output
    draw_scatter(significance, odds, out.png, out.pdf, snakemake.params.role, weights)
