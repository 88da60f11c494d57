"""A part of the sky maps of a study with their weights."""

import sys
from pathlib import Path

from llama.neutrinos.response import load_response
from llama.script import logged
from llama.stats.parameters import WeightParameters
from llama.study.bank import build_bank
from llama.study.store import Piece, open_store

with logged(snakemake.log[0]):
    maps = [Path(path) for path in snakemake.input.maps]
    if snakemake.params.fetch:
        store = open_store(*snakemake.params.source)
        maps = store.fetch([Piece(*piece) for piece in snakemake.params.fetch])
    area_relative = load_response(snakemake.input.response).area_relative
    params = WeightParameters(**snakemake.params.search)
    for problem in build_bank(maps, snakemake.output[0], area_relative, params):
        sys.stderr.write(f"broken: {problem}\n")
