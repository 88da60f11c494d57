"""The sky map with the neutrinos on it, coinc_skymap_lvc-i3.png and .pdf."""

from pathlib import Path

from llama.event.results import NeutrinoList, Significance, read
from llama.event.skymap_info import read_info
from llama.figures.skymap import draw_skymap
from llama.script import logged
from llama.sky.read import read_skymap
from llama.sky.tiles import SkyTiles

with logged(snakemake.log[0]):
    source, out = snakemake.input, snakemake.output
    info = read_info(Path(source.info).parent)
    tiles, neutrinos = SkyTiles.load(source.skymap), read(Path(source.neutrinos), NeutrinoList)
    significance, role = read(Path(source.significance), Significance), snakemake.params.role
    combined = read_skymap(Path(source.combined).read_bytes(), source.combined)
    draw_skymap(tiles, neutrinos, info, significance, out.png, out.pdf, role, combined)
