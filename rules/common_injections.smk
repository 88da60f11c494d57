"""How many injections a study has, in which shards, and how one becomes an event."""

INJECTIONS = {
    "background": SETTINGS.background.injections,
    "signal": SETTINGS.background.signal_injections,
    "doublet": SETTINGS.background.signal_injections,
    "quadruplet": SETTINGS.background.signal_injections,
}


def study_injections(study, kind):
    """Return how many injections of a kind a study has; there are only so many pairs."""
    if kind == "background" and study_store(study):
        return min(INJECTIONS[kind], study_artifacts(study).pairs)
    return INJECTIONS[kind]


def study_shards(study, kind="background"):
    """Return the shards of a study; the last one is shorter when sizes do not divide."""
    count = -(-study_injections(study, kind) // SETTINGS.background.shard_size)
    return [f"studies/{study}/{kind}/shard-{index:04d}.hdf5" for index in range(count)]


def write_plans():
    """Write down what every study that this run makes is to consist of."""
    from llama.study.plan import Plan, write_plan

    kinds = {
        (job.wildcards.study, job.wildcards.kind)
        for job in workflow.dag.needrun_jobs()
        if job.rule.name == "inject"
    }
    for study, kind in sorted(kinds):
        plan = Plan(study_injections(study, kind), SETTINGS.background.shard_size)
        checked(write_plan, Path("studies", study), kind, plan)


def shards_of(study):
    return lambda wildcards: study_shards(study)


def is_paired(wildcards):
    return wildcards.kind == "background" and study_store(wildcards.study) is not None


def shard_lists(wildcards):
    return study_lists(wildcards.study) if is_paired(wildcards) else []


def shard_seed(wildcards):
    """Return the seed of a shard; pairs are not drawn."""
    return -1 if is_paired(wildcards) else SETTINGS.background.seed


def shard_gps(wildcards):
    return lists_gps(wildcards) if is_paired(wildcards) else None


def shard_numbers(wildcards):
    """Return first and last-but-one injection number of a shard."""
    size = SETTINGS.background.shard_size
    count = study_injections(wildcards.study, wildcards.kind)
    first = int(wildcards.shard) * size
    if first >= count:
        sys.exit(
            f"llama: there are {count:,} injections of kind {wildcards.kind}, {size:,} per shard: no shard {wildcards.shard}; name a lower one"
        )
    return [first, min(first + size, count)]


def requested_injections():
    """Return {target as typed: event directory} of injections named on the command line.

    What came in is written here, before the rules look at it: they then treat the injection as
    any other event.
    """
    found = {}
    for target in sys.argv[1:]:
        match = re.fullmatch(
            r"(?:\./)?(studies/[^/]+/(?:[a-z]+/)?shard-\d+/injection-\d+)/?(.*)", target
        )
        if not match or not re.fullmatch(EVENT_DIR_PATTERN, match[1]):
            continue
        checked(open_requested, match[1])
        if match[2] in ("", "all"):
            found[target] = match[1]
    return found


def open_requested(directory):
    from llama.study.opening import injection_number, open_injection, open_pair

    background = SETTINGS.background
    study = directory.split("/")[1]
    counts = {kind: study_injections(study, kind) for kind in INJECTIONS}
    _, kind, number = injection_number(directory, background.shard_size, counts)
    event_dir, maps = SETTINGS.output_dir / directory, map(Path, study_skymaps(study))
    if kind == "background" and study_store(study):
        open_pair(
            event_dir,
            study,
            number,
            pairs=study_pairs(study),
            artifacts=study_artifacts(study),
            skymaps=list(maps),
            p_astro=background.p_astro,
        )
        return
    open_injection(
        event_dir,
        study,
        number,
        kind=kind,
        maps=list(maps),
        archive=Archive.open(SETTINGS.output_dir / ARCHIVE),
        search=SEARCH,
        seed=background.seed,
        p_astro=background.p_astro,
        skip_broken=background.broken_maps == "skip",
    )


def study_pairs(study):
    from llama.study.bank import Bank
    from llama.study.pairs import Lists, Pairs

    with Bank(SETTINGS.output_dir / f"studies/{study}/skymaps.hdf5") as bank:
        lists = Lists([SETTINGS.output_dir / part for part in study_lists(study)])
        return Pairs(len(bank.names), bank.broken, lists, study_artifacts(study).gps)
