"""One shard of injections."""

from llama.background.draws import WEIGHTED, Draws
from llama.event.detectors import open_site
from llama.script import logged, plain
from llama.study.bank import Bank
from llama.study.injections import run_shard, run_without_energy, study_parameters, write_shard
from llama.study.opening import trigger_p_astro
from llama.study.pairs import Lists, Pairs
from llama.study.plan import Progress

with logged(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output[0]
    kind = WEIGHTED if params.sampling == WEIGHTED else snakemake.wildcards.kind
    site = open_site(plain(snakemake.input.response), params.search)
    p_astro = trigger_p_astro(snakemake.wildcards.study, params.p_astro)
    numbers, lists = range(*params.numbers), list(snakemake.input.lists)
    with Bank(snakemake.input.bank) as bank, Progress(output, len(numbers)) as progress:
        pairs = Pairs(len(bank.names), bank.broken, Lists(lists), params.gps) if lists else None
        draws = Draws(
            params.seed,
            kind,
            site.events(),
            site.response,
            study_parameters(params.search, snakemake.wildcards.study, site.response),
            site.truth(),
        )
        rows, single = run_shard(bank, draws, p_astro, numbers, progress.tick, pairs)
        hidden = {}
        if not draws.has_sources:
            hidden["without_energy"] = run_without_energy(bank, draws, p_astro, numbers, pairs)
        made_by = {"search": params.search, "archive": site.identity, "skymaps": bank.sha256}
        if pairs is not None:
            made_by |= {"lists": pairs.sha256, "gps": params.gps}
        write_shard(
            output,
            rows,
            single,
            bank.names,
            numbers.start,
            params.seed,
            p_astro,
            made_by,
            kind,
            **hidden,
            broken_maps=len(bank.broken),
        )
