"""Directions at which the mixtures of an event's triggers are summed: the base, and finer ones."""

import math

import numpy as np

from llama.stats.compiled import njit
from llama.stats.components import densities, most_in, turned_in
from llama.stats.healpix import RADIUS, sphere_point, tile_position
from llama.stats.mesh import BLOCKS, cell_side, four_of_cell, four_of_tile, push_parts

# side of a cell over its distance from a trigger, at most: of one tile, of many with uneven weights
_GRADED, _GRADED_MANY = 0.6, 0.4
_PASSED_OVER = 3e-4  # what one cell need not be refined for, relative to the sum
_EVEN = 0.3  # change of ln R within a cell that does no harm, R: the response over declinations
_UNEVEN_ONE, _UNEVEN_ALL = 0.08, 0.4  # of the sum, times this change: one, and all others
_STACK, _LEVELS = 512, 40
_FINEST = 24  # order


@njit()
def _base_too_coarse(prepared, messenger, vectors, ready, found):  # type: ignore[no-untyped-def]
    """Return where cells of the base are too coarse for triggers (b, n), and sums without these.

    For components, or because R is uneven there; but cells of the latter kind that together give
    little stay. Also the most that one of these may give, and the least `reach` (n,).
    """
    numbers, reach = ready[0], ready[4]
    n, base = vectors.shape[0], prepared.base.shape[0]
    coarse = np.zeros((base, n), dtype=np.bool_)
    sums, small, narrowest = np.zeros(n), np.zeros(n), np.full(n, math.inf)
    bounds, given = np.zeros(base), np.zeros(base)
    for i in range(n):
        for c in range(numbers[i]):
            narrowest[i] = min(narrowest[i], reach[i, c])
        row = 1 if messenger[i] == 0 else 0
        for b in range(base):
            given[b] = 0.0
            for p in range(4 * b, 4 * b + 4):
                given[b] += prepared.base_weights[row, p] * found[i, p]
        _base_bounds(prepared, i, row, vectors[i], ready, narrowest[i], bounds)
        for b in range(base):
            if bounds[b] < math.inf:
                sums[i] += given[b]
        small[i] = _UNEVEN_ONE * sums[i]
        while _sum_up_to(bounds, small[i]) > _UNEVEN_ALL * sums[i]:
            small[i] *= 0.25
        for b in range(base):
            coarse[b, i] = bounds[b] > small[i]
    return coarse, sums, small, narrowest


@njit()
def _base_bounds(prepared, i, row, v, ready, narrowest, bounds):  # type: ignore[no-untyped-def]
    """Write the most that cells can give a trigger in which R is uneven; 0 for even ones.

    Infinity for cells that are too coarse for its components.
    """
    turns = ready[5][i]
    for b in range(bounds.size):
        bounds[b] = 0.0
        side, z = cell_side(prepared.base[b, 1]), prepared.base_centres[b, 2]
        dx, dy = prepared.base_centres[b, 0] - v[0], prepared.base_centres[b, 1] - v[1]
        chord2 = dx * dx + dy * dy + (z - v[2]) ** 2
        graded = _GRADED if prepared.base[b, 0] < 0 else _GRADED_MANY
        if side > narrowest and side * side > graded * graded * chord2:
            bounds[b] = math.inf
            continue
        turned = turned_in(turns, z, side)
        if turned > _EVEN:
            near = max(0.0, math.sqrt(chord2) - 0.7072 * side)
            for p in range(4 * b, 4 * b + 4):
                bounds[b] += prepared.base_weights[row, p]
            bounds[b] *= min(turned, 2.0) * most_in(i, ready, near, z, side, False)


@njit()
def _sum_up_to(bounds, small):  # type: ignore[no-untyped-def]
    total = 0.0
    for bound in bounds:
        if bound <= small:
            total += bound
    return total


@njit()
def event_directions(prepared, messenger, spread, vectors, ready):  # type: ignore[no-untyped-def]
    """Return directions of triggers: weights (5, points), densities (n, points), first of blocks.

    Of the base, and of cells that were refined, where densities of the base are 0. messenger,
    spread, vectors: as of `sets.sum_joint_sets`; ready: of `sort_components`. Cells are refined
    near a trigger until they are fine enough for its components, and where the response R is
    uneven, unless what they could give is nothing to any sum.
    """
    n, base = vectors.shape[0], prepared.base.shape[0]
    found = densities(ready, vectors, prepared.base_points)
    coarse, sums, small, narrowest = _base_too_coarse(prepared, messenger, vectors, ready, found)
    every = (sums / spread).sum()
    triggers = messenger, spread, vectors, sums, small, every, narrowest
    points, weights = np.empty((256, 3)), np.empty((5, 256))
    first, starts = np.zeros(BLOCKS + 1, dtype=np.int64), np.zeros(BLOCKS + 1, dtype=np.int64)
    lists = np.empty(n, dtype=np.int64)
    count, block = 0, 0
    for b in range(base):
        while block <= prepared.base[b, 3]:
            first[block], starts[block] = 4 * b, count
            block += 1
        size = 0
        for i in range(n):
            if coarse[b, i]:
                lists[size] = i
                size += 1
        if size == 0:
            continue
        others = 1.0
        for i in range(n):
            if not coarse[b, i]:
                top = 0.0
                for p in range(4 * b, 4 * b + 4):
                    top = max(top, found[i, p])
                others *= max(1.0, top / spread[i])
        before = count
        points, weights, count = _refine(
            prepared, b, lists[:size], others, triggers, ready, (points, weights, count)
        )
        if count > before:
            found[:, 4 * b : 4 * b + 4] = 0.0
    while block <= BLOCKS:
        first[block], starts[block] = 4 * base, count
        block += 1
    finer = densities(ready, vectors, points[:count])
    return (prepared.base_weights, found, first), (weights[:, :count], finer, starts)


