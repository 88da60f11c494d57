"""Overlap of neutrino point-spread functions with a sky map, as exact tile averages.

Tiles can be far wider or far finer than a point-spread function. The tiles hang on a tree of
HEALPix cells. exp(kappa v.Omega) is the exponential of a linear function in space, so that a
cell of many fine tiles is evaluated as a whole, with the mean and the covariance of the weight
in it; where that would not do, the walk goes down to the tiles, and divides those that are
wide or steep. What cannot matter is passed over by a bound, not by a fixed radius, and what is
passed over is counted: the relative accuracy also holds far from the bulk of the map.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama.stats.arrays import Floats, Integers
from llama.stats.compiled import njit
from llama.stats.healpix import RADIUS, sphere_angles, tile_position, tiles_geometry
from llama.stats.mesh import build_base
from llama.stats.tile_average import (
    COARSEST,
    UNEVEN,
    highest,
    response_around,
    tile_by_points,
    tile_by_series,
)
from llama.stats.tree import build_tree

_LEFT_OUT = 1e-3  # what may be left out altogether, relative to the sum
_LEFT_OUT_ONE = 0.05  # what may be left out with one cell, relative to what still may
_SKEWED = 0.01  # variance times range of the exponent in a cell that is taken as a whole
_SKEWED_SUM = 1e-3  # the same, times the cell's share of the sum
_SKEWED_MOST = 0.3  # the same, at most
_NOTHING = 1e-80  # of the mean over all directions: below, sums lose their relative accuracy
_STACK = 512  # 12 faces, 48 tiles of a cell, 3 siblings left at each of 29 levels twice


class PreparedMap(NamedTuple):
    """A sky map made ready for overlaps: tiles along the NESTED curve, and a tree of cells.

    order, ipix: NESTED tiles; weights: (5, n), w_{n,k}; vectors: centres (n, 3). Cells are
    HEALPix cells that hold tiles first..last-1: cells (m, 5) = order, first, last, first child,
    children; cell_vectors (m, 3); moments (5, m, 10) = weight, mean (3) and covariance (xx, yy,
    zz, xy, xz, yz) of the weight's position in space. heaviest (2, 5): sum of the weights, and
    their highest density [sr^-1]. shares (n, 5), cell_shares (m, 5): weights of a tile or a cell.
    base (4, b), base_weights (5, b), bands: as of `llama.stats.mesh.build_base`.
    """

    order: NDArray[np.int8]
    ipix: Integers
    weights: Floats
    vectors: Floats
    cells: Integers
    faces: int
    cell_vectors: Floats
    moments: Floats
    heaviest: Floats
    shares: Floats
    cell_shares: Floats
    base: NDArray[np.float32]
    base_weights: NDArray[np.float32]
    bands: Integers


def prepare_map(order: NDArray[np.int8], ipix: Integers, weights: Floats) -> PreparedMap:
    """Return the map of NESTED tiles with their weights (5, n), ready for `overlap`.

    Tiles are sorted along the NESTED curve. ValueError for wrong shapes, orders outside
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
        raise ValueError("a prepared map needs shapes of order, ipix and five weights per tile")
    if not (np.issubdtype(order.dtype, np.integer) and np.issubdtype(ipix.dtype, np.integer)):
        raise ValueError("orders and indices of tiles must be integers")
    if not (order.min() >= 0 and order.max() <= 29 and ipix.min() >= 0):
        raise ValueError("tiles must have orders 0 to 29 and indices on the sphere")
    order, ipix = order.astype(np.int8), ipix.astype(np.int64)
    finest = 2 * (29 - order.astype(np.int64))
    if (ipix >> (58 - finest) > 11).any():
        raise ValueError("tiles must have orders 0 to 29 and indices on the sphere")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("tile weights must be finite and not negative")
    start = ipix << finest
    along = np.argsort(start, kind="stable")
    if (np.diff(start[along]) < (np.int64(1) << finest[along[:-1]])).any():
        raise ValueError("tiles of a sky map must not overlap each other")
    order, ipix, weights = order[along], ipix[along], np.ascontiguousarray(weights[:, along])
    vectors, _ = tiles_geometry(order, ipix)
    density = weights * (3.0 / math.pi * 4.0 ** order.astype(float))
    heaviest = np.stack([weights.sum(axis=1), density.max(axis=1)])
    cells, faces, cell_vectors, moments = build_tree(order, ipix, start[along], weights)
    tree = cells, faces, cell_vectors, moments
    base = build_base(order, ipix, weights, cells, faces, moments)
    shares = [np.ascontiguousarray(each.T) for each in (weights, moments[:, :, 0])]
    return PreparedMap(order, ipix, weights, vectors, *tree, heaviest, *shares, *base)


