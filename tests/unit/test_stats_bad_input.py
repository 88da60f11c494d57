"""Input that cannot be is refused by name; legal input never gives NaN or negative odds."""

import dataclasses
import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stats_samples import blob_map, contrast_map, parameters, steep_response

from llama.stats.direction import flux_sensitivity, joint_p_astro, most_probable_direction
from llama.stats.growth import MAX_SETS
from llama.stats.healpix import directions_deg, tiles_geometry, unit_vectors, within_turn
from llama.stats.odds import event_odds, prepare_neutrinos
from llama.stats.overlap import prepare_map
from llama.stats.weights import tile_weights
from llama.stats.windows import odds_of_windows

PARAMS = parameters()
RESPONSE = steep_response()
AREA = RESPONSE.area_relative
BLOB = blob_map(10.0, 5.0, 3.0, coarsest=2, finest=5)


def prepare(map_, distance=(100.0, 20.0)):
    order, ipix, prob = map_
    sin_dec = tiles_geometry(order, ipix)[0][:, 2]
    columns = [np.full(prob.size, d) for d in distance]
    return prepare_map(order, ipix, tile_weights(prob, sin_dec, *columns, AREA, PARAMS))


@functools.cache
def prepared(which=0):
    """The blob, a map of contrasts, or the blob with a distance that is mostly negative."""
    map_ = contrast_map() if which == 1 else BLOB
    return prepare(map_, (-100.0, 80.0)) if which == 2 else prepare(map_)


GOOD = {"dt_s": 1.0, "ra_deg": 10.0, "dec_deg": 5.0, "sigma_deg": 1.0, "energy_gev": 1e4}


def given_neutrinos(**changes):
    columns = {key: np.array([value]) for key, value in (GOOD | changes).items()}
    return prepare_neutrinos(*columns.values(), RESPONSE, PARAMS)


@pytest.mark.parametrize(
    ("name", "value"),
    # an energy of NaN is one that is not known
    [
        (n, v)
        for n in GOOD
        for v in (np.nan, np.inf, -np.inf)
        if (n, v is np.nan) != ("energy_gev", True)
    ],
)
def test_neutrino_not_finite(name, value):
    with pytest.raises(ValueError, match="finite"):
        given_neutrinos(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dec_deg", 95.0),
        ("dec_deg", -90.1),
        ("sigma_deg", 0.0),
        ("sigma_deg", -1.0),
        ("energy_gev", 0.0),
        ("energy_gev", -5.0),
    ],
)
def test_impossible_neutrino(name, value):
    with pytest.raises(ValueError, match="must have"):
        given_neutrinos(**{name: value})


def test_neutrino_columns_of_different_length():
    columns = [np.ones(2), np.ones(2), np.ones(3), np.ones(2), np.ones(2)]
    with pytest.raises(ValueError, match="same length"):
        prepare_neutrinos(*columns, RESPONSE, PARAMS)
    with pytest.raises(ValueError, match="same length"):
        prepare_neutrinos(*[np.ones((2, 2))] * 5, RESPONSE, PARAMS)


@pytest.mark.parametrize("stops", [[1], [3], [2, 1], [-1, 2], []], ids=str)
def test_windows_that_do_not_end_with_their_neutrinos(stops):
    n = 2 if stops else 0
    two = prepare_neutrinos(*(np.full(n, value) for value in GOOD.values()), RESPONSE, PARAMS)
    with pytest.raises(ValueError, match="must end one after the other"):
        odds_of_windows(prepared(), two, np.array(stops, dtype=np.int64), 0.5, PARAMS, AREA)


@pytest.mark.parametrize(
    ("p_astro", "area"), [(1.0, AREA), (0.5, AREA[:-1]), (0.5, AREA * np.nan), (0.5, -AREA)]
)
def test_windows_of_what_cannot_be(p_astro, area):
    with pytest.raises(ValueError, match=r"p_astro must|of one size|must be finite"):
        odds_of_windows(prepared(), given_neutrinos(), np.array([1]), p_astro, PARAMS, area)


def test_background_density_of_zero_or_nan():
    for value in (0.0, np.nan):
        broken = dataclasses.replace(
            RESPONSE, background_per_dex=np.full_like(RESPONSE.background_per_dex, value)
        )
        with pytest.raises(ValueError, match="background density"):
            prepare_neutrinos(*[np.ones(1)] * 5, broken, PARAMS)


