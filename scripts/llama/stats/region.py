"""What a map leaves of a narrow density: its sum, and where it is."""

import math

import numpy as np

from llama.stats.cells import (
    FINEST,
    GROUP,
    PARTS,
    divide,
    four_of,
    queue_of_faces,
    weight_of,
)
from llama.stats.compiled import inner, loop
from llama.stats.components import REACH, add_densities, exponentials
from llama.stats.directions import LEAST, add_four

_FINE = 4.0  # change of the exponent in a cell, squared, for which four directions always do
_COARSE = 1.0  # the same, times the most that a cell can be of the sum
_TAIL = 0.15  # squared variance of the four relative to their mean, where slopes make the sum
_NOTHING = 3e-4  # what one cell may lack, relative to the sum and what is beside it
_IN_TAIL = 0.25, 2e-4, 1e-5  # the three, there
_FARTHEST = 700.0  # exponents beyond count as infinite
_BATCH = 16  # cells whose densities are evaluated together: processors do four numbers at a time
PIECE = 4 * _BATCH  # directions of these
_CELLS = 1000  # waiting at first: with 1,024, cached rows of arrays would displace each other
_NO_ROOM, _NONE_KNOWN = -1, -2  # numbers of directions that ask for more room


@inner()
def room_for_regions(prepared, cells=_CELLS):  # type: ignore[no-untyped-def]
    """Return room for a region of up to so many cells.

    The queue, groups, directions that wait to be evaluated with their weights, places and groups,
    and densities.
    """
    waiting = np.empty((3, 4 * _BATCH)), np.empty(_BATCH), np.empty((2, _BATCH), dtype=np.int64)
    queue, groups = queue_of_faces(prepared, cells), np.empty((cells // 16, 15))
    return queue, groups, waiting, np.empty((6, PIECE))


@inner()
def larger(prepared, room, known, count):  # type: ignore[no-untyped-def]
    """Return twice the room of what `region` has too little of; count: what it returned."""
    if count == _NO_ROOM:
        return room_for_regions(prepared, 2 * room[0][0].shape[1]), known
    points, weights = known
    points = np.concatenate((points, np.empty_like(points)), axis=1)
    return room, (points, np.concatenate((weights, np.empty_like(weights))))


@loop()
def region(prepared, row, density, v, beside, room, known, count):  # type: ignore[no-untyped-def]
    """Add sum_k w_{n,k} <density>_k, for n = 0..4, as directions; return how many are known then.

    row: the n that decides what is nothing; no others are right where its weights are 0. density:
    kappa, the most of each vMF times its table, and the rest of what `add_densities` takes; beside:
    a sum that this n's is added to; room: `room_for_regions`. known: `count` directions so far,
    points (3, most) and weights (most, 5). Four new ones for each cell of order 4, with the sum's
    mean and covariance in it. A negative number asks for `larger` room.
    """
    reach, most, limits = REACH, 0.0, (_FINE, _COARSE, _NOTHING)
    for c in range(density[1].size):
        most += density[1][c] * prepared.heaviest[0, row]
    while True:
        after, one, tail = _sum(
            prepared, row, density, v, beside, reach, limits, room, known, count
        )
        # what is beyond is nothing, too
        enough = most * math.exp(-reach) <= _NOTHING * (one + beside) or reach > _FARTHEST
        if after < 0:
            return after
        if not enough:
            reach *= 2.0
        elif limits[0] == _FINE and tail > _TAIL * (one + beside):
            limits = _IN_TAIL
        else:
            return after


@loop()
def _sum(prepared, row, density, v, beside, reach, limits, room, known, count):  # type: ignore[no-untyped-def]
    """Do what `region` does where exponents are less than `reach`; return the sum, too."""
    queue, groups, waiting, densities = room
    for face in range(prepared.faces):
        queue[0][3, face] = -1
    # at least about so much, from where the density is highest, before anything is left out
    seed = _highest(prepared, row, density, v, beside, reach, queue, waiting, densities)
    enough = beside, seed, reach, limits
    one, tail, number = _walk(prepared, row, density, v, enough, queue, waiting, densities, groups)
    if number < 0:
        return _NO_ROOM, one, tail
    if count + 4 * number > known[0].shape[1]:
        return _NONE_KNOWN, one, tail
    for group in range(number):
        count = add_four(groups, group, known[0], known[1], count)
    return count, one, tail


@loop()
def _walk(prepared, row, density, v, enough, queue, waiting, room, groups):  # type: ignore[no-untyped-def]
    """Sum over the faces and their parts; return the sum and the number of groups, or -1.

    Cells are gone through by levels, so that those of a level are bounded together. head, level
    and tail: where in the queue those begin that wait, that are not bounded yet, and new ones.
    """
    beside, seed, reach, (fine, coarse, nothing) = enough
    head, level, end = 0, 0, prepared.faces
    one, tail, group_count = 0.0, 0.0, 0
    while head < end:
        if head == level:
            level = end
            _bound(density, v, reach, fine, queue, head, level)
        if end + PARTS > queue[0].shape[1] or group_count + _BATCH > groups.shape[0]:
            return one, tail, -1
        some = max(one, seed) + beside
        head, number, end, after = _decide(
            prepared, row, some, (coarse, nothing), queue, (head, level, end), waiting, group_count
        )
        groups[group_count:after] = 0.0
        group_count = after
        more, steep = _evaluate(prepared, row, density, v, reach, waiting, number, room, groups)
        one += more
        tail += steep
    return one, tail, group_count


@loop()
def _decide(prepared, row, some, limits, queue, ends, waiting, group_count):  # type: ignore[no-untyped-def]
    """Leave out cells of a queue that are nothing, divide some, and have the others evaluated.

    Return the first cell that waits for room, and how many are to be evaluated, in the queue, and
    in `groups` now.
    """
    places, bounds = queue[0], queue[2]
    points, weights, cells = waiting
    head, level, tail = ends
    coarse, nothing = limits
    number, first = 0, group_count
    for q in range(head, level):
        full = number == _BATCH or group_count - first == _BATCH
        if full or tail + PARTS > places.shape[1]:
            return q, number, tail, group_count
        index, order = places[0, q], places[1, q]
        weight = weight_of(prepared, row, index, order)
        if weight * bounds[0, q] <= nothing * some + LEAST:
            continue
        divided = order < FINEST and weight * bounds[1, q] > coarse * some
        if places[3, q] < 0 and (order >= GROUP or not divided):
            places[3, q] = group_count
            group_count += 1
        if divided:
            tail = divide(prepared, queue, q, tail)
        else:
            four_of(prepared, row, queue, q, points, 4 * number)
            weights[number], cells[0, number], cells[1, number] = weight, index, places[3, q]
            number += 1
    return level, number, tail, group_count


@loop()
def _highest(prepared, row, density, v, beside, reach, queue, waiting, room):  # type: ignore[no-untyped-def]
    """Return about what the smallest cells around the place of the most give, which is not all."""
    places, bounds = queue[0], queue[2]
    points, weights = waiting[0], waiting[1]
    first, head, tail, before = 0, 0, prepared.faces, -1
    while True:
        _bound(density, v, reach, _FINE, queue, head, tail)
        least, best, steep = math.inf, -1, 0.0
        for q in range(head, tail):
            weight = weight_of(prepared, row, places[0, q], places[1, q])
            if weight * bounds[0, q] > LEAST and bounds[2, q] < least:
                least, best, steep = bounds[2, q], q, weight * bounds[1, q]
        if best < 0:
            return 0.0
        divided = places[1, best] < FINEST and steep > _COARSE * beside
        if not divided or tail + PARTS > places.shape[1]:
            break
        first, head, before = head, tail, best
        tail = divide(prepared, queue, best, tail)
    total = 0.0
    component, three = (density[0], density[2], density[3]), (points[0], points[1], points[2])
    number = 0
    for q in range(first, tail):
        weight = weight_of(prepared, row, places[0, q], places[1, q])
        if q != before and weight * bounds[0, q] > LEAST:
            four_of(prepared, row, queue, q, points, 4 * number)
            weights[number] = weight
            number += 1
        if number == _BATCH or q == tail - 1:
            add_densities(component, v, reach, three, 4 * number, room)
            for p in range(4 * number):
                total += 0.25 * weights[p >> 2] * room[0, p]
            number = 0
    return total


@loop(error_model="numpy")
def _bound(density, v, reach, fine, queue, head, tail):  # type: ignore[no-untyped-def]
    """Write the most that a density can be in each of a queue's cells, and how steep it is there.

    bounds: the most; the same of what is too narrow for the cell; room for three numbers.
    """
    kappas, heights = density[0], density[1]
    numbers, bounds = queue[1], queue[2]
    v0, v1, v2 = v
    n = tail - head
    most, steep, chord2 = bounds[0, head:tail], bounds[1, head:tail], bounds[2, head:tail]
    away, each = bounds[3, head:tail], bounds[4, head:tail]
    x, y, z = numbers[0, head:tail], numbers[1, head:tail], numbers[2, head:tail]
    radius, side2 = numbers[3, head:tail], numbers[4, head:tail]
    for p in range(n):
        dx, dy, dz = x[p] - v0, y[p] - v1, z[p] - v2
        chord2[p] = dx * dx + dy * dy + dz * dz
        near = max(0.0, math.sqrt(chord2[p]) - radius[p])
        away[p] = 0.5 * near * near
        most[p] = 0.0
        steep[p] = 0.0
    nearest = math.inf
    for p in range(n):
        nearest = min(nearest, away[p])
    for c in range(kappas.size):  # the widest first
        kappa, height = kappas[c], heights[c]
        if kappa * nearest > reach:
            break
        if reach > REACH:
            for p in range(n):
                each[p] = math.exp(-min(kappa * away[p], reach))
        else:
            exponentials(kappa, away, n, each)
        for p in range(n):
            here = height * each[p] if kappa * away[p] <= reach else 0.0
            most[p] += here
            # squares of what the exponent changes by across the cell: its curvature, and its slope
            wide, slope = kappa * side2[p], kappa * chord2[p]
            change = wide * wide * (1.0 + slope * slope * 0.01)
            steep[p] += here * min(change, 1e4) if change > fine else 0.0


@loop(error_model="numpy")
def _evaluate(prepared, row, density, v, reach, waiting, count, room, groups):  # type: ignore[no-untyped-def]
    """Add what waiting cells give to the moments of their groups, and return it.

    And the same times the squared variance of the four values relative to their mean, which is
    some 20 times the error of a sum that a slope of the exponent makes.
    """
    points, weights, cells = waiting
    three = points[0], points[1], points[2]
    add_densities((density[0], density[2], density[3]), v, reach, three, 4 * count, room)
    x, y, z, values = points[0], points[1], points[2], room[0]
    total = tail = 0.0
    for k in range(count):
        index, g = cells[0, k], cells[1, k]
        weight, given, squares = 0.25 * weights[k], 0.0, 0.0
        m0 = m1 = m2 = xx = yy = zz = xy = xz = yz = 0.0
        for p in range(4 * k, 4 * k + 4):
            value = weight * values[p]
            given += value
            squares += value * value
            a, b, c = value * x[p], value * y[p], value * z[p]
            m0 += a
            m1 += b
            m2 += c
            xx += a * x[p]
            yy += b * y[p]
            zz += c * z[p]
            xy += a * y[p]
            xz += a * z[p]
            yz += b * z[p]
        total += given
        uneven = 4.0 * squares / (given * given) - 1.0 if given > 1e-150 else 0.0
        tail += given * uneven * uneven
        if index >= 0:
            part = given / prepared.cell_shares[index, row]
            for n in range(5):
                groups[g, n] += prepared.cell_shares[index, n] * part
        else:
            part = given / prepared.shares[-1 - index, row]
            for n in range(5):
                groups[g, n] += prepared.shares[-1 - index, n] * part
        groups[g, 5] += given
        groups[g, 6] += m0
        groups[g, 7] += m1
        groups[g, 8] += m2
        groups[g, 9] += xx
        groups[g, 10] += yy
        groups[g, 11] += zz
        groups[g, 12] += xy
        groups[g, 13] += xz
        groups[g, 14] += yz
    return total, tail