@njit(inline="always")
def _away(v, t):  # type: ignore[no-untyped-def]
    """Return 1 - cos of the angle between two unit vectors, exact for small angles."""
    dx, dy, dz = v[0] - t[0], v[1] - t[1], v[2] - t[2]
    return 0.5 * (dx * dx + dy * dy + dz * dz)


@njit()
def _cell_sum(kappa, v, tables, m, size, total):  # type: ignore[no-untyped-def]
    """Return the sum of weight times exp(kappa (v.Omega - 1)) R(dec) over a cell, or -1.

    m: its moments; size: its diameter [rad]; total: the sum so far. -1 where mean and
    covariance do not suffice: the third cumulant of the exponent is at most its variance times
    its range, and R must be even.
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
    response, uneven = response_around(tables, z, dz)
    value = m[0] * math.exp(kappa * (cos - 1.0) + 0.5 * variance)
    if value * uneven > UNEVEN * (total + value * response):
        return -1.0
    value *= response
    if skewed > _SKEWED and skewed * value > _SKEWED_SUM * (total + value):
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


@njit(inline="always")
def _negligible(bound, total, left_out):  # type: ignore[no-untyped-def]
    return bound <= _LEFT_OUT_ONE * (_LEFT_OUT * total - left_out)


@njit()
def _highest_responses(tables):  # type: ignore[no-untyped-def]
    """Return the most that R, the product of tables (n, nodes), can be between two nodes."""
    bounds = np.ones(tables.shape[1] - 1)
    for m in range(tables.shape[0]):
        for node in range(bounds.size):
            here, there = tables[m, node], tables[m, node + 1]
            bounds[node] *= here if here > there else there
    return bounds


@njit()
def _response_bound(bounds, z, order):  # type: ignore[no-untyped-def]
    """Return the highest R in a tile, or above, from the sin(dec) of its centre."""
    reach, step = RADIUS / (1 << order), 0.5 * bounds.size
    first = max(0, int((z - reach + 1.0) * step))
    last = min(bounds.size - 1, int((z + reach + 1.0) * step))
    highest_response = 0.0
    for node in range(first, last + 1):
        highest_response = max(highest_response, bounds[node])
    return highest_response


@njit()
def overlap(prepared, n, kappa, v, tables, beside=0.0):  # type: ignore[no-untyped-def]  # noqa: C901
    """Return sum_k w_{n,k} <exp(kappa (v.Omega - 1)) R(dec)>_k over the tiles of a map.

    n: number of neutrinos in the set (row of the weights); kappa [rad^-2] and v: concentration
    and centre of the set's von Mises-Fisher product; tables: of each member (members, nodes), or
    of the only one (nodes,), on uniform nodes of sin(dec); R is the product of their values at a
    direction. Relative error below 0.5 % (tests) of the sum and `beside`, which is a sum that this
    one is added to. Source: docs/method.md (10).
    """
    # One function: split into several, it takes a fifth to two thirds longer.
    # Parts of the sky still to be summed, the nearest on top: the cell, or -1 - k for (a part
    # of) tile k, with order and NESTED index; 1 - cos to its centre, and the most it can give.
    stack = np.empty((_STACK, 3), dtype=np.int64), np.empty((_STACK, 2))
    places, numbers = stack
    weights, cells, vectors = prepared.weights[n], prepared.cells, prepared.cell_vectors
    moments = prepared.moments[n]
    tables = tables.reshape(-1, tables.shape[-1])
    bounds = _highest_responses(tables)
    largest = bounds.max()
    v_phi, v_s = math.atan2(v[1], v[0]), math.hypot(v[0], v[1])
    polar = v_phi, v_s, v[2]
    nothing = 0.0
    for c in range(prepared.faces):
        nothing += moments[c, 0]
    nothing *= _NOTHING * bounds.mean() * 0.5 / kappa
    nothing += beside
    total, left_out = nothing, 0.0
    depth, first, last = 0, 0, prepared.faces
    while True:
        bottom = depth
        for c in range(first, last):
            away = _away(v, vectors[c])
            bound = moments[c, 0] * largest * highest(kappa, away, cells[c, 0])
            if _negligible(bound, total, left_out):
                left_out += bound
            else:
                depth = _push(stack, depth, bottom, c, 0, 0, away, bound)
        first = last = 0
        if depth == 0:
            return total - nothing
        depth -= 1
        index, order, ipix = places[depth]
        away, bound = numbers[depth]
        if _negligible(bound, total, left_out):
            left_out += bound
        elif index < 0:  # a tile or a part of it
            k = -1 - index
            weight = weights[k] / (1 << (2 * (order - prepared.order[k])))
            share = bound / (total + bound)
            average = tile_by_points(kappa, polar, away, order, ipix, share, tables)
            if average >= 0.0:
                total += weight * average
                continue
            order += 1
            weight *= 0.25
            bottom = depth
            for part in range(4 * ipix, 4 * ipix + 4):
                face, x, y = tile_position(order, part)
                z, s, phi = sphere_angles(face, x, y)
                along, across = v_s * math.cos(v_phi - phi), v_s * math.sin(v_phi - phi)
                away = max(0.0, 1.0 - s * along - z * v[2])
                toward, centre = (along, across, v[2], away), (face, x, y, z, s)
                value = tile_by_series(kappa, toward, order, centre, tables, weight, total)
                if value >= 0.0:
                    total += value
                    continue
                bound = -_response_bound(bounds, z, order) * value
                if _negligible(bound, total, left_out):
                    left_out += bound
                else:
                    depth = _push(stack, depth, bottom, index, order, part, away, bound)
        else:
            order = cells[index, 0]
            if order >= COARSEST:
                size = 2.0 * RADIUS / (1 << order)
                value = _cell_sum(kappa, v, tables, moments[index], size, total)
                if value >= 0.0:
                    total += value
                    continue
            if cells[index, 4] > 0:
                first = cells[index, 3]
                last = first + cells[index, 4]
                continue
            bottom = depth
            for k in range(cells[index, 1], cells[index, 2]):
                order = np.int64(prepared.order[k])
                t = prepared.vectors[k]
                away = _away(v, t)
                face, x, y = tile_position(order, prepared.ipix[k])
                s = math.sqrt(t[0] * t[0] + t[1] * t[1])
                along, across = (v[0] * t[0] + v[1] * t[1]) / s, (v[1] * t[0] - v[0] * t[1]) / s
                toward, centre = (along, across, v[2], away), (face, x, y, t[2], s)
                value = tile_by_series(kappa, toward, order, centre, tables, weights[k], total)
                if value >= 0.0:
                    total += value
                    continue
                bound = -_response_bound(bounds, t[2], order) * value
                if _negligible(bound, total, left_out):
                    left_out += bound
                else:
                    part = prepared.ipix[k]
                    depth = _push(stack, depth, bottom, -1 - k, order, part, away, bound)


@njit()
def log_vmf_norm(kappa):  # type: ignore[no-untyped-def]
    """Return ln of C(kappa) exp(kappa): the density of a von Mises-Fisher PDF at its centre."""
    return math.log(kappa / (2.0 * math.pi)) - math.log1p(-math.exp(-2.0 * kappa))
