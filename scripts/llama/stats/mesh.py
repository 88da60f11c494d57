"""Directions at which wide densities of all triggers are summed, with the map's weights there.

Four in each HEALPix cell, which have the mean and the covariance of the weight in it. The same
directions serve all sets of an event.
"""

import math

import numpy as np

from llama.stats.compiled import inner, njit
from llama.stats.healpix import RING, sphere_angles, sphere_point, tile_position

BANDS = 100  # of sin(dec), by which the directions are sorted
_SIDE = math.sqrt(math.pi / 3.0)  # of a cell of order 0 [rad]
# order of a cell of the base, by its part of the weight
_BASE = ((3, 1e-4), (4, 6e-3))
_BASE_FINEST = 5
_GAUSS = 0.5 / math.sqrt(3.0)
_STACK = 512


@njit(inline="always")
def cell_side(order):  # type: ignore[no-untyped-def]
    """Return the side [rad] of a cell."""
    return _SIDE / (1 << order)


@inner()
def four_with(x, y, z, covariance, points, at):  # type: ignore[no-untyped-def]
    """Write four directions with this mean (or a multiple) and covariance from `at` on.

    covariance: xx, yy, zz, xy, xz, yz. Return what shifts their mean: the axes and steps.
    """
    xx, yy, zz, xy, xz, yz = covariance
    length = math.sqrt(x * x + y * y + z * z)
    x, y, z = x / length, y / length, z / length
    s = math.hypot(x, y)
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
        length = math.sqrt(p_x * p_x + p_y * p_y + p_z * p_z)
        points[at + k, 0], points[at + k, 1] = p_x / length, p_y / length
        points[at + k, 2] = p_z / length
    return (east_x, east_y), (north_x, north_y, north_z), (l_e, l_b, l_n)


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


@inner()
def four_around(face, x, y, side, points, at):  # type: ignore[no-untyped-def]
    """Write the four directions at x -+ side, y -+ side of a face from `at` on, as in NESTED."""
    ring = RING[face] - x - y
    if abs(ring - 2.0) + 2.0 * side < 1.0:  # no polar cap, where right ascensions are bent
        z, _, phi = sphere_angles(face, x, y)
        cos, sin = math.cos(phi), math.sin(phi)
        up, turn = 4.0 / 3.0 * side, 0.5 * math.pi * side
        points[at] = _turned(z - up, cos, sin, 0.0)
        points[at + 1] = _turned(z, cos, sin, turn)
        points[at + 2] = _turned(z, cos, sin, -turn)
        points[at + 3] = _turned(z + up, cos, sin, 0.0)
        return
    points[at] = sphere_point(face, x - side, y - side)
    points[at + 1] = sphere_point(face, x + side, y - side)
    points[at + 2] = sphere_point(face, x - side, y + side)
    points[at + 3] = sphere_point(face, x + side, y + side)


@inner()
def four_of_tile(prepared_weights, k, parts, order, ipix, points, weights, at):  # type: ignore[no-untyped-def]
    """The same for a tile k or one of its `parts`, which is the NESTED pixel `ipix` of `order`."""
    face, x, y = tile_position(order, ipix)
    four_around(face, x, y, _GAUSS / (1 << order), points, at)
    for n in range(5):
        for p in range(at, at + 4):
            weights[n, p] = 0.25 * prepared_weights[n, k] / parts


@inner()
def _largest_share(order, weights, moments, sums, index, o):  # type: ignore[no-untyped-def]
    """Return the largest part that a cell, or (a part of) a tile, has of one of the weights."""
    share = 0.0
    for n in range(5):
        if index >= 0:
            part = moments[n, index, 0]
        else:
            k = -1 - index
            part = weights[n, k] / (1 << (2 * (o - np.int64(order[k]))))
        share = max(share, part / sums[n])
    return share


@njit()
def build_base(order, ipix, weights, cells, faces, moments):  # type: ignore[no-untyped-def]
    """Return directions (4, n) of a map, their weights (5, n), and where bands begin (`BANDS` + 1).

    x, y, z, and the part of the band of sin(dec) that is south of it; sorted by bands.
    """
    sums = np.zeros(5)
    for n in range(5):
        sums[n] = max(weights[n].sum(), 1e-300)
    points, given = np.empty((4096, 3)), np.empty((5, 4096))
    stack = np.empty((_STACK, 3), dtype=np.int64)
    tree = order, ipix, cells
    count = depth = 0
    for c in range(faces - 1, -1, -1):
        stack[depth] = c, 0, ipix[cells[c, 1]] >> (2 * np.int64(order[cells[c, 1]]))
        depth += 1
    while depth > 0:
        depth -= 1
        index, o, pixel = stack[depth]
        share = _largest_share(order, weights, moments, sums, index, o)
        if share == 0.0:
            continue
        fine = o >= _BASE_FINEST
        for least, most in _BASE:
            fine = fine or (o >= least and share < most)
        if fine:
            if 4 * count == points.shape[0]:
                points = np.concatenate((points, np.empty_like(points)))
                given = np.concatenate((given, np.empty_like(given)), axis=1)
            if index >= 0:
                four_of_cell(moments, index, points, given, 4 * count)
            else:
                k = -1 - index
                parts = 1 << (2 * (o - np.int64(order[k])))
                four_of_tile(weights, k, parts, o, pixel, points, given, 4 * count)
            count += 1
            continue
        depth = push_parts(tree, index, o, pixel, stack, depth)
    count *= 4
    return _by_bands(points[:count], given[:, :count])


@inner()
def _by_bands(points, given):  # type: ignore[no-untyped-def]
    count = points.shape[0]
    bands = np.zeros(BANDS + 1, dtype=np.int64)
    base, sorted_given = np.empty((4, count)), np.empty((5, count))
    for p in range(count):
        bands[min(int(0.5 * BANDS * (points[p, 2] + 1.0)), BANDS - 1) + 1] += 1
    for band in range(BANDS):
        bands[band + 1] += bands[band]
    filled = bands.copy()
    for p in range(count):
        position = 0.5 * BANDS * (points[p, 2] + 1.0)
        band = min(int(position), BANDS - 1)
        at = filled[band]
        filled[band] += 1
        for axis in range(3):
            base[axis, at] = points[p, axis]
        base[3, at] = position - band
        for n in range(5):
            sorted_given[n, at] = given[n, p]
    return base, sorted_given, bands


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
