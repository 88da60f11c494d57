"""What a map leaves of a narrow von Mises-Fisher (vMF) density: its sum, and where it is."""

import math

import numpy as np

from llama.stats.compiled import njit
from llama.stats.components import REACH, exp_minus
from llama.stats.healpix import RADIUS, tile_position
from llama.stats.mesh import cell_side, four_around, push_parts
from llama.stats.tile_average import product_at, response_around

POINTS = 7  # of a region
_FINE = 0.64  # square of a cell's side over the density's width, at most
_FINE_TILE = 2.0  # the same of a tile, which is even
_COARSE, _COARSE_TILE = 1e-3, 1e-1  # the same, squared, times the most that it can be of the sum
_REACH, _FARTHEST = 18.0, 700.0  # exponents beyond count as infinite
_NOTHING = 1e-4  # what one cell may lack, relative to the sum and what is beside it
_FINEST = 28  # order
_STACK = 512
_GAUSS = 0.5 / math.sqrt(3.0)
_RING = np.array([[math.cos(k * math.pi / 3.0), math.sin(k * math.pi / 3.0)] for k in range(6)])


@njit()
def region(prepared, kappa, v, tables, highest, beside, points, weights):  # type: ignore[no-untyped-def]
    """Write sum_k w_{n,k} <exp(kappa (v.Omega - 1)) R(dec)>_k, for n = 0..4, as seven directions.

    kappa [rad^-2] and v: concentration and centre; tables: as of `llama.stats.overlap.overlap`;
    highest: the most that their product is; beside: a sum that these are added to. points (7, 3)
    and weights (5, 7) have the sums' means and covariances, and hold polynomials of the fifth
    degree exactly where the sums are Gaussian.
    """
    reach = _REACH
    while True:
        sums, first, second, one = _moments(prepared, kappa, v, tables, highest, beside, reach)
        if one > 0.0 or beside > 0.0 or reach > _FARTHEST:
            break
        reach *= 4.0
    weights[:] = 0.0
    if one == 0.0:
        for p in range(POINTS):
            points[p] = v
        return
    for n in range(5):
        weights[n, 0] = 0.5 * sums[n]
        weights[n, 1:] = sums[n] / 12.0
    m0, m1, m2 = first[0] / one, first[1] / one, first[2] / one
    xx, yy, zz = second[0] / one - m0 * m0, second[1] / one - m1 * m1, second[2] / one - m2 * m2
    xy, xz, yz = second[3] / one - m0 * m1, second[4] / one - m0 * m2, second[5] / one - m1 * m2
    length = math.sqrt(m0 * m0 + m1 * m1 + m2 * m2)
    x, y, z = m0 / length, m1 / length, m2 / length
    s = math.hypot(x, y)
    east_x, east_y = (-y / s, x / s) if s > 0.0 else (1.0, 0.0)
    north_x, north_y, north_z = -z * east_y, z * east_x, x * east_y - y * east_x
    # the covariance in the plane, as a product of triangular matrices
    e_x, e_y, e_z = xx * east_x + xy * east_y, xy * east_x + yy * east_y, xz * east_x + yz * east_y
    ee = max(1e-30, e_x * east_x + e_y * east_y)
    en = e_x * north_x + e_y * north_y + e_z * north_z
    nn = north_x * (xx * north_x + xy * north_y + xz * north_z)
    nn += north_y * (xy * north_x + yy * north_y + yz * north_z)
    nn += north_z * (xz * north_x + yz * north_y + zz * north_z)
    l_e = math.sqrt(ee)
    l_b = en / l_e
    l_n = math.sqrt(max(1e-30, nn - l_b * l_b))
    points[0, 0], points[0, 1], points[0, 2] = x, y, z
    for k in range(6):
        e = 2.0 * l_e * _RING[k, 0]
        f = 2.0 * (l_b * _RING[k, 0] + l_n * _RING[k, 1])
        p_x = x + e * east_x + f * north_x
        p_y = y + e * east_y + f * north_y
        p_z = z + f * north_z
        length = math.sqrt(p_x * p_x + p_y * p_y + p_z * p_z)
        points[k + 1, 0], points[k + 1, 1] = p_x / length, p_y / length
        points[k + 1, 2] = p_z / length


