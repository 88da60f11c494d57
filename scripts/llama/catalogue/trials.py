"""Trials of a catalogue: what the smallest p-values of many events are worth."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import betainc, betaincinv
from scipy.stats import binom

from llama.stats.arrays import Floats

LEVELS = (0.1, 0.01, 0.001)
MOST_IN_SCAN = 100  # smallest p-values that the binomial scan looks at
# below, chances underflow; the ways to cross add up, within a fifth for 1000 events
_SMALL = 1e-100


class Scan(NamedTuple):
    """The binomial scan: the number k whose local p-value is the smallest, and p after the scan."""

    k: int
    local: float
    p_value: float


class Below(NamedTuple):
    """How many events have at most a p-value, how many chance gives, and how often so many."""

    level: float
    observed: int
    expected: float
    p_value: float


def best_event(p: Floats) -> float:
    """Return the p-value of the smallest of n independent p-values, 1 - (1 - p)^n.

    ValueError for what is no p-value or if there is none. Source: docs/method.md (30).
    """
    smallest = _ascending(p)[0]
    return float(-np.expm1(p.size * np.log1p(-smallest))) if smallest < 1 else 1.0


def counts_below(p: Floats, levels: Sequence[float] = LEVELS) -> list[Below]:
    """Return how many of n p-values are at most each level. Source: docs/method.md (30)."""
    n, along = p.size, _ascending(p)
    found = []
    for level in levels:
        seen = int(np.searchsorted(along, level, side="right"))
        found.append(Below(level, seen, n * level, float(binom.sf(seen - 1, n, level))))
    return found


def binomial_scan(p: Floats, most: int = MOST_IN_SCAN) -> Scan:
    """Return the best of the binomial p-values of the k smallest of n p-values, k = 1 to `most`.

    The p-value after the scan is exact for uniform p-values, not simulated. Source: docs/method.md
    (31).
    """
    along = _ascending(p)[:most]
    k = np.arange(1, along.size + 1)
    local = betainc(k, p.size - k + 1, along)
    best = int(np.argmin(local))
    return Scan(best + 1, float(local[best]), scan_p_value(float(local[best]), p.size, most))


def scan_p_value(local: float, n: int, most: int = MOST_IN_SCAN) -> float:
    """Return how often the smallest binomial p-value of n uniform p-values is at most `local`.

    The k-th smallest p-value crosses where it is below b_k, the local p-value's inverse. How many
    p-values are below b_1, b_2, ... is a Markov chain of binomial steps; the chances that it
    crosses first at k add up. Source: docs/method.md (31).
    """
    if local >= 1:
        return 1.0
    if local < _SMALL:
        return local * min(most, n)
    k = np.arange(1, min(most, n) + 1)
    bounds = betaincinv(k, n - k + 1, local)
    steps = np.diff(bounds, prepend=0.0) / (1 - np.append(0.0, bounds[:-1]))
    state, crossed = np.ones(1), 0.0  # chances of 0, 1, ... p-values below the bound
    for number, step in zip(k.tolist(), steps.tolist(), strict=True):
        before = np.arange(state.size)
        # at least `number` of them are below this bound
        crossed += float(state @ binom.sf(number - before - 1, n - before, step))
        after = np.arange(number)
        state = state @ binom.pmf(after - before[:, None], n - before[:, None], step)
    return min(crossed, 1.0)


def uniform_band(n: int, sigmas: Sequence[float] = (1.0, 2.0)) -> list[tuple[Floats, Floats]]:
    """Return, per number of sigmas, between which values each of n ordered p-values is by chance.

    (n,) arrays of the lower and the upper bound, quantiles of Beta(k, n - k + 1).
    """
    from scipy.stats import norm

    k = np.arange(1, n + 1)
    ends = [(norm.cdf(-s), norm.cdf(s)) for s in sigmas]
    return [(betaincinv(k, n - k + 1, low), betaincinv(k, n - k + 1, up)) for low, up in ends]


def _ascending(p: Floats) -> Floats:
    if p.ndim != 1 or not p.size or not ((p > 0) & (p <= 1)).all():
        raise ValueError("a catalogue needs p-values of its events, above 0 and at most 1")
    return np.sort(p)
