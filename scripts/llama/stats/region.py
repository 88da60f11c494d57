"""What a map leaves of a narrow density: its sum, and where it is."""

import math

import numpy as np

from llama.stats.compiled import inner, njit
from llama.stats.components import REACH, add_densities, exponentials
from llama.stats.directions import add_four, four_around, four_with, push_parts
from llama.stats.healpix import RADIUS

_FINE = 4.0  # change of the exponent in a cell, squared, for which four directions always do
_COARSE = 1.0  # the same, times the most that a cell can be of the sum
_NOTHING = 3e-4  # what one cell may lack, relative to the sum and what is beside it
_FARTHEST = 700.0  # exponents beyond count as infinite
_FINEST = 28  # order
_GROUP = 4  # order of the cells that each have four directions
_LEAST = 1e-290  # what counts as nothing at all: maps have probabilities of 1e-323
_STACK = 768
_TILES = 16  # of a cell that is divided into tiles at once
_BATCH = 16  # cells whose densities are evaluated together: processors do four numbers at a time
_GAUSS = 0.5 / math.sqrt(3.0)
_NEAR = RADIUS * 0.5 ** np.arange(_FINEST + 2.0)  # of any point of a cell to its centre [rad]
_SIDE2 = math.pi / 3.0 * 0.25 ** np.arange(_FINEST + 2.0)  # squared sides of cells [rad^2]


@inner()
def region(prepared, row, density, v, beside, known, count):  # type: ignore[no-untyped-def]
    """Add sum_k w_{n,k} <density>_k, for n = 0..4, as directions; return these, and their number.

    row: the n that decides what is nothing; no others are right where its weights are 0. density:
    kappa, the most of each vMF times its table, and the rest of what `add_densities` takes; beside:
    a sum that this n's is added to. known: `count` directions so far, points (3, most) and weights
    (most, 5). Four new ones for each cell of order 4, with the sum's mean and covariance in it.
    """
    reach, before, most = REACH, count, prepared.heaviest[0, row] * density[1].sum()
    while True:
        known, count, one = _sum(prepared, row, density, v, beside, reach, known, before)
        # what is beyond is nothing, too
        if most * math.exp(-reach) <= _NOTHING * (one + beside) or reach > _FARTHEST:
            return known, count
        reach *= 2.0


@inner()
def _sum(prepared, row, density, v, beside, reach, known, count):  # type: ignore[no-untyped-def]
    """Do what `region` does where exponents are less than `reach`.

    The nearest are summed first, and what is far is then nothing beside them.
    """
    sums, first, second = np.zeros(5), np.zeros(3), np.zeros(6)
    one = of_group = 0.0  # the sum so far, and the present cell's; where in the stack that began
    group = _STACK
    # what is left to sum: a cell or -1 - k for (a part of) tile k, with order and NESTED index; the
    # most that it can give, the same of what is too narrow for it, its weight, its centre
    places, numbers = np.empty((3, _STACK), dtype=np.int64), np.empty((6, _STACK))
    bounds = np.empty((5, _STACK))
    # cells to be evaluated: their directions, weights and places; and room for their densities
    points, room, waiting = np.empty((3, 4 * _BATCH)), np.empty((5, 4 * _BATCH)), 0
    weights, indices = np.empty(_BATCH), np.empty(_BATCH, dtype=np.int64)
    stack, four, cells = (places, numbers), np.empty((3, 4)), (points, weights, indices)
    component, centre = (density[0], *density[2:]), (v[0], v[1], v[2])
    three = points[0], points[1], points[2]
    for c in range(prepared.faces):
        places[0, c], places[1, c] = c, 0
        for i in range(3):
            numbers[3 + i, c] = prepared.cell_vectors[c, i]
    depth, top = 0, prepared.faces
    while True:
        nothing = _NOTHING * (one + beside) + _LEAST
        if top > depth:
            _bound(density, centre, reach, stack, depth, top, bounds)
        depth = _keep(prepared, row, nothing, stack, bounds, depth, top) - 1
        top = depth
        if waiting > 0 and (depth < group or waiting == _BATCH or one == 0.0):
            add_densities(component, centre, reach, three, 4 * waiting, room)
            given = _add_cells(prepared, row, room[0], cells, waiting, sums, first, second)
            one += given
            of_group += given
            waiting = 0
        if depth < group:
            if of_group > _LEAST:
                known, count = add_four(sums, first, second, of_group, known, count)
                sums[:], first[:], second[:], of_group = 0.0, 0.0, 0.0, 0.0
            group = _STACK
        if depth < 0:
            return known, count, one
        bound, steep, weight = numbers[0, depth], numbers[1, depth], numbers[2, depth]
        if bound <= nothing:
            continue
        order = places[1, depth]
        divided = order < _FINEST and steep > _COARSE * (one + beside)
        if group == _STACK and (order >= _GROUP or not divided):
            group = depth
        if divided:
            top = _divide(prepared, stack, depth, four)
            continue
        _four_of(prepared, row, stack, depth, points, 4 * waiting)
        weights[waiting], indices[waiting] = weight, places[0, depth]
        waiting += 1


