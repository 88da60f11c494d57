"""Upper limit on the neutrino emission of an event, upper_limit_lvc-i3.json and .hdf5."""

from llama.event.detectors import observing, open_site
from llama.event.provenance import inputs_by_name, provenance
from llama.files import atomic_hdf5, read_json, write_json
from llama.script import logged, plain
from llama.stats.window import search_window
from llama.study.efficiency import inject_on_map, live_fraction, upper_limit

with logged(snakemake.log[0]):
    source, params, out = snakemake.input, snakemake.params, snakemake.output
    significance, listed = read_json(source.significance), read_json(source.neutrinos)
    site = open_site(plain(source.response), params.search, observing(listed), params.gps)
    live = live_fraction(listed, search_window(params.search).length_s)
    rows = inject_on_map(source.skymap, significance, site, params.search, params.seed, live)
    content = upper_limit(rows, significance, site, params.search, live)
    names = "skymap", "significance", "neutrinos", "response", "events"
    made_from = inputs_by_name({name: plain(source[name]) for name in names})
    content["provenance"] = provenance(made_from, params.search, params.seed)
    with atomic_hdf5(out.injections) as file:
        for kind, of_kind in rows.items():
            for name in ("odds", "expected"):
                file.create_dataset(f"{kind}/{name}", data=of_kind[name], track_times=False)
    write_json(out.limit, content)
