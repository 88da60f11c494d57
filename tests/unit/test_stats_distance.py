"""The one quadrature over distance, against brute force in extended precision."""

import numpy as np
import pytest
from stats_samples import parameters

from llama.sky.tiles import SkyTiles
from llama.stats.distance import (
    distance_moments,
    distance_nodes,
    distance_norm,
    distance_parameters,
    quadrature,
)
from llama.stats.weights import count_moments, tile_weights, weight_moments

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


def test_moments_give_the_density_back():
    mu, sigma = (np.array(column, dtype=float) for column in zip(*CASES, strict=True))
    narrow = np.array([3e4, 5e5]), np.array([20.0, 30.0])
    mu, sigma = np.append(mu, narrow[0]), np.append(sigma, narrow[1])
    _, mean, square = distance_moments(mu, sigma)
    found = distance_parameters(mean, np.sqrt(square - mean**2))
    assert found[0] == pytest.approx(mu, rel=1e-5, abs=1e-5)
    assert found[1] == pytest.approx(sigma, rel=1e-5)


def test_parameters_are_those_of_ligo_skymap():
    theirs = pytest.importorskip("ligo.skymap.distance")
    ratio = np.array([1.85, 2.0, 3.0, 10.0, 100.0])
    mean, std = np.full(ratio.size, 150.0), 150.0 / ratio
    mu, sigma, norm = theirs.moments_to_parameters(mean, std)
    ours = distance_parameters(mean, std)
    assert ours[0] == pytest.approx(mu, rel=1e-5)
    assert ours[1] == pytest.approx(sigma, rel=1e-5)
    assert distance_norm(mu, sigma) == pytest.approx(norm, rel=1e-9)


def test_what_is_too_wide_for_such_a_density_keeps_its_mean():
    mu, sigma = distance_parameters(np.full(2, 100.0), np.array([60.0, 90.0]))
    mean = distance_moments(mu, sigma)[1]
    assert mean == pytest.approx(100.0, rel=1e-5)
    assert mu / sigma == pytest.approx(-10, rel=1e-6)
    assert np.isfinite(distance_norm(mu, sigma)).all()


def test_weights_with_powers_of_the_distance_are_its_moments():
    params = parameters(nu_51_100=1e-12)  # nothing seen, so that the map's own density is left
    prob, mu, sigma = (np.array([x], dtype=float) for x in (1, 100, 20))
    for relative in (np.ones(1), np.zeros(1)):
        weights = weight_moments(prob, relative, mu, sigma, params, powers=3)[:, 0, 0]
        assert weights == pytest.approx(distance_moments(mu, sigma)[:, 0], rel=1e-9)