@inner(error_model="numpy")
def _bound(density, v, reach, stack, bottom, top, bounds):  # type: ignore[no-untyped-def]
    """Write the most that a density can be in each of the stack's newest cells, and its chord.

    bounds: the most; the same of what is too narrow for the cell; chord; room for two numbers.
    """
    kappas, heights = density[0], density[1]
    places, numbers = stack
    v0, v1, v2 = v
    n = top - bottom
    most, steep, chord2, away, each = bounds[0], bounds[1], bounds[2], bounds[3], bounds[4]
    x, y, z = numbers[3, bottom:top], numbers[4, bottom:top], numbers[5, bottom:top]
    orders = places[1, bottom:top]
    nearest = math.inf
    for p in range(n):
        dx, dy, dz = x[p] - v0, y[p] - v1, z[p] - v2
        chord2[p] = dx * dx + dy * dy + dz * dz
        near = max(0.0, math.sqrt(chord2[p]) - _NEAR[orders[p]])
        away[p] = 0.5 * near * near
        most[p] = steep[p] = 0.0
        nearest = min(nearest, away[p])
    for c in range(kappas.size):  # the widest first
        kappa = kappas[c]
        if kappa * nearest > reach:
            break
        if reach > REACH:
            for p in range(n):
                each[p] = math.exp(-min(kappa * away[p], reach))
        else:
            exponentials(kappa, away, n, each)
        for p in range(n):
            here = heights[c] * each[p] if kappa * away[p] <= reach else 0.0
            most[p] += here
            # squares of what the exponent changes by across the cell: its curvature, and its slope
            wide, slope = kappa * _SIDE2[orders[p]], kappa * chord2[p]
            change = wide * wide * (1.0 + slope * slope / 100.0)
            steep[p] += here * min(change, 1e4) if change > _FINE else 0.0


@inner()
def _keep(prepared, row, nothing, stack, bounds, bottom, top):  # type: ignore[no-untyped-def]
    """Keep what is something of the stack's newest, the nearest on top; return where they end."""
    places, numbers = stack
    most, steep, chord2 = bounds[0], bounds[1], bounds[2]
    depth, nearest, least = bottom, bottom, math.inf
    for new in range(bottom, top):
        p = new - bottom
        if most[p] == 0.0:
            continue
        index, order = places[0, new], places[1, new]
        if index >= 0:
            weight = prepared.cell_shares[index, row]
        else:
            k = -1 - index
            weight = prepared.shares[k, row] / (1 << (2 * (order - np.int64(prepared.order[k]))))
        if weight * most[p] <= nothing:
            continue
        if chord2[p] < least:
            nearest, least = depth, chord2[p]
        places[0, depth], places[1, depth], places[2, depth] = index, order, places[2, new]
        numbers[0, depth], numbers[1, depth] = weight * most[p], weight * steep[p]
        numbers[2, depth] = weight
        for i in range(3, 6):
            numbers[i, depth] = numbers[i, new]
        depth += 1
    if nearest < depth - 1:
        for i in range(3):
            swap = places[i, nearest]
            places[i, nearest], places[i, depth - 1] = places[i, depth - 1], swap
        for i in range(6):
            swapped = numbers[i, nearest]
            numbers[i, nearest], numbers[i, depth - 1] = numbers[i, depth - 1], swapped
    return depth


