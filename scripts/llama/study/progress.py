"""How far injections are: written by each running shard, read from any other shell."""

import contextlib
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from llama.errors import LlamaError
from llama.files import open_hdf5, read_json, write_json

_EVERY_S = 2.0
_DEAD_AFTER_S = 60.0
_RECENT_S = 1800.0


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


class Progress:
    """Counts the injections of one running shard in a small file, which ends with the block."""

    def __init__(self, shard: str | os.PathLike[str], wanted: int) -> None:
        self._path = progress_path(Path(shard))
        self._content: dict[str, Any] = {"done": 0, "wanted": wanted, "started": time.time()}
        self._next = 0.0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)

    def tick(self) -> None:
        """Count one injection; the file is renewed every two seconds."""
        self._content["done"] += 1
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _EVERY_S
            with contextlib.suppress(LlamaError):  # a shard is worth more than its progress
                write_json(self._path, self._content | {"updated": time.time()})


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
            try:
                content = read_json(path)
                age_s = time.time() - content["updated"]
                took_s = content["updated"] - content["started"]
                if age_s < _DEAD_AFTER_S:
                    done += content["done"]
                    rate_hz += content["done"] / max(took_s, 0.1)
            except (LlamaError, KeyError, TypeError):  # it has just ended
                continue
        if not rate_hz and study in on_fleet:
            rate_hz = _recent_hz(finished, total, shard_size)
        yield StudyProgress(study, kind, min(done, total), total, rate_hz or None)


def _finished(directory: Path) -> dict[int, float]:
    found = {}
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


def most_injections(path: str | os.PathLike[str]) -> int | None:
    """Return how many different injections a study has, None without end or when unknown."""

    try:
        with open_hdf5(path) as file:
            count = int(file.attrs["injections"])
    except (OSError, KeyError):
        return None
    return count if count >= 0 else None


def localised_injections(simulation_dir: Path, wanted: int, shard_size: int) -> int:
    """Return how many of a simulation's injections have their sky maps or need none."""
    done = 0
    for path in (simulation_dir / "maps").glob("shard-*"):
        number = path.name.removeprefix("shard-")
        if number.isdigit():
            done += max(0, min(shard_size, wanted - int(number) * shard_size))
    return done
