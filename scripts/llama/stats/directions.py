"""Four directions that stand for a cell or tile: with the mean and covariance of its weight."""

import math

import numpy as np

from llama.stats.compiled import inner, loop, njit
from llama.stats.healpix import RING, sphere_point, tile_position

_GAUSS = 0.5 / math.sqrt(3.0)
LEAST = 1e-290  # what counts as nothing at all: maps have probabilities of 1e-323


@loop()
def four_with(x, y, z, covariance, points, at):  # type: ignore[no-untyped-def]
    """Write four directions with this mean (or a multiple) and covariance from `at` on.

    points (3, n); covariance: xx, yy, zz, xy, xz, yz. Return what shifts their mean: axes, steps.
    """
    xx, yy, zz, xy, xz, yz = covariance
    scale = 1.0 / math.sqrt(x * x + y * y + z * z)
    x, y, z = scale * x, scale * y, scale * z
    s = math.sqrt(x * x + y * y)
    east_x, east_y = (-y / s, x / s) if s > 0.0 else (1.0, 0.0)
    north_x, north_y, north_z = -z * east_y, z * east_x, x * east_y - y * east_x
    # the covariance in the plane, as a product of triangular matrices
    ce_x, ce_y, ce_z = (
        xx * east_x + xy * east_y,
        xy * east_x + yy * east_y,
        xz * east_x + yz * east_y,
    )
    cn_x = xx * north_x + xy * north_y + xz * north_z
    cn_y = xy * north_x + yy * north_y + yz * north_z
    cn_z = xz * north_x + yz * north_y + zz * north_z
    l_e = math.sqrt(max(1e-30, east_x * ce_x + east_y * ce_y))
    l_b = (north_x * ce_x + north_y * ce_y + north_z * ce_z) / l_e
    l_n = math.sqrt(max(1e-30, north_x * cn_x + north_y * cn_y + north_z * cn_z - l_b * l_b))
    for k in range(4):
        e = l_e if k < 2 else -l_e
        f = (l_b if k < 2 else -l_b) + (l_n if k % 2 == 0 else -l_n)
        p_x = x + e * east_x + f * north_x
        p_y = y + e * east_y + f * north_y
        p_z = z + f * north_z
        scale = 1.0 / math.sqrt(p_x * p_x + p_y * p_y + p_z * p_z)
        points[0, at + k], points[1, at + k] = scale * p_x, scale * p_y
        points[2, at + k] = scale * p_z
    return (east_x, east_y), (north_x, north_y, north_z), (l_e, l_b, l_n)


@loop()
def add_four(groups, group, points, weights, count):  # type: ignore[no-untyped-def]
    """Write four directions of a group from `count` on, if it gives anything; return the next.

    groups (n, 15): what each gives for each number of neutrinos, for the one that decides, and
    this times directions (3) and their products (6); points (3, most) and weights (most, 5).
    """
    one = groups[group, 5]
    if one <= LEAST:
        return count
    x, y, z = groups[group, 6] / one, groups[group, 7] / one, groups[group, 8] / one
    covariance = (
        groups[group, 9] / one - x * x,
        groups[group, 10] / one - y * y,
        groups[group, 11] / one - z * z,
        groups[group, 12] / one - x * y,
        groups[group, 13] / one - x * z,
        groups[group, 14] / one - y * z,
    )
    four_with(x, y, z, covariance, points, count)
    for p in range(count, count + 4):
        for n in range(5):
            weights[p, n] = 0.25 * groups[group, n]
    return count + 4


@inner()
def four_of_cell(moments, cell, points, weights, at):  # type: ignore[no-untyped-def]
    """Write four directions of a cell of the tree, and the weights (5) of each, from `at` on.

    moments: (5, cells, 10). Mean and covariance are those of the first neutrino's weight; for
    other numbers of neutrinos the mean is.
    """
    row = 1 if moments[1, cell, 0] > 0.0 else 0
    m = moments[row, cell]
    covariance = m[4], m[5], m[6], m[7], m[8], m[9]
    east, north, steps = four_with(m[1], m[2], m[3], covariance, points, at)
    l_e, l_b, l_n = steps
    for n in range(5):
        o = moments[n, cell]
        a = b = 0.0
        if n != row and o[0] > 0.0:
            dx, dy, dz = o[1] - m[1], o[2] - m[2], o[3] - m[3]
            a = (dx * east[0] + dy * east[1]) / l_e
            b = (dx * north[0] + dy * north[1] + dz * north[2] - l_b * a) / l_n
            most = abs(a) + abs(b)
            if most > 1.0:
                a, b = a / most, b / most
        quarter = 0.25 * o[0]
        weights[n, at] = quarter * (1.0 + a + b)
        weights[n, at + 1] = quarter * (1.0 + a - b)
        weights[n, at + 2] = quarter * (1.0 - a + b)
        weights[n, at + 3] = quarter * (1.0 - a - b)


