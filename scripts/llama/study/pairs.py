"""Pairs of a superevent and a ready-made list of background neutrinos, and the bank of the lists.

Pair k of S superevents and L lists has superevent k mod S and list (k + k // lcm(S, L)) mod L:
each pair comes once, and the first ones already take all superevents and lists alike.
"""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llama.errors import LlamaError
from llama.files import atomic_hdf5, reading_hdf5
from llama.neutrinos.given import read_given
from llama.neutrinos.table import STATISTIC, Columns, Neutrino, to_columns
from llama.stats.arrays import Floats, Integers
from llama.study.populations import BROKEN
from llama.study.skymaps import content_of

if TYPE_CHECKING:
    import h5py


def pair(numbers: Integers, superevents: int, lists: int) -> tuple[Integers, Integers]:
    """Return superevent and list of each pair, both counted from 0."""
    numbers = np.asarray(numbers, dtype=np.int64)
    return numbers % superevents, (numbers + numbers // math.lcm(superevents, lists)) % lists


def write_lists(paths: Sequence[Path], gps: float, path: str | Path) -> list[str]:
    """Write the neutrinos of lists (see `read_given`) to one file; return what is broken.

    gps: time of the triggers [s]; a list whose neutrinos are all more than a day off is broken.
    """
    columns: dict[str, list[Floats]] = {name: [] for name in STATISTIC}
    counts, broken = [], {}
    for index, source in enumerate(paths):
        try:
            found = _read_list(source, gps)
        except LlamaError as error:
            broken[index] = str(error)
            counts.append(0)
            continue
        counts.append(found["gps"].size)
        for name, values in found.items():
            columns[name].append(values)
    digest = hashlib.sha256(np.array([*counts, *broken], dtype=np.int64).tobytes())
    with atomic_hdf5(path) as file:
        for name, parts in columns.items():
            values = np.concatenate([*parts, np.empty(0)])
            digest.update(values.tobytes())
            file[name] = values
        write_broken(file, [str(source) for source in paths], [*broken], [*broken.values()])
        file["counts"] = np.array(counts, dtype=np.int64)
        file.attrs["sha256"] = digest.hexdigest()
    return list(broken.values())


def write_broken(
    file: "h5py.File", names: Sequence[str], broken: Sequence[int], problems: Sequence[str]
) -> None:
    """Write the names of pieces, the indices of the broken ones, and what is wrong with these."""
    file["names"], file["broken"] = names, np.array(broken, dtype=np.int64)
    file["problems"] = problems or np.empty(0, dtype="S1")


def _read_list(path: Path, gps: float) -> Columns:
    rows = read_given(content_of(path), str(path), gps)
    columns = to_columns([Neutrino.of(row) for row in rows])
    times = columns["gps"]
    along = np.argsort(times, kind="stable")
    if times.size and (days := np.abs(times - gps).min() / 86_400) > 1:
        raise LlamaError(
            f"{path} has its neutrinos {days:.1f} days from the event_time of the template; "
            "correct one of them"
        )
    return {name: values[along] for name, values in columns.items()}


class Lists:
    """All lists of a study, in order: names, broken (indices), problems, sha256 of all numbers."""

    def __init__(self, parts: Sequence[str | Path]) -> None:
        self.names: list[str] = []
        self.problems: list[str] = []
        self.broken: list[int] = []
        counts, digests = [], []
        columns: dict[str, list[Floats]] = {name: [] for name in STATISTIC}
        for part in parts:
            with reading_hdf5(part, BROKEN.format(part)) as file:
                self.broken += (file["broken"][()] + len(self.names)).tolist()
                self.names += [name.decode() for name in file["names"][()]]
                self.problems += [text.decode() for text in file["problems"][()]]
                counts.append(file["counts"][()])
                for name, values in columns.items():
                    values.append(file[name][()])
                digests.append(str(file.attrs["sha256"]))
        self.sha256 = hashlib.sha256(" ".join(digests).encode()).hexdigest()
        self._columns = {name: np.concatenate(values) for name, values in columns.items()}
        self._counts = np.concatenate(counts)
        self._first = np.concatenate([[0], np.cumsum(self._counts)])

    def take(self, indices: Integers) -> tuple[Integers, Columns]:
        """Return the number of neutrinos of some lists, and all these one list after another.

        Columns gps [s], ra_deg, dec_deg, sigma_deg, energy_gev (NaN: not known); ascending in time
        in each list.
        """
        counts = self._counts[indices]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = np.repeat(self._first[indices], counts) + within
        return counts, {name: values[rows] for name, values in self._columns.items()}


class Pairs:
    """Superevents paired with lists, both without the broken ones; a trigger is at `gps` [s]."""

    def __init__(self, skymaps: int, broken: frozenset[int], lists: Lists, gps: float) -> None:
        self._lists, self._gps = lists, gps
        self._usable = np.setdiff1d(np.arange(skymaps), [*broken])
        self._usable_lists = np.setdiff1d(np.arange(len(lists.names)), lists.broken)
        self.sha256 = lists.sha256

    def __len__(self) -> int:
        return self._usable.size * self._usable_lists.size

    def skymaps(self, numbers: Integers) -> Integers:
        """Return the number of the sky map of each pair, as the bank counts them."""
        return self._usable[pair(numbers, self._usable.size, self._usable_lists.size)[0]]

    def list_name(self, number: int) -> str:
        """Return the file of the list of one pair."""
        return self._lists.names[int(self._list_indices(np.array([number]))[0])]

    def neutrinos(self, numbers: Integers) -> tuple[Integers, Columns]:
        """Return the number of neutrinos of each pair, and all these, columns as `Lists.take`.

        And dt_s = t_nu - t_gw [s].
        """
        counts, columns = self._lists.take(self._list_indices(numbers))
        return counts, columns | {"dt_s": columns["gps"] - self._gps}

    def _list_indices(self, numbers: Integers) -> Integers:
        return self._usable_lists[pair(numbers, self._usable.size, self._usable_lists.size)[1]]
