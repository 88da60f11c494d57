"""Distance and areas of the sky map, lvc_skymap_distances.json."""

from llama.event.provenance import provenance
from llama.files import write_json
from llama.script import logged
from llama.sky.tiles import SkyTiles

with logged(snakemake.log[0]):
    summary = SkyTiles.load(snakemake.input[0]).summary()
    made_from = {"lvc_skymap.hdf5": snakemake.input[0]}
    write_json(snakemake.output[0], summary | {"provenance": provenance(made_from)})
