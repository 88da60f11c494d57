"""What a set of triggers gives whose point spreads are single von Mises-Fisher (vMF) densities.

Their product is a vMF density again.
"""

import math

import numpy as np

from llama.stats.compiled import inner, njit
from llama.stats.overlap import overlap

_PRECISION = 1e-3  # error of `overlap`, relative to its sum and what is beside it


@njit(inline="always")
def most_of_map(prepared, n, kappa):  # type: ignore[no-untyped-def]
    """Return the most that sum_k w_{n,k} <exp(kappa (v.Omega - 1))>_k can be."""
    return min(
        prepared.heaviest[0, n],
        prepared.heaviest[1, n] * 2.0 * math.pi * -math.expm1(-2.0 * kappa) / kappa,
    )


@inner()
def values_of(prepared, sets, triggers, heights, lengths, span, errors):  # type: ignore[no-untyped-def]
    """Return what sets (sets, size) give within `errors`, to which those of `overlap` come.

    heights: largest intensity of each trigger, ln of its vMF density at its centre; lengths and
    span: of the source times that explain each set, and of all [s].
    """
    values = np.zeros(sets.shape[0])
    for k in range(values.size):
        values[k] = _value(prepared, sets[k], triggers, heights, (lengths[k], span), errors[k])
    return values


@inner()
def _value(prepared, members, triggers, heights, common, error):  # type: ignore[no-untyped-def]
    messenger, times, vectors, kappa, intensity = triggers
    peaks, norms = heights
    factor = common[0] / (common[1] * times[2][members[0]])
    neutrinos = int(messenger[members[0]] == 0)
    for i in members[1:]:
        factor /= times[2][i]
        neutrinos += messenger[i] == 0
    tables = np.empty((members.size, intensity.shape[2]))
    centre = np.zeros(3)
    log_norm = summed = 0.0
    peak = factor
    for m in range(members.size):
        i = members[m]
        peak *= peaks[i]
        tables[m] = intensity[i, 0]
        for axis in range(3):
            centre[axis] += kappa[i, 0] * vectors[i, axis]
        log_norm += norms[i]
        summed += kappa[i, 0]
    both = math.sqrt(centre[0] ** 2 + centre[1] ** 2 + centre[2] ** 2)
    if peak == 0.0 or both == 0.0:
        return 0.0
    # the product at its centre: prod C(kappa_i) exp(kappa_S)
    height = math.exp(log_norm + both - summed)
    bound = peak * height * most_of_map(prepared, neutrinos, both)
    small = 0.5 * error
    if bound <= small or height == 0.0:
        return 0.0
    beside = min(small / _PRECISION / factor / height, 1e300)
    return factor * (height * overlap(prepared, neutrinos, both, centre / both, tables, beside))
