"""What injections draw: the published generator, and the distributions that are asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest, poisson
from stats_samples import parameters

from llama.background.draws import (
    KINDS,
    Draws,
    draw_background,
    draw_skymaps,
    join,
    uniforms,
    whole_ticks,
)
from llama.background.philox import philox

PARAMS = parameters()
EVENTS = {
    "dec_deg": np.linspace(-80, 80, 5),
    "sigma_deg": np.linspace(0.2, 1, 5),
    "energy_gev": np.logspace(2, 6, 5),
}
WORD = st.integers(0, 2**64 - 1)


@given(WORD, WORD, st.integers(1, 2**64 - 1), WORD, WORD)
def test_the_generator_is_philox_4x64_10(key0, key1, block, number, stream):
    # NumPy counts up before it draws
    key = np.array([key0, key1], dtype=np.uint64)
    counter = np.array([block - 1, number, stream, 0], dtype=np.uint64)
    expected = np.random.Philox(key=key, counter=counter).random_raw(4)
    words = philox(*(np.uint64(word) for word in (key0, key1, block, number, stream)))
    assert [int(word) for word in words] == expected.tolist()


def test_any_injection_can_be_drawn_alone_and_nothing_is_drawn_twice():
    numbers = np.array([0, 1, 7, 10**10 - 1])
    together = uniforms(5, 0, 1, numbers, 3)
    for k, number in enumerate(numbers):
        np.testing.assert_array_equal(uniforms(5, 0, 1, np.array([number]), 3)[0], together[k])
    others = [uniforms(5, 1, 1, numbers, 3), uniforms(5, 0, 2, numbers, 3)]
    others += [uniforms(6, 0, 1, numbers, 3)]
    every = np.concatenate([block.ravel() for block in (together, *others)])
    assert np.unique(every).size == every.size
    assert ((every >= 0) & (every < 1)).all()


def test_numbers_are_uniform():
    drawn = uniforms(1, 2, 3, np.arange(5000), 2)
    for block in range(2):
        for word in range(4):
            assert kstest(drawn[:, block, word], "uniform").pvalue > 1e-4


def test_maps_are_uniform_and_broken_ones_are_never_drawn():
    numbers = np.arange(20_000)
    drawn = draw_skymaps(1, 0, numbers, 8)
    assert chisquare(np.bincount(drawn, minlength=8)).pvalue > 1e-3
    skipped = draw_skymaps(1, 0, numbers, 8, {0, 5})
    kept = ~np.isin(drawn, [0, 5])
    np.testing.assert_array_equal(skipped[kept], drawn[kept])
    assert chisquare(np.bincount(skipped, minlength=8)[[1, 2, 3, 4, 6, 7]]).pvalue > 1e-3
    assert set(draw_skymaps(1, 0, numbers[:50], 3, [0, 2])) == {1}


@pytest.mark.parametrize("rate_hz", [1e-6, 0.0064, 2.0])
def test_the_number_is_poisson(rate_hz):
    params = parameters(ratebgnu=rate_hz)
    numbers = np.arange(300 if rate_hz > 1 else 4000)
    counts, _ = draw_background(Draws(3, "background", EVENTS, None, params), numbers)
    mean = 1000 * rate_hz
    assert counts.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / numbers.size))
    if rate_hz == 0.0064:
        observed = np.bincount(np.minimum(counts, 14), minlength=15)
        expected = poisson(6.4).pmf(np.arange(14)) * numbers.size
        expected = np.append(expected, numbers.size - expected.sum())
        assert chisquare(observed, expected).pvalue > 1e-3


def test_neutrinos_are_uniform_in_time_and_ra_and_keep_what_belongs_together():
    draws = Draws(3, "background", EVENTS, None, PARAMS)
    counts, columns = join([draw_background(draws, np.arange(2000))])
    assert kstest(columns["dt_s"], "uniform", (-500, 1000)).pvalue > 1e-3
    assert kstest(columns["ra_deg"], "uniform", (0, 360)).pvalue > 1e-3
    which = np.searchsorted(EVENTS["dec_deg"], columns["dec_deg"])
    assert chisquare(np.bincount(which, minlength=5)).pvalue > 1e-3
    for name in ("sigma_deg", "energy_gev"):
        np.testing.assert_array_equal(columns[name], EVENTS[name][which])
    for times in np.split(columns["dt_s"], np.cumsum(counts)[:-1]):
        assert (np.diff(times) >= 0).all()


@given(st.floats(-500, 500), st.integers(10**9, 2 * 10**9))
def test_times_survive_being_gps(dt_s, gps):
    dt = whole_ticks(np.array([dt_s]))
    assert abs(dt[0] - dt_s) < 1e-6
    assert ((gps + dt) - gps)[0] == dt[0]


def test_kinds_have_numbers_of_their_own():
    drawn = [draw_skymaps(1, kind, np.arange(200), 1000) for kind in KINDS.values()]
    assert (drawn[0] == drawn[1]).mean() < 0.1
    assert (drawn[1] == drawn[2]).mean() < 0.1
