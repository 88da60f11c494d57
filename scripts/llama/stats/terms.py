"""What a set of triggers gives: the sum over products of one component of each.

Most of these terms are nothing. Each has an upper bound that costs little; the smallest are left
out as long as their bounds together stay below a stated error, and the others are as exact as their
share of it asks for. That does not depend on the order of triggers.
"""

import math

import numpy as np

from llama.stats.compiled import njit
from llama.stats.overlap import overlap

_PRECISION = 1e-3  # error of `overlap`, relative to its sum and what is beside it
_BESIDE = 0.5  # of a trigger's value: what its further components need not be exact beyond


@njit(inline="always")
def _most(prepared, n, kappa):  # type: ignore[no-untyped-def]
    """Return the most that sum_k w_{n,k} <exp(kappa (v.Omega - 1))>_k can be."""
    return min(
        prepared.heaviest[0, n],
        prepared.heaviest[1, n] * 2.0 * math.pi * -math.expm1(-2.0 * kappa) / kappa,
    )


@njit()
def _terms(prepared, members, triggers, heights, common, small):  # type: ignore[no-untyped-def]
    """Return the bounds of all terms of a set, the highest last, and which terms these are.

    A term is one component of each member, numbered like the digits of a number. small: what all
    bounds together may be, not to look for better ones.
    """
    messenger, times, vectors, kappa, _ = triggers
    peaks, norms, local = heights
    size, components = members.size, kappa.shape[1]
    factor = common[0] / (common[1] * times[2][members[0]])
    neutrinos = int(messenger[members[0]] == 0)
    for i in members[1:]:
        factor /= times[2][i]
        neutrinos += messenger[i] == 0
    bounds = np.zeros(components**size)
    for number in range(bounds.size):
        x = y = z = log_norm = summed = 0.0
        peak, rest = factor, number
        for i in members:
            c = rest % components
            rest //= components
            peak *= peaks[i, c]
            if peak == 0.0:
                break
            k = kappa[i, c]
            x += k * vectors[i, 0]
            y += k * vectors[i, 1]
            z += k * vectors[i, 2]
            log_norm += norms[i, c]
            summed += k
        both = math.sqrt(x * x + y * y + z * z)
        if peak > 0.0 and both > 0.0:
            bounds[number] = peak * math.exp(log_norm + both - summed)
            bounds[number] *= _most(prepared, neutrinos, both)
    if size > 1 and local.shape[2] and bounds.sum() > small:
        for number in range(bounds.size):
            if bounds[number] * bounds.size > small:
                most = _most_locally(prepared.coarse[neutrinos], members, number, local)
                bounds[number] = min(bounds[number], factor * most)
    along = np.argsort(bounds)
    return bounds[along], along, factor, neutrinos


@njit()
def _most_locally(weights, members, number, local):  # type: ignore[no-untyped-def]
    """Return the most that a term can be, but for the factor of the times, cell by cell."""
    product = weights.copy()
    for i in members:
        component = local[i, number % local.shape[1]]
        number //= local.shape[1]
        for cell in range(product.size):
            product[cell] *= component[cell]
    return product.sum()


@njit()
def _term(prepared, members, number, neutrinos, triggers, norms, beside):  # type: ignore[no-untyped-def]
    """Return what one term gives, but for the factor of the times; beside: as of `overlap`."""
    _, _, vectors, kappa, intensity = triggers
    components = kappa.shape[1]
    tables = np.empty((members.size, intensity.shape[2]))
    centre = np.zeros(3)
    log_norm = summed = 0.0
    for m in range(members.size):
        i, c = members[m], number % components
        number //= components
        tables[m] = intensity[i, c]
        for axis in range(3):
            centre[axis] += kappa[i, c] * vectors[i, axis]
        log_norm += norms[i, c]
        summed += kappa[i, c]
    both = math.sqrt(centre[0] ** 2 + centre[1] ** 2 + centre[2] ** 2)
    # the product at its centre: prod C(kappa_i) exp(kappa_S)
    height = math.exp(log_norm + both - summed)
    if height == 0.0:
        return 0.0
    beside = min(beside / height, 1e300)
    return height * overlap(prepared, neutrinos, both, centre / both, tables, beside)


@njit()
def value(prepared, members, triggers, heights, common, relative):  # type: ignore[no-untyped-def]
    """Return what a set gives, without terms of up to the part `relative` of it.

    common: length of the source times that explain it, and of all [s].
    """
    bounds, along, factor, neutrinos = _terms(prepared, members, triggers, heights, common, 0.0)
    below = np.cumsum(bounds)
    found = 0.0
    for k in range(bounds.size - 1, -1, -1):
        if below[k] <= relative * found:
            break
        beside = _BESIDE * found / factor if relative > 0.0 else 0.0
        found += factor * _term(
            prepared, members, along[k], neutrinos, triggers, heights[1], beside
        )
    return found


@njit()
def value_within(prepared, members, triggers, heights, common, error):  # type: ignore[no-untyped-def]
    """Return what a set gives, within `error`: one half for terms left out, one for the others.

    common: as of `_value`.
    """
    small = 0.5 * error
    bounds, along, factor, neutrinos = _terms(prepared, members, triggers, heights, common, small)
    below = np.cumsum(bounds)
    first = np.searchsorted(below, small, side="right")
    shared = small / _PRECISION / max(bounds[first:].sum(), 1e-300)
    found = 0.0
    for k in range(bounds.size - 1, first - 1, -1):
        if bounds[k] > 0.0:
            beside = shared * bounds[k] / factor
            found += factor * _term(
                prepared, members, along[k], neutrinos, triggers, heights[1], beside
            )
    return found
