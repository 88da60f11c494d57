"""IceCube's local coordinates (zenith, azimuth) of the sky (ICRS right ascension, declination).

The same geometry as IceCube's own i3astropy: azimuth runs counter-clockwise from grid east. The
detector stands 600 m from the pole, and that counts: a site at latitude -90 is 18 arcsec off.
"""

import contextlib
import functools
import warnings
from collections.abc import Iterator
from pathlib import Path

import astropy_iers_data
import erfa
import numpy as np
from numpy.typing import ArrayLike, NDArray

LATITUDE_DEG = -89.9944
LONGITUDE_DEG = -62.6081
HEIGHT_M = 883.9

_MANY = 100  # events from which astropy, which interpolates the Earth's motion, is faster
_ARCSEC = np.pi / 648_000
# columns of finals2000A.all: MJD, UT1 - UTC [s], x and y of the pole [arcsec]
_COLUMNS = ((7, 15), (58, 68), (18, 27), (37, 46))

Floats = NDArray[np.float64]


def to_zenith_azimuth(
    ra_deg: ArrayLike, dec_deg: ArrayLike, mjd: ArrayLike
) -> tuple[Floats, Floats]:
    """Return local (zenith_deg, azimuth_deg) of ICRS directions at times MJD (UTC).

    The arguments broadcast; azimuth is in [0, 360). Checked against i3astropy to 2 arcsec.
    """
    ra, dec, days = np.broadcast_arrays(
        *(np.asarray(part, dtype=np.float64) for part in (ra_deg, dec_deg, mjd))
    )
    zenith, azimuth = (_many if days.size > _MANY else _few)(ra, dec, days)
    return zenith, (90.0 - LONGITUDE_DEG - azimuth) % 360.0


def _few(ra_deg: Floats, dec_deg: Floats, mjd: Floats) -> tuple[Floats, Floats]:
    """Return zenith and azimuth from north, one by one: 0.14 ms each.

    Astropy would do the same, but takes 1.4 s to be imported and to read its tables, and an event
    has some ten neutrinos.
    """
    dut1_s, pole_x, pole_y = _earth_rotation(mjd)
    place = np.radians(LONGITUDE_DEG), np.radians(LATITUDE_DEG), HEIGHT_M
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)  # of years without leap seconds yet
        azimuth, zenith, *_ = erfa.atco13(
            *(np.radians(ra_deg), np.radians(dec_deg)),
            *(0.0, 0.0, 0.0, 0.0),  # no motion of their own, no parallax
            *(2400000.5, mjd, dut1_s, *place, pole_x * _ARCSEC, pole_y * _ARCSEC),
            *(0.0, 0.0, 0.0, 1.0),  # no air
        )
    return np.degrees(zenith), np.degrees(azimuth)


def _earth_rotation(mjd: Floats) -> tuple[Floats, Floats, Floats]:
    """Return UT1 - UTC [s] and x and y of the pole [arcsec]; beyond the table, those of its end."""
    table = _rotation_table()
    after = np.clip(np.searchsorted(table[0], mjd, side="right"), 1, table.shape[1] - 1)
    step = table[:, after] - table[:, after - 1]
    step[1] -= np.round(step[1])  # a leap second
    share = np.clip((mjd - table[0, after - 1]) / step[0], 0.0, 1.0)
    _, dut1_s, pole_x, pole_y = table[:, after - 1] + share * step
    return dut1_s, pole_x, pole_y


@functools.cache
def _rotation_table() -> Floats:
    """Return the columns of the IERS's table that came with astropy, (4, days).

    A table a year old moves nothing by more than an arcsec or so; events have 720 or more.
    """
    lines = Path(astropy_iers_data.IERS_A_FILE).read_text(encoding="ascii").splitlines()
    known = (line for line in lines if line[slice(*_COLUMNS[1])].strip())  # predicted at least
    rows = [[float(line[first:last]) for first, last in _COLUMNS] for line in known]
    return np.array(rows).T


def _many(ra_deg: Floats, dec_deg: Floats, mjd: Floats) -> tuple[Floats, Floats]:
    """Return zenith and azimuth from north of many at once, with the Earth's motion per hour."""
    from astropy import units
    from astropy.coordinates import ICRS, AltAz, EarthLocation, SkyCoord
    from astropy.time import Time

    with _astropy():
        place = EarthLocation.from_geodetic(LONGITUDE_DEG, LATITUDE_DEG, HEIGHT_M * units.m)
        frame = AltAz(obstime=Time(mjd, format="mjd", scale="utc"), location=place)
        sky = SkyCoord(ra=ra_deg * units.deg, dec=dec_deg * units.deg, frame=ICRS())
        local = sky.transform_to(frame)
    return 90.0 - np.asarray(local.alt.deg), np.asarray(local.az.deg)


@contextlib.contextmanager
def _astropy() -> Iterator[None]:
    """Keep astropy off the network and content with an old table of the Earth's rotation."""
    from astropy import units
    from astropy.coordinates.erfa_astrom import ErfaAstromInterpolator, erfa_astrom
    from astropy.utils import iers
    from astropy.utils.exceptions import AstropyWarning

    with (
        iers.conf.set_temp("auto_download", False),
        iers.conf.set_temp("auto_max_age", None),
        iers.conf.set_temp("iers_degraded_accuracy", "ignore"),
        erfa_astrom.set(ErfaAstromInterpolator(1 * units.hour)),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", AstropyWarning)
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        yield
