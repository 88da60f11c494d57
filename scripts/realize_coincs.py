"""One shard of simulated binaries, and those of them that are detected."""

from llama.script import logged
from llama.study.simulate import realize_coincs

with logged(snakemake.log[0]):
    realize_coincs(
        snakemake.input.psd,
        snakemake.input.reach,
        snakemake.output.injections,
        snakemake.output.coincs,
        range(*snakemake.params.numbers),
        snakemake.params.simulation,
    )
