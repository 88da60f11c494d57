"""Point spreads that are mixtures: sums over components, and what is left out of them."""

import itertools
from collections import Counter

import healpy
import numpy as np
import pytest
from stats_samples import (
    blob_map,
    contrast_map,
    flat_response,
    near_blob,
    parameters,
    prepare_tiles,
)

from llama.stats.direction import most_probable_direction
from llama.stats.healpix import tiles_geometry, unit_vectors
from llama.stats.odds import Neutrinos, event_odds, prepare_neutrinos
from llama.stats.overlap import log_vmf_norm, prepare_map
from llama.stats.sets import sum_joint_sets

PARAMS = parameters(ndotgwnu=1e-30)
NODES = np.linspace(-1, 1, 201)
AREA = np.ones(201)
WIDTHS_DEG = np.array([0.5, 1.5, 8.0, 40.0])


def mixtures(n, seed, spread_deg=6.0, ra=40.0, dec=20.0):
    """Neutrinos about a place, each of four components with tables of their own."""
    rng = np.random.default_rng(seed)
    away = rng.normal(0, spread_deg, (2, n))
    vectors = unit_vectors(ra + away[0], np.clip(dec + away[1], -89, 89))
    kappa = np.radians(rng.uniform(0.5, 2, n)[:, None] * WIDTHS_DEG) ** -2.0
    slope = rng.uniform(-0.9, 0.9, (n, WIDTHS_DEG.size, 1))
    shares = rng.dirichlet([2.0, 2.0, 1.0, 0.3], n)[:, :, None]
    table = 10 ** rng.uniform(2, 4, (n, 1, 1)) * shares * (1 + slope * NODES)
    return Neutrinos(rng.uniform(-300, 300, n), vectors, kappa, table)


def only(neutrinos, which):
    """The neutrinos with one component each."""
    k = np.arange(len(which))
    kappa = neutrinos.kappa[k, list(which)][:, None]
    return neutrinos._replace(kappa=kappa, intensity=neutrinos.intensity[k, list(which)][:, None])


@pytest.fixture(scope="module")
def near():
    order, ipix, prob = blob_map(40.0, 20.0, 6.0, coarsest=3, finest=6, floor=1e-5)
    return prepare_map(order, ipix, np.tile(prob, (5, 1)))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_mixture_is_the_sum_over_its_components(near, n):
    neutrinos = mixtures(n, n)
    found = event_odds(near, neutrinos, 0.5, PARAMS, AREA, left_out=0.0).sets
    parts = [
        event_odds(near, only(neutrinos, which), 0.5, PARAMS, AREA, left_out=0.0).sets
        for which in itertools.product(range(WIDTHS_DEG.size), repeat=n)
    ]
    every = tuple(range(n))
    right = sum(part.get(every, 0.0) for part in parts)
    assert found[every] == pytest.approx(right, rel=0.005 * n)


def brute_force_of(map_, neutrinos, depth=9):
    """Return sum_k p_k <prod_i s_i>_k over pixels half as wide as the narrowest component."""
    order, ipix, prob = (column[map_[2] > 0] for column in map_)
    parts = 4 ** (depth - order.astype(np.int64))
    first = np.repeat(ipix * parts - (np.cumsum(parts) - parts), parts)
    vectors = np.stack(healpy.pix2vec(2**depth, first + np.arange(first.size), nest=True), axis=-1)
    product = np.repeat(prob / parts, parts)
    for vector, kappas, tables in zip(*neutrinos[1:], strict=True):
        away = 0.5 * ((vectors - vector) ** 2).sum(axis=1)
        product *= sum(
            np.interp(vectors[:, 2], NODES, table) * np.exp(log_vmf_norm(kappa) - kappa * away)
            for kappa, table in zip(kappas, tables, strict=True)
        )
    return product.sum()


