"""What a detector away from the pole sees, at its site: tables in local coordinates.

Tables are functions of sin(altitude) in place of sin(dec), and isotropic in azimuth. The site's
zenith follows from the Earth's rotation angle; precession (0.15 deg by 2026) and UT1 - UTC (0.004
deg) are left out, as with declinations of date.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import erfa
import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from llama.errors import LlamaError
from llama.files import reading_hdf5
from llama.neutrinos.response import Response, response_form
from llama.times import gps_to_mjd

if TYPE_CHECKING:
    from llama.neutrinos.detector import Detector

Floats = NDArray[np.float64]

GROUP = "local"  # of a response's file
_SITE = "latitude_deg", "longitude_deg"


class Site(NamedTuple):
    """Where a detector is; longitude to the east."""

    latitude_deg: float
    longitude_deg: float

    def zenith(self, gps: ArrayLike) -> Floats:
        """Return the unit vectors (n, 3) of the zenith at times; of one time (3,)."""
        ra = np.radians(self.longitude_deg) + erfa.era00(2400000.5, gps_to_mjd(gps))
        dec = np.full_like(ra, math.radians(self.latitude_deg))
        vectors = np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)
        return np.stack(vectors, axis=-1)

    def sin_altitude(self, gps: Floats, vectors: Floats) -> Floats:
        """Return sin(altitude) of directions (n, 3) at times (n,)."""
        return np.clip((self.zenith(gps) * vectors).sum(axis=1), -1.0, 1.0)

    def directions(self, gps: Floats, sin_altitude: Floats, azimuth_rad: Floats) -> Floats:
        """Return unit vectors (n, 3) of local directions at times; azimuth from north to east."""
        up = self.zenith(gps)
        east = np.stack([-up[:, 1], up[:, 0], np.zeros(len(up))], axis=1)
        east /= np.linalg.norm(east, axis=1, keepdims=True)
        north = np.cross(up, east)
        aside = np.sqrt((1 - sin_altitude) * (1 + sin_altitude))[:, None]
        azimuth = np.asarray(azimuth_rad)[:, None]
        across = np.cos(azimuth) * north + np.sin(azimuth) * east
        return np.asarray(sin_altitude[:, None] * up + aside * across)


class Local(NamedTuple):
    """Tables over sin(altitude), as `Response` has them over sin(dec), and the site."""

    response: "Response | Detector"
    site: Site

    def write(self, file: h5py.File) -> None:
        """Write all of it to a group of a response's file."""
        group = file.create_group(GROUP)
        group.attrs.update(self.site._asdict())
        self.response.write(group)


def load_local(path: str | Path) -> Local | None:
    """Return what `Local.write` wrote, None of a detector without."""
    problem = f"{path} is no response table; make it again with `llama neutrinos import PATH`"
    with reading_hdf5(path, problem) as file:
        if GROUP not in file:
            return None
        group = file[GROUP]
        site = Site(*(float(group.attrs[name]) for name in _SITE))
        return Local(response_form(path).read(group), site)


def site_of(path: Path, meta: Mapping[str, object]) -> Site:
    """Return the site that a file's meta names; `LlamaError` if it does not."""
    try:
        latitude_deg, longitude_deg = (float(str(meta[name])) for name in _SITE)
    except (KeyError, ValueError):
        latitude_deg = longitude_deg = math.nan
    if not (abs(latitude_deg) <= 90 and abs(longitude_deg) <= 360):
        raise LlamaError(
            f"{path} is over cos_zenith and does not say where its detector is; give latitude_deg "
            "(-90 to 90) and longitude_deg (to the east) in its meta"
        )
    return Site(latitude_deg, longitude_deg)
