"""A part of the neutrino lists of a study of artifacts."""

import sys

from llama.script import logged
from llama.study.pairs import write_lists
from llama.study.store import Piece, open_store

with logged(snakemake.log[0]):
    params = snakemake.params
    store = open_store(*params.source)
    lists = store.fetch([Piece(*piece) for piece in params.fetch])
    for problem in write_lists(lists, params.gps, snakemake.output[0]):
        sys.stderr.write(f"broken: {problem}\n")