@pytest.mark.parametrize("p_astro", [1.0, -0.1, 1.5, np.nan, np.inf])
def test_impossible_p_astro(p_astro):
    with pytest.raises(ValueError, match="p_astro"):
        event_odds(prepared(), given_neutrinos(), p_astro, PARAMS, AREA)
    if p_astro != 1:
        with pytest.raises(ValueError, match="p_astro"):
            joint_p_astro(p_astro, 1.0)


@pytest.mark.parametrize("ratio", [np.nan, np.inf, -1e-3])
def test_impossible_likelihood_ratio(ratio):
    with pytest.raises(ValueError, match="finite"):
        joint_p_astro(0.5, ratio)


@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_impossible_response(value):
    signal = np.full_like(RESPONSE.signal_per_dex, value)
    broken = dataclasses.replace(RESPONSE, signal_per_dex=signal)
    with pytest.raises(ValueError, match="finite and not negative"):
        prepare_neutrinos(*[np.ones(1)] * 5, broken, PARAMS)


def test_prepared_neutrinos_of_another_shape():
    good = given_neutrinos()
    for broken, area in (
        (good._replace(intensity=good.intensity[:, :, 1:]), AREA),
        (good._replace(vectors=good.vectors[:, :2]), AREA),
        (good, AREA[:-1]),
    ):
        with pytest.raises(ValueError, match="one size"):
            event_odds(prepared(), broken, 0.5, PARAMS, area)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": [3, 30]}, "orders 0 to 29"),
        ({"order": [-1, 3]}, "orders 0 to 29"),
        ({"order": [3.0, 3.0]}, "integers"),
        ({"ipix": [0, 768]}, "on the sphere"),
        ({"ipix": [0, -1]}, "on the sphere"),
        ({"ipix": [5, 5]}, "overlap"),
        ({"order": [3, 5], "ipix": [5, 5 * 16 + 3]}, "overlap"),
        ({"weights": np.full((5, 2), np.nan)}, "finite"),
        ({"weights": np.full((5, 2), -1.0)}, "not negative"),
        ({"weights": np.ones((4, 2))}, "shapes"),
        ({"weights": np.ones((5, 3))}, "shapes"),
        ({"order": [], "ipix": [], "weights": np.ones((5, 0))}, "shapes"),
    ],
)
def test_impossible_tiles(change, message):
    tiles = {"order": [3, 3], "ipix": [5, 6], "weights": np.ones((5, 2))} | change
    with pytest.raises(ValueError, match=message):
        prepare_map(*map(np.array, tiles.values()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prob": []}, "one probability"),
        ({"prob": [0.5, 0.5, 0.0]}, "one probability"),
        ({"prob": [0.15, 0.15]}, "sum to 1"),
        ({"prob": [0.9, 0.9]}, "sum to 1"),
        ({"prob": [0.0, 0.0]}, "sum to 1"),
        ({"prob": [1.2, -0.2]}, "not negative"),
        ({"prob": [np.nan, 1.0]}, "finite"),
        ({"sin_dec": [0.0, 1.1]}, "-1 to 1"),
        ({"sin_dec": [0.0, np.nan]}, "-1 to 1"),
        ({"distmu": [1.0]}, "one row per tile"),
        ({"distsigma": [10.0, -1.0]}, "distsigma must be positive"),
        ({"distsigma": [10.0, 0.0]}, "distsigma must be positive"),
        ({"distsigma": [10.0, np.nan]}, "distsigma must be positive"),
        ({"area": [1.0, np.nan]}, "effective areas"),
        ({"area": [1.0, -1.0]}, "effective areas"),
        ({"area": [1.0]}, "effective areas"),
    ],
)
def test_impossible_map_columns(change, message):
    columns = {
        "prob": [0.5, 0.5],
        "sin_dec": [0.0, 0.5],
        "distmu": [100.0, 120.0],
        "distsigma": [10.0, 10.0],
        "area": [1.0, 1.0],
    } | change
    with pytest.raises(ValueError, match=message):
        tile_weights(*(np.array(c, dtype=float) for c in columns.values()), PARAMS)


@pytest.mark.parametrize(
    "change",
    [
        {"fb": 0.5},
        {"Enumin": 0.0},
        {"Enumin": 1.0},
        {"nu_51_100": -1.0},
        {"ratebgnu": 0.0},
        {"ratebgnu": math.nan},
        {"tgwminus": 300.0},
        {"max_set_size": 5},
        {"sigma_floor_deg": 0.0},
    ],
)
def test_impossible_parameters(change):
    with pytest.raises(ValueError, match="search parameter"):
        parameters(**change)


