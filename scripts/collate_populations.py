"""The background odds of all studies, populations.hdf5 and its index populations.json."""

from llama.script import logged
from llama.study.populations import collate, write_populations

with logged(snakemake.log[0]):
    studies = {name: collate(list(shards)) for name, shards in snakemake.input.items()}
    write_populations(snakemake.output[0], studies)
