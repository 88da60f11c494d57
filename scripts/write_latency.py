"""How fast it went, alert by alert: latency.json."""

from pathlib import Path

from llama.alerts.gwalert import parse_alert
from llama.event.latency import build_latency, remember_steps
from llama.event.provenance import provenance
from llama.event.skymap_info import read_info
from llama.files import write_json
from llama.script import logged


def notice_time(path):
    return parse_alert(path.read_bytes(), str(path)).notice_time


with logged(snakemake.log[0]):
    source = snakemake.input
    event_dir = Path(source.info).parent
    info = read_info(event_dir)
    made = {step: Path(source[step]) for step in ("map", "neutrinos", "significance")}
    remember_steps(event_dir, info, made)
    latency = build_latency(event_dir, info, notice_time)
    latency["provenance"] = provenance({path.name: path for path in map(Path, source)})
    write_json(snakemake.output[0], latency)
