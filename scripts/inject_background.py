"""One shard of background injections."""

from pathlib import Path

from llama.neutrinos.archive import Archive
from llama.script import logged
from llama.study.background import run_shard, shard_search, write_shard
from llama.study.bank import Bank

with logged(snakemake.log[0]):
    params = snakemake.params
    first, stop = params.numbers
    archive = Archive.open(Path(snakemake.input.events).parent)
    search = shard_search(params.search, snakemake.wildcards.study)
    with Bank(snakemake.input.bank) as bank:
        rows, single = run_shard(
            bank,
            archive.events(),
            archive.response(),
            search,
            params.p_astro,
            params.seed,
            range(first, stop),
        )
        settings = {"search": params.search, "archive": archive.identity}
        write_shard(
            snakemake.output[0],
            rows,
            single,
            bank.names,
            first,
            params.seed,
            params.p_astro,
            settings,
        )