@njit()
def _refine(prepared, b, candidates, others, triggers, ready, known):  # type: ignore[no-untyped-def]
    """Add directions of a cell of the base to those known; none if the base is fine enough.

    candidates: triggers that it is too coarse for; others: the most that all others can give.
    """
    points, weights, count = known
    stack = np.empty((_STACK, 4), dtype=np.int64)
    lists = np.empty((_LEVELS, candidates.size), dtype=np.int64)
    sizes, hot = np.zeros(_LEVELS, dtype=np.int64), np.ones(_LEVELS)
    lists[0], sizes[0], hot[0] = candidates, candidates.size, others
    tree = prepared.order, prepared.ipix, prepared.cells
    stack[0, 0], stack[0, 1], stack[0, 2] = prepared.base[b, :3]
    stack[0, 3] = 0
    depth = 1
    while depth > 0:
        depth -= 1
        index, order, ipix, level = stack[depth]
        k, parts = -1 - index, 1
        if index < 0:
            parts = 1 << (2 * (order - np.int64(prepared.order[k])))
            given = prepared.weights[:, k]
        else:
            given = prepared.moments[:, index, 0]
        left = 0
        if sizes[level] > 0 and order < _FINEST and level + 1 < _LEVELS:
            some = lists[level, : sizes[level]]
            left, hot[level + 1] = _too_coarse(
                (index, order, ipix, given, parts),
                some,
                hot[level],
                triggers,
                ready,
                lists[level + 1],
            )
            sizes[level + 1] = left
        if left > 0:
            top = push_parts(tree, index, order, ipix, stack, depth)
            for place in range(depth, top):
                stack[place, 3] = level + 1
            depth = top
            continue
        if level == 0:
            return points, weights, count
        if given[0] == 0.0 and given[1] == 0.0:
            continue
        if count + 4 > points.shape[0]:
            points = np.concatenate((points, np.empty_like(points)))
            weights = np.concatenate((weights, np.empty_like(weights)), axis=1)
        if index >= 0:
            four_of_cell(prepared.moments, index, points, weights, count)
        else:
            four_of_tile(prepared.weights, k, parts, order, ipix, points, weights, count)
        count += 4
    return points, weights, count


@njit()
def _too_coarse(cell, candidates, others, triggers, ready, left):  # type: ignore[no-untyped-def]
    """Write the triggers that a cell is too coarse for; return their number and what others give.

    0 if nothing that they could give there counts.
    """
    index, order, ipix, given, parts = cell
    graded = _GRADED if index < 0 else _GRADED_MANY
    messenger, spread, vectors, sums, small, every, narrowest = triggers
    side = cell_side(order)
    face, x, y = tile_position(order, ipix)
    t0, t1, t2 = sphere_point(face, x, y)
    count, product, matters = 0, 1.0, False
    for i in candidates:
        dx, dy, dz = t0 - vectors[i, 0], t1 - vectors[i, 1], t2 - vectors[i, 2]
        chord = math.sqrt(dx * dx + dy * dy + dz * dz)
        near = max(0.0, chord - RADIUS / (1 << order))
        row = 1 if messenger[i] == 0 else 0
        weight = given[row] / parts
        fine = side <= max(narrowest[i], graded * chord)
        turned = turned_in(ready[5][i], t2, side)
        uneven = turned > _EVEN
        most = 0.0
        if uneven or fine:
            most = most_in(i, ready, near, t2, side, False)
        if uneven:
            uneven = weight * most * min(turned, 2.0) > small[i]
        if fine and not uneven:
            others *= max(1.0, most / spread[i])
            continue
        if not uneven:
            most = most_in(i, ready, near, t2, side, True)
        left[count] = i
        count += 1
        matters = matters or uneven or weight * most > _PASSED_OVER * sums[i]
        product *= max(1.0, most / spread[i])
    if not matters and given.max() / parts * product * others <= _PASSED_OVER * every:
        return 0, others
    return count, others
