"""The significance of the event, significance_lvc-i3.json or significance_subthresh_lvc-i3.json."""

from pathlib import Path

from llama.event.bursts import read_bursts
from llama.event.populations import read_background
from llama.event.provenance import provenance
from llama.event.significance import background_class, compute_significance
from llama.event.skymap_info import read_info
from llama.files import read_json, write_json
from llama.neutrinos.response import Response
from llama.script import logged
from llama.sky.tiles import SkyTiles

with logged(snakemake.log[0]):
    source, params = snakemake.input, snakemake.params
    info = read_info(Path(source.info).parent)
    p_astro = read_json(source.p_astro)
    background = background_class(info, p_astro, params.run)
    bursts = read_bursts(Path(source.bursts[0]), params.grb) if params.grb else None
    significance = compute_significance(
        SkyTiles.load(source.skymap),
        info,
        p_astro,
        read_json(source.neutrinos),
        Response.load(source.response),
        params.search,
        read_background(Path(params.populations), background),
        bursts,
    )
    made_from = {Path(path).name: path for path in source}
    used = params.search | ({"grb": params.grb} if params.grb else {})
    significance["provenance"] = provenance(made_from, used)
    significance["provenance"]["background_sha256"] = params.background.get(background)
    write_json(snakemake.output[0], significance)
