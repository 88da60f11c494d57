"""Redshift and volume: against astropy, a spectrum of particles, and brute force over space."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from astropy import constants, units
from astropy.cosmology import Planck18, z_at_value
from scipy.integrate import quad
from stats_samples import blob_map, parameters, steep_response, worst_deviation
from stats_simulation import simulate

from llama.event.parameters import search_parameters
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.release import read_area, read_release
from llama.neutrinos.response import build_response, expected_events
from llama.settings.search import Search
from llama.stats.cosmology import REDSHIFTS, depth_mpc, grid, log_gain, source_density
from llama.stats.healpix import tiles_geometry
from llama.stats.odds import Neutrinos, event_odds, prepare_neutrinos
from llama.stats.overlap import prepare_map
from llama.stats.weights import count_moments, tile_weights

SEED = 20261129
ALL_SEEN = (1.0,) * REDSHIFTS.size
EXPANDING = parameters(events_by_redshift=ALL_SEEN)
DR2 = Path(__file__).parents[3] / "shared/data/detectors/icetracks_dr2/IC86_effectiveArea.csv"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    directory = tmp_path_factory.mktemp("release")
    write_mock_release(directory, 1)
    return read_release(directory)


@pytest.fixture(scope="module")
def response(release):
    events = release.events
    return build_response(release.areas[0], events["energy_gev"], events["dec_deg"])


def test_the_table_is_astropys():
    log_d, log_1z = grid()
    np.testing.assert_allclose(np.diff(log_d), 0.01 * np.log(10), rtol=1e-7)
    distance = Planck18.luminosity_distance(np.expm1(log_1z)).value
    np.testing.assert_allclose(distance, np.exp(log_d), rtol=1e-8)


def test_between_the_rows_of_the_table_the_gain_is_good_to_1e_4():
    for distance in (0.5, 77.0, 2000.0, 9300.0, 41_234.0):
        z = z_at_value(Planck18.luminosity_distance, distance * units.Mpc).value
        gain = np.exp(np.interp(np.log(distance), grid()[0], log_gain(ALL_SEEN)))
        assert gain == pytest.approx(1 + z, rel=1e-4)


def test_counts_are_those_of_the_issue():
    """1.36 times more at 2 Gpc and 2.3 at 9.3 Gpc than in static space."""
    for distance, more in ((2000.0, 1.36), (9300.0, 2.3)):
        columns = [np.array([x]) for x in (1.0, 0.0, distance, 1e-6 * distance)]
        here, static = (
            tile_weights(*columns, np.ones(2), p)[1, 0] for p in (EXPANDING, parameters())
        )
        assert here / static == pytest.approx(more, rel=5e-3)


@pytest.mark.parametrize("gamma", [2.0, 2.5])
def test_as_many_arrive_as_particles_redshifted_one_by_one(gamma):
    """(1 + z)^(3 - gamma): particles of a source-frame spectrum, spread over 4 pi d_M^2."""
    z = 0.8
    energy = np.geomspace(1e2, 1e8, 200_001)  # at the source
    emitted = energy**-gamma
    seen, d_m = energy / (1 + z), Planck18.comoving_transverse_distance(z).value
    within = (seen > 1e3) & (seen < 1e6)
    arriving = np.trapezoid(emitted[within], energy[within]) / (4 * np.pi * d_m**2)
    d_l = Planck18.luminosity_distance(z).value
    static = quad(lambda e: e**-gamma, 1e3, 1e6, limit=200)[0] / (4 * np.pi * d_l**2)
    assert arriving / static == pytest.approx((1 + z) ** (3 - gamma), rel=1e-3)


@pytest.mark.parametrize(("mu", "sigma"), [(40, 5), (1500, 400), (6000, 2000), (-50, 900)])
def test_weights_are_means_over_distance_with_astropys_redshift(mu, sigma):
    columns = [np.array([x], dtype=float) for x in (1, 0, mu, sigma)]
    found = tile_weights(*columns, np.ones(2), EXPANDING)[:, 0]
    r = (max(mu, 0) + 10 * sigma) * np.linspace(0, 1, 200_001)[1:] ** 2  # near sources are bright
    z = np.geomspace(1e-6, 60, 20_000)
    z = np.interp(r, Planck18.luminosity_distance(z).value, z)
    density = r**2 * np.exp(-0.5 * ((r - mu) / sigma) ** 2)
    moments = count_moments(EXPANDING.nu_51_100 * (100 / r) ** 2 * (1 + z), EXPANDING)
    mean = np.trapezoid(moments * density, r) / np.trapezoid(density, r)
    np.testing.assert_allclose(found[:3], mean[:3], rtol=1e-4)
    np.testing.assert_allclose(found[3:], mean[3:], rtol=1e-3)  # of 3 and 4 neutrinos from afar


def test_far_sources_have_calibrated_odds_and_in_static_space_they_have_not():
    """2e4 triggers about 5 Gpc, z = 0.8; the same with 1 + z left out of the statistic."""
    changes = {"fb": 1.0, "Enumin": 120.0, "Enumax": 240.0, "ratebgnu": 0.0012, "ndotgwnu": 1e-30}
    odds, response, area = {}, steep_response(), steep_response().area_relative
    order, ipix, prob = blob_map(120.0, 10.0, 6.0, coarsest=3, finest=4, floor=1e-6)
    map_ = order, ipix, prob, np.full(prob.size, 5000.0), np.full(prob.size, 1000.0)
    rng = np.random.default_rng(SEED)
    p_astro = rng.uniform(0.01, 0.99, 20_000)
    expanding = parameters(**changes, events_by_redshift=ALL_SEEN)
    _, true, trigger, *columns = simulate(expanding, response, [map_], p_astro, rng, (0.4, 1.5))
    along = np.argsort(trigger, kind="stable")
    ends = np.searchsorted(trigger[along], np.arange(p_astro.size + 1))
    for params in (expanding, parameters(**changes)):
        sin_dec = tiles_geometry(order, ipix)[0][:, 2]
        prepared = prepare_map(order, ipix, tile_weights(prob, sin_dec, *map_[3:], area, params))
        neutrinos = prepare_neutrinos(*(c[along] for c in columns), response, params)
        odds[params] = np.array(
            [
                event_odds(
                    *(prepared, Neutrinos(*(c[a:b] for c in neutrinos)), p, params, area)
                ).odds_ratio
                for p, a, b in zip(p_astro, ends, ends[1:], strict=False)
            ]
        )
    right, static = (worst_deviation(found, true)[0] for found in odds.values())
    assert right < 3.5
    assert static > 5


def test_sources_without_distance_fill_comoving_volume_and_source_time():
    distance = np.linspace(1.0, 12_000.0, 4_001)
    found = source_density(distance)
    z = np.linspace(1e-6, 3, 40_001)
    rate = Planck18.differential_comoving_volume(z).value / (1 + z)
    within = np.concatenate([[0], np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(z))])
    within = np.interp(distance, Planck18.luminosity_distance(z).value, within)
    steps = np.concatenate([[0], np.cumsum((found[1:] + found[:-1]) / 2 * np.diff(distance))])
    k = [400, 2000, 4000]
    np.testing.assert_allclose(steps[k] / steps[-1], within[k] / within[-1], rtol=1e-3)


def test_the_neutrino_only_term_converges():
    """Per source one more neutrino per redshift: int c / H / (1 + z)^2 dz in all."""

    def per_redshift(z):
        return (constants.c / Planck18.H(z)).to_value("Mpc") / (1 + z) ** 2

    by_hand = quad(per_redshift, 0, 10)[0] + quad(per_redshift, 10, np.inf)[0]
    assert depth_mpc(ALL_SEEN) == pytest.approx(by_hand, rel=1e-3)
    assert depth_mpc(()) == 3000.0


def test_expected_events_follow_from_the_area(release, response):
    """The integral of the area's bins themselves, without the tables between."""
    area = release.areas[0]
    energy, sides = 10.0**area.log10_energy, np.sin(np.radians(area.dec_deg))
    erg_in_gev, cm = (1 * units.erg).to_value("GeV"), (100 * units.Mpc).to_value("cm")
    for low, high, z in ((10.0, 1e8, 0.0), (1e2, 1e6, 0.0), (1e2, 1e8, 1.3)):
        ends = np.clip(energy, low / (1 + z), high / (1 + z))
        flux = np.diff(-1 / ends)
        by_hand = (area.area_cm2.T @ flux) @ np.diff(sides) / 2
        by_hand *= 1e51 * erg_in_gev / np.log(high / low) / (4 * np.pi * cm**2)
        # bins of 0.2 dex against a line through their centres
        assert expected_events(response, low, high, z) == pytest.approx(by_hand, rel=0.06)


