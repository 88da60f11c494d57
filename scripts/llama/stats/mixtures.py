"""What sets of triggers give whose point spreads are mixtures of von Mises-Fisher (vMF) densities.

Each density is the sum of a wide and a narrow part (`llama.stats.components`), and a product of
such sums has a term for each choice of members with their narrow part. Where none is narrow, the
map's base (`llama.stats.mesh`) is summed over. Else the product of narrow components, one vMF for
each choice of these, leaves a region of the map (`llama.stats.region`) where others are smooth.
"""

import math

import numpy as np

from llama.stats.compiled import inner, loop
from llama.stats.components import (
    densities_of_base,
    most_beyond,
    narrow_bounds,
    only,
    wide_densities,
    wide_tops,
)
from llama.stats.region import region
from llama.stats.terms import most_of_map

_PIECE = 8192
_NOTHING = 5e-4  # what all choices of components may lack together, relative to their set


@inner()
def each_alone(prepared, messenger, spread, vectors, ready):  # type: ignore[no-untyped-def]
    """Return what triggers give alone, and what of them sets are made of.

    alone (5, n) [s^-1], with the weights of so many neutrinos; densities of the wide components on
    the base (n, points) and their units (n,); directions of the narrow ones' regions (3, points),
    their weights (points, 5), and where those of each trigger begin.
    """
    numbers, wide, kappas, norms, tables, highest, _ = ready
    n = numbers.size
    base, units = np.empty((n, prepared.base.shape[1]), dtype=np.float32), np.zeros(n)
    known, count = (np.empty((3, 256 * n)), np.empty((256 * n, 5))), 0
    room = np.empty(base.shape[1], dtype=np.float32)
    first = np.zeros(n + 1, dtype=np.int64)
    alone = np.zeros((5, n))
    # of the numbers of neutrinos that sets can have
    first_row, last_row = 1, min(5, n + 1)
    for i in range(n):
        if messenger[i] > 0:
            first_row = 0
    for i in range(n):
        units[i] = densities_of_base(prepared, ready, i, vectors[i], base[i], room)
        for row in range(first_row, last_row):
            alone[row, i] = units[i] * _sum_of(prepared.base_weights[row], base[i])
        if wide[i] < numbers[i]:
            some = slice(wide[i], numbers[i])
            heights = norms[i, some] * highest[i, some]
            density = kappas[i, some], heights, norms[i, some], tables[i, some], False
            row = 1 if messenger[i] == 0 else 0
            # the wide sum is not beside it: in a set others may be high here, far from the bulk
            known, count = region(prepared, row, density, vectors[i], 0.0, known, count)
            _add_rows(known[1], first[i], count, alone, i)
        first[i + 1] = count
    return alone / spread, (base, units), known[0][:, :count].copy(), known[1][:count], first


@loop()
def _add_rows(weights, first, last, sums, column):  # type: ignore[no-untyped-def]
    for p in range(first, last):
        for k in range(5):
            sums[k, column] += weights[p, k]


@inner()
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


@inner()
def together(prepared, triggers, ready, parts, grown, lengths):  # type: ignore[no-untyped-def]
    """Return what sets (sets, size) give, without Lambda's prior.

    triggers: messengers, spreads as of `sets.sum_joint_sets`, vectors; parts: `each_alone`'s last
    four; lengths: parts of the source times that explain each set.
    """
    messenger, spread, vectors = triggers
    given = np.zeros(grown.shape[0])
    if given.size == 0:
        return given
    place = np.full(messenger.size, -1, dtype=np.int64)
    for k in range(grown.shape[0]):
        for i in grown[k]:
            place[i] = 0
    some = np.flatnonzero(place == 0)
    for k in range(some.size):
        place[some[k]] = k
    regions, ready, vectors = parts[1:], only(ready, some), vectors[some]
    n = some.size
    # wide densities of each trigger in the regions of all
    there = np.empty((n, regions[0].shape[1]))
    for i in range(n):
        points = regions[0][0], regions[0][1], regions[0][2]
        wide_densities(ready, i, vectors[i], points, there[i])
    begin, end = regions[2][some], regions[2][some + 1]
    ranges, room = (begin, end), np.empty(_PIECE, dtype=np.float32)
    bounds = narrow_bounds(ready, vectors), wide_tops(ready)
    # regions of two triggers' narrow components, of each pair from `first` on
    first, number = np.full((n, n), -1, dtype=np.int64), np.zeros((n, n), dtype=np.int64)
    known, count = (np.empty((3, 1024)), np.empty((1024, 5))), 0
    for k in range(grown.shape[0]):
        row, factor = 0, lengths[k]
        for i in grown[k]:
            row += messenger[i] == 0
            factor /= spread[i]
        members = place[grown[k]]
        total = _none_narrow(prepared, row, parts[0], grown[k], room)
        total += _one_narrow(row, regions[1], ranges, there, members)
        for a in range(1, members.size):
            for b in range(a):
                i, j = members[b], members[a]
                if first[i, j] < 0:
                    pair = np.array((i, j))
                    two = int(messenger[some[i]] == 0) + int(messenger[some[j]] == 0)
                    beside = _none_narrow(prepared, two, parts[0], some[pair], room)
                    beside += _one_narrow(two, regions[1], ranges, there, pair)
                    first[i, j] = count
                    known, count = _add_products(
                        prepared, two, vectors, ready, pair, beside, known, count
                    )
                    number[i, j] = count - first[i, j]
                places = first[i, j], first[i, j] + number[i, j]
                total += _with_wide(row, vectors, ready, members, 1 << a | 1 << b, known, places)
        known, total = _three_or_more(
            prepared, row, vectors, ready, members, bounds, total, known, count
        )
        given[k] = factor * total
    return given


