"""Whether the p-values of a study's background are uniform, and how those of all kinds lie."""

import numpy as np
from scipy.stats import ks_2samp

from llama.stats.arrays import Flags, Floats

_POINTS = 150
_LEAST_P = 1e-9
_SHUFFLES = 999


def uniformity(odds: Floats, weights: Floats) -> dict[str, object]:
    """Return how the p-values of one half of a background are distributed against the other half.

    odds, weights: of background injections in the order of their numbers. Which half one is in,
    reference or tested, is drawn with a fixed seed: where superevents are paired with lists in
    turn, even and odd numbers have different maps. The halves share nothing but the sky maps. Odds
    of 0 have p = 1 on both sides: they are compared by their number, and the others by the
    two-sample Kolmogorov-Smirnov test, whose result is null when there are not two of each.

    p: sums of the weights of the k highest odds of the reference / (1 + n_reference), for some k;
    fraction: of the tested with at most that p; sigma: its standard deviation, both halves being
    samples. Without weights the k-th highest has a Beta(k, n_reference + 1 - k) distributed
    fraction above it, so that the count of the tested is beta-binomial, of variance ~ p (1 - p);
    with weights it is p (E[w^2] / E[w] - p), both means being over injections above.
    """
    shuffled = np.random.default_rng(0).permutation(odds.size)
    reference, tested = shuffled[::2], shuffled[1::2]
    m, n = reference.size, tested.size
    counted = [int(np.count_nonzero(odds[half])) for half in (reference, tested)]
    along = reference[np.argsort(-odds[reference], kind="stable")][: counted[0]]
    k = np.unique(np.geomspace(1, max(counted[0], 1), _POINTS).astype(int))[: counted[0]]
    edges = odds[along[k - 1]]
    p = np.cumsum(weights[along])[k - 1] / (1 + m)
    fraction = _sums(edges, odds[tested], weights[tested]) / max(n, 1)
    squares, sums = (_sums(edges, odds, weights**power) for power in (2, 1))
    sigma = np.sqrt(np.maximum(p * (squares / sums - p), 0.0) * (m + 1 + n) / (max(n, 1) * (m + 2)))
    is_zero = odds == 0
    of_zero = weights * is_zero
    shares = [float(of_zero[half].sum()) / max(half.size, 1) for half in (reference, tested)]
    pooled = float(of_zero.sum()) / max(m + n, 1)
    each = float((of_zero**2).sum()) / max(float(of_zero.sum()), 1e-300)
    spread = np.sqrt(max(pooled * (each - pooled), 0.0) * (1 / max(m, 1) + 1 / max(n, 1)))
    is_tested = np.zeros(odds.size, dtype=bool)
    is_tested[tested] = True
    positive = np.flatnonzero(~is_zero)
    return {
        "n_reference": int(m),
        "n_tested": int(n),
        "p": p.tolist(),
        "fraction": fraction.tolist(),
        "sigma": sigma.tolist(),
        "ks_p_value": _ks_p_value(odds[positive], weights[positive], is_tested[positive]),
        "zero_odds": [m - counted[0], n - counted[1]],
        "zero_odds_sigma": float((shares[0] - shares[1]) / spread) if spread > 0 else 0.0,
    }


def cumulative(p_values: dict[str, Floats], weights: Floats) -> dict[str, list[float]]:
    """Return the fraction of each kind of injection with at most a p-value, from the least to 1.

    weights: of the background.
    """
    smallest = max(min(float(values.min()) for values in p_values.values()), _LEAST_P)
    p = np.geomspace(smallest, 1, _POINTS)
    p[0], p[-1] = smallest, 1.0
    shares = {}
    for kind, values in p_values.items():
        along = np.argsort(values)
        of_each = weights if kind == "background" else np.ones(values.size)
        below = np.concatenate([[0.0], np.cumsum(of_each[along])])
        shares[kind] = (below / below[-1])[np.searchsorted(values[along], p, side="right")].tolist()
    return {"p": p.tolist(), **shares}


def _sums(edges: Floats, odds: Floats, weights: Floats) -> Floats:
    """Return the sums of the weights of odds that are at least an edge."""
    along = np.argsort(-odds, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(weights[along])])
    return np.asarray(sums[np.searchsorted(-odds[along], -edges, side="right")])


def _ks_p_value(odds: Floats, weights: Floats, is_tested: Flags) -> float | None:
    """Return the p-value of the Kolmogorov-Smirnov test of both halves.

    With weights its distance has no known distribution, but those of other halves are as good.
    """
    if min(is_tested.sum(), (~is_tested).sum()) < 2:
        return None
    if (weights == 1).all():
        return float(ks_2samp(odds[~is_tested], odds[is_tested]).pvalue)
    along = np.argsort(odds, kind="stable")
    weights, halves, rng = weights[along], is_tested[along], np.random.default_rng(0)

    def distance(halves: Flags) -> float:
        one, other = (np.cumsum(weights * of_it) for of_it in (halves, ~halves))
        return float(np.abs(one / one[-1] - other / other[-1]).max())

    observed = distance(halves)
    farther = sum(distance(rng.permutation(halves)) >= observed for _ in range(_SHUFFLES))
    return (1 + farther) / (1 + _SHUFFLES)
