"""Averages of a point-spread function times the detector's response over one HEALPix tile."""

import math

import numpy as np

from llama.stats.compiled import njit
from llama.stats.healpix import RADIUS, RING, sphere_angles, tile_position

COARSEST = 4  # order from which a tile's mean and width in sin(dec) follow the response
_WIDE = 4.0  # (side / sigma)^2 that a series takes
_WIDE_COARSEST = 1.0  # the same for tiles of the coarsest order
_STEEP = 8.0  # the same, plus the squared change of the exponent across the tile: gentle below
_STEEPEST = 40.0  # the squared change that a series takes
_CURVED, _CURVED_STEEP = 5.0, 3.5  # the curvature that it takes in gentle and in steep tiles
_TILTED = 6.0  # squared slope above which the moments of an exponential are taken as a whole
_WIDE_BENT, _BENT = 6.25, 0.05**2  # the same where the projection is bent
UNEVEN = 1e-3  # second difference of the response in a tile, relative to the sum
_MANY = 10.0  # tiles of the same share whose errors may add up
_QUARTER = 0.25 * math.pi
_GAUSS = np.array([-0.3872983346207417, 0.0, 0.3872983346207417])
_SHARES = np.array([5 / 18, 8 / 18, 5 / 18])


@njit(inline="always")
def response_at(table, sin_dec):  # type: ignore[no-untyped-def]
    """Return a table on uniform nodes of sin(dec) from -1 to 1, interpolated."""
    position = 0.5 * (sin_dec + 1.0) * (table.size - 1)
    i = min(max(int(position), 0), table.size - 2)
    return table[i] + (position - i) * (table[i + 1] - table[i])


@njit(inline="always")
def product_at(tables, sin_dec):  # type: ignore[no-untyped-def]
    """Return R, the product of tables (n, nodes), each interpolated by itself.

    The nodes' products, interpolated, are wrong by a factor where areas jump.
    """
    product = response_at(tables[0], sin_dec)
    for m in range(1, tables.shape[0]):
        product *= response_at(tables[m], sin_dec)
    return product


@njit(inline="always")
def response_around(tables, mean, spread):  # type: ignore[no-untyped-def]
    """Return the mean of R where sin(dec) has this mean and spread, and how uneven R is there.

    The latter is its second difference, and a tenth of that between a tile's far corners.
    """
    near, far = 1.7320508 * spread, 2.4494897 * spread
    here, south = response_at(tables[0], mean), response_at(tables[0], mean - near)
    north, corner = response_at(tables[0], mean + near), response_at(tables[0], mean - far)
    other = response_at(tables[0], mean + far)
    for m in range(1, tables.shape[0]):  # one loop: five would cost single neutrinos more
        here *= response_at(tables[m], mean)
        south *= response_at(tables[m], mean - near)
        north *= response_at(tables[m], mean + near)
        corner *= response_at(tables[m], mean - far)
        other *= response_at(tables[m], mean + far)
    bend, ends = south - 2.0 * here + north, corner - 2.0 * here + other
    return max(0.0, here + bend / 6.0), abs(bend) + 0.1 * abs(ends)


@njit(inline="always")
def highest(kappa, away, order):  # type: ignore[no-untyped-def]
    """Return an upper bound on exp(kappa (v.Omega - 1)) in a tile whose centre is `away`."""
    chord = max(0.0, math.sqrt(2.0 * away) - RADIUS / (1 << order))
    return math.exp(-0.5 * kappa * chord * chord)


@njit(inline="always")
def _zone(face, x, y, side):  # type: ignore[no-untyped-def]
    """Return 1 (-1) in the northern (southern) polar cap, 0 between; r; if the tile is smooth.

    r: distance to the pole in face coordinates, 1 between the caps. A tile is bent where caps
    end, and too curved for derivatives near the poles.
    """
    ring = RING[face] - x - y
    r = 2.0 - abs(2.0 - ring)
    if r > 1.0 + 0.9 * side:
        return 0.0, 1.0, True
    return math.copysign(1.0, 2.0 - ring), r, 3.0 * side < r < 1.0 - 0.9 * side


