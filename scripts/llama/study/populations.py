"""populations.hdf5: the background odds of every class, ascending, ready for p-values."""

import hashlib
import itertools
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from llama.errors import LlamaError
from llama.files import atomic_hdf5, reading_hdf5, write_json
from llama.stats.arrays import Floats
from llama.study.plan import Plan, check_whole

BROKEN = "{} is broken; delete it and run snakemake again"
BLOCK = 2**21  # numbers in memory at a time, 16 MiB; at most some copies of them
_ROOM = 2**14  # bytes that a class takes in the file besides its numbers


class Column:
    """A float64 column (dataset, or dataset/field) of shards; `LlamaError` names a broken one."""

    def __init__(self, shards: Sequence[str | Path], name: str, size: int) -> None:
        self._shards, self._name, self.size = shards, name.split("/"), size

    def __iter__(self) -> Iterator[Floats]:
        for path in self._shards:
            with reading_hdf5(path, BROKEN.format(path)) as file:
                dataset = file[self._name[0]]
                yield dataset.fields(self._name[1])[()] if self._name[1:] else dataset[()]


class ClassOdds(NamedTuple):
    """Background odds of triggers and single neutrinos; arrays ascend, columns when written."""

    odds: Column | Floats
    single: Column | Floats
    p_astro: float
    seed: int
    settings_sha256: str


def collate(
    shards: Sequence[str | Path], plan: Plan | None = None, partial: bool = False
) -> ClassOdds:
    """Return the odds of one study; only what the shards say about themselves is read here.

    LlamaError when they were made with different settings, seeds or p_astro, or overlap;
    `PartialError`, unless `partial` is wanted, when some are missing, at the end as far as `plan`
    tells it.
    """
    single, made, numbers = 0, set(), []
    for path in shards:
        with reading_hdf5(path, BROKEN.format(path)) as file:
            about, size = file.attrs, int(file["injections"].size)
            single += int(file["single"].size)
            by = float(about["p_astro"]), int(about["seed"]), str(about["settings_sha256"])
            made.add((str(about["kind"]), *by))
            numbers.append((int(about["first"]), int(about["first"]) + size))
    numbers.sort()
    overlap = any(stop > begin for (_, stop), (begin, _) in itertools.pairwise(numbers))
    if len(made) != 1 or overlap:
        raise LlamaError(
            "the shards were made with different settings or twice; "
            "delete them and run snakemake again"
        )
    _, p_astro, seed, settings = made.pop()
    if not partial:
        check_whole(numbers, seed >= 0, plan)
    odds = Column(shards, "injections/odds", sum(stop - begin for begin, stop in numbers))
    return ClassOdds(odds, Column(shards, "single", single), p_astro, seed, settings)


def write_populations(path: str | Path, classes: Mapping[str, ClassOdds]) -> None:
    """Write all classes: `<population>/<run>/<detectors>` and `single/<population>/...`.

    Both are ascending float64 arrays with attributes n, seed, p_astro, settings_sha256. An index
    `populations.json` beside it tells, for each class, n and the sha256 of its numbers.
    """
    index = {}
    numbers = sum(int(content.odds.size + content.single.size) for content in classes.values())
    with atomic_hdf5(path, 8 * numbers + _ROOM * (1 + len(classes))) as file:
        for name, content in sorted(classes.items()):
            key, digest = name.replace("-", "/"), hashlib.sha256()
            for values, place in ((content.odds, key), (content.single, f"single/{key}")):
                dataset = file.create_dataset(place, (values.size,), "<f8", track_times=False)
                first, here = 0, Path(path).parent
                for piece in ascending(values, here) if isinstance(values, Column) else [values]:
                    dataset[first : first + piece.size] = piece
                    digest.update(piece.data)
                    first += piece.size
            odds, _, *made_with = content
            attributes = dict(zip(content._fields[2:], made_with, strict=True))
            file[key].attrs.update(attributes | {"n": odds.size})
            index[name] = {"n": int(odds.size), "sha256": digest.hexdigest(), **attributes}
    write_json(Path(path).with_suffix(".json"), index)


def ascending(
    parts: Iterable[Floats], directory: str | Path, block: int = BLOCK
) -> Iterator[Floats]:
    """Yield all numbers of `parts` in ascending order, in pieces: an external merge sort.

    What is more than `block` numbers goes to a nameless scratch file in `directory`, 8 bytes
    each. NaN is not allowed.
    """
    with tempfile.TemporaryFile(dir=directory) as scratch:
        sizes = []
        for run in _blocks(parts, block):
            run.sort()
            scratch.write(run.data)
            sizes.append(run.size)
        if not sizes:
            return
        scratch.flush()
        numbers = np.asarray(np.memmap(scratch, np.float64, "r"))
        runs = np.split(numbers, np.cumsum(sizes)[:-1])
        step = max(block // len(runs), 1)
        while runs:
            # nothing that has not been looked at yet is below it
            bound = min((run[step - 1] for run in runs if run.size > step), default=np.inf)
            cuts = [int(np.searchsorted(run[:step], bound, side="right")) for run in runs]
            heads = [run[:cut] for run, cut in zip(runs, cuts, strict=True)]
            yield np.sort(np.concatenate(heads), kind="stable")
            runs = [run[cut:] for run, cut in zip(runs, cuts, strict=True) if cut < run.size]


def _blocks(parts: Iterable[Floats], block: int) -> Iterator[Floats]:
    """Yield copies of the parts' numbers, `block` at a time."""
    buffer, filled = np.empty(block), 0
    for part in parts:
        done = 0
        while done < part.size:
            count = min(block - filled, part.size - done)
            buffer[filled : filled + count] = part[done : done + count]
            filled, done = filled + count, done + count
            if filled == block:
                yield buffer
                filled = 0
    if filled:
        yield buffer[:filled]
