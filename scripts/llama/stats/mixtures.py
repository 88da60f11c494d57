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
    # regions of two triggers' narrow components, of each pair from `first` on
    first, number = np.full((n, n), -1, dtype=np.int64), np.zeros((n, n), dtype=np.int64)
    regions = np.empty((64, POINTS, 3)), np.empty((64, 5, POINTS))
    filled = 0
    density = np.empty(POINTS)
    for k in range(grown.shape[0]):
        row, factor = 0, lengths[k]
        for i in grown[k]:
            row += messenger[i] == 0
            factor /= spread[i]
        members = np.searchsorted(some, grown[k])
        total = _one_or_none_narrow(prepared, row, base, weights, there, members)
        alike = True
        for a in range(1, members.size):
            for b in range(a):
                i, j = members[b], members[a]
                if first[i, j] < 0:
                    pair = np.array((i, j))
                    two = (messenger[some[i]] == 0) + (messenger[some[j]] == 0)
                    beside = _one_or_none_narrow(prepared, two, base, weights, there, pair)
                    first[i, j] = filled
                    regions, filled = _of_all(
                        prepared, two, vectors, ready, pair, beside, regions, filled
                    )
                    number[i, j] = filled - first[i, j]
                alike = alike and number[i, j] > 0
                for at in range(first[i, j], first[i, j] + number[i, j]):
                    value = regions[1][at, row].copy()
                    for other in members:
                        if other not in (i, j):
                            wide_densities(ready, other, vectors[other], regions[0][at], density)
                            value *= density
                    total += value.sum()
        if alike or members.size > 3:
            for choice in range(7, 1 << members.size):
                chosen = members[(choice >> np.arange(members.size) & 1) == 1]
                if chosen.size < 3 or not _all_near(chosen, number):
                    continue
                wide = members[(choice >> np.arange(members.size) & 1) == 0]
                start = filled
                regions, filled = _of_all(
                    prepared, row, vectors, ready, chosen, total, regions, filled
                )
                for at in range(start, filled):
                    value = regions[1][at, row].copy()
                    for other in wide:
                        wide_densities(ready, other, vectors[other], regions[0][at], density)
                        value *= density
                    total += value.sum()
                filled = start
        given[k] = factor * total
    return given


@njit()
def _all_near(chosen, number):  # type: ignore[no-untyped-def]
    """Return whether each two of some triggers have regions in common."""
    for a in range(1, chosen.size):
        for b in range(a):
            if number[chosen[b], chosen[a]] == 0:
                return False
    return True


@njit()
def _one_or_none_narrow(prepared, row, base, weights, there, members):  # type: ignore[no-untyped-def]
    """Return what a set gives where no member is narrow, or one."""
    total = 0.0
    shares = prepared.base_weights[row]
    if members.size == 2:
        one, two = base[members[0]], base[members[1]]
        for p in range(shares.size):
            total += shares[p] * one[p] * two[p]
    elif members.size == 3:
        one, two, three = base[members[0]], base[members[1]], base[members[2]]
        for p in range(shares.size):
            total += shares[p] * one[p] * two[p] * three[p]
    else:
        product = shares * base[members[0]]
        for i in members[1:]:
            product *= base[i]
        total = product.sum()
    for i in members:
        for p in range(POINTS):
            value = weights[i, row, p]
            for other in members:
                if other != i:
                    value *= there[i, other, p]
            total += value
    return total


@njit()
def _of_all(prepared, row, vectors, ready, chosen, beside, regions, filled):  # type: ignore[no-untyped-def]
    """Add the regions of the products of triggers' narrow components to those known.

    One of each choice of components that is not nothing to the sum and what is beside it.
    """
    numbers, wide, kappas, norms, tables, highest, _ = ready
    many = chosen.size
    points, weights = regions
    for i in chosen:
        if numbers[i] == wide[i]:
            return (points, weights), filled
    component = wide[chosen]
    product = np.empty((many, tables.shape[2]))
    kappa, norm, top = np.empty(1), np.empty(1), np.empty(1)
    centre = np.empty(3)
    total = beside
    while True:
        centre[:] = 0.0
        summed, height, most = 0.0, 1.0, 1.0
        for m in range(many):
            i, c = chosen[m], component[m]
            for axis in range(3):
                centre[axis] += kappas[i, c] * vectors[i, axis]
            summed += kappas[i, c]
            height *= norms[i, c]
            most *= highest[i, c]
        both = math.sqrt(centre[0] ** 2 + centre[1] ** 2 + centre[2] ** 2)
        if both > 0.0:
            height *= math.exp(both - summed)
            if height * most * most_of_map(prepared, row, both) > _NOTHING * total:
                for m in range(many):
                    product[m] = tables[chosen[m], component[m]]
                if filled == points.shape[0]:
                    points = np.concatenate((points, np.empty_like(points)))
                    weights = np.concatenate((weights, np.empty_like(weights)))
                kappa[0], norm[0], top[0] = both, height, height * most
                density = kappa, top, norm, product, True
                region(prepared, density, centre / both, total, points[filled], weights[filled])
                given = weights[filled, row].sum()
                total += given
                filled += given > 0.0
        m = 0
        while m < many:
            component[m] += 1
            if component[m] < numbers[chosen[m]]:
                break
            component[m] = wide[chosen[m]]
            m += 1
        if m == many:
            return (points, weights), filled