def test_impossible_direction_and_sensitivity():
    with pytest.raises(ValueError, match="not there"):
        most_probable_direction(prepared(), given_neutrinos(), {(0, 3): 1.0})
    one, nodes = (
        [AREA, RESPONSE.signal_per_dex, np.zeros(1)],
        (RESPONSE.sin_dec, RESPONSE.log10_energy),
    )
    alone, both = (flux_sensitivity(each, *nodes) for each in ([one], [one, one]))
    assert len(alone["sensitive_energy_range"]) == 2
    assert both["flux_sensitivity"][0] == pytest.approx(alone["flux_sensitivity"][0] / 2)
    for i, broken in ((0, AREA - 10), (0, AREA[1:]), (1, RESPONSE.signal_per_dex * np.nan)):
        with pytest.raises(ValueError, match="response"):
            flux_sensitivity([[*one[:i], broken, *one[i + 1 :]]], *nodes)


rows = st.tuples(
    st.floats(-1e9, 1e9) | st.floats(-500, 500),
    st.floats(-720, 720) | st.floats(8, 12),
    st.floats(-90, 90) | st.floats(3, 7),
    st.floats(1e-6, 180),
    st.floats(1e-3, 1e12),
)


@settings(max_examples=60)
@given(
    st.lists(rows, max_size=7),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(range(3)),
)
def test_legal_input_gives_finite_odds(events, p_astro, which):
    columns = np.array(events, dtype=float).reshape(-1, 5).T
    neutrinos = prepare_neutrinos(*columns, RESPONSE, PARAMS)
    found = event_odds(prepared(which), neutrinos, p_astro, PARAMS, AREA)
    numbers = [found.odds_ratio, found.lambda_s, found.lambda_cgw, found.lambda_cnu]
    numbers += [*found.single_odds, *found.sets.values(), *found.posterior().values()]
    assert all(math.isfinite(x) and x >= 0 for x in numbers)
    assert sum(found.posterior().values()) == pytest.approx(1)
    ra, dec = most_probable_direction(prepared(which), neutrinos, found.sets)
    assert 0 <= ra < 360
    assert -90 <= dec <= 90


@pytest.mark.parametrize("ra_deg", [-1e-15, -5e-324, 0.0, 360.0, 359.9999999999999, -360.0])
def test_a_right_ascension_is_below_360_deg(ra_deg):
    turned = within_turn(np.array([ra_deg]))
    assert (turned >= 0).all()
    assert (turned < 360).all()
    assert turned == pytest.approx(0, abs=2e-13) or turned == pytest.approx(360, abs=2e-13)
    vector = np.array([1.0, np.radians(ra_deg) if abs(ra_deg) < 1 else 0.0, 0.0])
    ra, dec = directions_deg(vector)
    assert 0 <= ra < 360
    assert dec == 0


def test_a_busy_window_does_not_explode():
    """200 neutrinos at one place: sets above the bound are left out, and the result says so."""
    n = 200
    near = np.random.default_rng(0).normal(0, 0.3, (2, n))
    columns = np.zeros(n), 10 + near[0], 5 + near[1], np.ones(n), np.full(n, 1e4)
    found = event_odds(prepared(), prepare_neutrinos(*columns, RESPONSE, PARAMS), 0.5, PARAMS, AREA)
    assert found.largest_set == 1
    assert n * (n - 1) // 2 > MAX_SETS
    assert math.isfinite(found.odds_ratio)
    few = [column[:20] for column in columns]
    found = event_odds(prepared(), prepare_neutrinos(*few, RESPONSE, PARAMS), 0.5, PARAMS, AREA)
    assert found.largest_set == 4
    assert len(found.sets) <= sum(math.comb(20, k) for k in range(1, 5))


def test_a_flat_map_of_three_million_tiles():
    order, ipix = np.full(12 * 4**9, 9, np.int8), np.arange(12 * 4**9)
    centre = unit_vectors(np.array(10.0), np.array(5.0))
    vectors, _ = tiles_geometry(order, ipix)
    prob = np.exp((vectors @ centre - 1) / np.radians(3) ** 2)
    weights = np.broadcast_to(prob / prob.sum(), (5, prob.size))
    flat = prepare_map(order, ipix, weights)
    assert flat.cells.shape[0] < prob.size / 10
    assert event_odds(flat, given_neutrinos(), 0.5, PARAMS, AREA).lambda_s > 0
