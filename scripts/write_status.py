"""The page of all events, status.html."""

from llama.figures.run_page import write_run_page
from llama.script import logged
from llama.settings import from_dict

with logged(snakemake.log[0]):
    write_run_page(from_dict(snakemake.config))
