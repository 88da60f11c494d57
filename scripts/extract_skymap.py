"""The sky map exactly as published, out of the alert or the file that was given."""

from pathlib import Path

from llama.alerts.content import skymap_bytes
from llama.event.skymap_info import read_info
from llama.files import write_bytes
from llama.script import logged

with logged(snakemake.log[0]):
    event_dir = Path(snakemake.input.info).parent
    write_bytes(snakemake.output[0], skymap_bytes(event_dir, read_info(event_dir)))
