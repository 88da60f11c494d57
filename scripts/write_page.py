"""The page of an event for those on shift, index.html."""

from pathlib import Path

from llama.figures.event_page import write_event_page
from llama.script import logged

with logged(snakemake.log[0]):
    event_dir = Path(snakemake.output[0]).parent
    write_event_page(event_dir, str(event_dir))
