"""Neutrinos whose direction is a map: a Gaussian one is as good as the Gaussian."""

import itertools
import math

import numpy as np
import proofs
import pytest
from stats_samples import (
    blob_map,
    grb_parameters,
    near_blob,
    parameters,
    prepare_tiles,
    steep_response,
    vmf_map,
    worst_deviation,
)
from stats_simulation import simulate

from llama.event.prepared import prepare_mapped, prepare_skymap
from llama.sky import read_skymap
from llama.sky.mock import mock_skymap
from llama.stats.direction_map import DirectionMap
from llama.stats.explain import explain_odds
from llama.stats.healpix import tiles_geometry
from llama.stats.mapped import MappedNeutrinos, product_map
from llama.stats.messengers import prepare_bursts
from llama.stats.odds import event_odds, prepare_neutrinos
from llama.stats.overlap import prepare_map

PARAMS, RESPONSE = parameters(), steep_response()
AREA = RESPONSE.area_relative
# dt, ra, dec, sigma, energy: three that may be of one source, one elsewhere
FOUR = [
    (40.0, 130.6, 20.4, 1.0, 3e4),
    (-90.0, 131.5, 19.0, 1.8, 8e3),
    (10.0, 128.9, 21.5, 6.0, 5e4),
    (200.0, 250.0, -40.0, 0.5, 1e5),
]


def columns(rows=FOUR):
    names = "dt_s", "ra_deg", "dec_deg", "sigma_deg", "energy_gev"
    return dict(zip(names, np.array(rows, dtype=float).T, strict=True))


def given(rows, maps, response=RESPONSE, params=PARAMS):
    found = columns(rows)
    return prepare_mapped(found["dt_s"], found, response, params, maps)


def gaussians(rows, which):
    return {i: vmf_map(*rows[i][1:4]) for i in which}


@pytest.fixture(scope="module")
def real(shared_data):
    path = shared_data / "events/S190425z/bayestar.multiorder.fits"
    tiles = mock_skymap(130.0, 20.0, (9.0, 3.0), (150.0, 40.0))
    return prepare_skymap(
        read_skymap(path.read_bytes(), "map") if path.exists() else tiles, AREA, PARAMS
    )


@pytest.fixture(scope="module")
def mock():
    return prepare_skymap(mock_skymap(130.0, 20.0, (4.0, 2.0), (150.0, 40.0)), AREA, PARAMS)


@pytest.mark.parametrize("which", ["real", "mock"])
def test_a_gaussian_map_gives_the_odds_of_the_gaussian(which, request):
    prepared = request.getfixturevalue(which)
    rows = FOUR
    if which == "real":  # about where the map is
        k = np.argmax(prepared.weights[1] * 4.0 ** prepared.order.astype(float))
        x, y, z = prepared.vectors[k]
        ra, dec = np.degrees(np.arctan2(y, x)), np.degrees(np.arcsin(z))
        move = ra - 130.0, dec - 20.0
        rows = [(t, (a + move[0]) % 360, d + move[1], s, e) for t, a, d, s, e in FOUR[:3]] + FOUR[
            3:
        ]
    neutrinos = given(rows, {})
    expected = event_odds(prepared, neutrinos, 0.9, PARAMS, AREA, left_out=0.0)
    for members in ((0,), (1,), (0, 1), (0, 3), (0, 1, 2)):
        maps = gaussians(rows, members)
        here = MappedNeutrinos(prepared, given(rows, maps), maps, PARAMS, AREA)
        found = here.odds(0.9, left_out=0.0)
        assert found.odds_ratio == pytest.approx(expected.odds_ratio, rel=5e-3)
        assert found.single_odds[list(members)] == pytest.approx(
            expected.single_odds[list(members)], rel=5e-3
        )
        assert found.lambda_cnu == pytest.approx(expected.lambda_cnu, rel=5e-3)
        assert found.lambda_cgw == expected.lambda_cgw
        most = max(expected.sets.values())
        for one, value in expected.sets.items():
            if value > 1e-6 * most:
                assert found.sets[one] == pytest.approx(value, rel=1e-2), one
            if len(one) < 3 and value > 1e-3 * most:
                assert found.sets[one] == pytest.approx(value, rel=5e-3), one


def test_without_a_map_the_odds_are_the_same_to_the_bit(mock):
    neutrinos = given(FOUR, {})
    same = prepare_neutrinos(*columns().values(), RESPONSE, PARAMS)
    assert all(np.array_equal(a, b) for a, b in zip(neutrinos, same, strict=True))
    here = MappedNeutrinos(mock, neutrinos, {}, PARAMS, AREA)
    expected = event_odds(mock, same, 0.9, PARAMS, AREA)
    found = here.odds(0.9)
    assert (found.odds_ratio, found.sets) == (expected.odds_ratio, expected.sets)
    assert np.array_equal(found.single_odds, expected.single_odds)


