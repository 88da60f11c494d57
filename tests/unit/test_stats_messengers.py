"""Odds of GW, neutrinos and further messengers: symmetries, limits, closed forms, bad input."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stats_samples import grb_parameters, near_blob, parameters, prepare_tiles, steep_response

from llama.stats.alternatives import neutrino_only
from llama.stats.direction import most_probable_direction
from llama.stats.healpix import unit_vectors
from llama.stats.messengers import given_messengers, prepare_bursts
from llama.stats.odds import event_odds, prepare_neutrinos

RESPONSE = steep_response()
AREA = RESPONSE.area_relative
TYPICAL = grb_parameters(efficiency=0.6)
MODEL = parameters(ndotgwnu=1e-30)
NEUTRINO = (10.0, 50.3, 20.1, 0.8, 1e4)  # dt [s], ra, dec, sigma [deg], energy [GeV]
SECOND = (-100.0, 49.8, 20.4, 1.0, 5e3)
BURST = (1.7, 49.0, 19.0, 5.0)  # dt [s], ra, dec, sigma [deg]


@pytest.fixture(scope="module")
def near():
    """A map that is finer than the bursts' errors."""
    tiles = near_blob(50.0, 20.0, 4.0, 40.0, 8.0, finest=5, floor=0.0)
    return prepare_tiles(*tiles, AREA, MODEL)


def odds(map_, neutrinos=(), bursts=None, grb=TYPICAL, params=MODEL, p_astro=0.5):
    """Odds of neutrinos with a list of bursts (None: no list)."""
    columns = np.array(neutrinos, float).reshape(-1, 5).T
    found = prepare_neutrinos(*columns, RESPONSE, params)
    lists = [] if bursts is None else [as_messenger(bursts, grb, params)]
    return event_odds(map_, found, p_astro, params, AREA, lists)


def as_messenger(bursts, grb=TYPICAL, params=MODEL):
    return prepare_bursts(*np.array(bursts, float).reshape(-1, 4).T, grb, params, AREA.size)


def test_aligned_triggers_of_three_messengers_beat_those_of_two(near):
    three = odds(near, [NEUTRINO], [BURST]).odds_ratio
    no_burst, no_neutrino = odds(near, [NEUTRINO], []).odds_ratio, odds(near, [], [BURST])
    assert three > 10 * max(no_burst, no_neutrino.odds_ratio)
    assert no_neutrino.odds_ratio > 10
    for off in ((1.7, 120.0, -40.0, 5.0), (30.0, *BURST[1:])):
        assert odds(near, [NEUTRINO], [off]).odds_ratio == pytest.approx(no_burst, rel=1e-9)


def test_bursts_away_or_late_change_the_odds_by_the_factor_of_a_missed_burst_only(near):
    none = odds(near, [NEUTRINO, SECOND])
    far = unit_vectors(np.array(230.0), np.array(-20.0))  # the antipode
    assert far @ unit_vectors(np.array(50.0), np.array(20.0)) == pytest.approx(-1)
    for rows in ([], [(1.0, 230.0, -20.0, 2.0)], [(-1.01, *BURST[1:]), (5.01, *BURST[1:])]):
        found = odds(near, [NEUTRINO, SECOND], rows)
        assert all(found.sets[which] < 1e-100 for which in found.sets.keys() - none.sets.keys())
        for which, value in none.sets.items():
            assert found.sets[which] == pytest.approx(0.4 * value, rel=1e-12)
        # Q = 1: 1 - 1/fb + <exp(-mu)> / fb
        unseen = 0.9 + 0.4 * (none.lambda_cgw - 0.9)
        assert found.lambda_cgw == pytest.approx(unseen, rel=1e-12)
    gone = odds(near, [NEUTRINO], [BURST], grb=dataclasses.replace(TYPICAL, efficiency=0.0))
    alone = odds(near, [NEUTRINO])
    assert gone.odds_ratio == pytest.approx(alone.odds_ratio, rel=1e-12)
    assert (gone.sets, alone.lambda_cgw) == (alone.sets, gone.lambda_cgw)


def test_a_burst_without_direction_counts_by_its_time_alone(near):
    """Anywhere on the sky, the burst multiplies by eta / (window rate): a closed form."""
    found = odds(near, [NEUTRINO], [(1.7, 230.0, -20.0, 2000.0)])
    alone = odds(near, [NEUTRINO]).sets[(0,)]
    expected = TYPICAL.efficiency / (6.0 * TYPICAL.rate_hz)
    # kappa of 2000 deg is 8e-4, which is how much the density still varies
    assert found.sets[(0, 1)] == pytest.approx(alone * expected, rel=2e-3)
    assert found.sets[(1,)] == pytest.approx(near.weights[0].sum() / 10 * expected, rel=2e-3)


