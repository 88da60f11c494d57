"""What a study should hold, what is missing, and its progress, which shards tell in small files."""

import contextlib
import itertools
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct, ValidationError
from msgspec.structs import asdict

from llama.errors import LlamaError
from llama.files import open_hdf5, read_json, write_json
from llama.typed import convert, typed

PLAN = "plan.json"
_MOST_SHARDS = 10**6
_SHOWN = 5
_EVERY_S = 2.0
_DEAD_AFTER_S = 60.0
_RECENT_S = 1800.0


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    """How many injections of one kind a study is to have, and how many a shard has."""

    injections: Annotated[int, Meta(gt=0)]
    shard_size: Annotated[int, Meta(gt=0)]

    def shards(self) -> list[str]:
        """Return the names of all shards."""
        count = -(-self.injections // self.shard_size)
        return [f"shard-{number:04d}.hdf5" for number in range(count)]


class PartialError(LlamaError):
    """Shards are missing."""


def plan_path(study_dir: Path, kind: str = "background") -> Path:
    """Return where the plan of a study's injections of one kind is, beside its shards."""
    return study_dir / kind / PLAN


def write_plan(study_dir: Path, kind: str, plan: Plan) -> None:
    """Write the plan, before the first shard is made."""
    write_json(plan_path(study_dir, kind), asdict(plan))


def read_plan(study_dir: Path, kind: str = "background") -> Plan | None:
    """Return the plan, None where there is none, as of a study that was made before there were."""
    path = plan_path(study_dir, kind)
    if not path.exists():
        return None
    try:
        plan = convert(read_json(path), Plan)
        if plan.injections > _MOST_SHARDS * plan.shard_size:
            raise ValidationError
    except ValidationError as error:
        raise LlamaError(
            f"{path} is not the plan of a study; delete it and run llama dev dv pull again"
        ) from error
    return plan


def missing_shards(study_dir: Path, kind: str = "background") -> list[str]:
    """Return the names of the shards that the plan tells of and that are not there."""
    plan = read_plan(study_dir, kind)
    there = {path.name for path in (study_dir / kind).glob("shard-*.hdf5")}
    return [name for name in (plan.shards() if plan else []) if name not in there]


def check_whole(numbers: Sequence[tuple[int, int]], drawn: bool, plan: Plan | None) -> None:
    """Raise `PartialError` when injections are missing.

    numbers: first and last-but-one number of each shard, ascending; drawn: neutrinos were drawn,
    so that there are as many as planned. Of pairs there are fewer where a sky map is broken, in
    the last shards.
    """
    filled = [(0, 0), *(pair for pair in numbers if pair[1] > pair[0])]
    gaps = [(stop, first) for (_, stop), (first, _) in itertools.pairwise(filled) if first > stop]
    there = sum(stop - first for first, stop in filled)
    planned = plan.injections if plan else filled[-1][1]
    if plan and drawn and filled[-1][1] < planned:
        gaps.append((filled[-1][1], planned))
    if plan and not drawn and not gaps and len(numbers) < len(plan.shards()):
        gaps.append((numbers[-1][0] + plan.shard_size, planned))
    if gaps:
        shown = ", ".join(f"{first:,} to {stop - 1:,}" for first, stop in gaps[:_SHOWN])
        raise PartialError(
            f"{there:,} of {planned:,} injections are there, without {shown}"
            f"{', ...' * (len(gaps) > _SHOWN)}; fetch them with llama dev dv pull, or make them "
            "with snakemake"
        )


class StudyProgress(NamedTuple):
    """Injections done and wanted; rate [Hz] of the shards at work, None when there are none."""

    study: str
    kind: str
    done: int
    wanted: int
    rate_hz: float | None

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest will take at this rate, None when nothing is at work."""
        return (self.wanted - self.done) / self.rate_hz if self.rate_hz else None


class _Running(Struct):
    """What a running shard tells: injections done and wanted, since and until when [Unix s]."""

    done: int
    wanted: int
    started: float
    updated: float


class Progress:
    """Counts the injections of one running shard in a small file, which ends with the block."""

    def __init__(self, shard: str | Path, wanted: int) -> None:
        self._path = progress_path(Path(shard))
        self._content = _Running(0, wanted, time.time(), 0.0)
        self._next = 0.0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)

    def tick(self) -> None:
        """Count one injection; the file is renewed every two seconds."""
        self._content.done += 1
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _EVERY_S
            self._content.updated = time.time()
            with contextlib.suppress(LlamaError):  # a shard is worth more than its progress
                write_json(self._path, asdict(self._content))


def progress_path(shard: Path) -> Path:
    """Return the file in which a shard tells its progress."""
    return shard.with_name(f".{shard.stem}.progress.json")


def study_progress(
    studies_dir: Path,
    wanted: Mapping[tuple[str, str], int],
    shard_size: int,
    elsewhere: Mapping[tuple[str, str], Mapping[int, float]] = MappingProxyType({}),
    on_fleet: Collection[str] = (),
) -> Iterator[StudyProgress]:
    """Yield the progress of each (study, kind), of which `wanted` tells the injections.

    elsewhere: {number: date [Unix s]} of shards that are in another place; on_fleet: studies whose
    shards are made on other machines, so that only the dates of finished ones tell the rate.
    """
    for (study, kind), total in wanted.items():
        directory = studies_dir / study / kind
        rate_hz = 0.0
        finished = dict(elsewhere.get((study, kind), {})) | _finished(directory)
        done = _injections_in(finished, total, shard_size)
        for path in directory.glob(".shard-*.progress.json"):
            with contextlib.suppress(LlamaError):  # it has just ended
                told = typed(read_json(path), _Running, str(path), "")
                if abs(time.time() - told.updated) < _DEAD_AFTER_S and told.done >= 0:
                    done += told.done
                    rate_hz += told.done / max(told.updated - told.started, 0.1)
        if not rate_hz and study in on_fleet:
            rate_hz = _recent_hz(finished, total, shard_size)
        yield StudyProgress(study, kind, min(done, total), total, rate_hz or None)


def _finished(directory: Path) -> dict[int, float]:
    found: dict[int, float] = {}
    for path in directory.glob("shard-*.hdf5"):
        if match := re.fullmatch(r"shard-(\d+)\.hdf5", path.name):
            with contextlib.suppress(FileNotFoundError):
                found[int(match[1])] = path.stat().st_mtime
    return found


def _injections_in(shards: Iterable[int], total: int, shard_size: int) -> int:
    return sum(max(0, min(shard_size, total - number * shard_size)) for number in shards)


def _recent_hz(finished: Mapping[int, float], total: int, shard_size: int) -> float:
    """Return the rate of the shards that came since the first one of the last half hour."""
    now = time.time()
    recent = {number: date for number, date in finished.items() if now - date < _RECENT_S}
    if len(recent) < 2:
        return 0.0
    first = min(recent, key=lambda number: recent[number])
    done = _injections_in(recent.keys() - {first}, total, shard_size)
    return done / max(now - recent[first], 1.0)


def most_injections(path: str | Path) -> int | None:
    """Return how many different injections a study has, None without end or when unknown."""
    try:
        with open_hdf5(path) as file:
            count = int(file.attrs["injections"])
    except (OSError, KeyError):
        return None
    return count if count >= 0 else None


def broken_files(path: str | Path) -> list[str]:
    """Return the files that were broken when a study's bank was linked; none when there is none."""
    if not Path(path).exists():
        return []
    try:
        with open_hdf5(path) as file:
            return [name.decode() for name in file["broken_files"][()]]
    except (OSError, KeyError):  # the run will say so, or make it anew
        return []


def localised_injections(simulation_dir: Path, wanted: int, shard_size: int) -> int:
    """Return how many of a simulation's injections have their sky maps or need none."""
    names = [path.name.removeprefix("shard-") for path in (simulation_dir / "maps").glob("shard-*")]
    return _injections_in([int(name) for name in names if name.isdigit()], wanted, shard_size)