@njit(inline="always")
def _divide(prepared, stack, depth, four):  # type: ignore[no-untyped-def]
    """Put the parts of what is at `depth` there and above, and return where they end."""
    places, numbers = stack
    index, order, ipix = places[0, depth], places[1, depth], places[2, depth]
    if index < 0:
        centre = numbers[3, depth], numbers[4, depth], numbers[5, depth]
        four_around(order, ipix, centre, 0.25 / (1 << order), four, 0)
        for child in range(4):
            new = depth + child
            places[0, new], places[1, new], places[2, new] = index, order + 1, 4 * ipix + child
            for i in range(3):
                numbers[3 + i, new] = four[i, child]
        return depth + 4
    begin, end = prepared.cells[index, 1], prepared.cells[index, 2]
    if order >= _GROUP and end - begin <= _TILES:
        top = depth
        for k in range(begin, end):
            places[0, top], places[1, top], places[2, top] = (
                -1 - k,
                prepared.order[k],
                prepared.ipix[k],
            )
            for i in range(3):
                numbers[3 + i, top] = prepared.vectors[k, i]
            top += 1
        return top
    tree = prepared.order, prepared.ipix, prepared.cells
    top = push_parts(tree, index, order, ipix, places.T, depth)
    for new in range(depth, top):
        part = places[0, new]
        for i in range(3):
            if part >= 0:
                numbers[3 + i, new] = prepared.cell_vectors[part, i]
            else:
                numbers[3 + i, new] = prepared.vectors[-1 - part, i]
    return top


@njit(inline="always")
def _four_of(prepared, row, stack, depth, points, at):  # type: ignore[no-untyped-def]
    """Write the four directions of a cell or (part of) a tile from `at` on."""
    places, numbers = stack
    index, order = places[0, depth], places[1, depth]
    if index >= 0:
        m = prepared.moments
        covariance = (
            m[row, index, 4],
            m[row, index, 5],
            m[row, index, 6],
            m[row, index, 7],
            m[row, index, 8],
            m[row, index, 9],
        )
        mean = m[row, index, 1], m[row, index, 2], m[row, index, 3]
        four_with(mean[0], mean[1], mean[2], covariance, points, at)
    else:
        centre, side = (numbers[3, depth], numbers[4, depth], numbers[5, depth]), 1.0 / (1 << order)
        four_around(order, places[2, depth], centre, _GAUSS * side, points, at)


@inner(error_model="numpy")
def _add_cells(prepared, row, values, cells, count, sums, first, second):  # type: ignore[no-untyped-def]
    """Add what cells give to the sums of a group, and return it."""
    points, weights, indices = cells
    x, y, z = points[0], points[1], points[2]
    total = 0.0
    for k in range(count):
        given = 0.0
        for p in range(4 * k, 4 * k + 4):
            values[p] *= 0.25 * weights[k]
            given += values[p]
        total += given
        index = indices[k]
        if index >= 0:
            part = given / prepared.cell_shares[index, row]
            for n in range(5):
                sums[n] += prepared.cell_shares[index, n] * part
        else:
            part = given / prepared.shares[-1 - index, row]
            for n in range(5):
                sums[n] += prepared.shares[-1 - index, n] * part
    m0 = m1 = m2 = xx = yy = zz = xy = xz = yz = 0.0
    for p in range(4 * count):
        a, b, c = values[p] * x[p], values[p] * y[p], values[p] * z[p]
        m0 += a
        m1 += b
        m2 += c
        xx += a * x[p]
        yy += b * y[p]
        zz += c * z[p]
        xy += a * y[p]
        xz += a * z[p]
        yz += b * z[p]
    first[0] += m0
    first[1] += m1
    first[2] += m2
    second[0] += xx
    second[1] += yy
    second[2] += zz
    second[3] += xy
    second[4] += xz
    second[5] += yz
    return total