@pytest.mark.parametrize(
    ("contrast", "n"), [(None, 1), (None, 2), (None, 3), (3.0, 2), (3.0, 3), (6.0, 1), (6.0, 2)]
)
def test_mixtures_against_brute_force(contrast, n):
    """1 % where a map's densities differ by a power of ten within a wide component."""
    map_ = blob_map(40.0, 20.0, 6.0, 3, 5, 1e-5)
    if contrast:
        map_ = contrast_map(contrast=contrast)
    order, ipix, prob = map_
    prepared = prepare_map(order, ipix, np.tile(prob, (5, 1)))
    for seed in range(2):
        neutrinos = mixtures(n, seed, spread_deg=2.0)._replace(dt_s=np.zeros(n))
        found = event_odds(prepared, neutrinos, 0.5, PARAMS, AREA, left_out=0.0)
        value = found.sets[tuple(range(n))] * PARAMS.fb * 500.0**n
        right = brute_force_of(map_, neutrinos)
        assert value == pytest.approx(right, rel=0.005 if n == 1 else 0.01), seed


@pytest.mark.parametrize("away_deg", [4.0, 8.0])
@pytest.mark.parametrize("widths_deg", [(1.0, 1.01), (0.99, 0.2), (1.0, 0.5)])
def test_where_only_the_tail_of_a_mixture_meets_the_map(away_deg, widths_deg):
    """On a ring about a neutrino all that cells give are tails: 2 % were missing."""
    vector = unit_vectors(np.array([10.0]), np.array([-20.0]))
    centres, _ = tiles_geometry(np.full(49152, 6), np.arange(49152))
    away = np.degrees(np.arccos(centres @ vector[0]))
    ipix = np.flatnonzero((away > away_deg) & (away < away_deg + 2.0))
    map_ = np.full(ipix.size, 6), ipix, np.full(ipix.size, 1.0 / ipix.size)
    neutrinos = Neutrinos(
        np.zeros(1), vector, np.radians([widths_deg]) ** -2.0, np.full((1, 2, 201), 30.0)
    )
    prepared = prepare_map(*map_[:2], np.tile(map_[2], (5, 1)))
    found = event_odds(prepared, neutrinos, 0.5, PARAMS, AREA).lambda_s
    right = brute_force_of(map_, neutrinos, depth=11) / PARAMS.fb / 500.0
    assert found == pytest.approx(right, rel=0.005)


@pytest.mark.parametrize("widths_deg", [(1.0, 3.0), (4.9, 5.1), (0.5, 40.0)])
@pytest.mark.parametrize("away_deg", [0.0, 20.0, 60.0])
@pytest.mark.parametrize("blind", [False, True])
def test_mixtures_far_from_the_map_and_where_the_detector_is_blind(widths_deg, away_deg, blind):
    """The sum over components, each exact, however little of a mixture meets the map."""
    order, ipix, prob = blob_map(40.0, 10.0, 4.0, 3, 6, 0.0)
    weights = np.outer([1.0, 1e-6, 1e-9, 1e-12, 1e-15], prob)
    if blind:
        weights[1:, tiles_geometry(order, ipix)[0][:, 2] < 0.12] = 0.0
    prepared = prepare_map(order, ipix, weights)
    rng = np.random.default_rng(5)
    table = rng.uniform(10, 100, (1, 2, 1)) * np.ones(201)
    vector = unit_vectors(np.array([40.0]), np.array([10.0 - away_deg]))
    kappa = np.radians([widths_deg]) ** -2.0
    both = Neutrinos(np.zeros(1), vector, kappa, table)
    found = event_odds(prepared, both, 0.5, PARAMS, AREA).lambda_s
    right = sum(event_odds(prepared, only(both, (c,)), 0.5, PARAMS, AREA).lambda_s for c in (0, 1))
    assert found == pytest.approx(right, rel=0.01)


