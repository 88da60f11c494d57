"""The summary page, coinc_summary_i3_lvc.html and .pdf."""

from pathlib import Path

from llama.event.flags import read_flags
from llama.event.skymap_info import read_info
from llama.figures.summary import write_summary
from llama.files import read_json
from llama.script import logged

with logged(snakemake.log[0]):
    source = snakemake.input
    event_dir = Path(source.info).parent
    write_summary(
        info=read_info(event_dir),
        flags=read_flags(event_dir),
        p_astro=read_json(source.p_astro),
        distances=read_json(source.distances),
        neutrinos=read_json(source.neutrinos),
        significance=read_json(source.significance),
        latency=read_json(source.latency),
        skymap_png=source.skymap_png,
        scatter_png=source.scatter_png,
        event_dir=str(event_dir),
        html=snakemake.output.html,
        pdf=snakemake.output.pdf,
    )
