"""What sets of triggers give whose point spreads are mixtures of von Mises-Fisher (vMF) densities.

Each density is the sum of a wide and a narrow part (`llama.stats.components`), and a product of
such sums has a term for each choice of members with their narrow part. Where none is narrow, the
map's base (`llama.stats.mesh`) is summed over. Else the product of narrow components, one vMF for
each choice of these, leaves a region of the map (`llama.stats.region`) where others are smooth.
"""

import math

import numpy as np

from llama.stats.compiled import inner, loop
from llama.stats.components import densities_of_base, most_beyond, wide_densities, wide_tops
from llama.stats.products import add_products, three_or_more, two_narrow
from llama.stats.region import PIECE, larger, region

_PIECE = 2048


@inner()
def each_alone(prepared, messenger, spread, vectors, ready, room):  # type: ignore[no-untyped-def]
    """Return what triggers give alone, and what of them sets are made of.

    alone (5, n) [s^-1], with the weights of so many neutrinos; densities of the wide components on
    the base (n, points) and their units (n,); directions of the narrow ones' regions (3, points),
    their weights (points, 5), and where those of each trigger begin.
    """
    numbers, wide, kappas, norms, tables, tops, _ = ready
    n = numbers.size
    base, units = np.empty((n, prepared.base.shape[1]), dtype=np.float32), np.zeros(n)
    known, count = (np.empty((3, 256 * n)), np.empty((256 * n, 5))), 0
    away = np.empty(base.shape[1], dtype=np.float32)
    first = np.zeros(n + 1, dtype=np.int64)
    alone = np.zeros((5, n))
    # of the numbers of neutrinos that sets can have
    first_row, last_row = 1, min(5, n + 1)
    for i in range(n):
        if messenger[i] > 0:
            first_row = 0
    for i in range(n):
        units[i] = densities_of_base(prepared, ready, i, vectors[i], base[i], away)
        _add_base(prepared, (first_row, last_row), base, units[i], alone, i)
        if wide[i] < numbers[i]:
            some = slice(wide[i], numbers[i])
            density = kappas[i, some], tops[i, some], norms[i, some], tables[i, some]
            row, v = 1 if messenger[i] == 0 else 0, (vectors[i, 0], vectors[i, 1], vectors[i, 2])
            # the wide sum is not beside it: in a set others may be high here, far from the bulk
            after = region(prepared, row, density, v, 0.0, room, known, count)
            while after < 0:
                room, known = larger(prepared, room, known, after)
                after = region(prepared, row, density, v, 0.0, room, known, count)
            count = after
            _add_rows(known[1], first[i], count, alone, i)
        first[i + 1] = count
    return alone / spread, (base, units), known[0][:, :count].copy(), known[1][:count], first


@loop()
def _add_base(prepared, rows, base, unit, sums, i):  # type: ignore[no-untyped-def]
    """Add what the densities of trigger i give at the base, in pieces that BLAS does alike.

    With more, BLAS may take several threads, and bits would vary.
    """
    shares, size = prepared.base_weights, base.shape[1]
    for begin in range(0, size, _PIECE):
        end = min(begin + _PIECE, size)
        for row in range(rows[0], rows[1]):
            sums[row, i] += unit * np.dot(shares[row, begin:end], base[i, begin:end])


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
def nothing_of_pairs(ready, points):  # type: ignore[no-untyped-def]
    """Return what `together` knows of pairs, at first nothing.

    Wide densities of each trigger at the `points` of all regions (n, points); the most of each
    one's wide part (n,). Of pairs i < j: what they give where one or none is narrow; the most that
    the product of narrow parts can be anywhere; first and last direction of the regions of that
    product, -1 before these are made; the directions and their weights; how many there are.
    """
    n = ready[0].size
    there, places = np.empty((n, points)), np.full((2, n, n), -1, dtype=np.int64)
    of_two = np.zeros((n, n)), np.zeros((n, n)), places
    return there, wide_tops(ready), of_two, (np.empty((3, 1024)), np.empty((1024, 5))), 0


