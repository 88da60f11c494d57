"""Upper limit on the neutrino emission of an event, upper_limit_lvc-i3.json."""

from pathlib import Path

from llama.event.provenance import provenance
from llama.files import read_json, write_json
from llama.neutrinos.archive import Archive
from llama.script import logged
from llama.study.efficiency import upper_limit

with logged(snakemake.log[0]):
    source, params = snakemake.input, snakemake.params
    archive = Archive.open(Path(source.events).parent)
    significance = read_json(source.significance)
    content = upper_limit(source.skymap, significance, archive, params.search, params.seed)
    made_from = {Path(path).name: path for path in source}
    content["provenance"] = provenance(made_from, params.search, params.seed)
    write_json(snakemake.output[0], content)
