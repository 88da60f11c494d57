"""Overlap of neutrino point-spread functions with a sky map, as exact tile averages.

Tiles can be far wider or far finer than a point-spread function. A tile that is wider than
sigma is divided in the integral; the average over the rest is taken with the
tile's cumulants, exact to the sixth order in tile side over sigma. Whole blocks of
tiles that cannot contribute are passed over by a bound, not by a fixed radius, so that the
relative accuracy also holds for neutrinos far from the bulk of the map.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.stats.compiled import njit
from llama.stats.healpix import RADIUS, tile, tiles_geometry

Floats = NDArray[np.float64]

_BLOCK = 64  # tiles per bounding cap
_WIDEST = 1.0  # (tile side / sigma)^2 up to which the cumulants of a tile suffice
_WIDEST_POLAR = 1.0 / 64.0  # the same near a pole, where tiles are no parallelograms
_POLAR = 5.0  # within so many tile sides of a pole
_STEEP = 4.0  # squared change of the exponent across a tile, up to which cumulants suffice
_COARSEST = 5  # order at which curvature and detector response across a tile are negligible
_NEAR = 12.5  # exponent of 5 sigma: everything nearer is summed
_RELATIVE = 1e-5  # what may be left out beyond, relative to the sum


class PreparedMap(NamedTuple):
    """A sky map made ready for overlaps: tiles along the NESTED curve, with bounding caps.

    order, ipix: NESTED tiles; weights: (5, n), w_{n,k}; vectors, edges: centres (n, 3) and
    edges (n, 3) [rad]; caps: (blocks, 4), centre and angular radius [rad] of each run
    of 64 tiles; cap_weights: (blocks, 5).
    """

    order: NDArray[np.int8]
    ipix: NDArray[np.int64]
    weights: Floats
    vectors: Floats
    edges: Floats
    caps: Floats
    cap_weights: Floats


def prepare_map(order: NDArray[np.int8], ipix: NDArray[np.int64], weights: Floats) -> PreparedMap:
    """Return the map of NESTED tiles with their weights (5, n), ready for `overlap`.

    Tiles are sorted along the NESTED curve. LlamaError for wrong shapes, orders outside
    0..29, indices outside the sphere, weights that are negative or not finite.
    """
    order, ipix = np.asarray(order, dtype=np.int8), np.asarray(ipix, dtype=np.int64)
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
    if (
        order.min() < 0
        or order.max() > 29
        or (ipix < 0).any()
        or (ipix >> (2 * order.astype(np.int64)) > 11).any()
    ):
        raise LlamaError(
            "tiles must have orders 0 to 29 and indices on the sphere; check the sky map"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise LlamaError("tile weights must be finite and not negative; check the sky map")
    along = np.argsort(ipix << (2 * (29 - order.astype(np.int64))), kind="stable")
    order, ipix, weights = order[along], ipix[along], np.ascontiguousarray(weights[:, along])
    vectors, edges = tiles_geometry(order, ipix)
    return PreparedMap(order, ipix, weights, vectors, edges, *_caps(order, vectors, weights))


@njit()
def _caps(order, vectors, weights):  # type: ignore[no-untyped-def]
    n = order.size
    blocks = (n + _BLOCK - 1) // _BLOCK
    caps = np.zeros((blocks, 4))
    cap_weights = np.zeros((blocks, weights.shape[0]))
    for b in range(blocks):
        start, stop = b * _BLOCK, min((b + 1) * _BLOCK, n)
        for k in range(start, stop):
            area = 4.0 ** -float(order[k])
            for i in range(3):
                caps[b, i] += area * vectors[k, i]
            for m in range(weights.shape[0]):
                cap_weights[b, m] += weights[m, k]
        norm = math.sqrt(caps[b, 0] ** 2 + caps[b, 1] ** 2 + caps[b, 2] ** 2)
        if norm < 1e-6:  # tiles all around the sphere
            caps[b, 0], caps[b, 1], caps[b, 2], caps[b, 3] = 0.0, 0.0, 1.0, math.pi
            continue
        for i in range(3):
            caps[b, i] /= norm
        radius = 0.0
        for k in range(start, stop):
            radius = max(radius, _angle(caps[b], vectors[k]) + RADIUS / (1 << order[k]))
        caps[b, 3] = min(radius, math.pi)
    return caps, cap_weights


@njit(inline="always")
def _angle(a, b):  # type: ignore[no-untyped-def]
    return math.acos(min(1.0, max(-1.0, a[0] * b[0] + a[1] * b[1] + a[2] * b[2])))


@njit(inline="always")
def _response(table, sin_dec):  # type: ignore[no-untyped-def]
    position = 0.5 * (sin_dec + 1.0) * (table.size - 1)
    i = min(max(int(position), 0), table.size - 2)
    return table[i] + (position - i) * (table[i + 1] - table[i])


@njit(inline="always")
def _average(kappa, v, table, x, y, z, east_x, east_y, north, away):  # type: ignore[no-untyped-def]
    """Average of exp(kappa (v.Omega - 1)) R(dec) over a tile with centre (x, y, z).

    The tile is a parallelogram, centre + a e_x + b e_y with a, b in +-1/2, on which the
    exponent is linear with slopes p, q, and bent by the sphere. R is taken at the centroid of
    the exponential over the tile.
    """
    s = math.sqrt(max(1e-300, x * x + y * y))
    to_east = (v[1] * x - v[0] * y) / s
    to_north = v[2] * s - z * (v[0] * x + v[1] * y) / s
    p = kappa * (to_east * east_x + to_north * north)
    q = kappa * (to_east * east_y + to_north * north)
    pp, qq = p * p, q * q
    bend = kappa * (1.0 - away)
    xx, yy = bend * (east_x * east_x + north * north), bend * (east_y * east_y + north * north)
    xy = bend * (east_x * east_y + north * north)
    if pp + qq < _STEEP:  # cumulants up to the fourth order in side over sigma
        mean_a, mean_b = p * (1.0 / 12.0), q * (1.0 / 12.0)
        exponent = (
            (pp + qq - xx - yy) * (1.0 / 24.0)
            - (pp * pp + qq * qq) * (1.0 / 2880.0)
            - (pp * xx + qq * yy) * (1.0 / 720.0)
            - p * q * xy * (1.0 / 144.0)
            + (xx * xx + yy * yy) * (1.0 / 1440.0)
            + xy * xy * (1.0 / 288.0)
        )
    else:  # the linear term exactly, the bend at the moments that it leaves
        log_a, mean_a, square_a = _tilted(p)
        log_b, mean_b, square_b = _tilted(q)
        exponent = log_a + log_b - 0.5 * (xx * square_a + yy * square_b) - xy * mean_a * mean_b
    return _response(table, z + s * north * (mean_a + mean_b)) * math.exp(exponent - kappa * away)


@njit()
def _tilted(p):  # type: ignore[no-untyped-def]
    """Return ln <exp(p a)>, <a> and <a^2> under exp(p a), for a uniform in +-1/2."""
    if abs(p) < 0.1:
        return p * p / 24.0, p / 12.0, 1.0 / 12.0 + p * p / 360.0
    positive = abs(p)
    fall = math.exp(-positive)
    coth = (1.0 + fall) / (1.0 - fall)
    mean = 0.5 * coth - 1.0 / positive
    logarithm = 0.5 * positive + math.log((1.0 - fall) / positive)
    return logarithm, math.copysign(mean, p), 0.25 - coth / positive + 2.0 / (positive * positive)


@njit(inline="always")
def _away(v, x, y, z):  # type: ignore[no-untyped-def]
    """Return 1 - cos of the angle between two unit vectors, exact for small angles."""
    dx, dy, dz = v[0] - x, v[1] - y, v[2] - z
    return 0.5 * (dx * dx + dy * dy + dz * dz)


@njit(inline="always")
def _nearest(away, radius):  # type: ignore[no-untyped-def]
    """Return a lower bound on 1 - cos to any point within `radius` [rad] of a centre."""
    chord = max(0.0, math.sqrt(2.0 * away) - radius)
    return 0.5 * chord * chord


@njit(inline="always")
def _is_fine(order, polar, kappa):  # type: ignore[no-untyped-def]
    """Whether a tile is small enough against sigma to be averaged as a parallelogram."""
    widest = _WIDEST if polar > _POLAR else _WIDEST_POLAR
    return order >= _COARSEST and kappa * (math.pi / 3.0) * 4.0 ** -float(order) < widest


@njit()
def _least_away(order, ipix, kappa, v):  # type: ignore[no-untyped-def]
    """Return 1 - cos to a point of the tile that is nearly the nearest: greedy descent."""
    x, y, z, _, _, _, _ = tile(order, ipix)
    best = _away(v, x, y, z)
    while order < 29 and kappa * 4.0 ** -float(order) > 0.25:
        order += 1
        ipix *= 4
        nearest = ipix
        least = 4.0
        for child in range(4):
            x, y, z, _, _, _, _ = tile(order, ipix + child)
            away = _away(v, x, y, z)
            if away < least:
                least, nearest = away, ipix + child
        ipix = nearest
        best = min(best, least)
    return best


@njit()
def _divided(order, ipix, kappa, v, table):  # type: ignore[no-untyped-def]
    """Average over one tile that is wide against sigma: a walk down its children."""
    orders = np.empty(128, dtype=np.int64)
    pixels = np.empty(128, dtype=np.int64)
    orders[0], pixels[0] = order, ipix
    depth = 1
    limit = kappa * _least_away(order, ipix, kappa, v) + _NEAR
    total = 0.0
    while depth > 0:
        depth -= 1
        o, pixel = orders[depth], pixels[depth]
        x, y, z, east_x, east_y, north, polar = tile(o, pixel)
        away = _away(v, x, y, z)
        if kappa * _nearest(away, RADIUS / (1 << o)) > limit:
            continue
        if o == 29 or _is_fine(o, polar, kappa):
            average = _average(kappa, v, table, x, y, z, east_x, east_y, north, away)
            total += 4.0 ** -float(o - order) * average
            continue
        for child in range(4):
            orders[depth], pixels[depth] = o + 1, 4 * pixel + child
            depth += 1
    return total


@njit()
def _block_sum(prepared, block, n, kappa, v, table, near, least):  # type: ignore[no-untyped-def]
    """Sum over one block: tiles nearer than 5 sigma, or the others that reach `least`."""
    total = 0.0
    largest = 1.0 if near else table.max()
    for k in range(block * _BLOCK, min((block + 1) * _BLOCK, prepared.order.size)):
        weight = prepared.weights[n, k]
        if weight == 0.0:
            continue
        order = np.int64(prepared.order[k])
        x, y, z = prepared.vectors[k, 0], prepared.vectors[k, 1], prepared.vectors[k, 2]
        away = _away(v, x, y, z)
        nearest = kappa * _nearest(away, RADIUS / (1 << order))
        if (nearest <= _NEAR) != near or (
            not near and weight * largest * math.exp(-nearest) < least
        ):
            continue
        # distance to the nearest pole in tile sides, exact only where it matters
        polar = math.sqrt(1.5 * (x * x + y * y)) * (1 << order)
        if _is_fine(order, polar, kappa):
            edge = prepared.edges[k]
            total += weight * _average(kappa, v, table, x, y, z, edge[0], edge[1], edge[2], away)
        else:
            total += weight * _divided(order, prepared.ipix[k], kappa, v, table)
    return total


@njit()
def overlap(prepared, n, kappa, v, table):  # type: ignore[no-untyped-def]
    """Return sum_k w_{n,k} <exp(kappa (v.Omega - 1)) R(dec)>_k over the tiles of a map.

    n: number of neutrinos in the set (row of the weights); kappa [rad^-2] and v: concentration
    and centre of the set's von Mises-Fisher product; table: response R on uniform nodes of
    sin(dec). Relative error below 0.5 % (tests). Source: `statistics.md` sections 3 and 6.
    """
    blocks = prepared.caps.shape[0]
    exponents = np.empty(blocks)  # then upper bounds
    total = 0.0
    for b in range(blocks):
        cap = prepared.caps[b]
        exponents[b] = kappa * _nearest(_away(v, cap[0], cap[1], cap[2]), cap[3])
        if exponents[b] <= _NEAR:
            total += _block_sum(prepared, b, n, kappa, v, table, True, 0.0)
    # beyond 5 sigma: the block that could give most first, then all that are not negligible
    largest = table.max()
    first, most = 0, -1.0
    for b in range(blocks):
        exponents[b] = largest * prepared.cap_weights[b, n] * math.exp(-max(_NEAR, exponents[b]))
        if exponents[b] > most:
            first, most = b, exponents[b]
    for step in range(blocks):
        b = first if step == 0 else step - 1 if step <= first else step
        if exponents[b] > _RELATIVE * total:
            least = _RELATIVE * total / _BLOCK
            total += _block_sum(prepared, b, n, kappa, v, table, False, least)
    return total


@njit()
def log_vmf_norm(kappa):  # type: ignore[no-untyped-def]
    """Return ln of C(kappa) exp(kappa), the density of a von Mises-Fisher PDF at its centre [sr^-1]."""
    return math.log(kappa / (2.0 * math.pi)) - math.log1p(-math.exp(-2.0 * kappa))
