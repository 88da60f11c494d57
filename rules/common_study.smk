"""What a study consists of, as study.smk uses it: sky maps, neutrino lists, model."""

from llama.study.artifacts import check_missing, read_artifacts
from llama.study.lists import broken_files, list_skymaps
from llama.study.simulate import SHARD_SIZE
from llama.study.store import open_store

STUDIES = SETTINGS.background.studies
SIMULATIONS = {
    name: simulation.model_dump(mode="json")
    for name, simulation in SETTINGS.background.simulations.items()
}
MAPS_PER_PART = 100  # 20 s and 300 MB for maps of 19,200 tiles
LISTS_PER_PART = 2000  # some seconds, with the way from S3 half a minute


def known_study(study):
    if study not in STUDIES:
        sys.exit(
            f"llama: {study} is not in background.studies of config.yaml; add it with its sky maps"
        )
    return STUDIES[study]


def wanted_studies(wildcards):
    """Return the default target on a cluster: the background of all studies."""
    if not STUDIES:
        sys.exit(
            "llama: no studies are named in config.yaml; add their sky maps under background.studies"
        )
    return [POPULATIONS]


@functools.cache
def study_store(study):
    """Return where the artifacts of a study are read from, None for a study without."""
    source = known_study(study).artifacts
    cache = SETTINGS.output_dir / "studies" / study / "artifacts"
    return checked(open_store, source, cache) if source else None


@functools.cache
def study_artifacts(study):
    """Return the artifacts of a study; the run ends when there is one missing and that matters."""
    artifacts = checked(read_artifacts, study_store(study))
    log = SETTINGS.output_dir / f"logs/studies/{study}/missing.txt"
    left_out = checked(check_missing, artifacts, SETTINGS.background.broken_maps, log)
    if left_out:
        logger.warning(f"{study} goes on without them: {left_out}")
    return artifacts


@functools.cache
def study_skymaps(study):
    """Return every sky map of a study, in the order of its list."""
    if store := study_store(study):
        pieces = study_artifacts(study).superevents.values()
        return [str(store.local(piece)) for piece in pieces]
    source = skymap_source(study)
    if is_simulated(study) and not source.exists():
        sys.exit(
            f"llama: the sky maps of {study} have not been simulated yet; make them with: snakemake studies/{study}/skymaps.hdf5"
        )
    return [str(path) for path in checked(list_skymaps, source)]


def skymap_source(study):
    """Return the list or directory of a study's sky maps, as in the settings or as simulated."""
    if not is_simulated(study):
        return known_study(study).skymaps
    simulation, _, detectors = study.rpartition("-")
    psds = SIMULATIONS.get(simulation, {}).get("psds", {})
    missing = sorted(set(re.findall("..", detectors)) - psds.keys())
    if missing:
        sys.exit(
            f"llama: {study} is to be simulated; add {' and '.join(missing)} to the psds of background.simulations.{simulation} in config.yaml"
        )
    return SETTINGS.output_dir / "simulations" / simulation / f"{detectors}.csv"


def is_simulated(study):
    return str(known_study(study).skymaps) == "simulated"


def wanted_skymaps(study):
    """Return every sky map of a study, after their simulation if they are simulated."""
    if is_simulated(study):
        source = skymap_source(study)
        # Snakemake takes the job graph up again when the list is there
        checkpoints.list_simulated.get(
            simulation=source.parent.name, detectors=source.stem
        )
    return study_skymaps(study)


def part_of(items, wildcards, size):
    first = int(wildcards.part) * size
    return items[first : first + size]


def part_skymaps(wildcards):
    """Return the sky maps in one part of a study's bank, unless they lie elsewhere."""
    if is_remote(wildcards.study):
        return []
    return part_of(wanted_skymaps(wildcards.study), wildcards, MAPS_PER_PART)


def part_superevents(wildcards):
    """Return what to fetch from elsewhere for one part of a study's bank."""
    if not is_remote(wildcards.study):
        return []
    pieces = study_artifacts(wildcards.study).superevents.values()
    return part_of([list(piece) for piece in pieces], wildcards, MAPS_PER_PART)


def part_lists(wildcards):
    """Return the neutrino lists in one part; a list that changes outdates it."""
    pieces = study_artifacts(wildcards.study).lists.values()
    return part_of([list(piece) for piece in pieces], wildcards, LISTS_PER_PART)


def is_remote(study):
    return (known_study(study).artifacts or "").startswith("s3://")


def study_lists(study):
    """Return the files that hold the neutrino lists of a study, none if it draws neutrinos."""
    if not study_store(study):
        return []
    count = -(-len(study_artifacts(study).lists) // LISTS_PER_PART)
    return [f"studies/{study}/lists/part-{index:04d}.hdf5" for index in range(count)]


def refuse_broken(study):
    """End the run when what its bank left out is still broken and is no longer to be left out."""
    bank = SETTINGS.output_dir / f"studies/{study}/skymaps.hdf5"
    if SETTINGS.background.broken_maps == "skip" or not bank.exists():
        return
    dates = {}
    if store := study_store(study):
        found = study_artifacts(study)
        for piece in [*found.superevents.values(), *found.lists.values()]:
            dates[str(store.local(piece))] = piece.modified
    broken = [
        path
        for path in broken_files(bank)
        if dates.get(path, os.path.exists(path) and os.stat(path).st_mtime)
        <= bank.stat().st_mtime
    ]
    if broken:
        sys.exit(
            f"llama: {len(broken)} files of {study} are broken, such as {broken[0]}; replace them, or leave them out with background.broken_maps: skip in config.yaml"
        )


def bank_parts(wildcards):
    """Return the files that hold the sky maps of a study."""
    refuse_broken(wildcards.study)
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
    from llama.study.injections import shard_search

    return checked(shard_search, SEARCH, wildcards.study).as_dict()


def weight_search(wildcards):
    """Return the part of the model that the weights of its sky maps depend on."""
    from llama.study.bank import WEIGHT_SETTINGS

    model = study_search(wildcards)
    return {name: model[name] for name in WEIGHT_SETTINGS}


def artifacts_source(wildcards):
    """Return where the artifacts of a study lie, and where those from S3 are kept."""
    study = wildcards.study
    return [known_study(study).artifacts, f"studies/{study}/artifacts"]


def lists_gps(wildcards):
    """Return the time of the triggers, about which the neutrino lists were made."""
    return study_artifacts(wildcards.study).gps
