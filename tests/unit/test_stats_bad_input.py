"""The statistic refuses what is no map, no neutrino and no probability, and never gives NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stats_samples import blob_map, steep_response

from llama.errors import LlamaError
from llama.stats.direction import flux_sensitivity, joint_p_astro, most_probable_direction
from llama.stats.healpix import tiles_geometry
from llama.stats.odds import event_odds, prepare_neutrinos
from llama.stats.overlap import prepare_map
from llama.stats.parameters import SearchParameters
from llama.stats.pvalue import p_value
from llama.stats.weights import tile_weights

PARAMS = SearchParameters()
RESPONSE = steep_response()
ORDER, IPIX, PROB = blob_map(50.0, 20.0, 4.0, coarsest=2, finest=5)
SIN_DEC = tiles_geometry(ORDER, IPIX)[0][:, 2]
AREA = RESPONSE.area_relative
GOOD = {"dt_s": 10.0, "ra_deg": 50.0, "dec_deg": 20.0, "sigma_deg": 1.0, "energy_gev": 3e3}


def weights(**changes):
    good = {
        "prob": PROB,
        "sin_dec": SIN_DEC,
        "distmu": np.full(PROB.size, 100.0),
        "distsigma": np.full(PROB.size, 30.0),
        "area_relative": AREA,
    }
    return tile_weights(**(good | changes), params=PARAMS)


def neutrinos(**changes):
    return prepare_neutrinos(
        **{name: np.array([value]) for name, value in (GOOD | changes).items()},
        response=RESPONSE,
        params=PARAMS,
    )


PREPARED = prepare_map(ORDER, IPIX, weights())


def spoiled(array, value):
    array = np.array(array, dtype=float)
    array[3] = value
    return array


@pytest.mark.parametrize(
    "changes",
    [
        {"prob": spoiled(PROB, np.nan)},
        {"prob": spoiled(PROB, -0.1)},
        {"prob": 0.3 * PROB},
        {"prob": np.zeros(0), "sin_dec": np.zeros(0)},
        {"prob": PROB[:, None]},
        {"sin_dec": SIN_DEC[:-1]},
        {"sin_dec": spoiled(SIN_DEC, 1.5)},
        {"sin_dec": spoiled(SIN_DEC, np.nan)},
        {"distsigma": np.full(PROB.size, -1.0)},
        {"distsigma": np.zeros(PROB.size)},
        {"distsigma": np.full(PROB.size, np.nan)},
        {"distmu": np.ones(3)},
        {"area_relative": spoiled(AREA, np.nan)},
        {"area_relative": spoiled(AREA, -1)},
        {"area_relative": np.ones(1)},
    ],
)
def test_what_is_no_sky_map_gets_no_weights(changes):
    with pytest.raises(LlamaError, match=r"; (check|import)"):
        weights(**changes)


@pytest.mark.parametrize(
    ("order", "ipix", "w"),
    [
        (ORDER, IPIX[:-1], PREPARED.weights),
        (ORDER, IPIX, PREPARED.weights[:3]),
        (np.zeros(0, np.int8), np.zeros(0, np.int64), np.zeros((5, 0))),
        (ORDER, IPIX, -PREPARED.weights),
        (ORDER, IPIX, np.full_like(PREPARED.weights, np.nan)),
        (np.full_like(ORDER, 30), IPIX, PREPARED.weights),
        (ORDER, IPIX + 12 * 4**9, PREPARED.weights),
        (ORDER, -IPIX - 1, PREPARED.weights),
        (ORDER[[0, 0]], IPIX[[0, 0]], PREPARED.weights[:, [0, 0]]),
    ],
)
def test_tiles_that_cannot_be_are_refused(order, ipix, w):
    with pytest.raises(LlamaError, match="; check"):
        prepare_map(order, ipix, w)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_neutrinos_that_are_not_finite_are_refused(name, value):
    with pytest.raises(LlamaError, match="finite"):
        neutrinos(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("dec_deg", 95), ("dec_deg", -91), ("sigma_deg", 0), ("sigma_deg", -1), ("energy_gev", 0)],
)
def test_impossible_neutrinos_are_refused(name, value):
    with pytest.raises(LlamaError, match="check the list"):
        neutrinos(**{name: value})


def test_columns_of_different_length_are_refused():
    columns = [np.ones(2), np.ones(3), np.ones(2), np.ones(2), np.ones(2)]
    with pytest.raises(LlamaError, match="same length"):
        prepare_neutrinos(*columns, response=RESPONSE, params=PARAMS)


@pytest.mark.parametrize("p_astro", [-0.1, 1.0, 1.5, np.nan, np.inf])
def test_p_astro_must_be_a_probability_below_one(p_astro):
    with pytest.raises(LlamaError, match="p_astro"):
        event_odds(PREPARED, neutrinos(), p_astro, PARAMS, AREA)


def test_neutrinos_of_another_response_are_refused():
    good = neutrinos()
    for wrong in (
        good._replace(intensity=good.intensity[:, :-1]),
        good._replace(intensity=-good.intensity),
        good._replace(sigma_rad=np.array([np.nan])),
        good._replace(vectors=good.vectors[:, :2]),
    ):
        with pytest.raises(LlamaError):
            event_odds(PREPARED, wrong, 0.5, PARAMS, AREA)


@pytest.mark.parametrize(
    "changes",
    [
        {"fb": 0.5},
        {"fb": float("nan")},
        {"Enumin": 1.0, "Enumax": 0.1},
        {"Enumin": 0.0},
        {"ratebgnu": 0.0},
        {"tgwminus": 250.0, "tgwplus": -250.0},
        {"max_set_size": 5},
        {"sigma_floor_deg": 0.0},
        {"assumed_horizon_mpc": -1.0},
    ],
)
def test_parameters_out_of_range_are_refused(changes):
    with pytest.raises(LlamaError, match=r"correct config\.yaml"):
        SearchParameters(**changes)


@pytest.mark.parametrize(
    ("odds", "background"),
    [
        (np.nan, np.arange(3.0)),
        (-1.0, np.arange(3.0)),
        (np.inf, np.arange(3.0)),
        (1.0, np.zeros(0)),
        (1.0, np.array([0.0, 2.0, 1.0])),
        (1.0, np.array([-1.0, 1.0])),
        (1.0, np.array([0.0, np.nan])),
        (1.0, np.array([0.0, np.nan, 1.0])),
        (1.0, np.ones((2, 2))),
    ],
)
def test_odds_and_backgrounds_that_are_none_have_no_p_value(odds, background):
    with pytest.raises(LlamaError):
        p_value(odds, background)


def test_a_direction_needs_neutrinos_that_are_there():
    with pytest.raises(LlamaError, match="not there"):
        most_probable_direction(PREPARED, neutrinos(), {(3,): 1.0})


def test_a_sensitivity_needs_a_whole_response():
    tables = (RESPONSE.sin_dec, AREA, RESPONSE.signal_per_dex, RESPONSE.log10_energy)
    with pytest.raises(LlamaError, match="response"):
        flux_sensitivity(*tables, np.array([np.nan]))
    with pytest.raises(LlamaError, match="response"):
        flux_sensitivity(tables[0], -AREA, *tables[2:], SIN_DEC)


@settings(max_examples=150)
@given(
    rows=st.lists(
        st.tuples(
            st.floats(-2e3, 2e3),
            st.floats(-720, 720),
            st.floats(-90, 90),
            st.floats(1e-6, 180),
            st.floats(1e-3, 1e13),
        ),
        max_size=7,
    ),
    p_astro=st.floats(0, 1, exclude_max=True),
)
def test_legal_input_gives_finite_odds_that_are_not_negative(rows, p_astro):
    columns = np.array(rows, dtype=float).reshape(-1, 5).T
    given_neutrinos = prepare_neutrinos(*columns, response=RESPONSE, params=PARAMS)
    odds = event_odds(PREPARED, given_neutrinos, p_astro, PARAMS, AREA)
    numbers = [odds.odds_ratio, odds.lambda_s, odds.lambda_cgw, odds.lambda_cnu]
    numbers += [*odds.single_odds, *odds.posterior().values()]
    assert np.isfinite(numbers).all()
    assert min(numbers) >= 0
    assert sum(odds.posterior().values()) == pytest.approx(1, abs=1e-12)
    ra, dec = most_probable_direction(PREPARED, given_neutrinos, odds.sets)
    assert 0 <= ra <= 360
    assert -90 <= dec <= 90


@settings(max_examples=100)
@given(
    odds=st.floats(0, 1e12),
    background=st.lists(st.floats(0, 1e12), min_size=1, max_size=30),
)
def test_p_values_are_probabilities_and_fall_with_the_odds(odds, background):
    ascending = np.sort(background)
    p = p_value(odds, ascending)
    assert 1 / (1 + ascending.size) <= p <= 1
    assert p_value(2 * odds + 1, ascending) <= p
    assert p_value(0.0, ascending) == 1


@given(p_astro=st.floats(0, 1), ratio=st.floats(1e-6, 1e6))
def test_the_joint_p_astro_is_a_probability(p_astro, ratio):
    assert 0 <= joint_p_astro(p_astro, ratio) <= 1 + 1e-12
