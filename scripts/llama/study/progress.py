"""How far injections are: written by each running shard, read from any other shell."""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from llama.errors import LlamaError
from llama.files import read_json, write_json

_EVERY_S = 2.0
_DEAD_AFTER_S = 60.0


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
    studies_dir: Path, wanted: dict[tuple[str, str], int], shard_size: int
) -> Iterator[StudyProgress]:
    """Yield the progress of each (study, kind), of which `wanted` tells the injections."""
    for (study, kind), total in wanted.items():
        directory = studies_dir / study / kind
        done, rate_hz = 0, 0.0
        for path in directory.glob("shard-*.hdf5"):
            match = re.fullmatch(r"shard-(\d+)\.hdf5", path.name)
            first = int(match[1]) * shard_size if match else total
            done += max(0, min(shard_size, total - first))
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
        yield StudyProgress(study, kind, min(done, total), total, rate_hz or None)


def most_injections(path: str | os.PathLike[str]) -> int | None:
    """Return how many different injections a study has, None without end or when unknown."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
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
