"""The page of a catalogue, catalogue.html and .pdf."""

from llama.figures.catalogue_page import write_catalogue_page
from llama.files import read_json
from llama.script import logged

with logged(snakemake.log[0]):
    source, out = snakemake.input, snakemake.output
    write_catalogue_page(read_json(source.catalogue), source.figure, out.html, out.pdf)
