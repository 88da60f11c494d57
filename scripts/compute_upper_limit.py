"""Upper limit on the neutrino emission of an event, upper_limit_lvc-i3.json."""

from llama.event.detectors import observing, open_site
from llama.event.provenance import inputs_by_name, provenance
from llama.files import read_json, write_json
from llama.script import logged, plain
from llama.study.efficiency import upper_limit

with logged(snakemake.log[0]):
    source, params = snakemake.input, snakemake.params
    significance, listed = read_json(source.significance), read_json(source.neutrinos)
    site = open_site(plain(source.response), params.search, observing(listed))
    content = upper_limit(source.skymap, significance, site, params.search, params.seed)
    names = "skymap", "significance", "neutrinos", "response", "events"
    made_from = inputs_by_name({name: plain(source[name]) for name in names})
    content["provenance"] = provenance(made_from, params.search, params.seed)
    write_json(snakemake.output[0], content)
