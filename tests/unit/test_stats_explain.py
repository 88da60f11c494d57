"""The odds ratio as a product: the factors make it, and mean what they say."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stats_samples import blob_map, flat_response, parameters, steep_response

from llama.stats.explain import explain_odds
from llama.stats.healpix import tiles_geometry
from llama.stats.odds import event_odds, prepare_neutrinos
from llama.stats.overlap import prepare_map
from llama.stats.weights import tile_weights

PARAMS = parameters()


def skymap(response, distance_mpc=None, flat=False):
    if flat:
        order, ipix = np.full(192, 2, np.int8), np.arange(192)
        prob = np.full(192, 1 / 192)
    else:
        order, ipix, prob = blob_map(60.0, 25.0, 4.0, finest=7)
    vectors, _ = tiles_geometry(order, ipix)
    mu = None if distance_mpc is None else np.full(prob.size, distance_mpc)
    sigma = None if mu is None else mu / 5
    weights = tile_weights(prob, vectors[:, 2], mu, sigma, response.area_relative, PARAMS)
    return prepare_map(order, ipix, weights)


STEEP = steep_response()


@functools.cache
def steep_map(distance_mpc):
    return skymap(STEEP, distance_mpc)


def explained(neutrinos, p_astro=0.5, prepared=None, response=STEEP):
    columns = [np.array(column, dtype=float) for column in zip(*neutrinos, strict=True)]
    columns = columns or [np.empty(0)] * 5
    rows = prepare_neutrinos(*columns, response, PARAMS)
    prepared = prepared or steep_map(40.0)
    odds = event_odds(prepared, rows, p_astro, PARAMS, response.area_relative)
    return odds, explain_odds(prepared, rows, p_astro, odds, PARAMS, response)


NEUTRINO = st.tuples(
    st.floats(-600, 600),
    st.floats(0, 360) | st.floats(50, 70),
    st.floats(-90, 90) | st.floats(15, 35),
    st.floats(0.2, 20),
    st.floats(2, 7.5).map(lambda x: 10**x),
)


@settings(max_examples=150)
@given(
    neutrinos=st.lists(NEUTRINO, max_size=6),
    p_astro=st.floats(1e-6, 1 - 1e-6),
    distance=st.sampled_from([None, 40.0, 400.0]),
)
def test_the_product_of_the_factors_is_the_odds_ratio(neutrinos, p_astro, distance):
    odds, why = explained(neutrinos, p_astro, steep_map(distance))
    if odds.odds_ratio == 0:
        assert why is None
        return
    assert math.prod(why.factors.values()) == pytest.approx(odds.odds_ratio, rel=1e-9)
    assert all(math.isfinite(f) and f > 0 for f in why.factors.values())
    assert why.factors["other_sets"] >= 1 - 1e-12
    assert 0 < why.probability_of_count <= 1


def test_no_neutrino_no_wave_and_a_neutrino_outside_of_the_window_have_no_explanation():
    assert explained([])[1] is None
    assert explained([(700.0, 60.0, 25.0, 1.0, 1e4)])[1] is None
    assert explained([(1.0, 60.0, 25.0, 1.0, 1e4)], p_astro=0.0)[1] is None


@pytest.mark.parametrize("dt", [-499.0, -100.0, 0.0, 250.0])
def test_where_nothing_speaks_for_or_against_only_time_does(dt):
    """An even sky, a detector that sees it evenly, and one spectrum: position and energy say 1."""
    response = flat_response()
    prepared = skymap(response, 100.0, flat=True)
    _, why = explained([(dt, 120.0, -30.0, 2.0, 1e4)], 0.3, prepared, response)
    assert why.factors["position"] == pytest.approx(1.0, rel=5e-3)
    assert why.factors["energy"] == pytest.approx(1.0, rel=5e-3)
    assert why.factors["time"] == pytest.approx(2 * (1 - abs(dt) / 500))
    assert why.factors["background_rate"] == pytest.approx(1 / 6.4)
    assert why.factors["p_astro"] == pytest.approx(0.3, rel=1e-2)
    assert why.factors["other_sets"] == 1.0


def test_each_trait_moves_its_own_factor():
    usual = explained([(10.0, 60.0, 25.0, 1.0, 1e4)])[1].factors

    def ratio(p_astro=0.5, prepared=None, **changes):
        neutrino = {"dt": 10.0, "ra": 60.0, "dec": 25.0, "sigma": 1.0, "energy": 1e4} | changes
        other = explained([tuple(neutrino.values())], p_astro, prepared)[1].factors
        return {name: other[name] / usual[name] for name in usual}

    def moved(ratios):
        return {name for name, value in ratios.items() if abs(value - 1) > 0.02}

    assert moved(ratio(dt=300.0)) == {"time"}
    assert moved(ratio(p_astro=0.9)) == {"p_astro"}
    assert moved(ratio(energy=1e6)) == {"energy"}
    assert ratio(energy=1e6)["energy"] > 10
    assert moved(ratio(ra=70.0)) == {"position"}
    assert ratio(ra=70.0)["position"] < 0.5
    assert moved(ratio(prepared=steep_map(400.0))) == {"distance"}
    assert ratio(prepared=steep_map(400.0))["distance"] < 0.1


def test_two_neutrinos_together_are_named_when_they_give_most():
    pair = [(10.0, 60.0, 25.0, 1.0, 1e4), (20.0, 60.3, 25.1, 1.0, 1e4)]
    _, why = explained([*pair, (400.0, 200.0, -60.0, 1.0, 1e3)])
    assert why.members == (0, 1)
    assert why.factors["background_rate"] == pytest.approx(2 / 6.4**2)


def test_a_neutrino_at_the_other_end_of_the_sky_is_explained_by_its_position():
    odds, why = explained([(10.0, 190.0, -40.0, 0.5, 1e4)])
    if odds.odds_ratio > 0:
        assert why.factors["position"] < 1e-3
        assert math.prod(why.factors.values()) == pytest.approx(odds.odds_ratio)
