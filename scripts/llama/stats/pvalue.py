"""Significance against a background of simulated triggers."""

import math

import numpy as np

from llama.stats.arrays import Floats


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
    if background.ndim != 1 or background.size == 0 or not np.isfinite(background).all():
        raise ValueError("the background is empty or not finite")
    if background[0] < 0 or (background[1:] < background[:-1]).any():
        raise ValueError("background odds must be ascending and not negative")
    above = background.size - np.searchsorted(background, odds, side="left")
    return np.where(odds > 0, (1 + above) / (1 + background.size), 1.0)
