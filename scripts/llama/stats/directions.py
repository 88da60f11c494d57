"""Directions at which mixtures of triggers are summed: the map's base, finer near the triggers."""

import math

import numpy as np

from llama.stats.compiled import njit
from llama.stats.components import evaluate, most_beyond
from llama.stats.healpix import RADIUS, sphere_point, tile_position
from llama.stats.mesh import BLOCKS, cell_side, four_of_cell, four_of_tile, push_parts

# side of a cell over its distance from a trigger, at most: of one tile, of many with uneven weights
_GRADED, _GRADED_MANY = 0.6, 0.4
_PASSED_OVER = 3e-4  # what one cell need not be refined for, relative to the sum
# error of a cell whose densities differ by ln 2.7, of one tile and of many; and what is borne
_STEEP, _STEEP_MANY = 0.01, 0.03
_BORNE = 2e-3  # relative to the sum
_STACK, _LEVELS = 512, 40
_FINEST = 24  # order


@njit()
def directions_of(prepared, triggers, ready, found, sums):  # type: ignore[no-untyped-def]
    """Return directions: weights (5, points), densities (n, points), first of blocks.

    Of the base, and of cells that were refined, where densities of the base are 0. triggers:
    messengers, spreads as of `sets.sum_joint_sets`, vectors; ready: of `sort_components`; found:
    densities at the base; sums: what each trigger gives alone as far as it is known, which is
    changed. Cells are refined near a trigger until they are fine enough for its components, and
    where densities are steep, unless what they could give is nothing to any sum.
    """
    messenger, spread, vectors = triggers
    n, base = vectors.shape[0], prepared.base.shape[0]
    found = found.copy()
    near, narrowest = _near_triggers(prepared, messenger, vectors, ready, found, sums)
    known = np.empty((5, 1024)), np.empty((n, 1024))
    first, starts = np.zeros(BLOCKS + 1, dtype=np.int64), np.zeros(BLOCKS + 1, dtype=np.int64)
    room = (
        np.empty((_STACK, 4), dtype=np.int64),
        np.empty((_LEVELS, n), dtype=np.int64),
        np.zeros(_LEVELS, dtype=np.int64),
        np.ones(_LEVELS),
    )
    count, block = 0, 0
    for b in range(base):
        while block <= prepared.base[b, 3]:
            first[block], starts[block] = 4 * b, count
            block += 1
        size, others, steep = 0, 1.0, False
        four = found[:, 4 * b : 4 * b + 4]
        for i in range(n):
            if near[b, i]:
                room[1][0, size] = i
                size += 1
                continue
            others *= max(1.0, four[i].max() / spread[i])
            row = 1 if messenger[i] == 0 else 0
            weight = prepared.base_weights[row, 4 * b : 4 * b + 4].sum()
            steep = steep or _is_steep(prepared.base[b, 0], weight, four[i], sums[i])
        if size == 0 and not steep:
            continue
        room[2][0], room[3][0] = size, others
        before = count
        known, count = _refine(prepared, b, steep, triggers, ready, narrowest, sums, known, count, room)
        if count > before:
            four[:] = 0.0
    while block <= BLOCKS:
        first[block], starts[block] = 4 * base, count
        block += 1
    finer = known[0][:, :count], known[1][:, :count], starts
    return (prepared.base_weights, found, first), finer


@njit()
def _near_triggers(prepared, messenger, vectors, ready, found, sums):  # type: ignore[no-untyped-def]
    """Return where cells of the base are too near to triggers (b, n), and the least `reach` (n,).

    All other cells are added to sums that are not known.
    """
    numbers, reach = ready[0], ready[4]
    n, base = vectors.shape[0], prepared.base.shape[0]
    near, narrowest = np.zeros((base, n), dtype=np.bool_), np.full(n, math.inf)
    for i in range(n):
        for c in range(numbers[i]):
            narrowest[i] = min(narrowest[i], reach[i, c])
        weights = prepared.base_weights[1 if messenger[i] == 0 else 0]
        total = 0.0
        for b in range(base):
            side = cell_side(prepared.base[b, 1])
            dx = prepared.base_centres[b, 0] - vectors[i, 0]
            dy = prepared.base_centres[b, 1] - vectors[i, 1]
            dz = prepared.base_centres[b, 2] - vectors[i, 2]
            graded = side / (_GRADED if prepared.base[b, 0] < 0 else _GRADED_MANY)
            if side > narrowest[i] and graded * graded > dx * dx + dy * dy + dz * dz:
                near[b, i] = True
                continue
            for p in range(4 * b, 4 * b + 4):
                total += weights[p] * found[i, p]
        sums[i] = max(sums[i], total)
    return near, narrowest


@njit(inline="always")
def _is_steep(index, weight, four, total):  # type: ignore[no-untyped-def]
    """Return whether densities at the four directions differ too much for what the cell gives."""
    low, high = min(four[0], four[1]), max(four[0], four[1])
    low, high = min(low, four[2]), max(high, four[2])
    low, high = min(low, four[3]), max(high, four[3])
    given = weight * high
    if given <= _BORNE * total:
        return False
    off = math.log(max(low / high, 1e-4))
    off *= off * (_STEEP if index < 0 else _STEEP_MANY)
    return given * min(off, 1.0) > _BORNE * total


