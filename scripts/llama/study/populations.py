"""populations.hdf5: the background odds of every class, ascending, ready for p-values."""

import hashlib
import itertools
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from llama.background.draws import WEIGHTED
from llama.errors import LlamaError
from llama.event.populations import GROUPS, WEIGHT_GROUPS, ascending_groups, hdf5_key
from llama.files import atomic_hdf5, reading_hdf5, write_json
from llama.stats.arrays import Floats
from llama.study.plan import Plan, check_whole

# columns of shards besides `injections`, in the order of `GROUPS`
WITHOUT_ENERGY = "odds_without_energy", "single_without_energy"
SINGLE = "single", *WITHOUT_ENERGY
ROWS_WITHOUT_ENERGY = "injections_without_energy"  # of weighted ones

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
    """Background odds of triggers and single neutrinos; arrays ascend, columns when written.

    *_without_energy: those of injections whose energies are hidden; weights: by the groups of the
    file, of a weighted background; about: attributes that not all have.
    """

    odds: Column | Floats
    single: Column | Floats
    p_astro: float
    seed: int
    settings_sha256: str
    odds_without_energy: Column | Floats = np.empty(0)
    single_without_energy: Column | Floats = np.empty(0)
    weights: Mapping[str, Floats] = MappingProxyType({})
    about: Mapping[str, str | int] = MappingProxyType({})

    @property
    def numbers(self) -> dict[str, Column | Floats]:
        """The odds, and what weights they have, by the groups of the file that they are in."""
        return dict(zip(GROUPS, (*self[:2], *self[5:7]), strict=True)) | dict(self.weights)

    def pieces(self, values: Column | Floats, directory: str | Path) -> Iterator[Floats]:
        """Yield some of its numbers, ascending if they are odds; scratch is in a directory."""
        return ascending(values, directory) if isinstance(values, Column) else iter([values])


def collate(
    shards: Sequence[str | Path], plan: Plan | None = None, partial: bool = False
) -> ClassOdds:
    """Return the odds of one study; only what the shards say about themselves is read here.

    LlamaError when they were made with different settings, seeds or p_astro, or overlap;
    `PartialError`, unless `partial` is wanted, when some are missing, at the end as far as `plan`
    tells it.
    """
    sizes, made, numbers, maps = Counter[str](), set(), [], set()
    for path in shards:
        with reading_hdf5(path, BROKEN.format(path)) as file:
            about, size = file.attrs, int(file["injections"].size)
            sizes.update({name: int(file[name].size) for name in SINGLE})
            by = float(about["p_astro"]), int(about["seed"]), str(about["settings_sha256"])
            made.add((str(about["kind"]), *by, str(about.get("archive", ""))))
            maps.add(int(about.get("n_maps", 0)))
            numbers.append((int(about["first"]), int(about["first"]) + size))
    along = sorted(range(len(numbers)), key=numbers.__getitem__)
    numbers.sort()
    overlap = any(stop > begin for (_, stop), (begin, _) in itertools.pairwise(numbers))
    if len(made) != 1 or overlap:
        raise LlamaError(
            "the shards were made with different settings or twice; "
            "delete them and run snakemake again"
        )
    kind, p_astro, seed, settings, archive = made.pop()
    if not partial:
        check_whole(numbers, seed >= 0, plan)
    # shards of earlier versions do not say how many
    more: dict[str, str | int] = {"n_maps": max(maps)} if len(maps) == 1 and all(maps) else {}
    if kind == WEIGHTED:
        more |= {"sampling": WEIGHTED, "archive": archive}
        return _weighted([shards[k] for k in along], p_astro, seed, settings, more)
    odds = Column(shards, "injections/odds", sum(stop - begin for begin, stop in numbers))
    single, *hidden = (Column(shards, name, sizes[name]) for name in SINGLE)
    return ClassOdds(odds, single, p_astro, seed, settings, hidden[0], hidden[1], about=more)


def _weighted(
    shards: Sequence[str | Path],
    p_astro: float,
    seed: int,
    settings: str,
    about: Mapping[str, str | int],
) -> ClassOdds:
    """Return the odds of a weighted study, ascending, and their weights: so few are in memory."""
    parts = defaultdict[str, list[Any]](list)
    for path in shards:
        with reading_hdf5(path, BROKEN.format(path)) as file:
            for name in ("injections", ROWS_WITHOUT_ENERGY, "single", "single_without_energy"):
                parts[name].append(file[name][()])
    every = {name: np.concatenate(values) for name, values in parts.items()}
    found: dict[str, Floats] = {}
    for group, rows, single in (
        ("", "injections", "single"),
        ("without_energy", ROWS_WITHOUT_ENERGY, "single_without_energy"),
    ):
        table = every[rows]
        columns = table["odds"], table["weight"], table["neutrinos"], every[single]
        found |= ascending_groups(group, *columns, maps=table["skymap"])
    odds, alone, *hidden = (found[name] for name in GROUPS)
    return ClassOdds(
        odds,
        alone,
        p_astro,
        seed,
        settings,
        hidden[0],
        hidden[1],
        {name: found[name] for name in WEIGHT_GROUPS},
        about,
    )


def write_populations(path: str | Path, classes: Mapping[str, ClassOdds]) -> None:
    """Write all classes: `<population>/<run>/<detectors>` and, in `GROUPS`, what else there is.

    They are ascending float64 arrays with attributes n, seed, p_astro, settings_sha256 and, where
    shards tell it, n_maps; of weighted ones there are the weights, maps, and attributes sampling
    and archive, too. An index `populations.json` beside it tells, for each class, these and the
    sha256 of its numbers.
    """
    index = {}
    numbers = sum(int(v.size) for content in classes.values() for v in content.numbers.values())
    with atomic_hdf5(path, 8 * numbers + _ROOM * (1 + len(classes))) as file:
        for name, content in sorted(classes.items()):
            key, digest = hdf5_key(name), hashlib.sha256()
            for group, values in content.numbers.items():
                place, size = f"{group}/{key}", (values.size,)
                dataset = file.create_dataset(place, size, "<f8", track_times=False)
                first, here = 0, Path(path).parent
                for piece in content.pieces(values, here):
                    dataset[first : first + piece.size] = piece
                    digest.update(np.ascontiguousarray(piece).data)
                    first += piece.size
            attributes = dict(zip(content._fields[2:5], content[2:5], strict=True))
            attributes |= content.about
            file[key].attrs.update(attributes | {"n": content.odds.size})
            index[name] = {"n": int(content.odds.size), "sha256": digest.hexdigest(), **attributes}
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
