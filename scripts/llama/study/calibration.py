"""Whether p-values are what they say: background that was not used has uniform ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

Floats = NDArray[np.float64]

_POINTS = 150


def uniformity(odds: Floats) -> dict[str, Any]:
    """Return how the p-values of one half of a background are distributed against the other half.

    odds: of background injections in the order of their numbers. Which half one is in, reference
    or tested, is drawn with a fixed seed: where superevents are paired with lists in turn, even
    and odd numbers have different maps. The halves share nothing but the sky maps. Odds of 0
    have p = 1 on both sides: they are compared by their number, and the others by the two-sample
    Kolmogorov-Smirnov test, whose result is null when there are not two of each.

    p: k / (1 + n_reference) for some k; fraction: of the tested with at most that p; sigma: its
    standard deviation, both halves being samples. The k-th largest of a reference has a
    Beta(k, n_reference + 1 - k) distributed fraction above it, so that the count of the tested
    is beta-binomial.
    """
    shuffled = np.random.default_rng(0).permutation(odds)
    reference, tested = np.sort(shuffled[::2]), shuffled[1::2]
    m, n = reference.size, tested.size
    above = reference[::-1][: int((reference > 0).sum())]  # descending
    k = np.unique(np.geomspace(1, max(above.size, 1), _POINTS).astype(int))[: above.size]
    p = k / (1 + m)
    reached = n - np.searchsorted(np.sort(tested), above[k - 1], side="right")
    sigma = np.sqrt(p * (1 - p) * (m + 1 + n) / (max(n, 1) * (m + 2)))
    fraction = reached / max(n, 1)
    positive = tested[tested > 0]
    enough = min(above.size, positive.size) >= 2
    zero = np.array([m - above.size, n - positive.size])
    pooled = zero.sum() / max(m + n, 1)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / max(m, 1) + 1 / max(n, 1)))
    difference = zero[0] / max(m, 1) - zero[1] / max(n, 1)
    return {
        "n_reference": int(m),
        "n_tested": int(n),
        "p": p.tolist(),
        "fraction": fraction.tolist(),
        "sigma": sigma.tolist(),
        "ks_p_value": float(ks_2samp(above, positive).pvalue) if enough else None,
        "zero_odds": [int(count) for count in zero],
        "zero_odds_sigma": float(difference / spread) if spread > 0 else 0.0,
    }


def cumulative(p_values: dict[str, Floats]) -> dict[str, list[float]]:
    """Return the fraction of each kind of injection with at most a p-value, at p from 1/n to 1."""
    smallest = 1 / (1 + p_values["background"].size)
    p = np.geomspace(smallest, 1, _POINTS)
    p[-1] = 1.0
    shares = {
        kind: (np.searchsorted(np.sort(values), p, side="right") / values.size).tolist()
        for kind, values in p_values.items()
    }
    return {"p": p.tolist(), **shares}
