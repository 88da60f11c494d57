"""Odds mean what they say where a source's neutrinos are as IceCube simulated them.

Signal neutrinos are drawn from the rows of the public smearing matrix (true energy, proxy, angle
and stated error jointly), not from the tables and mixtures of the statistic.
"""

from typing import NamedTuple

import numpy as np
import proofs
import pytest
from scipy.stats import poisson
from stats_samples import near_blob, parameters, prepare_tiles, worst_deviation
from stats_simulation import simulate_truth

from llama.neutrinos.detector import build_detector
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.release import read_release
from llama.neutrinos.response import build_response
from llama.neutrinos.smearing import Smearing
from llama.neutrinos.truth import Sampler
from llama.stats.odds import Neutrinos, event_odds, prepare_neutrinos

# Few background neutrinos and a bright source: true coincidences in many decades of odds.
PARAMS = parameters(fb=3.0, Enumin=1e-3, Enumax=0.1, ratebgnu=0.0012, ndotgwnu=1e-30)
# declination and width of the map [deg], and distance [Mpc] at which a source gives some neutrinos
PLACES = {
    "north": (40.0, 1.0, 60.0),
    "horizon": (2.0, 1.0, 60.0),
    "south": (-40.0, 1.0, 20.0),
    "all sky": (0.0, 60.0, 40.0),
}
SEED, WHOLE = 20261129, 200_000
BLOCK = 2_000


class Site(NamedTuple):
    """A detector in its three forms: the tables of its simulation, the area alone, the truth."""

    detector: object
    response: object
    sampler: Sampler


def make_site(directory):
    write_mock_release(directory, 1)
    release = read_release(directory)
    matrix, area, events = Smearing.load(), release.areas[0], release.events
    energies, dec, sigma = (events[name] for name in ("energy_gev", "dec_deg", "sigma_deg"))
    response = build_response(area, energies, dec)
    detector = build_detector(matrix, area, response, energies, dec, sigma)
    return Site(detector, response, Sampler(matrix, area))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return make_site(tmp_path_factory.mktemp("release"))


def matrix_odds(site, columns):
    return prepare_neutrinos(*columns, site.detector, PARAMS)


def gaussian_odds(site, columns):
    """The simulation's densities of energy and AngErr with a Gaussian of AngErr's width."""
    some = matrix_odds(site, columns)
    sigma = np.radians(np.maximum(columns[3], PARAMS.sigma_floor_deg))
    intensity = some.intensity.sum(axis=1, keepdims=True)
    return some._replace(kappa=sigma[:, None] ** -2.0, intensity=intensity)


def proxy_odds(site, columns):
    """The published reading: the area at the proxy, and the Gaussian."""
    return prepare_neutrinos(*columns, site.response, PARAMS)


def odds_of(site, place, triggers, ways, seed=SEED):
    """Return the odds of the same triggers by each way, and which are true coincidences."""
    dec, sigma, distance = PLACES[place]
    map_ = near_blob(60.0, dec, sigma, distance, 0.2 * distance, coarsest=3, finest=7)
    prepared = prepare_tiles(*map_, site.detector.area_relative, PARAMS)
    rng = np.random.default_rng([seed, list(PLACES).index(place)])
    odds, true = [[] for _ in ways], []
    for first in range(0, triggers, BLOCK):
        p_astro = rng.uniform(0.01, 0.99, min(BLOCK, triggers - first))
        found, trigger, *columns = simulate_truth(PARAMS, site, map_, p_astro, rng)
        true.append(found)
        along = np.argsort(trigger, kind="stable")
        ends = np.searchsorted(trigger[along], np.arange(p_astro.size + 1))
        columns = [column[along] for column in columns]
        for result, way in zip(odds, ways, strict=True):
            neutrinos = way(site, columns)
            for p, begin, end in zip(p_astro, ends, ends[1:], strict=False):
                some = Neutrinos(*(column[begin:end] for column in neutrinos))
                area = site.detector.area_relative
                result.append(event_odds(prepared, some, p, PARAMS, area).odds_ratio)
    return *map(np.array, odds), np.concatenate(true)


def surprise(odds, true):
    """How improbable the number of true coincidences is among low odds, where tails show."""
    least = 1.0
    for below in (0.1, 1.0):
        low = odds < below
        expected, observed = (odds[low] / (1 + odds[low])).sum(), true[low].sum()
        sides = poisson.cdf(observed, expected), poisson.sf(observed - 1, expected)
        least = min(least, 2 * min(sides))
    return least


@pytest.mark.proof
@pytest.mark.parametrize("place", PLACES)
def test_odds_are_calibrated(site, place, proven):
    """Three sigma in every decade; four where there are few triggers."""
    odds, true = odds_of(site, place, proofs.size(WHOLE, WHOLE // 20), [matrix_odds])
    worst, decades = worst_deviation(odds, true)
    assert decades >= 2
    assert worst < (3 if proofs.WHOLE else 4)
    assert surprise(odds, true) > 2e-3
    proven(SEED, WHOLE, worst_sigma=round(float(worst), 2), decades=decades)


@pytest.mark.parametrize("way", [gaussian_odds, proxy_odds])
def test_what_the_matrix_is_not_is_found(site, way):
    """A Gaussian of the stated error, and the area at the proxy, are not calibrated."""
    odds, true = odds_of(site, "south", WHOLE // 20, [way])
    assert surprise(odds, true) < 1e-6
