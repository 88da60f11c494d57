"""The noise of the detectors of a simulation, and how far they reach."""

from llama.script import logged
from llama.study.noise import sample_psds

with logged(snakemake.log[0]):
    sample_psds(snakemake.output.psd, snakemake.output.reach, snakemake.params.simulation)
