"""The distance of a source in a tile of a sky map: one density and one quadrature for all uses.

Densities are r^2 N(r; mu, sigma), as sky maps have them (Singer et al. 2016, ApJL 829, L15).

Plain NumPy, which numbers and columns pass through alike: `llama.stats.weights` compiles it, and
sky maps, which do without the compiler, call it as it is.
"""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from llama.stats.arrays import Floats

_NODES = 64  # relative error below 1e-12 of moments, 2e-7 of weights (tests)
_CHUNK = 2_000  # densities at a time stay in the processor's cache
_ROOT_2PI = np.sqrt(2 * np.pi)
_NARROW = 500.0  # means over standard deviations above which r^2 is even


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


def distance_moments(mu: Floats, sigma: Floats) -> Floats:
    """Return 1, <r> and <r^2> of densities with mu, sigma [Mpc], shape (3, n)."""
    found = np.empty((3, mu.size))
    for part, r, density in _densities(mu, sigma):
        density /= density.sum(axis=1, keepdims=True)
        for power in range(3):
            found[power, part] = density.sum(axis=1)
            density *= r
    return found


def distance_norm(mu: Floats, sigma: Floats) -> Floats:
    """Return what makes r^2 N(r; mu, sigma) a density [Mpc^-2], a map's DISTNORM."""
    roots, _ = quadrature()
    sums = np.empty(mu.size)
    for part, r, density in _densities(mu, sigma):
        length = (r[:, -1] - r[:, 0]) / (roots[-1] ** 2 - roots[0] ** 2)
        sums[part] = length * density.sum(axis=1)
    mode = 0.5 * (mu + np.sqrt(mu * mu + 8 * sigma * sigma))
    highest = mode**2 * np.exp(-0.5 * ((mode - mu) / sigma) ** 2) / (sigma * _ROOT_2PI)
    return np.asarray(1 / (highest * sums))


def _densities(mu: Floats, sigma: Floats) -> Iterator[tuple[slice, Floats, Floats]]:
    """Yield a part of the densities at a time, and `distance_nodes` of these."""
    for start in range(0, mu.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        yield part, *distance_nodes(mu[part, None], sigma[part, None], *quadrature())


def distance_parameters(mean: Floats, std: Floats) -> tuple[Floats, Floats]:
    """Return mu and sigma [Mpc] of the densities with these means and standard deviations [Mpc].

    They are never wider than mean / sqrt(3). What is wider than one of mu = -10 sigma gets the
    width of that, and its own mean. Relative error below 1e-5 (tests).
    """
    x, sharpness, means = _shapes()
    wanted = np.maximum(mean / std, np.sqrt(3) + np.exp(sharpness[0]))
    at = np.interp(np.log(wanted - np.sqrt(3)), sharpness, x)
    sigma = mean / np.exp(np.interp(at, x, means))
    mu = sigma * np.sinh(at)
    narrow = wanted > _NARROW
    return np.where(narrow, mean, mu), np.where(narrow, std, sigma)


@functools.cache
def _shapes() -> tuple[Floats, Floats, Floats]:
    """Return arsinh(mu / sigma), ln(mean / std - sqrt(3)) and ln(mean / sigma) of densities."""
    x = np.linspace(np.arcsinh(-10.0), 7.5, 20_000)
    _, mean, square = distance_moments(np.sinh(x), np.ones(x.size))
    std = np.sqrt(square - mean**2)
    return x, np.log(mean / std - np.sqrt(3)), np.log(mean)
