"""IceCube's local coordinates (zenith, azimuth) of the sky (ICRS right ascension, declination).

The same geometry as IceCube's own i3astropy: azimuth runs counter-clockwise from grid east. The
detector stands 600 m from the pole, and that counts: a site at latitude -90 is 18 arcsec off.
"""

import functools
import warnings
from pathlib import Path

import astropy_iers_data
import erfa
import numpy as np
from numpy.typing import ArrayLike, NDArray

from llama.stats.healpix import within_turn

LATITUDE_DEG = -89.9944
LONGITUDE_DEG = -62.6081
HEIGHT_M = 883.9

_MANY = 100
_ARCSEC = np.pi / 648_000
# columns of finals2000A.all: MJD, UT1 - UTC [s], x and y of the pole [arcsec]
_COLUMNS = ((7, 15), (58, 68), (18, 27), (37, 46))

Floats = NDArray[np.float64]


def to_zenith_azimuth(
    ra_deg: ArrayLike, dec_deg: ArrayLike, mjd: ArrayLike
) -> tuple[Floats, Floats]:
    """Return local (zenith_deg, azimuth_deg) of ICRS directions at times MJD (UTC).

    The arguments broadcast; azimuth is in [0, 360). Checked against i3astropy to 2 arcsec.
    ERFA does it without astropy, which takes 1.4 s to be imported and to read its tables.
    """
    ra, dec, days = np.broadcast_arrays(
        *(np.asarray(part, dtype=np.float64) for part in (ra_deg, dec_deg, mjd))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)  # of years without leap seconds yet
        site = _site(days)
        azimuth, zenith, *_ = erfa.atioq(*erfa.atciqz(np.radians(ra), np.radians(dec), site), site)
    return np.degrees(zenith), within_turn(90.0 - LONGITUDE_DEG - np.degrees(azimuth))


def _site(mjd: Floats) -> NDArray[np.void]:
    """Return ERFA's parameters of the site at each time.

    They cost 0.1 ms a time. Of many, what is slow (Earth's orbit, precession and nutation) is
    taken at whole hours and between them linear: right to 0.001 arcsec.
    """
    if mjd.size <= _MANY:
        return _site_at(mjd)
    hours, place = np.unique(np.floor(mjd * 24.0), return_inverse=True)
    at_hours = _site_at(np.append(hours, hours + 1.0) / 24.0)
    place = place.reshape(mjd.shape)
    site, after = at_hours[place], at_hours[place + hours.size]
    share = mjd * 24.0 - hours[place]
    for name in ("eh", "em", "v", "bm1", "bpn"):
        step = after[name] - site[name]
        site[name] += step * share.reshape(share.shape + (1,) * (step.ndim - share.ndim))
    return erfa.aper13(*erfa.utcut1(2400000.5, mjd, _earth_rotation(mjd)[0]), site)


def _site_at(mjd: Floats) -> NDArray[np.void]:
    dut1_s, pole_x, pole_y = _earth_rotation(mjd)
    return erfa.apco13(
        *(2400000.5, mjd, dut1_s, np.radians(LONGITUDE_DEG), np.radians(LATITUDE_DEG), HEIGHT_M),
        *(pole_x * _ARCSEC, pole_y * _ARCSEC, 0.0, 0.0, 0.0, 1.0),  # no air
    )[0]


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
