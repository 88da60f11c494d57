"""The published sky map as tiles, lvc_skymap.hdf5."""

from llama.event.make import make_tiles
from llama.script import logged

with logged(snakemake.log[0]):
    make_tiles(snakemake.input[0], snakemake.output[0])