@njit()
def _moments(prepared, kappa, v, tables, highest, beside, reach):  # type: ignore[no-untyped-def]
    """Return the sums (5,), and of one of them the first and second moments, and itself.

    Only cells count whose exponent is less than `reach` somewhere. The nearest are summed first,
    and what is far is then nothing beside them.
    """
    sums, first, second, one = np.zeros(5), np.zeros(3), np.zeros(6), 0.0
    # what is left to sum, the nearest of the newest on top: a cell or -1 - k for (a part of) tile
    # k, with order and NESTED index; the most that it can give, its weight, its centre
    places, numbers = np.empty((_STACK, 3), dtype=np.int64), np.empty((_STACK, 5))
    four, tree = np.empty((4, 3)), (prepared.order, prepared.ipix, prepared.cells)
    depth = bottom = 0
    for c in range(prepared.faces):
        places[c, 0], places[c, 1] = c, 0
        numbers[c, 2:] = prepared.cell_vectors[c]
    top = prepared.faces
    while True:
        depth, nearest, least = bottom, bottom, math.inf
        for new in range(bottom, top):
            index, order = places[new, 0], places[new, 1]
            t0, t1, t2 = numbers[new, 2], numbers[new, 3], numbers[new, 4]
            dx, dy, dz = t0 - v[0], t1 - v[1], t2 - v[2]
            chord = math.sqrt(dx * dx + dy * dy + dz * dz)
            near = max(0.0, chord - RADIUS / (1 << order))
            exponent = 0.5 * kappa * near * near
            if exponent > reach:
                continue
            if index >= 0:
                weight = prepared.cell_shares[index, 5]
            else:
                k = -1 - index
                weight = prepared.shares[k, 5] / (1 << (2 * (order - np.int64(prepared.order[k]))))
            most = exp_minus(exponent) if exponent < REACH else math.exp(-exponent)
            bound = weight * highest * most
            if bound <= _NOTHING * (one + beside):
                continue
            if chord < least:
                nearest, least = depth, chord
            places[depth, 0], places[depth, 1], places[depth, 2] = index, order, places[new, 2]
            numbers[depth, 0], numbers[depth, 1] = bound, weight
            numbers[depth, 2], numbers[depth, 3], numbers[depth, 4] = t0, t1, t2
            depth += 1
        if depth == 0:
            return sums, first, second, one
        depth -= 1
        if bottom <= nearest < depth:
            for i in range(3):
                places[nearest, i], places[depth, i] = places[depth, i], places[nearest, i]
            for i in range(5):
                numbers[nearest, i], numbers[depth, i] = numbers[depth, i], numbers[nearest, i]
        index, order, ipix = places[depth, 0], places[depth, 1], places[depth, 2]
        bound, weight = numbers[depth, 0], numbers[depth, 1]
        bottom = top = depth
        if bound <= _NOTHING * (one + beside):
            continue
        wide = kappa * cell_side(order) ** 2
        if index >= 0:
            if wide > _FINE and wide * wide * bound > _COARSE * (one + beside):
                top = push_parts(tree, index, order, ipix, places, depth)
                for new in range(depth, top):
                    index = places[new, 0]
                    if index >= 0:
                        numbers[new, 2:] = prepared.cell_vectors[index]
                    else:
                        numbers[new, 2:] = prepared.vectors[-1 - index]
                continue
        else:
            face, x, y = tile_position(order, ipix)
            if wide > _FINE_TILE and order < _FINEST:
                if wide * wide * bound > _COARSE_TILE * (one + beside):
                    four_around(face, x, y, 0.25 / (1 << order), four, 0)
                    for part in range(4):
                        places[top, 0], places[top, 1], places[top, 2] = index, order + 1, 4 * ipix + part
                        for i in range(3):
                            numbers[top, 2 + i] = four[part, i]
                        top += 1
                    continue
        if index >= 0:
            # the exponent is linear in space: two cumulants
            shares = prepared.cell_shares[index]
            m = prepared.moments[1 if shares[1] > 0.0 else 0, index]
            u_x = kappa * (m[4] * v[0] + m[7] * v[1] + m[8] * v[2])
            u_y = kappa * (m[7] * v[0] + m[5] * v[1] + m[9] * v[2])
            u_z = kappa * (m[8] * v[0] + m[9] * v[1] + m[6] * v[2])
            log = kappa * (m[1] * v[0] + m[2] * v[1] + m[3] * v[2] - 1.0)
            log += 0.5 * kappa * (u_x * v[0] + u_y * v[1] + u_z * v[2])
            p_x, p_y, p_z = m[1] + u_x, m[2] + u_y, m[3] + u_z
            average = math.exp(log) * response_around(tables, p_z, math.sqrt(max(0.0, m[6])))[0]
            given = weight * average
            one += given
            first[0] += given * p_x
            first[1] += given * p_y
            first[2] += given * p_z
            second[0] += given * (p_x * p_x + m[4])
            second[1] += given * (p_y * p_y + m[5])
            second[2] += given * (p_z * p_z + m[6])
            second[3] += given * (p_x * p_y + m[7])
            second[4] += given * (p_x * p_z + m[8])
            second[5] += given * (p_y * p_z + m[9])
            for n in range(5):
                sums[n] += shares[n] * average
            continue
        four_around(face, x, y, _GAUSS / (1 << order), four, 0)
        average = 0.0
        for p in range(4):
            p_x, p_y, p_z = four[p]
            dx, dy, dz = p_x - v[0], p_y - v[1], p_z - v[2]
            exponent = 0.5 * kappa * (dx * dx + dy * dy + dz * dz)
            value = exp_minus(exponent) if exponent < REACH else math.exp(-exponent)
            value *= product_at(tables, p_z)
            average += 0.25 * value
            given = 0.25 * weight * value
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
        k = -1 - index
        part = average / (1 << (2 * (order - np.int64(prepared.order[k]))))
        for n in range(5):
            sums[n] += prepared.shares[k, n] * part
