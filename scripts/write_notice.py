"""What would go out: gcn_notice.json, checked, and gcn_circular_draft.txt."""

from pathlib import Path

from llama.event.located import Combined
from llama.event.results import NeutrinoList, Significance, read
from llama.event.skymap_info import read_info
from llama.files import write_bytes, write_json
from llama.publish.circular import draft_circular
from llama.publish.notice import build_notice
from llama.script import logged

with logged(snakemake.log[0]):
    source, out = snakemake.input, snakemake.output
    info = read_info(Path(source.info).parent)
    role = snakemake.params.role
    significance = read(Path(source.significance), Significance)
    neutrinos = read(Path(source.neutrinos), NeutrinoList)
    combined = read(Path(source.combined), Combined)
    # when the neutrinos were taken: equal inputs give equal bytes
    heard = neutrinos.retrieved_at
    notice = build_notice(
        info, significance, neutrinos, alert_datetime=heard, role=role, combined=combined
    )
    write_json(out.notice, notice)
    circular = draft_circular(info, significance, neutrinos, role, combined)
    write_bytes(out.circular, circular.encode())
