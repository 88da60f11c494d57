"""Local and celestial coordinates against IceCube's published numbers."""

import warnings

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import ICRS, AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers

from llama.neutrinos import coordinates
from llama.neutrinos.coordinates import to_zenith_azimuth
from llama.neutrinos.release import read_events
from llama.times import gps_to_mjd, iso_to_gps

MJD = gps_to_mjd(iso_to_gps("2021-06-30T00:09:28.846"))
ARCSEC = 1 / 3600


def separation_deg(ra1, dec1, ra2, dec2):
    ra1, dec1, ra2, dec2 = (np.radians(angle) for angle in (ra1, dec1, ra2, dec2))
    haversine = (
        np.sin((dec1 - dec2) / 2) ** 2 + np.cos(dec1) * np.cos(dec2) * np.sin((ra1 - ra2) / 2) ** 2
    )
    return np.degrees(2 * np.arcsin(np.sqrt(haversine)))


def test_i3astropy_vector():
    zenith, azimuth = to_zenith_azimuth(213.6190, -47.5599, MJD)
    shown = np.degrees(0.73884), np.degrees(2.7348)
    assert separation_deg(azimuth, zenith - 90, shown[1], shown[0] - 90) < 2 * ARCSEC


def test_i3astropy_crab():
    zenith, azimuth = to_zenith_azimuth(83.6330833, 22.0145, MJD)
    assert separation_deg(azimuth, zenith - 90, 286.7096, 112.0318 - 90) < 2 * ARCSEC


@pytest.mark.parametrize(("dec", "zenith"), [(-90, 0), (90, 180)])
def test_poles_are_straight_up_and_down(dec, zenith):
    # precession moves the pole of date by 20 arcsec a year
    assert to_zenith_azimuth(0, dec, MJD)[0] == pytest.approx(zenith, abs=0.13)


def by_astropy(ra_deg, dec_deg, mjd):
    """Return zenith and azimuth by astropy's own way, off the network."""
    place = EarthLocation.from_geodetic(
        coordinates.LONGITUDE_DEG, coordinates.LATITUDE_DEG, coordinates.HEIGHT_M * units.m
    )
    with (
        iers.conf.set_temp("auto_download", False),
        iers.conf.set_temp("auto_max_age", None),
        iers.conf.set_temp("iers_degraded_accuracy", "ignore"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        frame = AltAz(obstime=Time(mjd, format="mjd", scale="utc"), location=place)
        sky = SkyCoord(ra=ra_deg * units.deg, dec=dec_deg * units.deg, frame=ICRS())
        local = sky.transform_to(frame)
    azimuth = (90.0 - coordinates.LONGITUDE_DEG - local.az.deg) % 360.0
    return 90.0 - local.alt.deg, azimuth


@pytest.mark.parametrize(
    ("first", "last", "tolerance_arcsec"),
    [
        (58000, 58030, 0.01),
        (57750, 57760, 0.01),  # the leap second at the end of 2016
        (41700, 60300, 0.1),  # astropy takes older days from another table
        # outside of the tables its versions differ by all of UT1 - UTC, 0.9 s
        (40000, 41000, 15),
        (90000, 90030, 15),
    ],
)
def test_events_are_where_astropy_has_them(first, last, tolerance_arcsec):
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(0, 360, 300), np.degrees(np.arcsin(rng.uniform(-1, 1, 300)))
    mjd = rng.uniform(first, last, 300)
    zenith, azimuth = by_astropy(ra, dec, mjd)
    ours_zenith, ours_azimuth = to_zenith_azimuth(ra, dec, mjd)
    apart = separation_deg(azimuth, zenith - 90, ours_azimuth, ours_zenith - 90)
    assert apart.max() < tolerance_arcsec * ARCSEC
    few_zenith, few_azimuth = to_zenith_azimuth(ra[:50], dec[:50], mjd[:50])
    apart = separation_deg(ours_azimuth[:50], ours_zenith[:50] - 90, few_azimuth, few_zenith - 90)
    assert apart.max() < 0.001 * ARCSEC


def test_shapes_broadcast_and_stay():
    zenith, azimuth = to_zenith_azimuth(np.full((2, 3), 40.0), 10.0, MJD)
    assert zenith.shape == azimuth.shape == (2, 3)
    assert np.ptp(azimuth) == 0
    assert np.shape(to_zenith_azimuth(40.0, 10.0, MJD)[0]) == ()


def test_far_future_and_past_need_no_network_and_no_warning():
    for mjd in (40000.0, 90000.0):
        assert np.isfinite(to_zenith_azimuth(40.0, 10.0, mjd)).all()


def test_public_events_agree(shared_data):
    release = shared_data / "icecube" / "icecube_10year_ps"
    events, _ = read_events([release / "events" / "IC40_exp.csv"])
    some = {name: column[::25] for name, column in events.items()}
    zenith, azimuth = to_zenith_azimuth(some["ra_deg"], some["dec_deg"], some["mjd"])
    apart = separation_deg(azimuth, zenith - 90, some["azimuth_deg"], some["zenith_deg"] - 90)
    # The release's times are UT1, at most 0.9 s = 13.5 arcsec off, and its angles are rounded.
    assert apart.max() < 16 * ARCSEC
    assert np.median(apart) < 8 * ARCSEC
