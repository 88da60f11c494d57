"""Detectors that see the sky turn: calibrated, and equal to an integral over the sky."""

import dataclasses

import healpy
import numpy as np
import proofs
import pytest
from stats_samples import ToyResponse, near_blob, prepare_tiles, worst_deviation
from stats_simulation import simulate_network
from test_stats_network import MEMBERS, PARAMS

from llama.neutrinos.local import Site
from llama.stats.area import POLE, area_in
from llama.stats.division import divide_tiles
from llama.stats.healpix import tiles_geometry, unit_vectors
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


def brute_force(members, map_, ra, dec, sigma, energy, number):
    """Return Lambda_s fb / Q of one neutrino as an integral over pixels of 0.11 deg."""
    order, ipix, prob, distmu, distsigma = map_
    nside = 512
    vectors = np.array(healpy.pix2vec(nside, np.arange(12 * nside**2), nest=True)).T
    own = unit_vectors(np.array(ra), np.array(dec))
    kappa = np.radians(sigma) ** -2.0
    near = vectors @ own > np.cos(np.radians(12 * sigma))
    vectors, pixel = vectors[near], np.flatnonzero(near)
    start = ipix << (2 * (9 - order.astype(int)))
    along = np.argsort(start)
    tile = along[np.searchsorted(start[along], pixel, side="right") - 1]
    density = prob[tile] * 3 / np.pi * 4.0 ** order[tile].astype(float)
    expected = np.zeros(pixel.size)
    for member in members:
        along = member.along(vectors)
        relative = np.interp(along, member.response.sin_dec, member.response.area_relative)
        expected += member.nu_51_100 * relative
    member = members[number]
    relative = np.interp(
        member.along(vectors), member.response.sin_dec, member.response.area_relative
    )
    # <mu exp(-mu)> over energy and distance, at each direction
    r = np.linspace(1, 200, 2000)
    at_r = r**2 * np.exp(-0.5 * ((r - distmu[0]) / distsigma[0]) ** 2)
    at_r /= at_r.sum()
    low, high = TURNED.Enumin * TURNED.fb, TURNED.Enumax * TURNED.fb
    strength = np.geomspace(1e-6, 50, 3000)
    a = strength[:, None] * (100 / r) ** 2
    mean = ((np.exp(-a * low) - np.exp(-a * high)) / np.log(high / low)) @ at_r
    of_all = np.interp(expected, strength, mean)
    share = member.nu_51_100 * relative / np.where(expected > 0, expected, 1)
    x = np.log10(energy)
    here, there = member.along(vectors), float(member.along(own[None])[0])
    tables = member.response
    signal = interpolated(tables, tables.signal_per_dex, x, here)
    background = interpolated(tables, tables.background_per_dex, x, np.array([there]))[0]
    psf = kappa / (2 * np.pi * -np.expm1(-2 * kappa)) * np.exp(kappa * (vectors @ own - 1))
    inside = 2 * np.pi * signal / background / member.ratebgnu * share * of_all * psf * density
    return inside.sum() * healpy.nside2pixarea(nside)


def interpolated(tables, values, x, s):
    rows = [np.interp(s, tables.sin_dec, row) for row in values]
    return np.array([np.interp(x, tables.log10_energy, c) for c in np.array(rows).T])


def odds_and_integral(gps, number, ra, dec, sigma, energy):
    members = members_at(gps)
    area, map_ = turned_area(members), near_blob(50.0, 20.0, 5.0, 40.0, 5.0, coarsest=6, finest=6)
    columns = [np.array([value]) for value in (0.0, ra, dec, sigma, energy)]
    one = prepare_in_network(columns, np.array([number]), members, area, TURNED)
    odds = event_odds(prepare_tiles(*map_, area, TURNED), one, P_ASTRO, TURNED, area)
    q = P_ASTRO / (1 - P_ASTRO) / TURNED.fb
    low, high, *nu = TURNED.emission_windows_s
    overlap = min(-low, -nu[0]) - max(-high, -nu[1])
    time = overlap / ((high - low) * (nu[1] - nu[0]))
    return odds.lambda_s, q * time * brute_force(members, map_, ra, dec, sigma, energy, number)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("gps", TIMES[[0, 2, 4]])
def test_one_neutrino_is_its_integral_over_the_sky(gps, number):
    for ra, dec, sigma, energy, error in (
        (52.0, 22.0, 0.6, 3e4, 1e-3),
        (46.0, 12.0, 0.3, 2e5, 1e-3),
        # the mean over right ascension is that of the point spread alone, not times the map
        (60.0, 25.0, 3.0, 3e3, 0.04),
    ):
        found, expected = odds_and_integral(gps, number, ra, dec, sigma, energy)
        assert found == pytest.approx(expected, rel=error, abs=1e-12)


@pytest.mark.parametrize("gps", [1300004200.0, 1300049560.0])
def test_where_a_detector_begins_to_see(gps):
    """Tiles of 0.9 deg where the area falls to nothing within 1.4 deg."""
    for ra, dec, sigma, error in ((50.0, 20.0, 0.3, 0.1), (49.0, 19.0, 1.0, 0.03)):
        found, expected = odds_and_integral(gps, 1, ra, dec, sigma, 3e4)
        assert found == pytest.approx(expected, rel=error)


def test_what_turns_about_the_pole_does_not_turn():
    """Tables along the pole as an axis are those in sin(dec)."""
    still, turning = (POLAR, POLAR), (POLAR, POLAR._replace(axis=POLE))
    area, fractions = network_area(still)
    columns = [
        np.array([0.0, 120.0, -40.0]),
        np.array([50.0, 51.0, 230.0]),
        np.array([20.0, 21.0, -25.0]),
        np.array([0.5, 0.9, 0.2]),
        np.array([3e3, 2e4, np.nan]),
    ]
    found = []
    for members, shares, of in (
        (still, fractions, area),
        (turning, turned_area(turning), turned_area(turning)),
    ):
        neutrinos = prepare_in_network(columns, np.array([0, 1, 1]), members, shares, TURNED)
        prepared = prepare_tiles(*MAPS[0], of, TURNED)
        found.append(event_odds(prepared, neutrinos, P_ASTRO, TURNED, of))
    assert found[1].odds_ratio == pytest.approx(found[0].odds_ratio, rel=1e-9)
    assert found[1].single_odds == pytest.approx(found[0].single_odds, rel=1e-9)
    assert found[1].lambda_cnu == pytest.approx(found[0].lambda_cnu, rel=1e-3)


def test_tiles_are_divided_where_a_turning_detector_begins_to_see():
    area = turned_area(members_at(TIMES[0]))
    order, ipix, _ = divide_tiles(np.full(3072, 4, dtype=np.int8), np.arange(3072), area)
    vectors = tiles_geometry(order, ipix)[0]
    edge = np.abs(vectors @ area.axes[1] - 0.14) < 0.01
    assert edge.sum() > 100
    assert order[edge].min() == 6
    assert (order[vectors @ area.axes[1] > 0.4] < 6).mean() > 0.9
    pixels = healpy.query_disc(64, [0.3, 0.5, 0.4], 0.2)
    some = np.array(healpy.pix2vec(64, pixels)).T
    assert area_in(area, some) == pytest.approx(area.parts(some).sum(axis=0))
    assert area.fractions(some).sum(axis=0) == pytest.approx(1)
