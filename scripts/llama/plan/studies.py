"""What a study or a simulation of sky maps consists of, and in which parts it is read or made.

Paths are relative to the output directory, sky maps absolute.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from llama.errors import LlamaError
from llama.plan.detectors import Detectors
from llama.plan.events import POPULATIONS
from llama.settings import Settings
from llama.settings.background import Simulation, Study
from llama.study.artifacts import Artifacts, check_missing, read_artifacts
from llama.study.plan import broken_files
from llama.study.simulate import SHARD_SIZE
from llama.study.skymaps import list_skymaps
from llama.study.store import Piece, Store, open_store

MAPS_PER_PART = 100  # 20 s and 300 MB for maps of 19,200 tiles
LISTS_PER_PART = 2000  # some seconds, with the way from S3 half a minute

T = TypeVar("T")


class Studies:
    """The studies of the settings; each is read once.

    warn: told what is left out. wait_for_list(simulation, detectors): raises Snakemake's exception
    that takes the job graph up again when the list of simulated sky maps is there.
    """

    def __init__(
        self,
        settings: Settings,
        warn: Callable[[str], None],
        wait_for_list: Callable[[str, str], object],
    ) -> None:
        self._settings, self._warn, self._wait_for_list = settings, warn, wait_for_list
        self.detectors = Detectors(settings)
        self._output_dir = settings.output_dir
        self._sources: dict[str, tuple[Store, Artifacts]] = {}
        self._maps: dict[str, list[str]] = {}

    def known(self, study: str) -> Study:
        """Return the settings of a study."""
        if study not in self._settings.background.studies:
            raise LlamaError(
                f"{study} is not in background.studies of the settings; add it with its sky maps"
            )
        return self._settings.background.studies[study]

    def wanted(self) -> list[str]:
        """Return the default target on a cluster: the background of all studies."""
        if not self._settings.background.studies:
            raise LlamaError(
                "no studies are named in the settings; add their sky maps under background.studies"
            )
        return [POPULATIONS]

    def has_artifacts(self, study: str) -> bool:
        """Tell whether superevents and lists of neutrinos were made before."""
        return bool(self.known(study).artifacts)

    def artifacts(self, study: str) -> Artifacts:
        """Return the artifacts of a study; `LlamaError` if one is missing and that matters."""
        return self._source(study)[1]

    def _source(self, study: str) -> tuple[Store, Artifacts]:
        if study not in self._sources:
            source = self.known(study).artifacts
            if source is None:
                raise LlamaError(
                    f"{study} has no artifacts, its neutrinos are drawn; name another target, or "
                    "add artifacts to it under background.studies in the settings"
                )
            store = open_store(source, self._output_dir / "studies" / study / "artifacts")
            artifacts = read_artifacts(store)
            log = self._output_dir / f"logs/studies/{study}/missing.txt"
            if left := check_missing(artifacts, self._settings.background.broken_maps, log):
                self._warn(f"{study} goes on without them: {left}")
            self._sources[study] = store, artifacts
        return self._sources[study]

    def skymaps(self, study: str) -> list[str]:
        """Return every sky map of a study, in the order of its list."""
        if study not in self._maps:
            self._maps[study] = self._skymaps(study)
        return self._maps[study]

    def _skymaps(self, study: str) -> list[str]:
        if self.has_artifacts(study):
            store, artifacts = self._source(study)
            return [str(store.local(piece)) for piece in artifacts.superevents.values()]
        listed = self._listed(study)
        if self._is_simulated(study) and not listed.exists():
            raise LlamaError(
                f"the sky maps of {study} have not been simulated yet; make them with: "
                f"snakemake studies/{study}/skymaps.hdf5"
            )
        return [str(path) for path in list_skymaps(listed)]

    def _listed(self, study: str) -> Path:
        """Return the list or directory of sky maps, as in the settings or as simulated."""
        given = self.known(study).skymaps
        if given is not None and not self._is_simulated(study):
            return given
        population, run, detectors, *_ = study.split("-")
        simulation = f"{population}-{run}"
        simulations = self._settings.background.simulations
        psds = simulations[simulation].psds if simulation in simulations else {}
        if missing := sorted(set(re.findall("..", detectors)) - psds.keys()):
            raise LlamaError(
                f"{study} is to be simulated; add {' and '.join(missing)} to the psds of "
                f"background.simulations.{simulation} in the settings"
            )
        return self._output_dir / "simulations" / simulation / f"{detectors}.csv"

    def _is_simulated(self, study: str) -> bool:
        return str(self.known(study).skymaps) == "simulated"

    def _made_skymaps(self, study: str) -> list[str]:
        if self._is_simulated(study):
            listed = self._listed(study)
            self._wait_for_list(listed.parent.name, listed.stem)
        return self.skymaps(study)

    def _is_remote(self, study: str) -> bool:
        return (self.known(study).artifacts or "").startswith("s3://")

    def part_skymaps(self, study: str, part: str) -> list[str]:
        """Return the sky maps in one part of a study's bank, unless they lie elsewhere."""
        if self._is_remote(study):
            return []
        return part_of(self._made_skymaps(study), part, MAPS_PER_PART)

    def part_superevents(self, study: str, part: str) -> list[list[object]]:
        """Return what to fetch from elsewhere for one part of a study's bank."""
        if not self._is_remote(study):
            return []
        return part_of(_rows(self.artifacts(study).superevents.values()), part, MAPS_PER_PART)

    def part_lists(self, study: str, part: str) -> list[list[object]]:
        """Return the neutrino lists in one part; a list that changes outdates it."""
        return part_of(_rows(self.artifacts(study).lists.values()), part, LISTS_PER_PART)

    def lists(self, study: str) -> list[str]:
        """Return the files with the neutrino lists of a study, none if it draws neutrinos."""
        if not self.has_artifacts(study):
            return []
        count = len(self.artifacts(study).lists)
        return _parts(f"studies/{study}/lists/part-{{:04d}}.hdf5", count, LISTS_PER_PART)

    def lists_gps(self, study: str) -> float:
        """Return the time of the triggers [GPS s], about which the neutrino lists were made."""
        return self.artifacts(study).gps

    def source_and_cache(self, study: str) -> list[str | None]:
        """Return where the artifacts of a study lie, and where those from S3 are kept."""
        return [self.known(study).artifacts, f"studies/{study}/artifacts"]

    def bank_parts(self, study: str) -> list[str]:
        """Return the files that hold the sky maps of a study."""
        self._refuse_broken(study)
        count = len(self._made_skymaps(study))
        return _parts(f"studies/{study}/skymaps/part-{{:04d}}.hdf5", count, MAPS_PER_PART)

    def _refuse_broken(self, study: str) -> None:
        """Raise when what the bank left out is still broken and is no longer to be left out."""
        bank = self._output_dir / f"studies/{study}/skymaps.hdf5"
        if self._settings.background.broken_maps == "skip" or not bank.exists():
            return
        dates: dict[str, float] = {}
        if self.has_artifacts(study):
            store, found = self._source(study)
            pieces = [*found.superevents.values(), *found.lists.values()]
            dates = {str(store.local(piece)): piece.modified for piece in pieces}
        built = bank.stat().st_mtime
        broken = [path for path in broken_files(bank) if dates.get(path, _date(path)) <= built]
        if broken:
            raise LlamaError(
                f"{len(broken)} files of {study} are broken, such as {broken[0]}; replace them, or "
                "leave them out with background.broken_maps: skip in the settings"
            )

    def triggers_per_year(self, study: str) -> float:
        """Return how many triggers of the study's class a year has."""
        return self.known(study).triggers_per_year

    def search(self, study: str) -> dict[str, Any]:
        """Return the model of a study: only what changes its numbers."""
        from llama.study.injections import study_search

        self.detectors.of_class(study)
        return study_search(self._settings.search_parameters(), study)

    def weight_search(self, study: str) -> dict[str, Any]:
        """Return the part of the model that the weights of its sky maps depend on."""
        from llama.event.parameters import WEIGHT_SETTINGS

        model = self.search(study)
        return {name: model[name] for name in (*WEIGHT_SETTINGS, "detectors") if name in model}


