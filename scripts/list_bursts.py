"""The gamma-ray bursts that were heard around the event, heard_grbs.json."""

import sys
from pathlib import Path

from llama.errors import LlamaError
from llama.event.heard_bursts import heard_bursts
from llama.event.provenance import provenance
from llama.files import write_json
from llama.script import logged

with logged(snakemake.log[0]):
    (gps,), grb = snakemake.params.gps, snakemake.params.grb
    heard = heard_bursts(Path(), gps, grb, snakemake.params.topics)
    if heard is None:
        raise LlamaError("the records of the event's day have gone; run snakemake once more")
    made = provenance({}, {"grb": grb, "gps_time": gps}, None)
    write_json(snakemake.output[0], {**heard, "provenance": made})
    if text := "".join(f"{sentence}\n" for sentence in heard["unusable"]):
        Path(snakemake.log[0]).write_text(text, encoding="utf-8")
        sys.stderr.write(text)
