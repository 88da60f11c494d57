"""What the event consists of, manifest.json."""

from pathlib import Path

from llama.event.manifest import build_manifest, keep
from llama.files import write_json
from llama.script import logged, plain

with logged(snakemake.log[0]):
    event = snakemake.wildcards.event
    products = {path.removeprefix(f"{event}/"): Path(path) for path in snakemake.input}
    command = f"snakemake {event}/all"
    params = snakemake.params
    manifest = build_manifest(products, params.settings, command, plain(params.archive))
    keep(Path(event), manifest)
    write_json(snakemake.output[0], manifest)