def test_a_map_that_knows_nothing_gives_the_weights_over_the_whole_sky(mock):
    sky = DirectionMap(np.zeros(12, np.int8), np.arange(12), np.full(12, 1 / 12))
    product = product_map(mock, [sky], [np.ones(21)])
    assert product.weights[:4].sum(axis=1) == pytest.approx(
        mock.weights[1:].sum(axis=1) / (4 * math.pi), rel=1e-9
    )
    # and any map does so on a sky that knows nothing: its probability is 1
    order = np.full(768, 3, np.int8)
    even = prepare_map(order, np.arange(768), np.full((5, 768), 1 / 768))
    for one in (vmf_map(10.0, 80.0, 3.0), vmf_map(200.0, 0.0, 0.5)):
        product = product_map(even, [one], [np.ones(21)])
        assert product.weights[0].sum() == pytest.approx(1 / (4 * math.pi), rel=1e-9)
        assert one.along_sin_dec(21).sum() == pytest.approx(1, abs=1e-12)


def test_the_product_has_the_response_of_each_direction():
    """In tiles across which it changes by decades."""
    nodes = np.linspace(-1, 1, 201)
    table = np.exp(4 * np.sin(8 * nodes))
    order, ipix, prob = blob_map(130.0, 20.0, 6.0, coarsest=2, finest=3)
    along = np.argsort(ipix << (2 * (3 - order.astype(np.int64))))
    order, ipix, prob = order[along], ipix[along], prob[along]
    wide = DirectionMap(order, ipix, prob)
    wave = blob_map(125.0, 25.0, 9.0, coarsest=2, finest=4, fineness=2)
    prepared = prepare_map(*wave[:2], np.tile(wave[2], (5, 1)))
    found = product_map(prepared, [wide], [table]).weights[0].sum()
    pixels = np.arange(12 * 4**8)
    density = 12 / (4 * math.pi)  # [sr^-1] of a tile of order 0
    for o, p, w in ((order, ipix, prob), wave):
        first = p << (2 * (8 - o.astype(np.int64)))
        along = np.argsort(first)
        k = along[np.searchsorted(first[along], pixels, "right") - 1]
        density = density * w[k] * 4.0 ** o[k].astype(float)
    z = tiles_geometry(np.full(pixels.size, 8, np.int8), pixels)[0][:, 2]
    exact = (density * np.interp(z, nodes, table)).sum() / 4**8
    assert found == pytest.approx(exact, rel=5e-3)


def test_the_background_is_the_mean_over_the_map():
    poles = DirectionMap(np.zeros(2, np.int8), np.array([0, 9]), np.array([0.75, 0.25]))
    one = given(FOUR[:1], {0: poles})
    fine = tiles_geometry(np.full(4**6, 6, np.int8), np.arange(4**6))[0][:, 2].mean()
    weight = poles.along_sin_dec(21)
    each = [
        given([(40.0, 0.0, math.degrees(math.asin(s)), 1.0, 3e4)], {}).intensity[0, 0]
        for s in RESPONSE.sin_dec
    ]
    assert one.intensity[0, 0] == pytest.approx(1 / (weight @ (1 / np.array(each))), rel=1e-12)
    assert weight @ RESPONSE.sin_dec == pytest.approx(0.5 * fine, abs=0.02)


def test_the_order_of_neutrinos_does_not_matter(mock):
    maps = gaussians(FOUR, (0, 2))
    expected = MappedNeutrinos(mock, given(FOUR, maps), maps, PARAMS, AREA).odds(0.5)
    for order in itertools.islice(itertools.permutations(range(4)), 5, 24, 6):
        rows, moved = [FOUR[i] for i in order], {order.index(i): m for i, m in maps.items()}
        found = MappedNeutrinos(mock, given(rows, moved), moved, PARAMS, AREA).odds(0.5)
        assert found.odds_ratio == pytest.approx(expected.odds_ratio, rel=2e-3)
        back = {tuple(sorted(order[i] for i in which)): v for which, v in found.sets.items()}
        assert back.keys() == expected.sets.keys()


