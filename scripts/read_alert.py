"""What the alert says: p_astro.json and lvc_gracedb_event_data.json."""

from pathlib import Path

from llama.alerts.content import classification, event_data, p_astro
from llama.event.provenance import provenance
from llama.event.skymap_info import read_info
from llama.files import write_json
from llama.script import logged

with logged(snakemake.log[0]):
    event_dir = Path(snakemake.input.info).parent
    info = read_info(event_dir)
    made_from = {Path(path).name: path for path in snakemake.input}
    rate_hz = snakemake.params.signal_rate_hz
    if info.retracted and info.event_alert_file is None:
        # the alert that it takes back never came: nothing is known, and nothing will be computed
        astrophysical = {"p_astro": None, "source": None}
    else:
        classes, has_ns = classification(event_dir, info)
        astrophysical = p_astro(classes, info.far_hz, rate_hz, info.group, has_ns)
    settings = {"far_signal_rate_hz": rate_hz}
    write_json(
        snakemake.output.p_astro, astrophysical | {"provenance": provenance(made_from, settings)}
    )
    data = event_data(event_dir, info) | {"provenance": provenance(made_from)}
    write_json(snakemake.output.event_data, data)
