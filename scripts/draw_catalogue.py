"""The figure of a catalogue, catalogue_figure.png and .pdf."""

from llama.figures.catalogue import draw_catalogue
from llama.files import read_json
from llama.script import logged

with logged(snakemake.log[0]):
    draw_catalogue(read_json(snakemake.input[0]), snakemake.output.png, snakemake.output.pdf)