@pytest.mark.parametrize("messenger", [(0, 0), (0, 1), (1, 2)])
@pytest.mark.parametrize("widths_deg", [(0.5, 1.5, 8.0, 40.0), (5.1, 8.0, 20.0, 60.0)])
@pytest.mark.parametrize("at_deg", [(40.0, 20.0), (150.0, -30.0)])
def test_pairs_of_any_messengers_near_and_far(messenger, widths_deg, at_deg):
    """Weights of 0, 1 and 2 neutrinos that differ by powers of ten, as those of far sources."""
    order, ipix, prob = blob_map(40.0, 20.0, 6.0, 3, 5, 1e-5)
    prepared = prepare_map(order, ipix, np.outer(1e-4 ** np.arange(5.0), prob))
    ra, dec = np.array([at_deg[0]] * 2), at_deg[1] + np.array([0.0, -10.0])
    kappa = np.radians([widths_deg] * 2) ** -2.0
    table = np.random.default_rng(6).uniform(10, 100, (2, 4, 1)) * np.ones(201)
    kinds = np.array(messenger)
    times = np.full(2, -500.0), np.full(2, 500.0), np.full(2, 1000.0)

    def given(kappa, table):
        window = np.array([-250.0, 250.0])
        rest = unit_vectors(ra, dec), kappa, table, window, 4, 4, 0.0
        members, values, _ = sum_joint_sets(prepared, kinds, times, *rest)
        return {tuple(m[m >= 0]): value for m, value in zip(members, values, strict=True)}

    found, right = given(kappa, table), Counter()
    for c, d in itertools.product(range(4), repeat=2):
        some = np.array([c, d])[:, None]
        one = given(
            np.take_along_axis(kappa, some, 1), np.take_along_axis(table, some[:, :, None], 1)
        )
        # each alone is in four of the choices
        for which, value in one.items():
            right[which] += value / (4 if len(which) == 1 else 1)
    assert len(found) == 3
    for which, value in found.items():
        assert value == pytest.approx(right[which], rel=0.005 if len(which) == 1 else 0.01)


@pytest.mark.parametrize("factor", [0.03, 0.2, 30.0])
def test_a_mixture_where_the_response_has_a_step(near, factor):
    """Within four degrees, as at the horizon of IceCube's smearing matrix."""
    step = factor ** np.clip((137 - np.arange(201)) / 8, 0, 1)
    neutrinos = mixtures(6, 3, 10.0)
    neutrinos = neutrinos._replace(intensity=neutrinos.intensity * step)
    found = event_odds(near, neutrinos, 0.5, PARAMS, AREA).single_odds
    right = sum(
        event_odds(near, only(neutrinos, (c,) * 6), 0.5, PARAMS, AREA).single_odds
        for c in range(WIDTHS_DEG.size)
    )
    np.testing.assert_allclose(found, right, rtol=0.015)


def test_components_alike_are_one(near):
    one = only(mixtures(4, 5), (1, 0, 2, 1))
    shares = np.array([0.2, 0.0, 0.5, 0.3])[None, :, None]
    split = one._replace(kappa=np.repeat(one.kappa, 4, axis=1), intensity=one.intensity * shares)
    a, b = (event_odds(near, each, 0.5, PARAMS, AREA, left_out=0.0) for each in (one, split))
    np.testing.assert_allclose(a.single_odds, b.single_odds, rtol=5e-3)
    for which in a.sets.keys() | b.sets.keys():  # what one of them passes over is nothing
        assert a.sets.get(which, 0) == pytest.approx(b.sets.get(which, 0), rel=0.01, abs=1e-6)
    assert a.lambda_s == pytest.approx(b.lambda_s, rel=5e-3)
    assert most_probable_direction(near, one, a.sets) == pytest.approx(
        most_probable_direction(near, split, b.sets), abs=0.05
    )


