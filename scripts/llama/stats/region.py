"""What a map leaves of a narrow density: its sum, and where it is."""

import math

import numpy as np

from llama.stats.compiled import inner, njit
from llama.stats.components import REACH, exp_minus
from llama.stats.healpix import RADIUS, tile_position
from llama.stats.mesh import cell_side, four_around, four_with, push_parts
from llama.stats.tile_average import product_at, response_at

_GROUP = 4  # order of the cells that each have four directions
_FINE = 4.0  # change of the exponent in a cell, squared, for which four directions always do
_COARSE = 1.0  # the same, times the most that a cell can be of the sum
_NOTHING = 3e-4  # what one cell may lack, relative to the sum and what is beside it
_FARTHEST = 700.0  # exponents beyond count as infinite
_FINEST = 28  # order
_LEAST = 1e-290  # below, a sum has no moments: maps have probabilities of 1e-323
_STACK = 512
_GAUSS = 0.5 / math.sqrt(3.0)


@inner()
def region(prepared, row, density, v, beside, known, count):  # type: ignore[no-untyped-def]
    """Add sum_k w_{n,k} <density>_k, for n = 0..4, as directions; return these, and their number.

    row: the n that decides what is nothing; no others are right where its weights are 0. density:
    as `_density` takes it; beside: a sum that this n's is added to. known: `count` directions so
    far, points (most, 3) and weights (most, 5). Four new ones for each cell of order 4, with the
    sum's mean and covariance in it.
    """
    reach, before, most = REACH, count, prepared.heaviest[0, row] * density[1].sum()
    while True:
        known, count, one = _sum(prepared, row, density, v, beside, reach, known, before)
        # what is beyond is nothing, too
        if most * math.exp(-reach) <= _NOTHING * (one + beside) or reach > _FARTHEST:
            return known, count
        reach *= 2.0


@inner()
def _add(sums, first, second, one, known, count):  # type: ignore[no-untyped-def]
    """Add four directions that have these moments to those known."""
    points, weights = known
    if count + 4 > points.shape[0]:
        points = np.concatenate((points, np.empty_like(points)))
        weights = np.concatenate((weights, np.empty_like(weights)))
    m0, m1, m2 = first[0] / one, first[1] / one, first[2] / one
    xx, yy, zz = second[0] / one - m0 * m0, second[1] / one - m1 * m1, second[2] / one - m2 * m2
    xy, xz, yz = second[3] / one - m0 * m1, second[4] / one - m0 * m2, second[5] / one - m1 * m2
    four_with(m0, m1, m2, (xx, yy, zz, xy, xz, yz), points, count)
    for p in range(count, count + 4):
        for n in range(5):
            weights[p, n] = 0.25 * sums[n]
    return (points, weights), count + 4


@njit(inline="always")
def _bounds(density, chord, order, reach):  # type: ignore[no-untyped-def]
    """Return the most that a density can be in a cell; the same of what is too narrow for it."""
    kappas, heights = density[0], density[1]
    near = max(0.0, chord - RADIUS / (1 << order))
    away, side2 = 0.5 * near * near, cell_side(order) ** 2
    most = steep = 0.0
    for c in range(kappas.size):  # the widest first
        exponent = kappas[c] * away
        if exponent > reach:
            break
        here = heights[c] * exp_minus(exponent)
        most += here
        # squares of what the exponent changes by across the cell: its curvature, and its slope
        wide = kappas[c] * side2
        change = wide * wide * (1.0 + (kappas[c] * chord * chord) ** 2 / 100.0)
        if change > _FINE:
            steep += here * min(change, 1e4)
    return most, steep


@njit(inline="always")
def _density(density, away, z, reach):  # type: ignore[no-untyped-def]
    """Return a density: the sum of vMF times a table each, or one vMF times all tables.

    density: kappa (k,) [rad^-2], the most of each vMF times its table, vMF densities at the
    centre, tables on uniform nodes of sin(dec), and whether it is one vMF.
    """
    kappas, _, norms, tables, is_one = density
    if is_one:
        return norms[0] * product_at(tables, z) * exp_minus(kappas[0] * away)
    total = 0.0
    for c in range(kappas.size):
        exponent = kappas[c] * away
        if exponent > reach:
            break
        total += norms[c] * response_at(tables[c], z) * exp_minus(exponent)
    return total


