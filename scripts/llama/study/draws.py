"""What an injection draws: its sky map and its background neutrinos.

Random numbers come from Philox 4x64-10 (Salmon et al. 2011, SC'11), a function of key and counter
without any state: the key is (seed, kind), the counter (block, injection, stream, 0). What
injection k draws depends on nothing else, whoever draws it, and any number can be had alone.
"""

import math
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama.neutrinos.table import Columns
from llama.stats.compiled import njit
from llama.stats.parameters import SearchParameters

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# with so many neutrinos of the source
KINDS = {"background": 0, "signal": 1, "doublet": 2, "quadruplet": 4}

TRIGGER, BACKGROUND, SOURCE, SIGNAL = range(4)  # streams
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ROUNDS = 10
_MULTIPLIERS = np.array([0xD2E7470EE14C6C93, 0xCA5A826395121157], dtype=np.uint64)
_WEYL = np.array([0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B], dtype=np.uint64)
_TICKS_PER_S = 2.0**20


def draw_skymaps(
    seed: int, kind: int, numbers: Integers, n_maps: int, broken: Collection[int] = ()
) -> Integers:
    """Return the index of the sky map of each injection, uniform in those that are not broken.

    A broken map is drawn again, so that injections with other maps stay what they are.
    """
    bad = np.array(sorted(broken), dtype=np.int64)
    index = np.full(numbers.size, -1, dtype=np.int64)
    again, attempt = np.arange(numbers.size), 0
    while again.size:
        u = uniforms(seed, kind, TRIGGER, numbers[again], 2 + attempt)[:, 1 + attempt, 0]
        index[again] = np.minimum((u * n_maps).astype(np.int64), n_maps - 1)
        again, attempt = again[np.isin(index[again], bad)], attempt + 1
    return index


def draw_background(
    seed: int, kind: int, numbers: Integers, events: Columns, params: SearchParameters
) -> tuple[Integers, Columns]:
    """Return how many background neutrinos each injection has, and all of them one after another.

    The number is Poisson at `ratebgnu` in the window of the search (1000 s). Columns
    dt_s (t_nu - t_gw [s], see `whole_ticks`), ra_deg, dec_deg, sigma_deg, energy_gev; the last
    three are drawn together from the archive's `events`, RA and time are uniform.
    """
    window = params.window
    u = uniforms(seed, kind, TRIGGER, numbers, 1)[:, 0, 0]
    counts = np.searchsorted(_poisson(params.ratebgnu * window.length_s), u, side="right")
    drawn = np.empty((int(counts.sum()), 4))
    ends = np.cumsum(counts)
    _fill(seed, kind, BACKGROUND, numbers.astype(np.uint64), ends, drawn)
    size = len(events["dec_deg"])
    which = np.minimum((drawn[:, 0] * size).astype(np.int64), size - 1)
    columns = {"dt_s": whole_ticks(window.start_s + window.length_s * drawn[:, 1])}
    columns["ra_deg"] = 360.0 * drawn[:, 2]
    for name in ("dec_deg", "sigma_deg", "energy_gev"):
        columns[name] = events[name][which]
    return counts, columns


def whole_ticks(dt_s: Floats) -> Floats:
    """Return times cut to multiples of 2^-20 s.

    Added to a GPS time in whole seconds and taken off again they are the same to the bit, so that
    an injection opened as an event has the very same odds.
    """
    return np.asarray(np.floor(dt_s * _TICKS_PER_S) / _TICKS_PER_S)


def uniforms(seed: int, kind: int, stream: int, numbers: Integers, blocks: int) -> Floats:
    """Return uniform numbers, shape (injections, blocks, 4), the first blocks of a stream."""
    drawn = np.empty((numbers.size * blocks, 4))
    ends = np.arange(1, numbers.size + 1) * blocks
    _fill(seed, kind, stream, numbers.astype(np.uint64), ends, drawn)
    return drawn.reshape(numbers.size, blocks, 4)


def _poisson(mean: float) -> Floats:
    """Return the cumulative probabilities of 0, 1, 2, ... events, as far as they are below 1."""
    n = range(int(mean + 12 * math.sqrt(mean)) + 30)
    logs = [i * math.log(mean) - mean - math.lgamma(i + 1) for i in n]
    return np.cumsum(np.exp(logs))


@njit()
def _fill(seed, kind, stream, numbers, ends, drawn):  # type: ignore[no-untyped-def]
    """Fill the rows up to ends[i] with blocks 0, 1, ... of injection numbers[i]."""
    row = 0
    for i in range(numbers.size):
        block = 0
        while row < ends[i]:
            words = philox(
                np.uint64(seed), np.uint64(kind), np.uint64(block), numbers[i], np.uint64(stream)
            )
            for j in range(4):
                drawn[row, j] = np.float64(words[j] >> np.uint64(11)) * 2.0**-53
            block += 1
            row += 1


@njit()
def philox(key0, key1, counter0, counter1, counter2):  # type: ignore[no-untyped-def]
    """Return the four 64-bit words of a key and a counter (whose fourth word is 0)."""
    counter3 = np.uint64(0)
    for _ in range(_ROUNDS):
        high0, low0 = _product(_MULTIPLIERS[0], counter0)
        high1, low1 = _product(_MULTIPLIERS[1], counter2)
        counter0, counter1, counter2, counter3 = (
            high1 ^ counter1 ^ key0,
            low1,
            high0 ^ counter3 ^ key1,
            low0,
        )
        key0, key1 = key0 + _WEYL[0], key1 + _WEYL[1]
    return counter0, counter1, counter2, counter3


@njit(inline="always")
def _product(a, b):  # type: ignore[no-untyped-def]
    """Return the high and the low 64 bits of a product."""
    a0, a1, b0, b1 = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    low = a0 * b0
    middle = a1 * b0 + (low >> _HALF)  # cannot overflow
    middle2 = a0 * b1 + (middle & _LOW)
    return a1 * b1 + (middle >> _HALF) + (middle2 >> _HALF), a * b


def join(parts: list[tuple[Integers, Columns]]) -> tuple[Integers, Columns]:
    """Return the neutrinos of several draws of the same injections, ascending in time in each."""
    owners = np.concatenate([np.repeat(np.arange(counts.size), counts) for counts, _ in parts])
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([columns[name] for _, columns in parts]) for name in parts[0][1]
    }
    along = np.lexsort((columns["dt_s"], owners))
    counts = np.asarray(sum(counts for counts, _ in parts))
    return counts, {name: column[along] for name, column in columns.items()}
