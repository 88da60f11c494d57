"""Significance against a background of simulated triggers, plain or weighted."""

import math
from typing import NamedTuple

import numpy as np

from llama.stats.arrays import Floats, Integers


class PValues(NamedTuple):
    """p-values, their standard errors, and the effective number of injections that decide each."""

    p: Floats
    error: Floats
    effective: Floats


def p_value(odds: float, background: Floats) -> float:
    """Return (1 + #{background >= odds}) / (1 + n), and 1 for odds of 0.

    background: ascending odds ratios of the background, n > 0. ValueError for odds or a
    background that are negative, not finite or not ascending. Source: docs/method.md (15).
    """
    if not (math.isfinite(odds) and odds >= 0):
        raise ValueError(f"odds must be finite and not negative, not {odds}")
    return float(p_values(np.array([odds], dtype=float), background)[0])


def p_values(odds: Floats, background: Floats) -> Floats:
    """Return the p-value of each of many odds, finite and not negative, as `p_value` does."""
    return weighted_p_values(odds, np.ones(odds.shape), background, np.ones(background.shape)).p


def weighted_p_values(
    odds: Floats, own: Floats, background: Floats, weights: Floats, maps: Integers | None = None
) -> PValues:
    """Return (w(X_obs) + sum_i w_i 1(background_i >= odds)) / (1 + n), at most 1; 1 for odds of 0.

    odds (m,) and the weights w(X_obs) `own` of their neutrinos; background: n ascending odds and
    their weights, with maps (n,): the sky map of each. The error counts the observation among the
    injections and, with maps, is at least that of a jackknife over them. effective: (sum w)^2 /
    sum w^2 of the injections at or above. ValueError for odds that are negative, not finite or not
    ascending, and weights that are not positive. Source: Harrison 2012, Biometrika 99, 57.
    """
    n = background.size
    if background.ndim != 1 or n == 0 or not np.isfinite(background).all():
        raise ValueError("the background is empty or not finite")
    if background[0] < 0 or (background[1:] < background[:-1]).any():
        raise ValueError("background odds must be ascending and not negative")
    if weights.shape != background.shape or own.shape != odds.shape:
        raise ValueError("all odds need a weight")
    if not all(np.isfinite(w).all() and (w > 0).all() for w in (weights, own)):
        raise ValueError("weights must be positive and finite")
    first = np.searchsorted(background, odds, side="left")
    total, squares = _from(weights)[first], _from(weights**2)[first]
    p = np.where(odds > 0, np.minimum((own + total) / (1 + n), 1.0), 1.0)
    variance = np.maximum(own**2 + squares - (own + total) ** 2 / (1 + n), 0.0) / (1 + n) ** 2
    if maps is not None:
        variance = np.maximum(variance, _jackknife(odds, own, total, background, weights, maps))
    error = np.where(odds > 0, np.sqrt(variance), 0.0)
    effective = np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0)
    return PValues(p, error, effective)


def _jackknife(
    odds: Floats, own: Floats, total: Floats, background: Floats, weights: Floats, maps: Integers
) -> Floats:
    """Return the variance of p-values over what they are with each of the maps left out."""
    without, along = [], np.argsort(maps, kind="stable")
    for of in np.split(along, np.flatnonzero(np.diff(maps[along])) + 1):
        first = np.searchsorted(background[of], odds, side="left")
        rest = total - _from(weights[of])[first]
        without.append((own + rest) / (1 + maps.size - of.size))
    return np.asarray((len(without) - 1) * np.var(without, axis=0))


def _from(weights: Floats) -> Floats:
    """Return the sums of weights from each one to the last (n + 1,)."""
    return np.append(np.cumsum(weights[::-1])[::-1], 0.0)