class Simulations:
    """The simulations of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._simulations = settings.background.simulations

    def known(self, simulation: str) -> Simulation:
        """Return the settings of a simulation."""
        if simulation not in self._simulations:
            raise LlamaError(
                f"{simulation} is not in background.simulations of the settings; add it"
            )
        return self._simulations[simulation]

    def values(self, simulation: str, names: Sequence[str] = ()) -> dict[str, object]:
        """Return settings of a simulation, all without names."""
        whole = self.known(simulation).model_dump(mode="json")
        return {name: whole[name] for name in names or whole}

    def noise(self, simulation: str) -> list[str]:
        """Return the files with a detector's noise; models are no files."""
        return sorted(psd for psd in self.known(simulation).psds.values() if psd.startswith("/"))

    def shards(self, simulation: str) -> list[str]:
        """Return the directories with the sky maps of a simulation."""
        count = self.known(simulation).injections
        return _parts(f"simulations/{simulation}/maps/shard-{{:04d}}", count, SHARD_SIZE)

    def numbers(self, simulation: str, shard: str) -> list[int]:
        """Return first and last-but-one injection number of a shard of a simulation."""
        count = self.known(simulation).injections
        refusal = f"{simulation} has {count:,} injections: no shard {shard}; name a lower one"
        return numbers_of(shard, SHARD_SIZE, count, refusal)


def _parts(name: str, items: int, size: int) -> list[str]:
    """Return the names of parts of `size`; the last one may be shorter."""
    return [name.format(index) for index in range(-(-items // size))]


def numbers_of(shard: str, size: int, count: int, refusal: str) -> list[int]:
    """Return first and last-but-one number of a shard; `LlamaError(refusal)` if it has none."""
    first = int(shard) * size
    if first >= count:
        raise LlamaError(refusal)
    return [first, min(first + size, count)]


def part_of(items: Sequence[T], part: str, size: int) -> list[T]:
    """Return the items of a part, by its number counted from 0 as in its file's name."""
    first = int(part) * size
    return list(items[first : first + size])


def _rows(pieces: Iterable[Piece]) -> list[list[object]]:
    return [list(piece) for piece in pieces]


def _date(path: str) -> float:
    return Path(path).stat().st_mtime if Path(path).exists() else 0.0
