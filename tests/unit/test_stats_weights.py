"""Weights of tiles: against adaptive quadrature, and in the limits of the model."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import exp1, gammainc
from stats_samples import parameters

from llama.stats.weights import count_moments, moment_table, tile_weights

PARAMS = parameters()
ONE = np.ones(2)
TABLE = moment_table(PARAMS)


def moment(a, n, params=PARAMS):
    """<exp(-mu) mu^n> over log-uniform energy, by quadrature."""
    low, high = math.log(params.Enumin * params.fb), math.log(params.Enumax * params.fb)

    def integrand(x):
        return math.exp(-a * math.exp(x)) * (a * math.exp(x)) ** n

    edges = np.linspace(low, high, 12)
    total = sum(quad(integrand, *pair)[0] for pair in pairwise(edges))
    return total / (high - low)


def weight(mu, sigma, n, params=PARAMS, area=1.0):
    """w_n of one tile with probability 1, by quadrature over distance."""

    def density(r):
        return (r / mu) ** 2 * math.exp(-0.5 * ((r - mu) / sigma) ** 2)

    def integrand(r):
        a = params.nu_51_100 * area * (100 / r) ** 2
        return density(r) * float(count_moments(np.array([a]), params)[n, 0])

    edges = np.linspace(max(1e-6 * abs(mu), mu - 12 * sigma), max(mu, 0) + 12 * sigma, 40)
    pairs = list(pairwise(edges))
    return sum(quad(integrand, *p)[0] for p in pairs) / sum(quad(density, *p)[0] for p in pairs)


def one_tile(mu, sigma, params=PARAMS, area=1.0):
    columns = np.ones(1), np.zeros(1), np.array([float(mu)]), np.array([float(sigma)])
    return tile_weights(*columns, area * ONE, params)[:, 0]


@pytest.mark.parametrize("a", [1e-8, 1e-3, 0.5, 20.0, 1e4])
def test_energy_marginal(a):  # invariant 15
    closed = count_moments(np.array([a]), PARAMS)[:, 0]
    for n in range(5):
        assert closed[n] == pytest.approx(moment(a, n), rel=1e-8, abs=1e-40)


def test_probabilities_of_all_counts_sum_to_one():  # invariant 15
    for a in (0.01, 1.0, 30.0):
        low, high = a * PARAMS.Enumin * PARAMS.fb, a * PARAMS.Enumax * PARAMS.fb
        log_range = math.log(PARAMS.Enumax / PARAMS.Enumin)
        n = np.arange(1, 400)
        p = (gammainc(n, high) - gammainc(n, low)) / (n * log_range)
        assert (exp1(low) - exp1(high)) / log_range + p.sum() == pytest.approx(1, abs=1e-9)
        moments = count_moments(np.array([a]), PARAMS)[:, 0]
        for k in range(1, 5):
            assert moments[k] == pytest.approx(math.factorial(k) * p[k - 1], rel=1e-9)


@pytest.mark.parametrize(
    ("mu", "sigma"), [(40, 5), (150, 60), (1500, 400), (3, 2), (-50, 120), (-400, 90), (1e-3, 30)]
)
def test_distance_integral(mu, sigma):
    found = one_tile(mu, sigma)
    for n in range(5):
        assert found[n] == pytest.approx(weight(mu, sigma, n), rel=1e-5)


def test_delta_function_in_distance_and_its_limits():  # invariant 16
    for r in (5.0, 100.0, 3000.0):
        a = np.array([1.1 * (100 / r) ** 2])
        np.testing.assert_allclose(one_tile(r, 1e-6 * r), count_moments(a, PARAMS)[:, 0], rtol=1e-6)
    far = [one_tile(r, 1e-6 * r)[1] for r in (1e4, 2e4)]
    assert far[0] / far[1] == pytest.approx(4, rel=1e-4)
    weak = 1.1 * 1e-4 * (PARAMS.Enumax - PARAMS.Enumin) * PARAMS.fb / math.log(1e5)
    assert far[0] == pytest.approx(weak, rel=1e-4)
    # a source so near that one neutrino is too few
    near = [one_tile(r, 1e-6 * r)[1] for r in (0.05, 0.2, 1.0, 10.0, 300.0)]
    assert near[0] < near[1] < near[2] < near[3]
    assert near[3] > near[4]


def test_map_without_distance_is_one_with_the_assumed_prior():  # invariant 25
    r_max = PARAMS.assumed_horizon_mpc
    flat = tile_weights(ONE / 2, np.zeros(2), None, None, ONE, PARAMS)
    unknown = tile_weights(ONE / 2, np.zeros(2), np.full(2, np.inf), ONE, ONE, PARAMS)
    np.testing.assert_array_equal(flat, unknown)
    a = lambda r: np.array([1.1 * (100 / r) ** 2])  # noqa: E731
    for n in range(5):
        edges = np.concatenate([[1e-3, 0.1, 1], np.linspace(5, r_max, 30)])
        by_hand = sum(
            quad(lambda r, n=n: 3 * r**2 / r_max**3 * count_moments(a(r), PARAMS)[n, 0], *pair)[0]
            for pair in pairwise(edges)
        )
        assert flat[n].sum() == pytest.approx(by_hand, rel=2e-4)
    # in the weak limit <r^-2> = 3 / r_max^2
    params = parameters(Enumin=1e-9, Enumax=1e-8)
    weak = tile_weights(np.ones(1), np.zeros(1), None, None, ONE, params)[1, 0]
    mean = 1.1 * 9e-9 * 10 / math.log(10) * 1e4 * 3 / r_max**2
    assert weak == pytest.approx(mean, rel=1e-3)


def test_area_and_energy_range_enter_as_one_product():  # invariant 17
    narrow = parameters(fb=1.0, Enumin=1e-5, Enumax=1.0)
    np.testing.assert_allclose(one_tile(80, 20), one_tile(80, 20, narrow), rtol=1e-12)
    scaled = parameters(nu_51_100=PARAMS.nu_51_100 * 3)
    np.testing.assert_allclose(one_tile(80, 20, area=3.0), one_tile(80, 20, scaled), rtol=1e-9)
    assert one_tile(80, 20, area=0.0)[1:].max() == 0
    assert one_tile(80, 20, area=0.0)[0] == 1


@settings(max_examples=150)
@given(
    st.floats(-1e4, 1e4),
    st.floats(1e-3, 1e4),
    st.floats(0, 50),
    st.floats(-1, 1),
)
def test_weights_are_finite_and_ordered(mu, sigma, area, sin_dec):
    weights = tile_weights(
        np.ones(1),
        np.array([sin_dec]),
        np.array([mu]),
        np.array([sigma]),
        area * ONE,
        PARAMS,
        TABLE,
    )
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()
    # probabilities of 0..4 neutrinos: together at most 1
    factorial = np.array([1, 1, 2, 6, 24])
    assert (weights[:, 0] / factorial).sum() <= 1 + 1e-6