@njit(inline="always")
def _turned(z, cos, sin, by):  # type: ignore[no-untyped-def]
    """Return the unit vector at z = sin(dec) whose right ascension is further by a small angle."""
    s = math.sqrt(max(0.0, (1.0 - z) * (1.0 + z)))
    square = by * by
    c = 1.0 - square * (0.5 - square * (1.0 / 24.0 - square / 720.0))
    d = by * (1.0 - square * (1.0 / 6.0 - square * (1.0 / 120.0 - square / 5040.0)))
    return s * (cos * c - sin * d), s * (sin * c + cos * d), z


@njit(inline="always")
def _put(points, at, vector):  # type: ignore[no-untyped-def]
    points[0, at], points[1, at], points[2, at] = vector


@loop()
def four_around(order, ipix, centre, side, points, at):  # type: ignore[no-untyped-def]
    """Write the four directions at x -+ side, y -+ side in a tile from `at` on, as in NESTED.

    centre: three numbers, the tile's; side: of the face, whose own is 1; points (3, n).
    """
    c_x, c_y, z = centre
    if 1.5 * abs(z) + 2.0 * side < 1.0:  # no polar cap, where right ascensions are bent
        s = math.sqrt((1.0 - z) * (1.0 + z))
        cos, sin = c_x / s, c_y / s
        up, turn = 4.0 / 3.0 * side, 0.5 * math.pi * side
        _put(points, at, _turned(z - up, cos, sin, 0.0))
        _put(points, at + 1, _turned(z, cos, sin, turn))
        _put(points, at + 2, _turned(z, cos, sin, -turn))
        _put(points, at + 3, _turned(z + up, cos, sin, 0.0))
        return
    face, x, y = tile_position(order, ipix)
    ring = RING[face] - x - y
    r, south = min(ring, 4.0 - ring), 1.0 if ring > 2.0 else -1.0
    if 20.0 * side < r < 1.0 - 2.0 * side:  # in a polar cap, not at the pole
        s = math.sqrt(c_x * c_x + c_y * c_y)
        for k in range(4):
            dx, dy = side if k % 2 else -side, side if k > 1 else -side
            at_r = r + south * (dx + dy)
            turn = 0.25 * math.pi * ((x - y + dx - dy) / at_r - (x - y) / r)
            up = south * (at_r * at_r / 3.0 - 1.0)
            _put(points, at + k, _turned(up, c_x / s, c_y / s, turn))
        return
    _put(points, at, sphere_point(face, x - side, y - side))
    _put(points, at + 1, sphere_point(face, x + side, y - side))
    _put(points, at + 2, sphere_point(face, x - side, y + side))
    _put(points, at + 3, sphere_point(face, x + side, y + side))


@inner()
def four_of_tile(prepared_weights, k, parts, order, ipix, points, weights, at):  # type: ignore[no-untyped-def]
    """The same for a tile k or one of its `parts`, which is the NESTED pixel `ipix` of `order`."""
    face, x, y = tile_position(order, ipix)
    centre = sphere_point(face, x, y)
    four_around(order, ipix, centre, _GAUSS / (1 << order), points, at)
    for n in range(5):
        for p in range(at, at + 4):
            weights[n, p] = 0.25 * prepared_weights[n, k] / parts


@inner()
def push_parts(tree, index, o, pixel, stack, depth):  # type: ignore[no-untyped-def]
    """Put the parts of a cell or tile on the stack, the first on top; return its new depth."""
    order, ipix, cells = tree
    if index < 0:
        for part in range(3, -1, -1):
            stack[depth, 0], stack[depth, 1], stack[depth, 2] = index, o + 1, 4 * pixel + part
            depth += 1
    elif cells[index, 4] > 0:
        for c in range(cells[index, 3] + cells[index, 4] - 1, cells[index, 3] - 1, -1):
            k = cells[c, 1]
            child = ipix[k] >> (2 * (np.int64(order[k]) - o - 1))
            stack[depth, 0], stack[depth, 1], stack[depth, 2] = c, o + 1, child
            depth += 1
    else:
        for k in range(cells[index, 2] - 1, cells[index, 1] - 1, -1):
            stack[depth, 0], stack[depth, 2] = -1 - k, ipix[k]
            stack[depth, 1] = order[k]
            depth += 1
    return depth