@inner()
def together(prepared, triggers, ready, parts, pairs, room, grown, lengths):  # type: ignore[no-untyped-def]
    """Return what sets (sets, size) give, without Lambda's prior, and what is known of pairs.

    triggers: messengers, spreads as of `sets.sum_joint_sets`, vectors; parts: `each_alone`'s last
    four; pairs: `nothing_of_pairs`, or of sets of another size; lengths: parts of the source times
    that explain each set.
    """
    messenger, spread, vectors = triggers
    there, tops, of_two, known, count = pairs
    beside, near, places = of_two
    size, given = grown.shape[1], np.zeros(grown.shape[0])
    members, pair = np.empty(size, dtype=np.int64), np.empty(2, dtype=np.int64)
    few = np.empty((2, size), dtype=np.int64), np.empty((3, 1)), np.empty((size, ready[4].shape[2]))
    product = np.empty(min(_PIECE, parts[0][0].shape[1]), dtype=np.float32)
    for k in range(grown.shape[0]):
        members[:] = grown[k]
        row, factor = 0, lengths[k]
        for i in members:
            row += messenger[i] == 0
            factor /= spread[i]
        for a in range(1, size):
            for b in range(a):
                i, j = members[b], members[a]
                if places[0, i, j] < 0:
                    pair[0], pair[1] = i, j
                    two = int(messenger[i] == 0) + int(messenger[j] == 0)
                    _wide_there(ready, vectors, parts, i, j, there, room[3])
                    _wide_there(ready, vectors, parts, j, i, there, room[3])
                    beside[i, j] = _at_most_one_narrow(prepared, two, parts, there, pair, product)
                    places[0, i, j] = count
                    room, known, count, near[i, j] = add_products(
                        prepared, two, vectors, ready, pair, few, beside[i, j], room, known, count
                    )
                    places[1, i, j] = count
        total = beside[members[0], members[1]]
        if size > 2:
            total = _at_most_one_narrow(prepared, row, parts, there, members, product)
        total += two_narrow(row, vectors, ready, members, known, places, room[3])
        room, known, total = three_or_more(
            prepared, row, vectors, ready, members, tops, near, few, total, room, known, count
        )
        given[k] = factor * total
    return given, (there, tops, of_two, known, count), room


@loop()
def _wide_there(ready, vectors, parts, i, j, there, room):  # type: ignore[no-untyped-def]
    """Write the wide densities of trigger i in the region of j."""
    first, last = parts[3][j], parts[3][j + 1]
    for begin in range(first, last, PIECE):
        end = min(begin + PIECE, last)
        wide_densities(ready, i, vectors[i], parts[1], (begin, end), room)
        for p in range(begin, end):
            there[i, p] = room[0, p - begin]


@loop()
def _at_most_one_narrow(prepared, row, parts, there, which, room):  # type: ignore[no-untyped-def]
    """Return what a set gives where no member is narrow, or one is."""
    base, _, weights, first = parts
    shares, densities, unit, total = prepared.base_weights[row], base[0], 1.0, 0.0
    for i in which:
        unit *= base[1][i]
    for begin in range(0, shares.size, _PIECE):
        product = room[: min(_PIECE, shares.size - begin)]
        end = begin + product.size
        one, other = densities[which[0], begin:end], densities[which[1], begin:end]
        for p in range(product.size):
            product[p] = one[p] * other[p]
        for m in range(2, which.size):
            one = densities[which[m], begin:end]
            for p in range(product.size):
                product[p] *= one[p]
        total += np.dot(shares[begin:end], product)
    total *= unit
    for i in which:
        for p in range(first[i], first[i + 1]):
            value = weights[p, row]
            for other in which:
                if other != i:
                    value *= there[other, p]
            total += value
    return total