def test_burst_and_map_as_gaussians(near):
    """A map of 4 deg and a burst of 5 deg, far enough for a planar closed form."""
    found = odds(near, [], [(0.0, 50.0, 23.0, 5.0)]).sets[(0,)]
    both = math.radians(1) ** 2 * (4.0**2 + 5.0**2)
    density = math.exp(-0.5 * math.radians(3.0) ** 2 / both) / (2 * math.pi * both)
    survive = near.weights[0].sum()
    expected = 0.6 * survive / 10 / 6.0 * density * 4 * math.pi / TYPICAL.rate_hz
    assert found == pytest.approx(expected, rel=0.02)  # the sphere: 1 - cos at 5 deg is 0.4 %


def test_a_source_has_one_burst_at_most_and_up_to_four_neutrinos(near):
    others = [(d, 50 + 0.2 * d, 20.0, 0.9, 2e3) for d in (1.0, 2.0, 3.0, 4.0)]
    bursts = [BURST, (0.5, 51.0, 21.0, 6.0), (3.0, 50.0, 18.0, 8.0)]
    found = odds(near, [NEUTRINO, *others], bursts)
    sizes = {(sum(i < 5 for i in w), sum(i >= 5 for i in w)) for w in found.sets}
    assert sizes == {(n, b) for n in range(5) for b in (0, 1)} - {(0, 0)}
    assert found.largest_set == 5
    fewer = [odds(near, [NEUTRINO, *others], [burst]) for burst in bursts]
    without = odds(near, [NEUTRINO, *others], [])
    gained = sum(each.lambda_s - without.lambda_s for each in fewer)
    assert found.lambda_s == pytest.approx(without.lambda_s + gained, rel=1e-9)


def test_order_of_lists_and_triggers_does_not_count(near):
    rows, bursts = [NEUTRINO, SECOND, (0, 90, 0, 1, 1e3)], [BURST, (2, 55, 22, 9), (9, 50, 20, 5)]
    base = odds(near, rows, bursts)
    for some in itertools.permutations(rows):
        for others in itertools.permutations(bursts):
            found = odds(near, some, others)
            assert found.odds_ratio == pytest.approx(base.odds_ratio, rel=1e-9)
    columns = np.array(rows, float).T
    found = prepare_neutrinos(*columns, RESPONSE, MODEL)
    optical = grb_parameters(efficiency=0.3, rate_hz=1e-4, delay_min_s=0.0, delay_max_s=60.0)
    one, two = as_messenger(bursts), as_messenger([(30, 50, 20, 0.5)], optical)
    a, b = (event_odds(near, found, 0.5, MODEL, AREA, order) for order in ([one, two], [two, one]))
    assert a.odds_ratio == pytest.approx(b.odds_ratio, rel=1e-9)
    assert a.odds_ratio > 10 * base.odds_ratio
    assert max(map(len, a.sets)) == 4  # two neutrinos, one of each


def test_windows_about_the_source_time_by_simulation(near):
    """A messenger that emits 20 to 120 s after the source time, not after the merger."""
    columns = np.array([NEUTRINO, SECOND]).T
    found = prepare_neutrinos(*columns, RESPONSE, MODEL)
    bursts = as_messenger([BURST])
    rng = np.random.default_rng(3)
    t_s = rng.uniform(-250, 250, 400_000)
    for dt in (-200.0, 30.0, 300.0):
        one = np.array([dt])
        later = bursts._replace(start_s=one - 120, stop_s=one - 20, spread_s=np.array([100.0]))
        for which in ((2,), (0, 2), (0, 1, 2)):
            value = event_odds(near, found, 0.5, MODEL, AREA, [later]).sets.get(which, 0.0)
            # with the source's time free: the same, at the time that explains all
            free = bursts._replace(start_s=np.array([-250.0]), stop_s=np.array([250.0]))
            whole = event_odds(near, found, 0.5, MODEL, AREA, [free]).sets[which] * 6.0
            on = [np.abs(found.dt_s[i] - t_s) < 250 for i in which[:-1]]
            all_on = np.prod(on, axis=0) * (t_s > dt - 120) * (t_s < dt - 20)
            share = np.mean(all_on) / np.mean(np.prod(on, axis=0)) / 100
            assert value == pytest.approx(whole * share, rel=0.02)


