"""Overlap of neutrino point-spread functions with a sky map, as exact tile averages.

Tiles can be far wider or far finer than a point-spread function. The tiles hang on a tree of
HEALPix cells. exp(kappa v.Omega) is the exponential of a linear function in space, so that a
cell of many fine tiles is evaluated as a whole, with the mean and the covariance of the weight
in it; where that would not do, the walk goes down to the tiles, and divides those that are
wide or steep. A tile is integrated by Gauss-Legendre points in HEALPix's own equal-area
coordinates. Cells that cannot contribute are passed over by a bound, not by a fixed radius: the
relative accuracy also holds for neutrinos far from the bulk of the map.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.stats.compiled import njit
from llama.stats.healpix import RADIUS, sphere_angles, sphere_point, tile_position, tiles_geometry
from llama.stats.tree import build_tree

Floats = NDArray[np.float64]

_RELATIVE = 1e-6  # what may be left out with one cell, relative to the sum
_SKEWED = 0.01  # variance times range of the exponent in a cell that is taken as a whole
_SKEWED_SUM = 1e-3  # the same, times the cell's share of the sum
_SKEWED_MOST = 0.3  # the same, at most
_COARSEST = 4  # order from which two points along a side follow the detector's response
_WIDE_1, _WIDE_2, _WIDE_3 = 0.1, 1.4, 6.25  # (side / sigma)^2 for one, two, three points a side
_STEEP_1, _STEEP_2, _STEEP_3 = 0.1, 1.5, 10.0  # squared change of the exponent, likewise
_MANY = 10.0  # tiles of the same share whose errors may add up
_STACK = 512  # 12 faces, 48 tiles of a cell, 3 siblings left at each of 29 levels twice
_GAUSS = np.array(
    [
        [-0.28867513459481287, 0.28867513459481287, 0.0],
        [-0.3872983346207417, 0.0, 0.3872983346207417],
    ]
)
_SHARES = np.array([[0.5, 0.5, 0.0], [5 / 18, 8 / 18, 5 / 18]])


class PreparedMap(NamedTuple):
    """A sky map made ready for overlaps: tiles along the NESTED curve, and a tree of cells.

    order, ipix: NESTED tiles; weights: (5, n), w_{n,k}; vectors: centres (n, 3). Cells are
    HEALPix cells that hold tiles first..last-1: cells (m, 5) = order, first, last, first child,
    children; cell_vectors (m, 3); moments (5, m, 10) = weight, mean (3) and covariance (xx, yy,
    zz, xy, xz, yz) of the weight's position in space.
    """

    order: NDArray[np.int8]
    ipix: NDArray[np.int64]
    weights: Floats
    vectors: Floats
    cells: NDArray[np.int64]
    faces: int
    cell_vectors: Floats
    moments: Floats


def prepare_map(order: NDArray[np.int8], ipix: NDArray[np.int64], weights: Floats) -> PreparedMap:
    """Return the map of NESTED tiles with their weights (5, n), ready for `overlap`.

    Tiles are sorted along the NESTED curve. LlamaError for wrong shapes, orders outside
    0..29, indices outside the sphere, tiles that overlap, weights that are negative or not
    finite.
    """
    order, ipix = np.asarray(order), np.asarray(ipix)
    weights = np.asarray(weights, dtype=float)
    if (
        order.ndim != 1
        or order.size == 0
        or ipix.shape != order.shape
        or weights.shape != (5, order.size)
    ):
        raise LlamaError(
            "a prepared map needs order, ipix and five weights per tile; check the shapes"
        )
    if not (np.issubdtype(order.dtype, np.integer) and np.issubdtype(ipix.dtype, np.integer)):
        raise LlamaError("orders and indices of tiles must be integers; check the sky map")
    if not (order.min() >= 0 and order.max() <= 29 and ipix.min() >= 0):
        raise LlamaError(
            "tiles must have orders 0 to 29 and indices on the sphere; check the sky map"
        )
    order, ipix = order.astype(np.int8), ipix.astype(np.int64)
    finest = 2 * (29 - order.astype(np.int64))
    if (ipix >> (58 - finest) > 11).any():
        raise LlamaError(
            "tiles must have orders 0 to 29 and indices on the sphere; check the sky map"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise LlamaError("tile weights must be finite and not negative; check the sky map")
    start = ipix << finest
    along = np.argsort(start, kind="stable")
    if (np.diff(start[along]) < (np.int64(1) << finest[along[:-1]])).any():
        raise LlamaError("tiles of a sky map must not overlap each other; check the sky map")
    order, ipix, weights = order[along], ipix[along], np.ascontiguousarray(weights[:, along])
    vectors, _ = tiles_geometry(order, ipix)
    return PreparedMap(
        order, ipix, weights, vectors, *build_tree(order, ipix, start[along], weights)
    )


@njit(inline="always")
def _response(table, sin_dec):  # type: ignore[no-untyped-def]
    position = 0.5 * (sin_dec + 1.0) * (table.size - 1)
    i = min(max(int(position), 0), table.size - 2)
    return table[i] + (position - i) * (table[i + 1] - table[i])


@njit(inline="always")
def _away(v, x, y, z):  # type: ignore[no-untyped-def]
    """Return 1 - cos of the angle between two unit vectors, exact for small angles."""
    dx, dy, dz = v[0] - x, v[1] - y, v[2] - z
    return 0.5 * (dx * dx + dy * dy + dz * dz)


@njit(inline="always")
def _bound(kappa, away, order):  # type: ignore[no-untyped-def]
    """Return an upper bound on exp(kappa (v.Omega - 1)) in a tile whose centre is `away`."""
    chord = max(0.0, math.sqrt(2.0 * away) - RADIUS / (1 << order))
    return math.exp(-0.5 * kappa * chord * chord)


@njit(inline="always")
def _extent(kappa, order, away):  # type: ignore[no-untyped-def]
    """Return (side / sigma)^2 of a tile and the squared change of the exponent along its side."""
    wide = kappa * (math.pi / 3.0) / (1 << (2 * order))
    return wide, kappa * wide * away * (2.0 - away)


@njit()
def _points(kappa, order, away, share):  # type: ignore[no-untyped-def]
    """Return how many Gauss-Legendre points a tile needs along its side; 0: divide it.

    share: the largest part of the sum that the tile may be. The relative error grows like the
    fourth power of the exponent's slope with two points, like the sixth with three.
    """
    if order == 29:
        return 2
    wide, steep = _extent(kappa, order, away)
    share = min(1.0, _MANY * share)
    if order < _COARSEST or wide > _WIDE_3 or share * steep**3 > _STEEP_3**3:
        return 0
    return 2 if wide < _WIDE_2 and share * steep**2 < _STEEP_2**2 else 3


@njit()
def _tile_average(kappa, v_phi, v_s, v_z, table, order, ipix, points):  # type: ignore[no-untyped-def]
    """Average of exp(kappa (v.Omega - 1)) R(dec) over a tile, by points^2 points."""
    face, x, y = tile_position(order, ipix)
    side = 1.0 / (1 << order)
    total = 0.0
    for i in range(points):
        for j in range(points):
            z, s, phi = sphere_angles(
                face, x + side * _GAUSS[points - 2, i], y + side * _GAUSS[points - 2, j]
            )
            cos = s * v_s * math.cos(phi - v_phi) + z * v_z
            share = _SHARES[points - 2, i] * _SHARES[points - 2, j]
            total += share * _response(table, z) * math.exp(kappa * (cos - 1.0))
    return total


@njit()
def _cell_sum(kappa, v, table, m, size, total):  # type: ignore[no-untyped-def]
    """Return the sum of weight times exp(kappa (v.Omega - 1)) R(dec) over a cell, or -1.

    m: its moments; size: its diameter [rad]; total: the sum so far. -1 where mean and
    covariance do not suffice: the third cumulant of the exponent is at most its variance times
    its range, and R must not change much within a standard deviation.
    """
    ux = m[4] * v[0] + m[7] * v[1] + m[8] * v[2]
    uy = m[7] * v[0] + m[5] * v[1] + m[9] * v[2]
    uz = m[8] * v[0] + m[9] * v[1] + m[6] * v[2]
    cos = m[1] * v[0] + m[2] * v[1] + m[3] * v[2]
    variance = kappa * kappa * (ux * v[0] + uy * v[1] + uz * v[2])
    skewed = variance * kappa * size * (math.sqrt(max(0.0, 1.0 - cos * cos)) + 0.5 * size)
    if skewed > _SKEWED_MOST:
        return -1.0
    z, dz = m[3] + kappa * uz, math.sqrt(max(0.0, m[6]))
    above, below = _response(table, z + dz), _response(table, z - dz)
    value = m[0] * math.exp(kappa * (cos - 1.0) + 0.5 * variance) * 0.5 * (above + below)
    if skewed > _SKEWED and skewed * value > _SKEWED_SUM * (total + value):
        return -1.0
    if abs(above - below) > 0.5 * (above + below) and value > _SKEWED_SUM * (total + value):
        return -1.0
    return value


@njit(inline="always")
def _push(stack, depth, bottom, index, order, ipix, away, bound):  # type: ignore[no-untyped-def]
    """Put a part of the sky on the stack, so that above `bottom` the nearest is on top."""
    places, numbers = stack
    i = depth
    while i > bottom and numbers[i - 1, 0] < away:
        places[i], numbers[i] = places[i - 1], numbers[i - 1]
        i -= 1
    places[i, 0], places[i, 1], places[i, 2] = index, order, ipix
    numbers[i, 0], numbers[i, 1] = away, bound
    return depth + 1


@njit()
def overlap(prepared, n, kappa, v, table):  # type: ignore[no-untyped-def]
    """Return sum_k w_{n,k} <exp(kappa (v.Omega - 1)) R(dec)>_k over the tiles of a map.

    n: number of neutrinos in the set (row of the weights); kappa [rad^-2] and v: concentration
    and centre of the set's von Mises-Fisher product; table: response R on uniform nodes of
    sin(dec). Relative error below 0.5 % (tests). Source: `statistics.md` sections 3 and 6.
    """
    # Parts of the sky still to be summed, the nearest on top: the cell, or -1 - k for (a part
    # of) tile k, with order and NESTED index; 1 - cos to its centre, and the most it can give.
    stack = np.empty((_STACK, 3), dtype=np.int64), np.empty((_STACK, 2))
    places, numbers = stack
    largest = table.max()
    v_phi, v_s = math.atan2(v[1], v[0]), math.hypot(v[0], v[1])
    total = 0.0
    depth = _push_cells(stack, 0, prepared, n, kappa, v, 0, prepared.faces, largest, total)
    while depth > 0:
        depth -= 1
        bottom = depth
        index, order, ipix = places[depth]
        away, bound = numbers[depth]
        if bound <= _RELATIVE * total:
            continue
        if index < 0:  # a tile or a part of it
            k = -1 - index
            weight = prepared.weights[n, k] / (1 << (2 * (order - prepared.order[k])))
            points = _points(kappa, order, away, bound / (total + bound))
            if points > 0:
                total += weight * _tile_average(kappa, v_phi, v_s, v[2], table, order, ipix, points)
                continue
            for part in range(4 * ipix, 4 * ipix + 4):
                face, x, y = tile_position(order + 1, part)
                x, y, z = sphere_point(face, x, y)
                away = _away(v, x, y, z)
                bound = 0.25 * weight * largest * _bound(kappa, away, order + 1)
                if bound > _RELATIVE * total:
                    depth = _push(stack, depth, bottom, index, order + 1, part, away, bound)
            continue
        order, first, last, child, children = prepared.cells[index]
        if order >= _COARSEST:
            size = 2.0 * RADIUS / (1 << order)
            value = _cell_sum(kappa, v, table, prepared.moments[n, index], size, total)
            if value >= 0.0:
                total += value
                continue
        if children > 0:
            depth = _push_cells(
                stack, depth, prepared, n, kappa, v, child, child + children, largest, total
            )
            continue
        depth, total = _push_tiles(
            stack, depth, prepared, n, kappa, v, first, last, table, largest, total
        )
    return total


@njit()
def _push_cells(stack, depth, prepared, n, kappa, v, first, last, largest, total):  # type: ignore[no-untyped-def]
    bottom = depth
    for c in range(first, last):
        t = prepared.cell_vectors[c]
        away = _away(v, t[0], t[1], t[2])
        bound = prepared.moments[n, c, 0] * largest * _bound(kappa, away, prepared.cells[c, 0])
        if bound > _RELATIVE * total:
            depth = _push(stack, depth, bottom, c, 0, 0, away, bound)
    return depth


@njit()
def _push_tiles(stack, depth, prepared, n, kappa, v, first, last, table, largest, total):  # type: ignore[no-untyped-def]
    """Put the tiles of a cell on the stack; those that are points to sigma join the sum at once."""
    bottom = depth
    for k in range(first, last):
        order = np.int64(prepared.order[k])
        t = prepared.vectors[k]
        away = _away(v, t[0], t[1], t[2])
        wide, steep = _extent(kappa, order, away)
        if order > _COARSEST and wide < _WIDE_1 and steep < _STEEP_1:
            average = (1.0 + (steep - 2.0 * wide * (1.0 - away)) / 24.0) * _response(table, t[2])
            total += prepared.weights[n, k] * average * math.exp(-kappa * away)
            continue
        bound = prepared.weights[n, k] * largest * _bound(kappa, away, order)
        if bound > _RELATIVE * total:
            depth = _push(stack, depth, bottom, -1 - k, order, prepared.ipix[k], away, bound)
    return depth, total


@njit()
def log_vmf_norm(kappa):  # type: ignore[no-untyped-def]
    """Return ln of C(kappa) exp(kappa): the density of a von Mises-Fisher PDF at its centre."""
    return math.log(kappa / (2.0 * math.pi)) - math.log1p(-math.exp(-2.0 * kappa))
