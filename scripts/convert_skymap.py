"""The published sky map as tiles, lvc_skymap.hdf5."""

from pathlib import Path

from llama.event.provenance import software
from llama.files import sha256_file
from llama.script import logged
from llama.sky import read_skymap

with logged(snakemake.log[0]):
    path = Path(snakemake.input[0])
    tiles = read_skymap(path.read_bytes(), str(path))
    tiles.meta.update(software=software(), input_sha256=sha256_file(path))
    tiles.save(snakemake.output[0])
