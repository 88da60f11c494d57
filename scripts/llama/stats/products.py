"""Products of triggers' narrow components: what a map leaves of them."""

import math

from llama.stats.compiled import inner, loop
from llama.stats.components import wide_densities
from llama.stats.region import PIECE, larger, region
from llama.stats.terms import most_of_map

_NOTHING = 5e-4  # what all choices of components may lack together, relative to their set


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
def two_narrow(row, vectors, ready, members, known, places, room):  # type: ignore[no-untyped-def]
    """Return what a set gives where two members are narrow."""
    total = 0.0
    for a in range(1, members.size):
        for b in range(a):
            i, j = members[b], members[a]
            of_pair = places[0, i, j], places[1, i, j]
            total += _with_wide(row, vectors, ready, members, 1 << a | 1 << b, known, of_pair, room)
    return total


@inner()
def three_or_more(  # type: ignore[no-untyped-def]
    prepared, row, vectors, ready, members, tops, near, few, total, room, known, count
):
    """Return the total with what a set gives where three members or more are narrow; the room, too.

    tops, near: as of `mixtures.nothing_of_pairs`. Directions known are not kept beyond `count`.
    """
    size = members.size
    for choice in range(7, 1 << size):
        number, least = 0, total
        for m in range(size):
            if choice >> m & 1:
                few[0][0, number] = members[m]
                number += 1
            else:
                least /= max(tops[members[m]], 1e-300)
        if number < 3:
            continue
        chosen = few[0][0, :number]
        most = _most_of_narrow(near, chosen) * prepared.heaviest[0, row]
        if most * (1 << size) > _NOTHING * least:
            room, known, after, _ = add_products(
                prepared, row, vectors, ready, chosen, few, least, room, known, count
            )
            places = count, after
            total += _with_wide(row, vectors, ready, members, choice, known, places, room[3])
    return room, known, total


@inner()
def add_products(  # type: ignore[no-untyped-def]
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
    what `region` does, and the most that the product can be anywhere. few: room for members and
    their components, one vMF, and its tables.
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
