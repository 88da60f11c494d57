"""The sum of log(1 + odds) over the events of a catalogue, against catalogues drawn by chance.

Weights of many events together would degenerate. The terms of a sum are independent, so that its
distribution is the convolution of theirs, each with the weights of its own event alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from llama.stats.arrays import Floats

LEAST = 1e-300  # a sum: its steps must not underflow
STEPS = 4096  # of the sum, from 0 to what was observed
GROUPS = 10  # of the jackknife


class Term(NamedTuple):
    """What one event adds: values log(1 + odds) and their probabilities, both (n,), sum 1."""

    values: Floats
    shares: Floats


class SumTest(NamedTuple):
    """A p-value and its standard error."""

    p: float
    error: float


def exceeding(terms: Sequence[Term], total: float, steps: int = STEPS) -> float:
    """Return how probably independent terms add up to at least `total`.

    Each term is shared between the two next steps of a grid up to `total`, which leaves its mean
    as it is; what is above `total` stays there. Source: docs/method.md (32).
    """
    if total <= 0:
        return 1.0
    total = max(total, LEAST)
    size = next_fast_len(2 * steps, real=True)
    below, above = np.zeros(steps), 0.0
    below[0] = 1.0
    for values, shares in terms:
        own, over = _on_grid(values / (total / steps), shares, steps)
        whole = irfft(rfft(below, size) * rfft(own, size), size)
        # rounding leaves either sign where there is nothing
        above = above * (own.sum() + over) + float(below.sum()) * over + float(whole[steps:].sum())
        below = np.maximum(whole[:steps], 0.0)
    return min(max(above, 0.0), 1.0)


def _on_grid(at: Floats, weights: Floats, steps: int) -> tuple[Floats, float]:
    """Return the weights on steps 0 to `steps` - 1, and the weight beyond."""
    at = np.minimum(at, steps)
    low = np.floor(at).astype(np.int64)
    part = at - low
    shares = np.zeros(steps + 2)
    shares += np.bincount(low, weights * (1 - part), shares.size)
    shares += np.bincount(low + 1, weights * part, shares.size)
    return shares[:steps], float(shares[steps:].sum())


def chance(values: Floats, weights: Floats) -> Term:
    """Return what chance gives an event, of injections with weights whose mean is 1 by expectation.

    What chance has left of their sum goes to the smaller half of the values, which weighted
    injections know least: else the sums of many events would not add to 1.
    """
    shares, along = weights / weights.size, np.argsort(values, kind="stable")
    above = np.cumsum(shares[along][::-1])[::-1]
    low, high = along[above > 0.5], along[above <= 0.5]
    if not low.size:
        return Term(values, shares / shares.sum())
    shares[low] *= (1 - shares[high].sum()) / shares[low].sum()
    return Term(values, shares)


def sum_test(backgrounds: Sequence[tuple[Floats, Floats]], total: float, seed: int) -> SumTest:
    """Return how often chance catalogues have a sum of log(1 + odds) of at least `total`.

    backgrounds: values and weights of each event, as of `chance`. The error is that of a jackknife:
    a tenth of the injections of every event is left out at a time, in an order that the seed draws.
    """
    rng, without = np.random.default_rng(seed), []
    groups = [rng.permutation(values.size) % GROUPS for values, _ in backgrounds]
    for number in range(GROUPS):
        rest = [
            chance(values[group != number], weights[group != number])
            for (values, weights), group in zip(backgrounds, groups, strict=True)
        ]
        without.append(exceeding(rest, total))
    error = float(np.sqrt((GROUPS - 1) * np.var(without)))
    return SumTest(exceeding([chance(*each) for each in backgrounds], total), error)
