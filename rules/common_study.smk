"""What a study consists of, as study.smk uses it, and how an injection becomes an event."""

from llama.study.lists import list_skymaps
from llama.study.simulate import SHARD_SIZE


def study_source(study, skymaps):
    """Return the list or directory of a study's sky maps, as in the settings or as simulated."""
    if skymaps != "simulated":
        return skymaps
    simulation, _, detectors = study.rpartition("-")
    psds = SIMULATIONS.get(simulation, {}).get("psds", {})
    missing = sorted(set(re.findall("..", detectors)) - psds.keys())
    if missing:
        sys.exit(
            f"llama: {study} is to be simulated; add {' and '.join(missing)} to the psds of background.simulations.{simulation} in config.yaml"
        )
    return str(SETTINGS.output_dir / "simulations" / simulation / f"{detectors}.csv")


SIMULATIONS = {
    name: simulation.model_dump(mode="json")
    for name, simulation in SETTINGS.background.simulations.items()
}
STUDIES = {
    name: study_source(name, str(study.skymaps))
    for name, study in SETTINGS.background.studies.items()
}
INJECTIONS = {
    "background": SETTINGS.background.injections,
    "signal": SETTINGS.background.signal_injections,
    "doublet": SETTINGS.background.signal_injections,
}
MAPS_PER_PART = 100  # 20 s and 300 MB for maps of 19,200 tiles


@functools.cache
def study_skymaps(study):
    """Return every sky map of a study, in the order of its list."""
    if study not in STUDIES:
        sys.exit(
            f"llama: {study} is not in background.studies of config.yaml; add it with its sky maps"
        )
    if is_simulated(study) and not Path(STUDIES[study]).exists():
        sys.exit(
            f"llama: the sky maps of {study} have not been simulated yet; make them with: snakemake studies/{study}/skymaps.hdf5"
        )
    return [str(path) for path in checked(list_skymaps, Path(STUDIES[study]))]


def is_simulated(study):
    return Path(STUDIES.get(study, "/")).is_relative_to(
        SETTINGS.output_dir / "simulations"
    )


def wanted_skymaps(study):
    """Return every sky map of a study, after their simulation if they are simulated."""
    if is_simulated(study):
        source = Path(STUDIES[study])
        # Snakemake takes the job graph up again when the list is there
        checkpoints.list_simulated.get(
            simulation=source.parent.name, detectors=source.stem
        )
    return study_skymaps(study)


def part_skymaps(wildcards):
    """Return the sky maps in one part of a study's bank."""
    first = int(wildcards.part) * MAPS_PER_PART
    return wanted_skymaps(wildcards.study)[first : first + MAPS_PER_PART]


def bank_parts(wildcards):
    """Return the files that hold the sky maps of a study."""
    count = -(-len(wanted_skymaps(wildcards.study)) // MAPS_PER_PART)
    return [
        f"studies/{wildcards.study}/skymaps/part-{index:04d}.hdf5"
        for index in range(count)
    ]


def simulation_of(*names):
    """Return a params function for settings of a simulation, all without names."""

    def settings(wildcards):
        if wildcards.simulation not in SIMULATIONS:
            sys.exit(
                f"llama: {wildcards.simulation} is not in background.simulations of config.yaml; add it"
            )
        whole = SIMULATIONS[wildcards.simulation]
        return {name: whole[name] for name in names or whole}

    return settings


def simulation_noise(wildcards):
    """Return the files with a detector's noise; models are no files."""
    psds = simulation_of("psds")(wildcards)["psds"].values()
    return sorted(path for path in psds if path.startswith("/"))


def simulation_shards(wildcards):
    """Return the directories with the sky maps of a simulation."""
    count = -(-simulation_of("injections")(wildcards)["injections"] // SHARD_SIZE)
    return [
        f"simulations/{wildcards.simulation}/maps/shard-{index:04d}"
        for index in range(count)
    ]


def simulation_numbers(wildcards):
    """Return first and last-but-one injection number of a shard of a simulation."""
    count = simulation_of("injections")(wildcards)["injections"]
    first = int(wildcards.shard) * SHARD_SIZE
    if first >= count:
        sys.exit(
            f"llama: {wildcards.simulation} has {count:,} injections: no shard {wildcards.shard}; name a lower one"
        )
    return [first, min(first + SHARD_SIZE, count)]


def study_search(wildcards):
    """Return the model of a study: only what changes its numbers."""
    from llama.study.background import shard_search

    return checked(shard_search, SEARCH, wildcards.study).as_dict()


def weight_search(wildcards):
    """Return the part of the model that the weights of its sky maps depend on."""
    from llama.study.bank import WEIGHT_SETTINGS

    model = study_search(wildcards)
    return {name: model[name] for name in WEIGHT_SETTINGS}


def study_shards(study, kind="background"):
    """Return the shards of a study; the last one is shorter when sizes do not divide."""
    count = -(-INJECTIONS[kind] // SETTINGS.background.shard_size)
    return [f"studies/{study}/{kind}/shard-{index:04d}.hdf5" for index in range(count)]


def shard_numbers(wildcards):
    """Return first and last-but-one injection number of a shard."""
    size, count = SETTINGS.background.shard_size, INJECTIONS[wildcards.kind]
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
    from llama.study.opening import injection_number, open_injection

    background = SETTINGS.background
    study, kind, number = injection_number(directory, background.shard_size, INJECTIONS)
    open_injection(
        SETTINGS.output_dir / directory,
        study,
        number,
        kind=kind,
        maps=[Path(path) for path in study_skymaps(study)],
        archive=Archive.open(SETTINGS.output_dir / ARCHIVE),
        search=SEARCH,
        seed=background.seed,
        p_astro=background.p_astro,
        skip_broken=background.broken_maps == "skip",
    )