@pytest.mark.skipif(not DR2.exists(), reason="needs IceTracks-DR2's effective area")
def test_expected_events_of_icetracks_dr2():
    """As the release's own integral: 1.16 for 10 to 1e8 GeV, 1.35 for 1e2 to 1e8."""
    tables = build_response(read_area(DR2), np.array([1e3]), np.array([0.0]))
    assert expected_events(tables, 10.0, 1e8) == pytest.approx(1.16, rel=0.02)
    assert expected_events(tables, 1e2, 1e8) == pytest.approx(1.35, rel=0.02)
    assert expected_events(tables, 1e2, 1e8, 1.3) < expected_events(tables, 1e2, 1e8)


def model(**changes):
    return Search(**changes).model_dump(mode="json") | {"real_time": False}


def test_what_is_null_in_the_settings_follows_from_the_archive(response):
    tables = dataclasses.replace(response, rate_hz=0.00383, sigma_floor_deg=0.15)
    params = search_parameters(model(), "bns", tables)
    assert params.nu_51_100 == pytest.approx(expected_events(response, 10, 1e8), rel=1e-12)
    assert (params.ratebgnu, params.sigma_floor_deg) == (0.00383, 0.15)
    assert params.events_by_redshift[0] == 1
    assert all(b <= a for a, b in itertools.pairwise(params.events_by_redshift))
    live = model() | {"real_time": True}
    assert search_parameters(live, "bns", tables).ratebgnu == 0.0064
    assert search_parameters(live, "bns", tables, from_archive=True).ratebgnu == 0.00383


def test_settings_override_the_archive(response):
    numbers = {"nu_51_100": 2.5, "ratebgnu": 0.001, "sigma_floor_deg": 0.7}
    for more in ({}, {"response": "published"}):
        for search in (model(**numbers, **more), model(**numbers, **more) | {"real_time": True}):
            params = search_parameters(search, "bns", response, from_archive=True)
            assert {name: getattr(params, name) for name in numbers} == numbers


def test_the_published_search_is_static_with_its_own_numbers(response):
    tables = dataclasses.replace(response, rate_hz=0.00383, sigma_floor_deg=0.15)
    params = search_parameters(model(response="published"), "cbc", tables)
    assert params == parameters()
    assert (params.nu_51_100, params.ratebgnu, params.sigma_floor_deg) == (1.1, 0.0064, 0.2)
    assert params.events_by_redshift == ()
