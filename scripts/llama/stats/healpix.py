"""HEALPix tiles as the statistic needs them: centre, shape and extent, compiled.

The equations are those of Gorski et al. 2005 (ApJ 622, 759), section 5, in the face
coordinates x, y in [0, 1] in which the projection has equal area.
"""

import math

import numpy as np
from numpy.typing import NDArray

from llama.stats.compiled import njit

_RING = np.array([2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4], dtype=np.int64)
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


@njit()
def tile(order, ipix):  # type: ignore[no-untyped-def]
    """Return centre and shape of one NESTED tile: x, y, z, east_x, east_y, north, polar.

    x, y, z is the unit vector of the centre. The tile is, to first order, the parallelogram
    of the edges (east_x, north) and (east_y, north) [rad] along east and north. polar is the
    distance to the nearest pole in tile sides (2**order outside the polar caps).
    """
    nside = 1 << order
    face = ipix >> (2 * order)
    inside = ipix & (nside * nside - 1)
    h = 1.0 / nside
    x = (_even_bits(inside) + 0.5) * h
    y = (_even_bits(inside >> 1) + 0.5) * h
    ring = _RING[face] - x - y
    if ring < 1.0 or ring > 3.0:  # polar caps
        north = ring < 1.0
        r = ring if north else 4.0 - ring
        t = r * r / 3.0
        z = 1.0 - t if north else t - 1.0
        s = math.sqrt(t * (2.0 - t))
        phi = 0.25 * math.pi * (_MERIDIAN[face] + (x - y) / r)
        slope = (x - y) / (r * r) if north else -(x - y) / (r * r)
        phi_x = 0.25 * math.pi * (1.0 / r + slope)
        phi_y = 0.25 * math.pi * (-1.0 / r + slope)
        z_xy = 2.0 * r / 3.0
        polar = r * nside
    else:
        z = (2.0 - ring) * 2.0 / 3.0
        s = math.sqrt((1.0 - z) * (1.0 + z))
        phi = 0.25 * math.pi * (_MERIDIAN[face] + x - y)
        phi_x = 0.25 * math.pi
        phi_y = -phi_x
        z_xy = 2.0 / 3.0
        polar = float(nside)
    return (
        s * math.cos(phi),
        s * math.sin(phi),
        z,
        h * s * phi_x,
        h * s * phi_y,
        h * z_xy / s,
        polar,
    )


@njit()
def tiles_geometry(order, ipix):  # type: ignore[no-untyped-def]
    """Return unit vectors (n, 3) and edges (n, 3; east_x, east_y, north in rad) of tiles."""
    n = order.size
    vectors = np.empty((n, 3))
    edges = np.empty((n, 3))
    for k in range(n):
        x, y, z, east_x, east_y, north, _ = tile(np.int64(order[k]), ipix[k])
        vectors[k, 0], vectors[k, 1], vectors[k, 2] = x, y, z
        edges[k, 0], edges[k, 1], edges[k, 2] = east_x, east_y, north
    return vectors, edges


def unit_vectors(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return unit vectors, shape (..., 3), of right ascension and declination in degrees."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
