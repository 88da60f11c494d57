"""Detectors that see the sky turn: calibrated, and equal to an integral over the sky."""

import dataclasses

import healpy
import numpy as np
import proofs
import pytest
from stats_samples import ToyResponse, near_blob, parameters, prepare_tiles, worst_deviation
from stats_simulation import simulate_network
from test_stats_network import MEMBERS, PARAMS

from llama.neutrinos.local import Site
from llama.stats.area import POLE, area_in
from llama.stats.division import divide_tiles
from llama.stats.healpix import unit_vectors
from llama.stats.network import Member, network_area, prepare_in_network, turned_area
from llama.stats.odds import event_odds
from llama.stats.windows import odds_of_windows

P_ASTRO = 0.7
SEED, WHOLE = 20261131, 150_000
TRIGGERS = proofs.size(WHOLE, 12_000)
SITE = Site(36.3, 16.1)
TIMES = 1.3e9 + 86164.0905 * np.arange(6) / 6  # of one sidereal day


def half_blind_response():
    """A detector that looks down, with most of its background just below the horizon."""
    x, u = np.linspace(2, 7, 51), np.linspace(-1, 1, 81)
    signal = np.exp(-0.5 * ((x[:, None] - 4.8 + 0.9 * (u + 1)) / 0.8) ** 2)
    background = np.exp(-0.5 * ((x[:, None] - 3.4) / 0.6) ** 2)
    background = background * np.where(u < 0.15, 1 + np.exp(4 * u), 0) + 1e-4
    area = np.where(u < 0.15, 1.5 + u, 0)
    return ToyResponse(
        x,
        u,
        signal / np.trapezoid(signal, x, axis=0),
        background / np.trapezoid(np.trapezoid(background, u, axis=1), x),
        area / (np.trapezoid(area, u) / 2),
    )


def fine(response, nodes=81):
    """A response on more nodes of sin(dec)."""
    s = np.linspace(-1, 1, nodes)
    tables = {
        name: np.apply_along_axis(lambda row: np.interp(s, response.sin_dec, row), -1, table)
        for name, table in vars(response).items()
        if name not in ("log10_energy", "sin_dec")
    }
    return dataclasses.replace(response, sin_dec=s, **tables)


LOCAL = Member(half_blind_response(), 0.9, 0.002, 0.1)
POLAR = MEMBERS[0]._replace(response=fine(MEMBERS[0].response))
TURNED = dataclasses.replace(
    PARAMS,
    nu_51_100=POLAR.nu_51_100 + LOCAL.nu_51_100,
    ratebgnu=POLAR.ratebgnu + LOCAL.ratebgnu,
)
MAPS = (near_blob(50.0, 20.0, 5.0, 40.0, 5.0), near_blob(220.0, -20.0, 12.0, 40.0, 10.0))


def members_at(gps):
    return POLAR, LOCAL._replace(axis=SITE.zenith(gps))


def simulated():
    """Yield the members, their map, the truth, where triggers' neutrinos end, and these."""
    rng = np.random.default_rng(SEED)
    for gps in TIMES:
        members = members_at(gps)
        detectors = [
            (one.nu_51_100, one.response, one.ratebgnu, sigma, POLE if axis is None else axis)
            for one, sigma, axis in (
                (POLAR, (0.4, 1.5), None),
                (LOCAL, (0.15, 3.0), members[1].axis),
            )
        ]
        for map_ in MAPS:
            p_astro = np.full(TRIGGERS // TIMES.size // len(MAPS), P_ASTRO)
            _, true, detector, trigger, *columns = simulate_network(
                TURNED, detectors, [map_], p_astro, rng
            )
            along = np.argsort(trigger, kind="stable")
            ends = np.searchsorted(trigger[along], np.arange(p_astro.size), side="right")
            yield members, map_, true, ends, detector[along], [c[along] for c in columns]


def odds_of(parts, seen=lambda members: members):
    """Return the odds of triggers whose detectors are taken as `seen`, and the truth."""
    found, truth = [], []
    for members, map_, true, ends, detector, columns in parts:
        area = turned_area(seen(members))
        neutrinos = prepare_in_network(columns, detector, seen(members), area, TURNED)
        prepared = prepare_tiles(*map_, area, TURNED)
        odds = odds_of_windows(prepared, neutrinos, ends, P_ASTRO, TURNED, area)
        found.append(odds.odds_ratio)
        truth.append(true)
    return np.concatenate(found), np.concatenate(truth)


@pytest.mark.proof
def test_odds_of_a_detector_that_sees_the_sky_turn_are_calibrated(proven):
    parts = list(simulated())
    worst, decades = worst_deviation(*odds_of(parts))
    assert decades >= 4
    assert worst < (3 if proofs.WHOLE else 3.5)

    if proofs.WHOLE:  # as of a time a quarter of a day away
        later = members_at(TIMES[0] + 21541)
        assert worst_deviation(*odds_of(parts, lambda _: later))[0] > 5
    proven(SEED, WHOLE, worst_deviation_sigma=round(worst, 3), decades_of_odds=decades)
