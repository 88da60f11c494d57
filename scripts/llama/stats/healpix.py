"""HEALPix tiles as the statistic needs them: points, centres and extents, compiled.

The equations are those of Gorski et al. 2005 (ApJ 622, 759), section 5, in the face
coordinates x, y in [0, 1] in which the projection has equal area.
"""

import math

import numpy as np
from numpy.typing import NDArray

from llama.stats.arrays import Floats, Integers
from llama.stats.compiled import njit

RING = np.array([2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4], dtype=np.int64)
_MERIDIAN = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7], dtype=np.int64)

# Every point of a tile of order o is nearer to its centre than this over 2**o (rad): the largest
# vertex distance of any order, reached in the limit of small tiles (healpy.max_pixrad).
RADIUS = 1.06897


@njit(inline="always")
def _even_bits(v):  # type: ignore[no-untyped-def]
    v &= 0x5555555555555555
    v = (v | (v >> 1)) & 0x3333333333333333
    v = (v | (v >> 2)) & 0x0F0F0F0F0F0F0F0F
    v = (v | (v >> 4)) & 0x00FF00FF00FF00FF
    v = (v | (v >> 8)) & 0x0000FFFF0000FFFF
    return (v | (v >> 16)) & 0x00000000FFFFFFFF


@njit(inline="always")
def tile_position(order, ipix):  # type: ignore[no-untyped-def]
    """Return face, x, y of the centre of one NESTED tile; its side is 2**-order."""
    inside = ipix & ((1 << (2 * order)) - 1)
    side = 1.0 / (1 << order)
    x, y = (_even_bits(inside) + 0.5) * side, (_even_bits(inside >> 1) + 0.5) * side
    return ipix >> (2 * order), x, y


@njit(inline="always")
def sphere_angles(face, x, y):  # type: ignore[no-untyped-def]
    """Return sin(dec), cos(dec) and right ascension [rad] of the point x, y of a face."""
    ring = RING[face] - x - y
    if ring < 1.0 or ring > 3.0:  # polar caps
        r = ring if ring < 1.0 else 4.0 - ring
        t = r * r / 3.0
        z = math.copysign(1.0 - t, 2.0 - ring)
        s = math.sqrt(t * (2.0 - t))
        phi = 0.25 * math.pi * (_MERIDIAN[face] + (x - y) / max(r, 1e-300))
    else:
        z = (2.0 - ring) * 2.0 / 3.0
        s = math.sqrt((1.0 - z) * (1.0 + z))
        phi = 0.25 * math.pi * (_MERIDIAN[face] + x - y)
    return z, s, phi


@njit()
def sphere_point(face, x, y):  # type: ignore[no-untyped-def]
    """Return the unit vector, as three numbers, of the point x, y of a face."""
    z, s, phi = sphere_angles(face, x, y)
    return s * math.cos(phi), s * math.sin(phi), z


@njit()
def _centres(order, ipix):  # type: ignore[no-untyped-def]
    vectors = np.empty((order.size, 3))
    for k in range(order.size):
        face, x, y = tile_position(np.int64(order[k]), ipix[k])
        vectors[k] = sphere_point(face, x, y)
    return vectors


def tiles_geometry(order: NDArray[np.int8], ipix: Integers) -> tuple[Floats, Floats]:
    """Return unit vectors (n, 3) of the centres of NESTED tiles, and their areas (n,) [sr]."""
    return _centres(order, ipix), math.pi / 3 * 4.0 ** -order.astype(float)


def within_turn(angle_deg: Floats) -> Floats:
    """Return angles from 0 deg to below 360 deg, to which `%` takes those just below 0."""
    turned = np.asarray(angle_deg) % 360.0
    return np.where(turned < 360.0, turned, 0.0)


def directions_deg(vectors: Floats) -> tuple[Floats, Floats]:
    """Return right ascension (0 to below 360) and declination of vectors (..., 3) of any length."""
    x, y, z = np.moveaxis(np.asarray(vectors), -1, 0)
    return within_turn(np.degrees(np.arctan2(y, x))), np.degrees(np.arctan2(z, np.hypot(x, y)))


def unit_vectors(ra_deg: Floats, dec_deg: Floats) -> Floats:
    """Return unit vectors, shape (..., 3), of right ascension and declination in degrees."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
