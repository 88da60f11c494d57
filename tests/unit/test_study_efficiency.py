"""Detection efficiency: closed forms, and an independent simulation of Poisson sources."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson as scipy_poisson

from llama.study.efficiency import (
    REFERENCE_ERG,
    Injections,
    efficiency,
    efficiency_curve,
    energy_at,
    energy_grid,
    poisson,
)
from llama.study.uniformity import cumulative, uniformity

ALL, NONE = np.ones(1000, dtype=bool), np.zeros(1000, dtype=bool)


def kinds(expected, one, two, four):
    expected = np.broadcast_to(np.asarray(expected, dtype=float), (1000,))
    return [Injections(n, expected, found) for n, found in ((1, one), (2, two), (4, four))]


@given(st.floats(0, 1e3), st.floats(1e46, 1e56))
def test_weights_are_poisson_and_sum_to_what_is_not_zero(expected, energy):
    mu = expected * energy / REFERENCE_ERG
    parts = [poisson(np.array([expected]), energy, *n)[0] for n in ((1, 2), (2, 4), (4, None))]
    truth = scipy_poisson(mu)
    # absolute: what is lost to 1 - (1 - x) weighs nothing in an efficiency
    assert parts[0] == pytest.approx(truth.pmf(1), rel=1e-9, abs=1e-15)
    assert parts[1] == pytest.approx(truth.pmf(2) + truth.pmf(3), rel=1e-9, abs=1e-15)
    assert parts[2] == pytest.approx(truth.sf(3), rel=1e-9, abs=1e-15)
    assert sum(parts) == pytest.approx(-np.expm1(-mu), rel=1e-9, abs=1e-15)


def test_sources_that_are_found_by_any_neutrino():
    # 1.1 neutrinos from 1e51 erg at 100 Mpc: one source, seen everywhere alike
    every = kinds(1.1, ALL, ALL, ALL)
    curve = efficiency_curve(every, energy_grid(every[0].expected))
    mu = 1.1 * curve.e_iso_erg / REFERENCE_ERG
    np.testing.assert_allclose(curve.value, -np.expm1(-mu), rtol=1e-12)
    for level in (0.5, 0.9):
        found = energy_at(every, curve, level)
        # the tolerance is that of the root: 1e-9 in log10(E)
        assert found["value_erg"] == pytest.approx(-np.log(1 - level) / 1.1 * 1e51, rel=1e-8)
        assert found["low_erg"] < found["value_erg"] < found["high_erg"]


def test_sources_that_are_found_by_two_neutrinos_only():
    twice = kinds(1.0, NONE, ALL, ALL)
    value, _ = efficiency(twice, 3e51)
    assert value == pytest.approx(1 - 4 * np.exp(-3), rel=1e-12)
    value, _ = efficiency(kinds(1.0, NONE, NONE, ALL), 3e51)
    assert value == pytest.approx(scipy_poisson(3).sf(3), rel=1e-12)


def test_a_source_at_twice_the_distance_needs_four_times_the_energy():
    near, far = kinds(1.1, ALL, ALL, ALL), kinds(1.1 / 4, ALL, ALL, ALL)
    energies = [
        energy_at(k, efficiency_curve(k, energy_grid(k[0].expected)), 0.5)["value_erg"]
        for k in (near, far)
    ]
    assert energies[1] / energies[0] == pytest.approx(4, rel=1e-8)


def test_what_is_never_found_has_no_energy_and_what_is_not_seen_no_grid():
    never = kinds(1.1, NONE, NONE, NONE)
    curve = efficiency_curve(never, energy_grid(never[0].expected))
    assert (curve.value == 0).all()
    assert (curve.error > 0).all()
    assert energy_at(never, curve, 0.5)["value_erg"] is None
    assert energy_grid(np.zeros(5)).size == 0
    blind = kinds(0.0, ALL, ALL, ALL)
    curve = efficiency_curve(blind, np.array([]))
    assert energy_at(blind, curve, 0.5)["value_erg"] is None
    assert efficiency([Injections(1, np.array([]), np.array([], dtype=bool))], 1e51) == (0.0, 1.0)


def test_errors_are_those_of_repeated_injections():
    rng = np.random.default_rng(4)
    values, errors = [], []
    for _ in range(300):
        expected = rng.lognormal(0, 1, 3000)
        parts = [expected[:1000], expected[1000:2000], expected[2000:]]
        chance = (0.3, 0.7, 0.95)
        made = [
            Injections(n, mu, rng.random(1000) < p)
            for n, mu, p in zip((1, 2, 4), parts, chance, strict=True)
        ]
        value, error = efficiency(made, 1e51)
        values.append(value)
        errors.append(error)
    # 300 repetitions give the spread to 4 %, five sigma of it are allowed
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)


@pytest.mark.parametrize("energy", [1e50, 1e51, 1e52])
def test_against_sources_that_emit_any_number_of_neutrinos(energy):
    """Each neutrino is seen well with probability 0.4, and one of them is enough."""
    rng = np.random.default_rng(8)
    size = 200_000
    expected = rng.lognormal(0, 1, size)
    made = [Injections(n, expected, rng.random(size) < 1 - 0.6**n) for n in (1, 2, 4)]
    value, error = efficiency(made, energy)
    emitted = rng.poisson(expected * energy / REFERENCE_ERG)
    counted = np.array([0, 1, 2, 2, 4])[np.minimum(emitted, 4)]
    simulated = rng.random(size) < 1 - 0.6**counted
    spread = np.hypot(error, simulated.std() / size**0.5)
    assert value == pytest.approx(simulated.mean(), abs=5 * spread)
    # rather too low than too high
    assert value < (1 - 0.6**emitted).mean() + 5 * spread


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_more_energy_finds_more_when_more_neutrinos_do(seed, level):
    rng = np.random.default_rng(seed)
    expected = rng.lognormal(0, 2, 1000)
    chance = np.sort(rng.random(3))
    u = rng.random(1000)  # the same luck for every kind
    made = [Injections(n, expected, u < p) for n, p in zip((1, 2, 4), chance, strict=True)]
    curve = efficiency_curve(made, energy_grid(expected))
    assert (np.diff(curve.value) >= -1e-12).all()
    assert (curve.value <= 1).all()
    found = energy_at(made, curve, level)["value_erg"]
    if found is not None:
        assert efficiency(made, found)[0] == pytest.approx(level, abs=1e-6)


def judged(odds):
    return uniformity(odds, np.ones(odds.size))


def background(rng, size, zeros=0.3):
    return np.where(rng.random(size) < zeros, 0.0, rng.lognormal(-8, 4, size))


def test_held_out_p_values_are_uniform_and_a_wrong_factor_is_found():
    rng = np.random.default_rng(2)
    odds = background(rng, 8000)
    check = judged(odds)
    assert check["ks_p_value"] > 1e-3
    assert abs(check["zero_odds_sigma"]) < 4
    assert (check["n_reference"], check["n_tested"]) == (4000, 4000)
    assert max(check["p"]) < 0.75  # odds of 0 have p = 1: the curve ends before them
    away = np.array(check["fraction"]) - check["p"]
    assert (np.abs(away) < 4.5 * np.array(check["sigma"])).all()
    tested = np.random.default_rng(0).permutation(8000)[1::2]
    odds[tested] *= 3
    assert judged(odds)["ks_p_value"] < 1e-6
    odds = background(rng, 8000)
    odds[tested] = background(rng, 4000, zeros=0.4)
    assert judged(odds)["zero_odds_sigma"] < -5


def test_maps_that_take_turns_are_in_both_halves():
    rng = np.random.default_rng(6)
    odds = background(rng, 4000)
    odds[::2] *= 1e4  # every other superevent is much nearer
    assert judged(odds)["ks_p_value"] > 1e-3


def test_the_band_is_that_of_repeated_backgrounds():
    rng = np.random.default_rng(3)
    made = [judged(rng.random(400)) for _ in range(400)]
    fractions = np.array([check["fraction"] for check in made])
    sigma = np.array(made[0]["sigma"])
    # 400 repetitions: the spread to 3.5 %, the mean to a twentieth of it; five sigma of each
    np.testing.assert_allclose(fractions.std(axis=0), sigma, rtol=0.2)
    assert (np.abs(fractions.mean(axis=0) - made[0]["p"]) < 5 * sigma / 20).all()


def tilted(rng, size):
    """A background with more of what is rare, and the weights that make up for it."""
    x, tilt = rng.normal(0, 1, size), 2.0 * (rng.random(size) < 0.7)
    x += tilt
    weights = 1 / (0.3 + 0.7 * np.exp(2.0 * x - 2.0))
    return np.where(x < -0.5, 0.0, np.exp(x)), weights


def test_a_weighted_background_is_uniform_and_a_wrong_factor_is_found():
    rng = np.random.default_rng(4)
    made = [uniformity(*tilted(rng, 400)) for _ in range(60)]
    away = [(np.array(check["fraction"]) - check["p"]) / check["sigma"] for check in made]
    at = [np.searchsorted(check["p"], [0.003, 0.03, 0.3]) for check in made]
    away = np.array([of_one[k] for of_one, k in zip(away, at, strict=True)])
    # the spread of 60 to 9 %, the mean to an eighth of it
    assert (np.abs(away.std(axis=0) - 1) < 0.5).all()
    assert (np.abs(away.mean(axis=0)) < 5 / 8).all()
    zero = np.array([check["zero_odds_sigma"] for check in made])
    assert 0.6 < zero.std() < 1.4
    ks = np.array([check["ks_p_value"] for check in made])
    assert 0.3 < ks.mean() < 0.7
    assert ks.min() > 1e-3
    odds, weights = tilted(rng, 4000)
    odds[np.random.default_rng(0).permutation(4000)[1::2]] *= 1.5
    assert uniformity(odds, weights)["ks_p_value"] == 1e-3  # of 999 others none


@pytest.mark.parametrize("odds", [[], [0.0], [1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0]])
def test_backgrounds_too_small_to_judge(odds):
    check = judged(np.array(odds))
    assert check["ks_p_value"] is None
    assert all(np.isfinite(check[name]).all() for name in ("p", "fraction", "sigma"))


def test_cumulative_shares():
    p = {"background": np.array([0.25, 0.5, 1.0]), "signal": np.array([0.25, 0.25])}
    shares = cumulative(p, np.ones(3))
    assert shares["p"][0] == pytest.approx(0.25)
    assert shares["signal"] == [1.0] * len(shares["p"])
    assert (shares["background"][0], shares["background"][-1]) == (pytest.approx(1 / 3), 1.0)
