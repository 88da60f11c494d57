"""p-values are uniform for background that was not used, and order as they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from stats_samples import blob_map, parameters, steep_response
from stats_simulation import simulate

from llama.stats.healpix import tiles_geometry
from llama.stats.odds import event_odds, prepare_neutrinos
from llama.stats.overlap import prepare_map
from llama.stats.pvalue import p_value, weighted_p_values
from llama.stats.weights import tile_weights

PARAMS = parameters(ratebgnu=0.0025, epsilon_min_gev=100.0)
RESPONSE = steep_response()
N = 4000  # per half


@pytest.fixture(scope="module")
def background():
    """Odds of triggers without any signal, and neutrinos to change."""
    rng = np.random.default_rng(5)
    order, ipix, prob = blob_map(120.0, -30.0, 20.0, coarsest=2, finest=4, floor=1e-3)
    map_ = order, ipix, prob, np.full(prob.size, 100.0), np.full(prob.size, 30.0)
    sin_dec = tiles_geometry(order, ipix)[0][:, 2]
    area = RESPONSE.area_relative
    prepared = prepare_map(order, ipix, tile_weights(prob, sin_dec, *map_[3:], area, PARAMS))
    _, true, trigger, *columns = simulate(PARAMS, RESPONSE, [map_], np.zeros(2 * N), rng, (0.5, 3))
    assert not true.any()

    def odds(t, scale=1.0):
        part = [column[trigger == t] for column in columns]
        part[0] = part[0] * scale
        neutrinos = prepare_neutrinos(*part, RESPONSE, PARAMS)
        return event_odds(prepared, neutrinos, 0.5, PARAMS, area).odds_ratio

    return np.array([odds(t) for t in range(2 * N)]), odds


def p_values(odds, table):
    """p-values, an atom at odds 0 spread evenly over what is above it."""
    p = np.array([p_value(float(o), table) for o in odds])
    zero = (table == 0).mean()
    p[odds == 0] = 1 - zero * np.random.default_rng(0).random((odds == 0).sum())
    return p


def test_uniform_for_background_not_used(background):
    odds, _ = background
    assert 0.05 < (odds == 0).mean() < 0.3
    p = p_values(odds[:N], np.sort(odds[N:]))
    assert kstest(p, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("factor", [10.0, 1 / 3, (180 / np.pi) ** 2])
def test_a_wrong_factor_in_events_but_not_in_the_background_is_found(background, factor):
    odds, _ = background
    p = p_values(odds[:N] * factor, np.sort(odds[N:]))
    assert kstest(p, "uniform").pvalue < 1e-6


def test_a_narrower_search_window_than_in_the_background_is_found(background):
    odds, make = background
    p = p_values(np.array([make(t, scale=0.5) for t in range(N)]), np.sort(odds[N:]))
    assert kstest(p, "uniform").pvalue < 1e-6


positive = st.floats(0, 1e30)
tables = st.lists(positive, min_size=1, max_size=50).map(lambda x: np.sort(np.array(x)))


@given(positive, positive, tables)
def test_higher_odds_never_have_higher_p(one, other, table):
    low, high = sorted([one, other])
    assert p_value(high, table) <= p_value(low, table)


@given(positive, tables)
def test_bounds_and_equality(odds, table):
    p = p_value(odds, table)
    assert 1 / (1 + table.size) <= p <= 1
    assert p_value(0.0, table) == 1
    assert p_value(float(table[0]), table) == 1
    if odds > 0:
        assert p == (1 + (table >= odds).sum()) / (1 + table.size)


@pytest.mark.parametrize("odds", [np.nan, np.inf, -1.0])
def test_impossible_odds(odds):
    with pytest.raises(ValueError, match="odds must be finite"):
        p_value(odds, np.array([1.0]))


@pytest.mark.parametrize(
    "table", [[], [np.nan], [1, np.nan, 2], [0, np.inf], [2, 1], [-1, 0], [[1, 2]]]
)
def test_impossible_background(table):
    with pytest.raises(ValueError, match="background"):
        p_value(1.0, np.array(table, dtype=float))


@given(st.lists(st.sampled_from([0.0, 1e-9, 0.3, 1.0, 7.5, 1e300]), min_size=1, max_size=40))
def test_without_weights_they_are_the_counts(odds):
    background = np.sort(odds)
    asked = np.array([0.0, 1e-9, 0.5, 1.0, 1e300])
    found = weighted_p_values(asked, np.ones(5), background, np.ones(background.size))
    above = np.array([(background >= o).sum() for o in asked])
    expected = np.where(asked > 0, (1 + above) / (1 + background.size), 1.0)
    np.testing.assert_array_equal(found.p, expected)
    np.testing.assert_array_equal(p_value_of(asked, background), expected)
    np.testing.assert_allclose(found.effective, above)
    assert found.error[0] == 0


def p_value_of(odds, background):
    return [p_value(float(o), background) for o in odds]


def test_weights_count_and_so_does_the_event_itself():
    background, weights = np.array([0.1, 1.0, 1.0, 5.0]), np.array([2.0, 0.5, 0.25, 1e-6])
    odds, own = (
        np.array([0.0, 1e-3, 1.0, 5.0, 6.0, 0.05]),
        np.array([9.0, 1.0, 0.1, 1e-6, 1e-7, 9.0]),
    )
    found = weighted_p_values(odds, own, background, weights)
    sums = np.array([0.0, 2.750001, 0.750001, 1e-6, 0.0, 2.750001])
    expected = np.minimum((own + sums) / 5, 1.0)
    expected[0] = 1.0
    np.testing.assert_allclose(found.p, expected, rtol=1e-12)
    # (sum w)^2 / sum w^2 of those above, none above the last but one
    np.testing.assert_allclose(found.effective[2], 0.750001**2 / 0.3125, rtol=1e-9)
    assert found.effective[3] == pytest.approx(1)
    assert found.effective[4] == 0
    assert found.error[4] == pytest.approx(1e-7 / 5, rel=0.2)  # about as large as p itself


def test_errors_are_those_of_many_backgrounds():
    rng = np.random.default_rng(1)
    spread = []
    for _ in range(400):
        # drawn with the power 0.5, weighted to 1
        odds = np.sort(rng.pareto(0.5, 500))
        weights = 2 * (1 + odds) ** -0.5
        spread.append(weighted_p_values(np.array([99.0]), np.array([0.2]), odds, weights))
    p, error = np.array([(s.p[0], s.error[0]) for s in spread]).T
    assert error.mean() == pytest.approx(p.std(), rel=0.15)
    assert p.mean() == pytest.approx(0.01, rel=0.1)


def test_maps_that_differ_make_the_error_larger():
    """Jackknife over maps: as p-values of classes of other maps differ."""
    rng = np.random.default_rng(2)
    found, without = [], []
    for _ in range(300):
        scale = np.repeat(rng.lognormal(0, 1.5, 20), 50)
        maps = np.repeat(np.arange(20), 50)
        odds = scale * rng.pareto(1.0, 1000)
        along = np.argsort(odds)
        sample = np.array([30.0]), np.ones(1), odds[along], np.ones(1000)
        found.append(weighted_p_values(*sample, maps[along]))
        without.append(weighted_p_values(*sample).error[0])
    p, error = np.array([(s.p[0], s.error[0]) for s in found]).T
    assert error.mean() == pytest.approx(p.std(), rel=0.2)
    assert np.mean(without) < 0.7 * p.std()


@pytest.mark.parametrize(
    ("own", "weights"), [(1.0, [1.0, 0.0]), (1.0, [1.0, np.nan]), (0.0, [1.0, 1.0]), (1.0, [1.0])]
)
def test_weights_that_are_none_are_refused(own, weights):
    with pytest.raises(ValueError, match="weight"):
        weighted_p_values(np.ones(1), np.array([own]), np.array([0.1, 0.2]), np.array(weights))
