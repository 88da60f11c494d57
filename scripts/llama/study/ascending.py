"""Numbers of many shards in ascending order, with little memory however many they are."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.files import open_hdf5

Floats = NDArray[np.float64]

BLOCK = 2**21  # numbers in memory at a time, 16 MiB; at most some copies of them


class Column:
    """A column of float64 in many shards; iterating reads one shard after the other.

    name: dataset, or dataset and field such as injections/odds. `LlamaError` names a broken shard.
    """

    def __init__(self, shards: Sequence[str | os.PathLike[str]], name: str, size: int) -> None:
        self._shards, self._name, self.size = shards, name.split("/"), size
        self.shape = (size,)

    def __iter__(self) -> Iterator[Floats]:
        for path in self._shards:
            try:
                with open_hdf5(path) as file:
                    dataset = file[self._name[0]]
                    yield dataset.fields(self._name[1])[()] if self._name[1:] else dataset[()]
            except (OSError, KeyError) as error:
                raise LlamaError(f"{path} is broken; delete it and run snakemake again") from error


def ascending(
    parts: Iterable[Floats], directory: str | os.PathLike[str], block: int = BLOCK
) -> Iterator[Floats]:
    """Yield all numbers of `parts` in ascending order, in pieces: an external merge sort.

    What is more than `block` numbers goes to a nameless scratch file in `directory`, 8 bytes
    each. NaN is not allowed.
    """
    with tempfile.TemporaryFile(dir=directory) as scratch:
        runs: list[_Run] = []
        first = 0
        for run in _blocks(parts, block):
            run.sort()
            scratch.write(run.data)
            runs.append(_Run(scratch, first, run.size))
            first += run.size
        scratch.flush()
        step = max(block // max(len(runs), 1), 1)
        while runs := [run for run in runs if run.refill(step)]:
            # nothing that has not been read yet is below it
            bound = min((run.head[-1] for run in runs if run.left), default=np.inf)
            yield np.sort(np.concatenate([run.take(bound) for run in runs]), kind="stable")


class _Run:
    """A sorted run in the scratch file, `left` of its numbers not read yet, the next in `head`."""

    def __init__(self, scratch: IO[Any], first: int, size: int) -> None:
        self._scratch, self._next, self.left = scratch, first, size
        self.head = np.empty(0)

    def refill(self, count: int) -> bool:
        """Read on until `head` has `count` numbers; return whether there is any."""
        count = min(max(count - self.head.size, 0), self.left)
        if count:
            self._scratch.seek(8 * self._next)
            more = np.frombuffer(self._scratch.read(8 * count))
            self.head = np.concatenate([self.head, more])
            self._next, self.left = self._next + count, self.left - count
        return bool(self.head.size)

    def take(self, bound: float) -> Floats:
        """Return, and drop, the numbers of `head` up to the bound."""
        cut = int(np.searchsorted(self.head, bound, side="right"))
        taken, self.head = self.head[:cut], self.head[cut:]
        return taken


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