def test_neutrino_and_burst_of_a_source_unseen_in_gravitational_waves(near):
    """The same factor from positions and source times that are drawn, not integrated."""
    params = parameters()
    rows, burst = [NEUTRINO, (-300.0, 55.0, 22.0, 2.0, 1e3)], (1.0, 52.0, 21.0, 4.0)
    found = prepare_neutrinos(*np.array(rows).T, RESPONSE, params)
    factor = given_messengers(*found, [as_messenger([burst], params=params)], params)
    rng = np.random.default_rng(7)
    kappa, where = 1 / np.radians(burst[3]) ** 2, unit_vectors(*map(np.array, burst[1:3]))
    for i, (dt, ra, dec, sigma, _) in enumerate(rows):
        v = unit_vectors(np.array(ra), np.array(dec)) + np.radians(sigma) * rng.normal(
            size=(300_000, 3)
        )
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        density = kappa / (2 * np.pi) * np.exp(kappa * (v @ where - 1))
        merger = rng.uniform(-1.0, 5.0, 300_000)  # the burst's time minus the merger's
        t_s = burst[0] - merger - rng.uniform(-250, 250, 300_000)
        rate = np.mean(np.abs(dt - t_s) < 250) / 500
        seen = rate * density.mean() * 4 * math.pi / TYPICAL.rate_hz
        # the merger's time is taken as the GW's: up to 5 of 200 s
        assert factor[i] == pytest.approx(0.4 + 0.6 * seen, rel=0.03)
    assert given_messengers(*found, [as_messenger([])], params) == pytest.approx(0.4)
    base = neutrino_only(found, params, AREA)
    joint = odds(near, rows, [burst], params=params)
    assert joint.lambda_cnu == pytest.approx(base @ factor, rel=1e-12)


def test_most_probable_direction_follows_the_burst(near):
    bursts = as_messenger([(1.0, 54.0, 20.0, 0.5)])
    none = prepare_neutrinos(*np.empty((5, 0)), RESPONSE, MODEL)
    found = event_odds(near, none, 0.5, MODEL, AREA, [bursts])
    ra, dec = most_probable_direction(near, none, found.sets, [bursts])
    assert (ra, dec) == (pytest.approx(54.0, abs=0.6), pytest.approx(20.0, abs=0.6))
    others = [(d, 50 + 0.2 * d, 20.0, 0.9, 2e3) for d in (1.0, 2.0, 3.0, 4.0)]
    found = prepare_neutrinos(*np.array(others).T, RESPONSE, MODEL)
    whole = event_odds(near, found, 0.5, MODEL, AREA, [as_messenger([BURST])])
    assert len(max(whole.sets, key=lambda which: whole.sets[which])) == 5  # four and the burst
    ra, dec = most_probable_direction(near, found, whole.sets, [as_messenger([BURST])])
    assert (ra, dec) == (pytest.approx(50.5, abs=0.7), pytest.approx(20.0, abs=0.7))


# -- bad input


@pytest.mark.parametrize(
    "row",
    [
        (math.nan, 0, 0, 1),
        (0, math.inf, 0, 1),
        (0, 0, 91, 1),
        (0, 0, 0, 0),
        (0, 0, 0, -1),
        (0, 0, 0, math.nan),
    ],
)
def test_impossible_bursts(row):
    with pytest.raises(ValueError, match="gamma-ray bursts must have"):
        as_messenger([row])


def test_burst_columns_of_different_length():
    with pytest.raises(ValueError, match="same length"):
        prepare_bursts(np.ones(2), np.ones(1), np.ones(2), np.ones(2), TYPICAL, MODEL, 21)


@pytest.mark.parametrize(
    "change",
    [
        {"efficiency": 1.0},
        {"efficiency": -0.1},
        {"efficiency": math.nan},
        {"rate_hz": 0.0},
        {"rate_hz": math.inf},
        {"delay_min_s": 5.0},
        {"delay_max_s": math.inf},
    ],
)
def test_impossible_grb_parameters(change):
    with pytest.raises(ValueError, match="grb parameters"):
        dataclasses.replace(TYPICAL, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kappa": np.zeros((1, 1))}, "not negative"),
        ({"spread_s": np.zeros(1)}, "not negative"),
        ({"intensity": np.full((1, 1, AREA.size), np.nan)}, "finite"),
        ({"start_s": np.full(1, -np.inf)}, "finite"),
        ({"efficiency": 1.0}, "efficiency"),
        ({"intensity": np.ones((1, 1, 3))}, "one size"),
        ({"vectors": np.ones((2, 3))}, "one size"),
    ],
)
def test_impossible_messengers(near, change, message):
    none = prepare_neutrinos(*np.empty((5, 0)), RESPONSE, MODEL)
    with pytest.raises(ValueError, match=message):
        event_odds(near, none, 0.5, MODEL, AREA, [as_messenger([BURST])._replace(**change)])


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.floats(-1e6, 1e6) | st.floats(-1, 5),
            st.floats(-720, 720) | st.floats(45, 55),
            st.floats(-90, 90) | st.floats(15, 25),
            st.floats(1e-4, 1e4),
        ),
        max_size=4,
    ),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
)
def test_legal_bursts_give_finite_odds(near, rows, p_astro, efficiency):
    grb = dataclasses.replace(TYPICAL, efficiency=efficiency)
    found = odds(near, [NEUTRINO], rows, grb, parameters(), p_astro)
    numbers = [found.odds_ratio, found.lambda_s, found.lambda_cgw, found.lambda_cnu]
    numbers += [*found.single_odds, *found.sets.values(), *found.posterior().values()]
    assert all(math.isfinite(x) and x >= 0 for x in numbers)
