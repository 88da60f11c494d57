"""Bounds of what triggers can give in each coarse cell of the sky."""

import math

import numpy as np

from llama.stats.compiled import njit
from llama.stats.healpix import RADIUS
from llama.stats.overlap import COARSE

_REACH = 35.0  # exponents beyond are taken as this one
_BLOCKS = 20  # of the nodes of sin(dec)


@njit()
def local_bounds(vectors, kappa, intensity, norms, cells):  # type: ignore[no-untyped-def]
    """Return the most that each component's density can be in each cell (n, components, cells).

    vectors, kappa, intensity: as of `llama.stats.odds.Neutrinos`; norms: ln of the vMF densities
    at their centres; cells: centres (cells, 3) of the cells of order `COARSE`.
    """
    n, components = kappa.shape
    radius = RADIUS / (1 << COARSE)
    cos_r, sin_r = math.cos(radius), math.sin(radius)
    bounds = np.zeros((n, components, cells.shape[0]))
    nodes = intensity.shape[2]
    blocks = min(_BLOCKS, nodes - 1)
    highest = np.zeros((components, blocks))  # between the nodes of a block, both ends included
    densest = np.zeros(components)
    for i in range(n):
        highest[:] = 0.0
        for c in range(components):
            densest[c] = math.exp(norms[i, c])
            for b in range(blocks):
                for node in range(
                    b * (nodes - 1) // blocks, -(-(b + 1) * (nodes - 1) // blocks) + 1
                ):
                    highest[c, b] = max(highest[c, b], intensity[i, c, node])
        for cell in range(cells.shape[0]):
            cos = 0.0
            for axis in range(3):
                cos += vectors[i, axis] * cells[cell, axis]
            cos = min(1.0, max(-1.0, cos))
            away = 0.0  # 1 - cos of the least angle to a point of the cell
            if cos < cos_r:
                away = 1.0 - cos * cos_r - math.sqrt(1.0 - cos * cos) * sin_r
            z = cells[cell, 2]
            first = max(0, int((z - radius + 1.0) * 0.5 * blocks - 1e-9))
            last = min(blocks - 1, int((z + radius + 1.0) * 0.5 * blocks + 1e-9))
            for c in range(components):
                most = 0.0
                for b in range(first, last + 1):
                    most = max(most, highest[c, b])
                if most > 0.0:
                    exponent = kappa[i, c] * away
                    factor = 7e-16 if exponent > _REACH else math.exp(-exponent)
                    bounds[i, c, cell] = most * densest[c] * factor
    return bounds