def test_with_bursts_and_times_as_the_gaussian(mock):
    grb = grb_parameters(efficiency=0.3)
    bursts = prepare_bursts(
        np.array([1.0, 2.0]), np.array([130.5, 20.0]), np.array([20.0, 0.0]), np.array([4.0, 2.0]),
        grb, PARAMS, AREA.size,
    )  # fmt: skip
    neutrinos = given(FOUR, {})
    expected = event_odds(mock, neutrinos, 0.9, PARAMS, AREA, [bursts], left_out=0.0)
    maps = gaussians(FOUR, (0,))
    here = MappedNeutrinos(mock, given(FOUR, maps), maps, PARAMS, AREA)
    found = here.odds(0.9, [bursts], left_out=0.0)
    assert found.odds_ratio == pytest.approx(expected.odds_ratio, rel=5e-3)
    assert found.sets[0, 4] == pytest.approx(expected.sets[0, 4], rel=5e-3)
    ra, dec = here.most_probable(found.sets, [bursts])
    assert math.hypot(ra - 130.6, dec - 20.3) < 0.8
    single = parameters(max_set_size=1)  # one neutrino, and the burst beside it
    expected = event_odds(mock, neutrinos, 0.9, single, AREA, [bursts], left_out=0.0)
    found = MappedNeutrinos(mock, given(FOUR, maps), maps, single, AREA).odds(
        0.9, [bursts], left_out=0.0
    )
    assert found.sets.keys() == expected.sets.keys()
    assert found.sets[0, 4] == pytest.approx(expected.sets[0, 4], rel=5e-3)
    late = [(499.0, *FOUR[0][1:]), (-200.0, *FOUR[1][1:])]  # which no source can explain together
    maps = gaussians(late, (0, 1))
    sets = MappedNeutrinos(mock, given(late, maps), maps, PARAMS, AREA).odds(0.9).sets
    assert sets.keys() == {(0,), (1,)}


def test_the_explanation_multiplies_to_the_odds(mock):
    maps = gaussians(FOUR, (0,))
    for rows in (FOUR, FOUR[:1]):
        neutrinos = given(rows, maps)
        odds = MappedNeutrinos(mock, neutrinos, maps, PARAMS, AREA).odds(0.9)
        why = explain_odds(mock, neutrinos, 0.9, odds, PARAMS, RESPONSE, maps)
        assert math.prod(why.factors.values()) == pytest.approx(odds.odds_ratio, rel=1e-9)
        plain = event_odds(mock, given(rows, {}), 0.9, PARAMS, AREA)
        usual = explain_odds(mock, given(rows, {}), 0.9, plain, PARAMS, RESPONSE)
        assert why.members == usual.members
        for name, factor in usual.factors.items():
            assert why.factors[name] == pytest.approx(factor, rel=1e-2), name


def test_too_many_maps_are_refused(mock):
    rows = [(dt, *FOUR[0][1:]) for dt in (1.0, 2.0, 3.0, 4.0, 5.0)]
    maps = {i: vmf_map(130.0, 20.0, 5.0) for i in range(5)}
    with pytest.raises(ValueError, match="at most 4"):
        MappedNeutrinos(mock, given(rows, maps), maps, PARAMS, AREA)


# Calibration: of one neutrino of each trigger nobody knows which of many errors it has, and its
# map says so. No single Gaussian does.
MODEL = parameters(
    fb=1.0, Enumin=1e-2, Enumax=0.1, ratebgnu=0.0012, ndotgwnu=1e-30, epsilon_min_gev=100.0
)
SEED, WHOLE = 20261129, 20_000
SIGMA = (1.5, 8.0)


@pytest.mark.proof
def test_odds_with_a_map_are_calibrated(proven):
    n, rng = proofs.size(WHOLE, 250), np.random.default_rng(SEED)
    p_astro = rng.uniform(0.2, 0.99, n)
    sky = [
        near_blob(50.0, 20.0, 5.0, 40.0, 5.0, coarsest=3, finest=4),
        near_blob(220.0, -15.0, 12.0, 120.0, 30.0, coarsest=3, finest=3, floor=1e-4),
    ]
    which, true, trigger, *drawn = simulate(MODEL, RESPONSE, sky, p_astro, rng, SIGMA)
    prepared = [prepare_tiles(*one, AREA, MODEL) for one in sky]
    errors = np.linspace(*SIGMA, 17)[1::2]
    odds, of_circle = np.zeros(n), np.zeros(n)
    for t in np.unique(trigger):
        rows = np.transpose([column[trigger == t] for column in drawn])
        k = int(rng.integers(len(rows)))
        maps = {k: vmf_map(*rows[k][1:3], *errors, fineness=2)}
        here = MappedNeutrinos(
            prepared[which[t]], given(rows, maps, params=MODEL), maps, MODEL, AREA
        )
        odds[t] = here.odds(float(p_astro[t])).odds_ratio
        rows[k][3] = SIGMA[0]
        circles = given(rows, {}, params=MODEL)
        of_circle[t] = event_odds(
            prepared[which[t]], circles, float(p_astro[t]), MODEL, AREA
        ).odds_ratio
    probable = odds / (1 + odds)
    spread = math.sqrt((probable * (1 - probable)).sum())
    assert probable.sum() > 15
    assert abs(true.sum() - probable.sum()) < 3 * spread
    if n < WHOLE:
        proven(SEED, WHOLE)
        return
    worst, decades = worst_deviation(odds, true)
    assert decades >= 4
    assert worst < 3
    wrong, _ = worst_deviation(of_circle, true)
    assert wrong > 3.5  # the narrowest of the errors
    proven(
        SEED,
        WHOLE,
        worst_deviation_sigma=round(worst, 3),
        decades_of_odds=decades,
        of_a_narrow_circle_sigma=round(wrong, 3),
    )
