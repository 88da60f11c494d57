"""A neutrino whose energy is not known: signal and background are summed over all energies."""

import numpy as np
import pytest
from stats_samples import ToyResponse, blob_map, parameters, steep_response

from llama.stats.explain import explain_odds
from llama.stats.odds import event_odds, prepare_neutrinos
from llama.stats.overlap import prepare_map

PARAMS = parameters()
RESPONSE = steep_response()
DT, RA, DEC, SIGMA = (
    np.array(c)
    for c in ([0.0, 40.0, -9.0], [40.0, 40.5, 41.0], [12.0, 11.0, -33.3], [0.4, 1.0, 2.0])
)


def prepare(energy, response=RESPONSE, params=PARAMS):
    return prepare_neutrinos(DT, RA, DEC, SIGMA, np.array(energy), response, params)


def test_intensity_is_the_ratio_of_what_all_energies_give_together():
    """Brute force: densities of signal and background at very many energies, each summed."""
    found = prepare([np.nan] * 3).intensity[:, 0]
    x = np.linspace(RESPONSE.log10_energy[0], RESPONSE.log10_energy[-1], 20_001)
    signal, background = np.zeros_like(found), np.zeros(3)
    for k, dec in enumerate(DEC):
        s = np.sin(np.radians(dec))
        at = [np.interp(s, RESPONSE.sin_dec, row) for row in RESPONSE.background_per_dex]
        background[k] = np.trapezoid(np.interp(x, RESPONSE.log10_energy, at), x)
        for node, column in enumerate(RESPONSE.signal_per_dex.T):
            signal[k, node] = np.trapezoid(np.interp(x, RESPONSE.log10_energy, column), x)
    expected = 2 * np.pi / PARAMS.ratebgnu * signal / background[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_known_energies_average_to_the_unknown_one():
    """The odds without energy are those with it, averaged over what background energies there are.

    The mean of p(E | signal) / p(E | background) over the background's energies is 1.
    """
    x = np.linspace(2, 7, 2001)
    s = np.sin(np.radians(12.0))
    at = [np.interp(s, RESPONSE.sin_dec, row) for row in RESPONSE.background_per_dex]
    weight = np.interp(x, RESPONSE.log10_energy, at)
    one = np.ones(x.size)
    known = prepare_neutrinos(0 * x, 40 * one, 12 * one, one, 10**x, RESPONSE, PARAMS)
    known = known.intensity[:, 0]
    mean = (weight[:, None] * known).sum(axis=0) / weight.sum()
    unknown = prepare_neutrinos(
        *np.array([[0.0], [40.0], [12.0], [1.0], [np.nan]]), RESPONSE, PARAMS
    )
    np.testing.assert_allclose(unknown.intensity[0, 0], mean, rtol=2e-3)


def test_others_are_as_before_and_the_blind_stays_blind():
    energies = [1e4, 3e3, 2e5]
    mixed = prepare([energies[0], np.nan, energies[2]])
    np.testing.assert_array_equal(mixed.intensity[[0, 2]], prepare(energies).intensity[[0, 2]])
    signal = RESPONSE.signal_per_dex.copy()
    signal[:, :5] = 0.0
    blind = ToyResponse(
        RESPONSE.log10_energy,
        RESPONSE.sin_dec,
        signal,
        RESPONSE.background_per_dex,
        RESPONSE.area_relative,
    )
    found = prepare([np.nan] * 3, blind).intensity[:, 0]
    assert (found[:, :5] == 0).all()
    assert (found[:, 5:] > 0).all()


def test_energy_says_nothing_in_the_explanation():
    order, ipix, prob = blob_map(40.0, 12.0, 2.0)
    prepared = prepare_map(order, ipix, np.tile(prob, (5, 1)))
    neutrinos = prepare([np.nan] * 3)
    odds = event_odds(prepared, neutrinos, 0.9, PARAMS, RESPONSE.area_relative)
    why = explain_odds(prepared, neutrinos, 0.9, odds, PARAMS, RESPONSE)
    assert odds.odds_ratio > 0
    assert why.factors["energy"] == pytest.approx(1.0, rel=5e-3)
