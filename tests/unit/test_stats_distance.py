"""The one quadrature over distance, against brute force in extended precision."""

import numpy as np
import pytest
from stats_samples import parameters

from llama.sky.tiles import SkyTiles
from llama.stats.distance import distance_nodes, quadrature
from llama.stats.weights import count_moments, tile_weights

# distmu, distsigma [Mpc]: near, far, sharp, of positive and negative distmu, mostly cut off at 0
CASES = [(100, 20), (500, 100), (40, 0.4), (1000, 1), (0, 50), (-100, 80), (-1000, 200)]


def brute_force(mu, sigma, value):
    """Mean of value(r) under r^2 N(r; mu, sigma): 400 pieces of 40 nodes."""
    mode = 0.5 * (mu + np.hypot(mu, np.sqrt(8) * sigma))
    width = 1 / np.sqrt(1 / sigma**2 + 2 / mode**2)
    ends = np.linspace(max(0, mode - 12 * width), min(mode + 12 * sigma, mode + 40 * width), 401)
    nodes, shares = np.polynomial.legendre.leggauss(40)
    r = (ends[:-1, None] + np.diff(ends)[:, None] * (nodes + 1) / 2).astype(np.longdouble)
    density = shares * (r / mode) ** 2 * np.exp((mode - r) * (mode + r - 2 * mu) / (2 * sigma**2))
    return float((density * value(r)).sum() / density.sum())


@pytest.mark.parametrize(("mu", "sigma"), CASES)
def test_moments_of_the_distance_are_exact(mu, sigma):
    r, density = distance_nodes(float(mu), float(sigma), *quadrature())
    for power in (1, 2):
        mean = (density * r**power).sum() / density.sum()
        assert mean == pytest.approx(brute_force(mu, sigma, lambda r, p=power: r**p), rel=1e-12)
    one = np.array([float(mu)]), np.array([float(sigma)])
    tiles = SkyTiles(np.zeros(1, np.int8), np.zeros(1, np.int64), np.ones(1), *one)
    mean, spread = tiles.distance_moments_mpc()
    assert mean == pytest.approx(brute_force(mu, sigma, lambda r: r), rel=1e-12)
    variance = brute_force(mu, sigma, lambda r: (r - mean) ** 2)
    assert spread**2 == pytest.approx(variance, rel=1e-8)  # the difference of two large numbers


@pytest.mark.parametrize(("mu", "sigma"), CASES)
def test_weights_are_means_over_the_distance(mu, sigma):
    params = parameters()
    columns = (np.array([x], dtype=float) for x in (1, 0, mu, sigma))
    weights = tile_weights(*columns, np.ones(2), params)[:, 0]

    def moment(n):
        def value(r):
            a = params.nu_51_100 * (100 / r.astype(float)) ** 2
            return count_moments(a.ravel(), params)[n].reshape(a.shape)

        return brute_force(mu, sigma, value)

    assert weights == pytest.approx([moment(n) for n in range(5)], rel=2e-7)