@njit()
def _refine(prepared, b, steep, triggers, ready, narrowest, sums, known, count, room):  # type: ignore[no-untyped-def]
    """Add directions of a cell of the base to those known; none if the base is fine enough.

    steep: whether it is too steep there; room: the first list is of triggers that it is too near
    to, with what others give.
    """
    messenger, _, vectors = triggers
    weights, densities = known
    stack, lists, sizes, hot = room
    n = vectors.shape[0]
    tree = prepared.order, prepared.ipix, prepared.cells
    points = np.empty((4, 3))
    stack[0, 0], stack[0, 1], stack[0, 2] = prepared.base[b, :3]
    stack[0, 3] = 0
    depth = 1
    while depth > 0:
        depth -= 1
        index, order, ipix, level = stack[depth]
        k, parts = -1 - index, 1
        if index < 0:
            parts = 1 << (2 * (order - np.int64(prepared.order[k])))
        divided, left, others = False, 0, hot[level]
        may = order < _FINEST and level + 1 < _LEVELS
        if may and sizes[level] > 0:
            left, others = _too_coarse(
                prepared, index, order, ipix, parts, level, triggers, ready, narrowest, sums, room
            )
            divided = left > 0
        if level == 0 and not divided:
            if not steep:
                return (weights, densities), count
            divided = True
        if not divided:
            if index < 0:
                given = prepared.weights[:, k]
            else:
                given = prepared.moments[:, index, 0]
            if given[0] == 0.0 and given[1] == 0.0:
                continue
            if count + 4 > weights.shape[1]:
                weights = np.concatenate((weights, np.empty_like(weights)), axis=1)
                densities = np.concatenate((densities, np.empty_like(densities)), axis=1)
            mine = weights[:, count : count + 4]
            if index >= 0:
                four_of_cell(prepared.moments, index, points, mine, 0)
            else:
                four_of_tile(prepared.weights, k, parts, order, ipix, points, mine, 0)
            for i in range(n):
                four = densities[i, count : count + 4]
                evaluate(ready, i, vectors[i], points, four)
                row = 1 if messenger[i] == 0 else 0
                divided = divided or _is_steep(index, given[row] / parts, four, sums[i])
            if not (divided and may):
                count += 4
                continue
            left, others = 0, hot[level]
        sizes[level + 1], hot[level + 1] = left, others
        top = push_parts(tree, index, order, ipix, stack, depth)
        for place in range(depth, top):
            stack[place, 3] = level + 1
        depth = top
    return (weights, densities), count


@njit(inline="always")
def _too_coarse(prepared, index, order, ipix, parts, level, triggers, ready, narrowest, sums, room):  # type: ignore[no-untyped-def]
    """Write the triggers that a cell is too coarse for into the next list.

    Return their number, 0 if nothing that they could give there counts, and what others give.
    """
    messenger, spread, vectors = triggers
    _, lists, sizes, hot = room
    side = cell_side(order)
    if index >= 0:
        t0, t1, t2 = prepared.cell_vectors[index]
    elif parts == 1:
        t0, t1, t2 = prepared.vectors[-1 - index]
    else:
        face, x, y = tile_position(order, ipix)
        t0, t1, t2 = sphere_point(face, x, y)
    graded = side / (_GRADED if index < 0 else _GRADED_MANY)
    many, matters = messenger.size > 1, False
    left, product, others = 0, 1.0, hot[level]
    for at in range(sizes[level]):
        i = lists[level, at]
        dx, dy, dz = t0 - vectors[i, 0], t1 - vectors[i, 1], t2 - vectors[i, 2]
        chord2 = dx * dx + dy * dy + dz * dz
        if side <= narrowest[i] or graded * graded <= chord2:
            if many:
                near = max(0.0, math.sqrt(chord2) - RADIUS / (1 << order))
                others *= max(1.0, most_beyond(i, ready, near) / spread[i])
            continue
        near = max(0.0, math.sqrt(chord2) - RADIUS / (1 << order))
        most = most_beyond(i, ready, near, side)
        row = 1 if messenger[i] == 0 else 0
        if index >= 0:
            weight = prepared.moments[row, index, 0]
        else:
            weight = prepared.weights[row, -1 - index] / parts
        lists[level + 1, left] = i
        left += 1
        matters = matters or weight * most > _PASSED_OVER * sums[i]
        product *= max(1.0, most / spread[i])
    if not matters and many:
        heaviest = every = 0.0
        for row in range(5):
            if index >= 0:
                heaviest = max(heaviest, prepared.moments[row, index, 0])
            else:
                heaviest = max(heaviest, prepared.weights[row, -1 - index] / parts)
        for i in range(messenger.size):
            every += sums[i] / spread[i]
        matters = heaviest * product * others > _PASSED_OVER * every
    return left if matters else 0, others