@inner()
def _three_or_more(prepared, row, vectors, ready, members, bounds, total, known, count):  # type: ignore[no-untyped-def]
    """Return the total with what a set gives where three members or more are narrow.

    known: room beyond its `count` directions.
    """
    near, tops = bounds
    for choice in range(7, 1 << members.size):
        chosen = members[(choice >> np.arange(members.size) & 1) == 1]
        if chosen.size < 3:
            continue
        beside = total
        for m in range(members.size):
            if not choice >> m & 1:
                beside /= max(tops[members[m]], 1e-300)
        most = _most_of_narrow(near, chosen) * prepared.heaviest[0, row]
        if most * (1 << members.size) > _NOTHING * beside:
            known, after = _add_products(
                prepared, row, vectors, ready, chosen, beside, known, count
            )
            total += _with_wide(row, vectors, ready, members, choice, known, (count, after))
    return known, total


@inner()
def _with_wide(row, vectors, ready, members, choice, known, places):  # type: ignore[no-untyped-def]
    """Return the sum over directions of the wide densities of members without a bit in `choice`."""
    first, last = places
    product, density = known[1][first:last, row].copy(), np.empty(last - first)
    for m in range(members.size):
        if not choice >> m & 1:
            i = members[m]
            at = known[0]
            points = at[0, first:last], at[1, first:last], at[2, first:last]
            wide_densities(ready, i, vectors[i], points, density)
            product *= density
    return product.sum()


@loop()
def _most_of_narrow(bounds, chosen):  # type: ignore[no-untyped-def]
    """Return the most that the product of some triggers' narrow parts can be anywhere.

    At most the (n - 1)th root of the product of all its pairs' bounds.
    """
    product = 1.0
    for a in range(1, chosen.size):
        for b in range(a):
            product *= bounds[chosen[a], chosen[b]] ** (1.0 / (chosen.size - 1))
    return product


@loop()
def _sum_of(shares, densities):  # type: ignore[no-untyped-def]
    """Return the sum of products, in pieces that BLAS does with one thread: else bits vary."""
    total = 0.0
    for first in range(0, shares.size, _PIECE):
        last = min(first + _PIECE, shares.size)
        total += np.dot(shares[first:last], densities[first:last])
    return total


@loop()
def _none_narrow(prepared, row, base, which, room):  # type: ignore[no-untyped-def]
    """Return what a set gives where no member is narrow."""
    shares, densities, unit, total = prepared.base_weights[row], base[0], 1.0, 0.0
    for i in which:
        unit *= base[1][i]
    for first in range(0, shares.size, _PIECE):
        product = room[: min(_PIECE, shares.size - first)]
        last = first + product.size
        one, other = densities[which[0], first:last], densities[which[1], first:last]
        for p in range(product.size):
            product[p] = one[p] * other[p]
        for m in range(2, which.size):
            one = densities[which[m], first:last]
            for p in range(product.size):
                product[p] *= one[p]
        total += np.dot(shares[first:last], product)
    return unit * total


@loop()
def _one_narrow(row, weights, ranges, there, members):  # type: ignore[no-untyped-def]
    """Return what a set gives where one member is narrow."""
    total = 0.0
    for i in members:
        for p in range(ranges[0][i], ranges[1][i]):
            value = weights[p, row]
            for other in members:
                if other != i:
                    value *= there[other, p]
            total += value
    return total


@inner()
def _add_products(prepared, row, vectors, ready, chosen, beside, known, count):  # type: ignore[no-untyped-def]
    """Add the regions of the product of triggers' narrow components to directions known.

    One of each choice of components that is not nothing to the sum and what is beside it.
    """
    numbers, wide, kappas, norms, tables, highest, _ = ready
    many, choices = chosen.size, 1
    for i in chosen:
        choices *= numbers[i] - wide[i]
    if choices == 0:
        return known, count
    component = wide[chosen]
    product = np.empty((many, tables.shape[2]))
    kappa, norm, top, centre = np.empty(1), np.empty(1), np.empty(1), np.empty(3)
    total, before = beside, count
    for _ in range(choices):
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
        height *= math.exp(both - summed)
        bound = height * most * most_of_map(prepared, row, both) if both > 0.0 else 0.0
        if bound * choices > _NOTHING * total:
            for m in range(many):
                product[m] = tables[chosen[m], component[m]]
            kappa[0], norm[0], top[0] = both, height, height * most
            density = kappa, top, norm, product, True
            known, count = region(prepared, row, density, centre / both, total, known, count)
            for p in range(before, count):
                total += known[1][p, row]
            before = count
        for m in range(many):
            component[m] += 1
            if component[m] < numbers[chosen[m]]:
                break
            component[m] = wide[chosen[m]]
    return known, count
