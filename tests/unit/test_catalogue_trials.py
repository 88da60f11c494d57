"""Trials of catalogues: closed forms, all p-values at once by simulation, and what is refused."""

import itertools

import numpy as np
import pytest
from scipy.stats import binom, kstest

from llama.catalogue.sums import Term, chance, exceeding, sum_test
from llama.catalogue.trials import best_event, binomial_scan, counts_below, scan_p_value


def test_the_best_of_n_uniform_p_values():
    p = np.array([0.2, 1e-9, 0.7])
    assert best_event(p) == pytest.approx(3e-9, rel=1e-8)
    assert best_event(np.array([0.5, 0.9])) == pytest.approx(0.75)
    assert best_event(np.array([1.0])) == 1.0


@pytest.mark.parametrize("p", [[], [0.0, 0.5], [float("nan")], [1.1], [[0.5]]])
def test_what_is_no_p_value_is_refused(p):
    with pytest.raises(ValueError, match="needs p-values"):
        best_event(np.array(p))


def test_counts_below_are_binomial():
    below = counts_below(np.array([0.001, 0.004, 0.05, 0.6]), [0.01])[0]
    assert (below.observed, below.expected) == (2, 0.04)
    assert below.p_value == pytest.approx(1 - 0.99**4 - 4 * 0.01 * 0.99**3)


def scan_by_counting(local, n, steps=1000):
    """By brute force over a lattice: two uniform numbers, both orders."""
    u = (np.arange(steps) + 0.5) / steps
    low, high = np.minimum.outer(u, u), np.maximum.outer(u, u)
    best = np.minimum(binom.sf(0, n, low), binom.sf(1, n, high))
    return (best <= local).mean()


@pytest.mark.parametrize("local", [0.01, 0.2, 0.6])
def test_the_scan_over_two_is_that_of_brute_force(local):
    assert scan_p_value(local, 2) == pytest.approx(scan_by_counting(local, 2), abs=4e-3)


def test_a_scan_of_one_is_the_p_value_itself():
    assert binomial_scan(np.array([0.03])) == (1, pytest.approx(0.03), pytest.approx(0.03))


def test_the_scan_keeps_its_digits_where_p_is_small():
    """At small p the ways to cross hardly overlap: between the largest and the sum of n."""
    for local in (1e-4, 1e-9, 1e-15):
        p = scan_p_value(local, 20)
        assert local < p < 20 * local
        # the same to 1e-6 or better, relative, as what is nearly linear must be
        assert p == pytest.approx(2 * scan_p_value(local / 2, 20), rel=0.2)


@pytest.mark.parametrize("n", [5, 20, 1000])
def test_a_scan_of_what_underflows_is_not_lost(n):
    """Five of p = 1e-60 have the binomial p-value 1e-300."""
    seam = scan_p_value(0.9999e-100, n) / scan_p_value(1.0001e-100, n)
    assert 0.999 < seam < 1.2
    found = binomial_scan(np.full(n, 1e-60))
    assert found.local <= found.p_value < 1e-290


def test_of_uniform_p_values_all_statements_are_uniform():
    rng = np.random.default_rng(1)
    catalogues = rng.uniform(size=(800, 20))
    for statement in (best_event, lambda p: binomial_scan(p).p_value):
        assert kstest([statement(p) for p in catalogues], "uniform").pvalue > 1e-3


def test_a_scan_that_forgets_its_trials_would_be_seen():
    rng = np.random.default_rng(1)
    local = [binomial_scan(p).local for p in rng.uniform(size=(150, 20))]
    assert kstest(local, "uniform").pvalue < 1e-6


def test_a_shorter_scan_has_fewer_trials():
    assert scan_p_value(0.01, 50, 5) < scan_p_value(0.01, 50, 50)


def weighted(rng, n, tilt):
    """Return values from a density that has more of what is large, with their weights."""
    values = rng.exponential(tilt, n)
    weights = tilt * np.exp(-values * (1 - 1 / tilt))
    return values, weights


def test_a_sum_is_that_of_plain_draws_of_whole_catalogues():
    rng = np.random.default_rng(2)
    terms = [weighted(rng, 20_000, 3.0) for _ in range(5)]  # each exponential with mean 1
    terms = [chance(*each) for each in terms]
    for total in (3.0, 8.0, 15.0):
        plain = (rng.exponential(size=(200_000, 5)).sum(axis=1) >= total).mean()
        assert exceeding(terms, total) == pytest.approx(plain, rel=0.05, abs=2e-4)


def test_a_sum_far_out_is_that_of_the_gamma_distribution():
    """1e-9 of it, which no plain draws reach; the error is the jackknife's."""
    from scipy.stats import gamma

    rng = np.random.default_rng(3)
    terms = [weighted(rng, 20_000, 5.0) for _ in range(4)]
    total = float(gamma.isf(1e-9, 4))
    found = sum_test(terms, total, seed=1)
    assert found.error < 2e-10
    assert found.p == pytest.approx(1e-9, abs=4 * found.error)


def test_the_error_is_how_far_other_injections_are():
    made = []
    for seed in range(40):
        rng = np.random.default_rng(100 + seed)
        made.append(sum_test([weighted(rng, 300, 2.0) for _ in range(4)], 10.0, seed))
    spread = np.std([one.p for one in made])
    assert np.mean([one.error for one in made]) == pytest.approx(spread, rel=0.35)


def test_without_odds_there_is_no_evidence():
    assert exceeding([Term(np.zeros(3), np.full(3, 1 / 3))], 0.0) == 1.0
    smallest = float(np.nextafter(0, 1))
    assert exceeding([Term(np.array([0.0, 1.0]), np.array([0.6, 0.4]))], smallest) == 0.4


def test_equal_seeds_give_equal_bits():
    terms = [weighted(np.random.default_rng(4), 500, 2.0) for _ in range(3)]
    one, two = (sum_test(terms, 5.0, seed=7) for _ in range(2))
    assert one == two
    ordered = [exceeding([chance(*of) for of in terms], t) for t in (1.0, 2.0, 5.0)]
    assert all(a > b for a, b in itertools.pairwise(ordered))