@pytest.mark.parametrize("spread_deg", [3.0, 15.0, 60.0])
def test_what_is_left_out_is_a_thousandth_at_most(spread_deg):
    map_ = near_blob(40.0, 20.0, 6.0, 60.0, 12.0, coarsest=3, finest=5)
    prepared = prepare_tiles(*map_, AREA, PARAMS)
    fewer = 0
    for seed in range(12):
        neutrinos = mixtures(6, seed, spread_deg)
        some = event_odds(prepared, neutrinos, 0.5, PARAMS, AREA)
        every = event_odds(prepared, neutrinos, 0.5, PARAMS, AREA, left_out=0.0)
        assert some.lambda_s == pytest.approx(every.lambda_s, rel=1e-3)
        assert len(some.sets) <= len(every.sets)
        np.testing.assert_allclose(some.single_odds, every.single_odds, rtol=2e-3)
        fewer += len(every.sets) - len(some.sets)
    assert fewer > 0 or spread_deg < 10


def test_the_order_of_neutrinos_does_not_count(near):
    neutrinos = mixtures(5, 8)
    base = event_odds(near, neutrinos, 0.5, PARAMS, AREA)
    rng = np.random.default_rng(1)
    for _ in range(6):
        along = rng.permutation(5)
        turned = Neutrinos(*(column[along] for column in neutrinos))
        found = event_odds(near, turned, 0.5, PARAMS, AREA)
        assert found.odds_ratio == pytest.approx(base.odds_ratio, rel=1e-4)
        np.testing.assert_allclose(found.single_odds, base.single_odds[along], rtol=1e-9)


class FakeDetector:
    """Remembers what it was asked for; else an isotropic response."""

    log10_energy, sin_dec, signal_per_dex, background_per_dex, area_relative = vars(
        flat_response()
    ).values()

    def neutrinos(self, log10_proxy, sigma_deg, sin_dec):
        self.asked = log10_proxy, sigma_deg, sin_dec
        kappa = np.radians(sigma_deg)[:, None] ** -2 * [1.0, 0.1]
        return kappa, np.full((sin_dec.size, 2, 21), [[3.0], [1.0]])


def test_a_detector_gives_mixtures():
    detector = FakeDetector()
    columns = [0.0] * 4, [10.0] * 4, [30.0] * 4, [0.01, 1.0, 1.0, 1.0], [1e3, 1.0, 1e12, np.nan]
    params = parameters(epsilon_min_gev=100.0, epsilon_max_gev=1e6)
    found = prepare_neutrinos(*map(np.array, columns), detector, params)
    proxy, sigma, sin_dec = detector.asked
    np.testing.assert_allclose(proxy, [3.0, 2.0, 6.0, np.nan])  # within the spectrum's limits
    np.testing.assert_allclose(sigma, [params.sigma_floor_deg, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(sin_dec, 0.5)
    np.testing.assert_allclose(found.kappa[1], np.radians(1.0) ** -2 * np.array([1.0, 0.1]))
    np.testing.assert_allclose(found.intensity[:, :, 0] * params.ratebgnu, [[3.0, 1.0]] * 4)


def test_probabilities_too_small_for_numbers_count_as_nothing():
    """As the public map of GW200115 has them, of 1e-323 and more: products have no moments."""
    order, ipix, prob = blob_map(40.0, 20.0, 3.0, coarsest=4, finest=6, floor=0.0)
    far = tiles_geometry(order, ipix)[0] @ unit_vectors(np.array(40.0), np.array(20.0)) < 0.97
    nothing, least = (
        prepare_map(order, ipix, np.tile(np.where(far, value, prob), (5, 1)))
        for value in (0.0, 1e-322)
    )
    for seed in range(3):
        some = mixtures(4, seed, spread_deg=1.5, ra=80.0, dec=40.0)
        two = (np.ascontiguousarray(one[:, :2]) for one in (some.kappa, 1e-3 * some.intensity))
        some = Neutrinos(*some[:2], *two)
        odds = [event_odds(map_, some, 0.5, PARAMS, AREA).odds_ratio for map_ in (nothing, least)]
        assert odds[1] == pytest.approx(odds[0], abs=1e-280)
