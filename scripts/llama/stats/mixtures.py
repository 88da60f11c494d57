"""What sets of triggers give whose point spreads are mixtures of von Mises-Fisher (vMF) densities.

Each density is the sum of a wide and a narrow part (`llama.stats.components`), and a product of
such sums has a term for each choice of members with their narrow part. Where none is narrow, the
map's base (`llama.stats.mesh`) is summed over; else the narrow components' product, one vMF for each
choice of these, leaves a region of the map (`llama.stats.region`) where the others are smooth.
"""

import math

import numpy as np

from llama.stats.compiled import njit
from llama.stats.components import densities_of_base, most_beyond, only, wide_densities
from llama.stats.region import POINTS, region
from llama.stats.terms import most_of_map

_NOTHING = 1e-4  # what a choice of components may lack, relative to its set


@njit()
def each_alone(prepared, messenger, spread, vectors, ready):  # type: ignore[no-untyped-def]
    """Return what triggers give alone, and what of them sets are made of.

    alone (5, n) [s^-1], with the weights of so many neutrinos; densities of the wide components on
    the base (n, points); regions of the narrow ones: points (n, 7, 3), weights (n, 5, 7).
    """
    numbers, wide, kappas, norms, tables, highest, _ = ready
    n = numbers.size
    base = np.empty((n, prepared.base.shape[1]))
    points, weights = np.empty((n, POINTS, 3)), np.zeros((n, 5, POINTS))
    alone = np.zeros((5, n))
    for i in range(n):
        densities_of_base(prepared, ready, i, vectors[i], base[i])
        for row in range(5):
            alone[row, i] = np.dot(prepared.base_weights[row], base[i])
        some = slice(wide[i], numbers[i])
        if wide[i] < numbers[i]:
            heights = norms[i, some] * highest[i, some]
            density = kappas[i, some], heights, norms[i, some], tables[i, some], False
            beside = alone[1 if messenger[i] == 0 else 0, i]
            region(prepared, density, vectors[i], beside, points[i], weights[i])
            for row in range(5):
                alone[row, i] += weights[i, row].sum()
        else:
            points[i] = vectors[i]
    return alone / spread, base, points, weights


@njit()
def half_way(messenger, spread, vectors, ready):  # type: ignore[no-untyped-def]
    """Return the most that the density of trigger j can be half the way to i or beyond (n, n).

    [s^-1 of j's spread included]; 0 for two that one source cannot give, and on the diagonal.
    """
    n = vectors.shape[0]
    most = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i == j or (messenger[i] > 0 and messenger[i] == messenger[j]):
                continue
            chord2 = 0.0
            for axis in range(3):
                chord2 += (vectors[i, axis] - vectors[j, axis]) ** 2
            half = math.sqrt(2.0 - 2.0 * math.sqrt(max(0.0, 1.0 - 0.25 * chord2)))
            most[i, j] = most_beyond(ready, j, half) / spread[j]
    return most


@njit()
def together(prepared, triggers, ready, parts, grown, lengths):  # type: ignore[no-untyped-def]
    """Return what sets (sets, size) give, without Lambda's prior.

    triggers: messengers, spreads as of `sets.sum_joint_sets`, vectors; parts: `each_alone`'s last
    three; lengths: parts of the source times that explain each set.
    """
    messenger, spread, vectors = triggers
    given = np.zeros(grown.shape[0])
    if given.size == 0:
        return given
    some = np.unique(grown)
    base, points, weights = parts[0][some], parts[1][some], parts[2][some]
    vectors, ready = vectors[some], only(ready, some)
    n = some.size
    there = np.empty((n, n, POINTS))  # wide densities of each trigger in the region of another
    for i in range(n):
        for j in range(n):
            if i != j:
                wide_densities(ready, j, vectors[j], points[i], there[i, j])
    for k in range(grown.shape[0]):
        row, factor = 0, lengths[k]
        for i in grown[k]:
            row += messenger[i] == 0
            factor /= spread[i]
        members = np.searchsorted(some, grown[k])
        total = _sum_of_base(prepared.base_weights[row], base, members)
        for i in members:
            for p in range(POINTS):
                value = weights[i, row, p]
                for other in members:
                    if other != i:
                        value *= there[i, other, p]
                total += value
        for choice in range(3, 1 << members.size):
            if choice & (choice - 1):
                total += _narrow(prepared, row, vectors, ready, members, choice, total)
        given[k] = factor * total
    return given


@njit()
def _sum_of_base(weights, base, members):  # type: ignore[no-untyped-def]
    """Return the sum of weight times the product of the members' densities."""
    product = weights * base[members[0]]
    for i in members[1:]:
        product *= base[i]
    return product.sum()


@njit()
def _narrow(prepared, row, vectors, ready, members, choice, beside):  # type: ignore[no-untyped-def]
    """Return what a set gives where members with a bit in `choice` are narrow and others wide."""
    numbers, wide, kappas, norms, tables, highest, _ = ready
    size = members.size
    total = 0.0
    chosen, others = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    many = rest = 0
    top_of_rest = 1.0
    for m in range(size):
        i = members[m]
        if choice >> m & 1:
            if numbers[i] == wide[i]:
                return 0.0
            chosen[many] = i
            many += 1
        else:
            if wide[i] == 0:
                return 0.0
            others[rest] = i
            rest += 1
            top = 0.0
            for c in range(wide[i]):
                top += norms[i, c] * highest[i, c]
            top_of_rest *= top
    component = np.empty(many, dtype=np.int64)
    for m in range(many):
        component[m] = wide[chosen[m]]
    product = np.empty((many, tables.shape[2]))
    points, weights = np.empty((POINTS, 3)), np.empty((5, POINTS))
    kappa_of, norm_of, top_of = np.empty(1), np.empty(1), np.empty(1)
    wide_there = np.empty(POINTS)
    while True:
        c0 = c1 = c2 = summed = 0.0
        height = top = 1.0
        for m in range(many):
            i, c = chosen[m], component[m]
            kappa = kappas[i, c]
            c0 += kappa * vectors[i, 0]
            c1 += kappa * vectors[i, 1]
            c2 += kappa * vectors[i, 2]
            summed += kappa
            height *= norms[i, c]
            top *= highest[i, c]
        both = math.sqrt(c0 * c0 + c1 * c1 + c2 * c2)
        if both > 0.0:
            height *= math.exp(both - summed)
            bound = height * top * top_of_rest * most_of_map(prepared, row, both)
            if bound > _NOTHING * (beside + total):
                for m in range(many):
                    product[m] = tables[chosen[m], component[m]]
                centre = np.array((c0 / both, c1 / both, c2 / both))
                more = (beside + total) / max(top_of_rest, 1e-300)
                kappa_of[0], norm_of[0], top_of[0] = both, height, height * top
                density = kappa_of, top_of, norm_of, product, True
                region(prepared, density, centre, more, points, weights)
                value = weights[row]
                for m in range(rest):
                    i = others[m]
                    wide_densities(ready, i, vectors[i], points, wide_there)
                    value = value * wide_there
                total += value.sum()
        m = 0
        while m < many:
            component[m] += 1
            if component[m] < numbers[chosen[m]]:
                break
            component[m] = wide[chosen[m]]
            m += 1
        if m == many:
            return total
