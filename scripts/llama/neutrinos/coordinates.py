"""IceCube's local coordinates (zenith, azimuth) of the sky (ICRS right ascension, declination).

The same geometry as IceCube's own i3astropy: azimuth runs counter-clockwise from grid east. The
detector stands 600 m from the pole, and that counts: a site at latitude -90 is 18 arcsec off.
"""

import contextlib
import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

LATITUDE_DEG = -89.9944
LONGITUDE_DEG = -62.6081
HEIGHT_M = 883.9

_MANY = 100  # events from which interpolating the Earth's motion is faster than computing it

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def to_zenith_azimuth(ra_deg: ArrayLike, dec_deg: ArrayLike, mjd: ArrayLike) -> Pair:
    """Return local (zenith_deg, azimuth_deg) of ICRS directions at times MJD (UTC).

    The arguments broadcast; azimuth is in [0, 360). Checked against i3astropy to 2 arcsec.
    """
    from astropy import units
    from astropy.coordinates import ICRS, AltAz, SkyCoord

    ra, dec, days = np.broadcast_arrays(ra_deg, dec_deg, mjd)
    with _astropy(days.size):
        sky = SkyCoord(ra=ra * units.deg, dec=dec * units.deg, frame=ICRS())
        local = sky.transform_to(AltAz(**_place_and_time(days)))
    zenith = 90.0 - np.asarray(local.alt.deg)
    return zenith, (90.0 - LONGITUDE_DEG - np.asarray(local.az.deg)) % 360.0


def _place_and_time(mjd: NDArray[np.float64]) -> dict[str, object]:
    from astropy import units
    from astropy.coordinates import EarthLocation
    from astropy.time import Time

    place = EarthLocation.from_geodetic(LONGITUDE_DEG, LATITUDE_DEG, HEIGHT_M * units.m)
    return {"obstime": Time(mjd, format="mjd", scale="utc"), "location": place}


@contextlib.contextmanager
def _astropy(n_events: int) -> Iterator[None]:
    """Keep astropy off the network and content with an old table of the Earth's rotation.

    A table a year old moves nothing by more than an arcsec or so; events have 720 or more.
    """
    from astropy import units
    from astropy.coordinates.erfa_astrom import ErfaAstrom, ErfaAstromInterpolator, erfa_astrom
    from astropy.utils import iers
    from astropy.utils.exceptions import AstropyWarning
    from erfa import ErfaWarning

    astrom = ErfaAstromInterpolator(1 * units.hour) if n_events > _MANY else ErfaAstrom()
    with (
        iers.conf.set_temp("auto_download", False),
        iers.conf.set_temp("auto_max_age", None),
        iers.conf.set_temp("iers_degraded_accuracy", "ignore"),
        erfa_astrom.set(astrom),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", AstropyWarning)
        warnings.simplefilter("ignore", ErfaWarning)
        yield
