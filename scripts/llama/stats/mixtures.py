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
from llama.stats.region import PIECE, larger, region
from llama.stats.terms import most_of_map

_PIECE = 8192
_NOTHING = 5e-4  # what all choices of components may lack together, relative to their set


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
        for row in range(first_row, last_row):
            alone[row, i] = units[i] * _sum_of(prepared.base_weights[row], base[i])
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
                    room, known, count, near[i, j] = _add_products(
                        prepared, two, vectors, ready, pair, few, beside[i, j], room, known, count
                    )
                    places[1, i, j] = count
        total = beside[members[0], members[1]]
        if size > 2:
            total = _at_most_one_narrow(prepared, row, parts, there, members, product)
        total += _two_narrow(row, vectors, ready, members, known, places, room[3])
        for choice in range(7, 1 << size):
            chosen = few[0][0, : _chosen(members, choice, few[0])]
            if chosen.size < 3:
                continue
            least = total
            for m in range(size):
                if not choice >> m & 1:
                    least /= max(tops[members[m]], 1e-300)
            most = _most_of_narrow(near, chosen) * prepared.heaviest[0, row]
            if most * (1 << size) > _NOTHING * least:
                room, known, after, _ = _add_products(
                    prepared, row, vectors, ready, chosen, few, least, room, known, count
                )
                range_ = count, after
                total += _with_wide(row, vectors, ready, members, choice, known, range_, room[3])
        given[k] = factor * total
    return given, (there, tops, of_two, known, count), room


@loop()
def _chosen(members, choice, found):  # type: ignore[no-untyped-def]
    """Write the members with a bit in `choice` to found[0], and return their number."""
    count = 0
    for m in range(members.size):
        if choice >> m & 1:
            found[0, count] = members[m]
            count += 1
    return count


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
def _two_narrow(row, vectors, ready, members, known, places, room):  # type: ignore[no-untyped-def]
    """Return what a set gives where two members are narrow."""
    total = 0.0
    for a in range(1, members.size):
        for b in range(a):
            i, j = members[b], members[a]
            of_pair = places[0, i, j], places[1, i, j]
            total += _with_wide(row, vectors, ready, members, 1 << a | 1 << b, known, of_pair, room)
    return total


@loop()
def _with_wide(row, vectors, ready, members, choice, known, places, room):  # type: ignore[no-untyped-def]
    """Return the sum over directions of the wide densities of members without a bit in `choice`."""
    points, weights = known
    total, product = 0.0, room[5]
    for begin in range(places[0], places[1], PIECE):
        end = min(begin + PIECE, places[1])
        for p in range(begin, end):
            product[p - begin] = weights[p, row]
        for m in range(members.size):
            if not choice >> m & 1:
                i = members[m]
                wide_densities(ready, i, vectors[i], points, (begin, end), room)
                for p in range(end - begin):
                    product[p] *= room[0, p]
        for p in range(end - begin):
            total += product[p]
    return total


@loop()
def _most_of_narrow(near, chosen):  # type: ignore[no-untyped-def]
    """Return the most that the product of some triggers' narrow parts can be anywhere.

    At most the (n - 1)th root of the product of all its pairs' bounds.
    """
    product = 1.0
    for a in range(1, chosen.size):
        for b in range(a):
            product *= near[chosen[b], chosen[a]] ** (1.0 / (chosen.size - 1))
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


@inner()
def _add_products(  # type: ignore[no-untyped-def]
    prepared, row, vectors, ready, chosen, few, beside, room, known, count
):
    """Do what `_products` does, with as much room as it takes; return the room, too."""
    while True:
        after, most = _products(
            prepared, row, vectors, ready, chosen, few, beside, room, known, count
        )
        if after >= 0:
            return room, known, after, most
        room, known = larger(prepared, room, known, after)


@loop()
def _products(  # type: ignore[no-untyped-def]
    prepared, row, vectors, ready, chosen, few, beside, room, known, count
):
    """Add the regions of the product of triggers' narrow components to directions known.

    One of each choice of components that is not nothing to the sum and what is beside it. Return
    what `region` does, and the most that the product can be anywhere. few: room for components, one vMF, and its tables.
    """
    numbers, wide, kappas, norms, tables, tops, _ = ready
    component, single, product = few[0][1], few[1], few[2][: chosen.size]
    choices = 1
    for m in range(chosen.size):
        choices *= numbers[chosen[m]] - wide[chosen[m]]
        component[m] = wide[chosen[m]]
    total, of_all = beside, 0.0
    for _ in range(choices):
        x = y = z = summed = 0.0
        height = most = 1.0
        for m in range(chosen.size):
            i, c = chosen[m], component[m]
            x += kappas[i, c] * vectors[i, 0]
            y += kappas[i, c] * vectors[i, 1]
            z += kappas[i, c] * vectors[i, 2]
            summed += kappas[i, c]
            height *= norms[i, c]
            most *= tops[i, c]
        both = math.sqrt(x * x + y * y + z * z)
        less = math.exp(both - summed)
        height, most = height * less, most * less
        of_all += most
        bound = most * most_of_map(prepared, row, both) if both > 0.0 else 0.0
        if bound * choices > _NOTHING * total:
            for m in range(chosen.size):
                i, c = chosen[m], component[m]
                for node in range(product.shape[1]):
                    product[m, node] = tables[i, c, node]
            single[0, 0], single[1, 0], single[2, 0] = both, most, height
            density = single[0], single[1], single[2], product
            centre = x / both, y / both, z / both
            after = region(prepared, row, density, centre, total, room, known, count)
            if after < 0:
                return after, of_all
            for p in range(count, after):
                total += known[1][p, row]
            count = after
        for m in range(chosen.size):
            component[m] += 1
            if component[m] < numbers[chosen[m]]:
                break
            component[m] = wide[chosen[m]]
    return count, of_all