@njit()
def tile_by_points(kappa, polar, away, order, ipix, share, tables):  # type: ignore[no-untyped-def]
    """Average of exp(kappa (v.Omega - 1)) R(dec) over a tile by 3 x 3 points, or -1: divide it.

    For tiles that have no series because the projection is bent in them; there the error is
    about a hundredth of the exponent's change. polar: v's right ascension, cos(dec), sin(dec);
    share: the most of the sum that the tile can be.
    """
    v_phi, v_s, v_z = polar
    face, x, y = tile_position(order, ipix)
    side = 1.0 / (1 << order)
    wide = kappa * side * side
    change = wide * (1.0 + kappa * away * (2.0 - away))
    if order < 29 and (
        order < COARSEST
        or wide > _WIDE_BENT
        or _zone(face, x, y, side)[2]
        or min(1.0, _MANY * share) ** 2 * change > _BENT
    ):
        return -1.0
    total = 0.0
    for i in range(3):
        for j in range(3):
            z, s, phi = sphere_angles(face, x + side * _GAUSS[i], y + side * _GAUSS[j])
            cos = s * v_s * math.cos(phi - v_phi) + z * v_z
            share = _SHARES[i] * _SHARES[j]
            total += share * product_at(tables, z) * math.exp(kappa * (cos - 1.0))
    return total


@njit(inline="always")
def _tangent(kappa, away, order, change):  # type: ignore[no-untyped-def]
    """Return an upper bound on the exponential's average in a tile; change: aa + bb there.

    The mean of the exponential of a concave function is below that of its tangent.
    """
    return min(highest(kappa, away, order), math.exp(change / 24 - kappa * away))


@njit(inline="always")
def _tilted(a):  # type: ignore[no-untyped-def]
    """Return what the density exp(a u), u from -1/2 to 1/2, has of these, in this order.

    Its integral, as a factor and a logarithm; the means of u and u^2; the covariance of u and
    u^2; the variance of u^2. Where a is small, as series that are exact to a part in 10^4.
    """
    aa = a * a
    if aa < _TILTED:
        log = aa * (1 / 24 - aa * (1 / 2880 - aa * (1 / 181440 - aa / 9676800)))
        m1 = a * (1 / 12 - aa * (1 / 720 - aa * (1 / 30240 - aa / 1209600)))
        m2 = 1 / 12 + aa * (1 / 360 - aa * (1 / 15120 - aa / 604800))
        skew = a * (1 / 180 - aa * (1 / 3780 - aa * (1 / 100800 - aa / 2993760)))
        width = 1 / 180 + aa * (1 / 7560 - aa * (1 / 100800 - aa / 2395008))
        return 1.0, log, m1, m2, skew, width
    steep = abs(a)
    low = math.exp(-steep)
    coth = (1.0 + low) / (1.0 - low)
    inverse = 1.0 / steep
    # integration by parts: <u^n> = (1/2)^n (1 or coth) - n <u^(n-1)> / a
    m1 = 0.5 * coth - inverse
    m2 = 0.25 - 2.0 * m1 * inverse
    m3 = 0.125 * coth - 3.0 * m2 * inverse
    m4 = 0.0625 - 4.0 * m3 * inverse
    skew = math.copysign(m3 - m1 * m2, a)
    return (1.0 - low) * inverse, 0.5 * steep, math.copysign(m1, a), m2, skew, m4 - m2 * m2


