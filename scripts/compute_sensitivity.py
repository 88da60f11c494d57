"""What a study can see, sensitivity.json."""

from pathlib import Path

from llama.background.draws import KINDS
from llama.event.provenance import provenance
from llama.files import write_json
from llama.script import logged
from llama.study.bank import Bank
from llama.study.sensitivity import compute_sensitivity

with logged(snakemake.log[0]):
    shards = {kind: [Path(path) for path in snakemake.input.get(kind)] for kind in KINDS}
    with Bank(snakemake.input.bank) as bank:
        content = compute_sensitivity(shards, bank, snakemake.params.triggers_per_year)
    made_from = {f"{kind}/{path.name}": path for kind in KINDS for path in shards[kind]}
    content["study"] = snakemake.wildcards.study
    content["provenance"] = provenance(made_from, seed=content.pop("seed"))
    content["provenance"]["settings_sha256"] = content.pop("settings_sha256")
    write_json(snakemake.output[0], content)
