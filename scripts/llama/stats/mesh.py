"""Directions at which wide densities of all triggers are summed, with the map's weights there.

Four in each HEALPix cell, which have the mean and the covariance of the weight in it. The same
directions serve all sets of an event.
"""

import numpy as np

from llama.stats.compiled import inner, njit
from llama.stats.directions import four_of_cell, four_of_tile, push_parts

BANDS = 200  # of sin(dec), by which the directions are sorted
# order of a cell of the base, by its part of the weight
_BASE = ((4, 1.5e-3), (5, 6e-3))
_BASE_FINEST = 6
_STACK = 512
_LANES = 16  # numbers that a processor may do at a time


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
    points, given = np.empty((3, 4096)), np.empty((5, 4096))
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
            if 4 * count == points.shape[1]:
                points = np.concatenate((points, np.empty_like(points)), axis=1)
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
    return _by_bands(points[:, :count], given[:, :count])


@inner()
def _by_bands(points, given):  # type: ignore[no-untyped-def]
    bands = np.zeros(BANDS + 1, dtype=np.int64)
    for p in range(points.shape[1]):
        bands[min(int(0.5 * BANDS * (points[2, p] + 1.0)), BANDS - 1) + 1] += 1
    for band in range(BANDS):  # no loop over a band has a remainder
        bands[band + 1] = bands[band] + -(-bands[band + 1] // _LANES) * _LANES
    base = np.zeros((4, bands[BANDS]), dtype=np.float32)
    sorted_given = np.zeros((5, bands[BANDS]), dtype=np.float32)
    filled = bands.copy()
    for p in range(points.shape[1]):
        position = 0.5 * BANDS * (points[2, p] + 1.0)
        band = min(int(position), BANDS - 1)
        at = filled[band]
        filled[band] += 1
        for axis in range(3):
            base[axis, at] = points[axis, p]
        base[3, at] = position - band
        for n in range(5):
            sorted_given[n, at] = given[n, p]
    return base, sorted_given, bands