@njit(inline="always")
def tile_by_series(kappa, toward, order, centre, tables, weight, total):  # type: ignore[no-untyped-def]
    """Weight times the average of exp(kappa (v.Omega - 1)) R(dec), as a series about the centre.

    toward: v's components in the equator's plane, along the centre's meridian and at right angles
    to it, v's sin(dec), 1 - v.centre; centre: its face, x, y, sine and cosine of declination. The
    exponent is taken to second order in the face coordinates, from -1/2 to 1/2: the slopes a, b as
    a whole, the curvatures as two cumulants under them. Compared with 40 x 40 points, the error is
    below 1e-3 in most tiles, and below 5e-3 in the steepest and most curved. Where the exponent
    is too steep or too curved, the projection not smooth, or R too uneven for a share of `total`,
    the sum so far: minus an upper bound on the weight times the exponential's average.
    """
    along, across, v_z, away = toward
    face, x, y, z, s = centre
    side = 1.0 / (1 << order)
    wide = kappa * side * side
    if wide > 4.0 * _WIDE or order < COARSEST:
        return -weight * highest(kappa, away, order)
    cap, r, smooth = _zone(face, x, y, side)
    if not smooth:
        return -weight * highest(kappa, away, order)
    # derivatives of z and of right ascension, and of the exponent with respect to these
    per_r = 1.0 / r
    t = _QUARTER * side * per_r
    over = (x - y) * cap * per_r
    z_u, phi_u, phi_w = (2.0 / 3.0) * r * side, t * (over + 1.0), t * (over - 1.0)
    inverse = 2.0 * cap * side * t * per_r
    z_uu, phi_uu, phi_uw, phi_ww = (
        -(2.0 / 3.0) * cap * side * side,
        inverse * (over + 1.0),
        inverse * over,
        inverse * (over - 1.0),
    )
    inverse = 1.0 / s
    f_z, f_phi = kappa * (v_z - z * along * inverse), kappa * s * across
    f_zz, f_zphi = -kappa * along * inverse**3, -kappa * z * inverse * across
    f_phiphi = -kappa * s * along
    a, b = f_z * z_u + f_phi * phi_u, f_z * z_u + f_phi * phi_w
    aa, bb = a * a, b * b
    widest = _WIDE if order > COARSEST else _WIDE_COARSEST
    if wide > widest or aa + bb > _STEEPEST:
        return -weight * _tangent(kappa, away, order, aa + bb)
    f_zz, f_zphi, f_z = f_zz * z_u * z_u, f_zphi * z_u, f_z * z_uu
    uu = f_zz + 2.0 * f_zphi * phi_u + f_phiphi * phi_u * phi_u + f_z + f_phi * phi_uu
    ww = f_zz + 2.0 * f_zphi * phi_w + f_phiphi * phi_w * phi_w + f_z + f_phi * phi_ww
    uw = f_zz + f_zphi * (phi_u + phi_w) + f_phiphi * phi_u * phi_w + f_z + f_phi * phi_uw
    # what is left out, of third order, is like this, and grows towards the poles
    curved = (max(abs(uu), abs(ww)) + abs(uw)) * (1.0 + 6.0 * side * per_r)
    if curved > (_CURVED if aa + bb < _STEEP - wide else _CURVED_STEEP):
        return -weight * _tangent(kappa, away, order, aa + bb)
    factor_u, log_u, m1, m2, skew_u, width_u = _tilted(a)
    factor_w, log_w, n1, n2, skew_w, width_w = _tilted(b)
    log = log_u + log_w + 0.5 * (uu * m2 + ww * n2) + uw * m1 * n1
    log += 0.125 * (uu * uu * width_u + ww * ww * width_w)
    log += 0.5 * uw * (uw * (m2 * n2 - m1 * m1 * n1 * n1) + uu * n1 * skew_u + ww * m1 * skew_w)
    # mean and standard deviation of z under the exponential
    mean = z + z_u * (m1 + n1 + 0.5 * (uu * skew_u + ww * skew_w))
    spread = z_u * math.sqrt(max(0.0, m2 - m1 * m1 + n2 - n1 * n1))
    response, uneven = response_around(tables, mean, spread)
    value = factor_u * factor_w * math.exp(log - kappa * away)
    if weight * uneven * value > UNEVEN * (total + weight * response * value):
        return -weight * value
    return weight * response * value
