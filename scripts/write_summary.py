"""The summary page, coinc_summary_i3_lvc.html and .pdf."""

from pathlib import Path

from llama.event.page_files import read_event
from llama.figures.summary import write_summary
from llama.files import read_json
from llama.script import logged

with logged(snakemake.log[0]):
    source, out = snakemake.input, snakemake.output
    event_dir = Path(source.info).parent
    latency = read_json(source.latency)["revisions"]
    figures = source.skymap_png, source.scatter_png
    write_summary(read_event(event_dir), latency, figures, str(event_dir), out.html, out.pdf)