@inner()
def _sum(prepared, row, density, v, beside, reach, known, count):  # type: ignore[no-untyped-def]
    """Do what `region` does where exponents are less than `reach`; return the sum, too.

    The nearest are summed first, and what is far is then nothing beside them.
    """
    sums, first, second = np.zeros(5), np.zeros(3), np.zeros(6)
    one = of_group = 0.0  # the sum so far, and the present cell's; where in the stack that began
    group = _STACK
    # what is left to sum: a cell or -1 - k for (a part of) tile k, with order and NESTED index; the
    # most that it can give, the same of what is too narrow for it, its weight, its centre
    places, numbers = np.empty((_STACK, 3), dtype=np.int64), np.empty((_STACK, 6))
    stack, four = (places, numbers), np.empty((4, 3))
    for c in range(prepared.faces):
        places[c, 0], places[c, 1] = c, 0
        numbers[c, 3:] = prepared.cell_vectors[c]
    depth, top = 0, prepared.faces
    while True:
        nothing = _NOTHING * (one + beside)
        depth = _enter(prepared, row, density, v, nothing, reach, stack, depth, top) - 1
        top = depth
        if depth < group:
            if of_group > _LEAST:
                known, count = _add(sums, first, second, of_group, known, count)
                sums[:], first[:], second[:], of_group = 0.0, 0.0, 0.0, 0.0
            group = _STACK
        if depth < 0:
            return known, count, one
        bound, steep, weight = numbers[depth, 0], numbers[depth, 1], numbers[depth, 2]
        if bound <= nothing:
            continue
        order = places[depth, 1]
        divided = order < _FINEST and steep > _COARSE * (one + beside)
        if group == _STACK and (order >= _GROUP or not divided):
            group = depth
        if divided:
            top = _divide(prepared, stack, depth, four)
            continue
        index = places[depth, 0]
        _four_of(prepared, row, index, order, places[depth, 2], four)
        average = 0.0
        for p in range(4):
            p_x, p_y, p_z = four[p, 0], four[p, 1], four[p, 2]
            dx, dy, dz = p_x - v[0], p_y - v[1], p_z - v[2]
            away = 0.5 * (dx * dx + dy * dy + dz * dz)
            value = 0.25 * _density(density, away, p_z, reach)
            average += value
            given = weight * value
            first[0] += given * p_x
            first[1] += given * p_y
            first[2] += given * p_z
            second[0] += given * p_x * p_x
            second[1] += given * p_y * p_y
            second[2] += given * p_z * p_z
            second[3] += given * p_x * p_y
            second[4] += given * p_x * p_z
            second[5] += given * p_y * p_z
        one += weight * average
        of_group += weight * average
        _add_weights(prepared, row, index, weight, average, sums)


@njit(inline="always")
def _add_weights(prepared, row, index, weight, average, sums):  # type: ignore[no-untyped-def]
    """Add a density's average times the five weights of a cell or (part of) a tile."""
    if index >= 0:
        for n in range(5):
            sums[n] += prepared.cell_shares[index, n] * average
    else:
        part = average * weight / prepared.shares[-1 - index, row]
        for n in range(5):
            sums[n] += prepared.shares[-1 - index, n] * part


@njit(inline="always")
def _enter(prepared, row, density, v, nothing, reach, stack, bottom, top):  # type: ignore[no-untyped-def]
    """Keep what is something of the stack's newest, the nearest on top; return where they end."""
    places, numbers = stack
    depth, nearest, least = bottom, bottom, math.inf
    for new in range(bottom, top):
        index, order = places[new, 0], places[new, 1]
        t0, t1, t2 = numbers[new, 3], numbers[new, 4], numbers[new, 5]
        dx, dy, dz = t0 - v[0], t1 - v[1], t2 - v[2]
        chord = math.sqrt(dx * dx + dy * dy + dz * dz)
        most, steep = _bounds(density, chord, order, reach)
        if most == 0.0:
            continue
        if index >= 0:
            weight = prepared.cell_shares[index, row]
        else:
            k = -1 - index
            weight = prepared.shares[k, row] / (1 << (2 * (order - np.int64(prepared.order[k]))))
        if weight * most <= nothing:
            continue
        if chord < least:
            nearest, least = depth, chord
        places[depth, 0], places[depth, 1], places[depth, 2] = index, order, places[new, 2]
        numbers[depth, 0], numbers[depth, 1] = weight * most, weight * steep
        numbers[depth, 2] = weight
        numbers[depth, 3], numbers[depth, 4], numbers[depth, 5] = t0, t1, t2
        depth += 1
    if nearest < depth - 1:
        for i in range(3):
            swap = places[nearest, i]
            places[nearest, i], places[depth - 1, i] = places[depth - 1, i], swap
        for i in range(6):
            swapped = numbers[nearest, i]
            numbers[nearest, i], numbers[depth - 1, i] = numbers[depth - 1, i], swapped
    return depth


@njit(inline="always")
def _divide(prepared, stack, depth, four):  # type: ignore[no-untyped-def]
    """Put the parts of what is at `depth` there and above, and return where they end."""
    places, numbers = stack
    index, order, ipix = places[depth, 0], places[depth, 1], places[depth, 2]
    if index >= 0:
        tree = prepared.order, prepared.ipix, prepared.cells
        top = push_parts(tree, index, order, ipix, places, depth)
        for new in range(depth, top):
            part = places[new, 0]
            if part >= 0:
                for i in range(3):
                    numbers[new, 3 + i] = prepared.cell_vectors[part, i]
            else:
                for i in range(3):
                    numbers[new, 3 + i] = prepared.vectors[-1 - part, i]
        return top
    face, x, y = tile_position(order, ipix)
    four_around(face, x, y, 0.25 / (1 << order), four, 0)
    for child in range(4):
        new = depth + child
        places[new, 0], places[new, 1], places[new, 2] = index, order + 1, 4 * ipix + child
        for i in range(3):
            numbers[new, 3 + i] = four[child, i]
    return depth + 4


@njit(inline="always")
def _four_of(prepared, row, index, order, ipix, four):  # type: ignore[no-untyped-def]
    """Write the four directions of a cell or (part of) a tile."""
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
        four_with(mean[0], mean[1], mean[2], covariance, four, 0)
    else:
        face, x, y = tile_position(order, ipix)
        four_around(face, x, y, _GAUSS / (1 << order), four, 0)
