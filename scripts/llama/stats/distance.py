"""The distance of a source in a tile of a sky map: one density and one quadrature for all uses.

Plain NumPy, which numbers and columns pass through alike: `llama.stats.weights` compiles it, and
sky maps, which do without the compiler, call it as it is.
"""

import functools
from typing import Any

import numpy as np

from llama.stats.arrays import Floats

_NODES = 64  # relative error below 1e-12 of moments, 2e-7 of weights (tests)


@functools.cache
def quadrature() -> tuple[Floats, Floats]:
    """Return `roots` and `shares` of `distance_nodes`: Gauss-Legendre in the root of the distance.

    Its points are dense where near sources are bright.
    """
    points, shares = np.polynomial.legendre.leggauss(_NODES)
    roots = 0.5 * (points + 1.0)
    return roots, shares * roots


def distance_nodes(mu: Any, sigma: Any, roots: Any, shares: Any) -> Any:
    """Return distances [Mpc] and `shares` times r^2 N(r; mu, sigma), docs/method.md (13).

    mu, sigma [Mpc]: numbers, or columns (n, 1); roots: from 0 to 1, the root of the part of the
    way from the nearest to the farthest distance that counts. The density is 1 at its mode.
    """
    mode = 0.5 * (mu + np.sqrt(mu * mu + 8.0 * sigma * sigma))
    width = 1.0 / np.sqrt(1.0 / (sigma * sigma) + 2.0 / (mode * mode))
    low = np.maximum(0.0, mode - 9.0 * width)  # 9 widths hold all but 1e-17
    high = np.minimum(mode + 9.0 * sigma, mode + 20.0 * width)
    r = low + (high - low) * roots * roots
    exponent = (mode - r) * (mode + r - 2.0 * mu) / (2.0 * sigma * sigma)
    return r, shares * (r / mode) ** 2 * np.exp(exponent)
