"""A part of the sky maps of a study with their weights."""

import sys
from pathlib import Path

from llama.event.classes import split_class
from llama.event.detectors import open_site
from llama.event.parameters import weight_parameters
from llama.script import logged, plain
from llama.study.bank import build_bank
from llama.study.store import Piece, open_store

with logged(snakemake.log[0]):
    maps = [Path(path) for path in snakemake.input.maps]
    if snakemake.params.fetch:
        store = open_store(*snakemake.params.source)
        maps = store.fetch([Piece(*piece) for piece in snakemake.params.fetch])
    response = open_site(plain(snakemake.input.response), snakemake.params.search).response
    sources, _, run, _ = split_class(snakemake.wildcards.study)
    params = weight_parameters(snakemake.params.search, sources, response)
    for problem in build_bank(maps, snakemake.output[0], response, params, run):
        sys.stderr.write(f"broken: {problem}\n")
