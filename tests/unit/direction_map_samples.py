"""Maps of where a neutrino may be from, in every published form, and lists that name them."""

import math

import healpy
import numpy as np
from event_samples import neutrino
from sky_samples import fits_map
from stats_samples import vmf_map

from llama.event.direction_maps import take_maps
from llama.sky.mock import to_fits
from llama.sky.tiles import SkyTiles

NSIDE, FULL = 64, 4 * math.pi
RA, DEC, SIGMA = 61.0, 24.0, 3.0


def gaussian(nside=NSIDE, sigma_deg=SIGMA):
    """Density over its maximum, of every pixel in RING order."""
    x, y, z = healpy.pix2vec(nside, np.arange(12 * nside**2))
    centre = healpy.ang2vec(RA, DEC, lonlat=True)
    cos = np.clip(np.array([x, y, z]).T @ centre, -1, 1)
    return np.exp((cos - 1) / math.radians(sigma_deg) ** 2)


def probabilities(values=None, column="PROBABILITY", **header):
    values = gaussian() if values is None else values
    values = values / values.sum()
    return fits_map({column: values}, "RING", **({"NSIDE": NSIDE} | header))


def multiorder():
    one = vmf_map(RA, DEC, SIGMA)
    return to_fits(SkyTiles(one.order, one.ipix, one.prob), "2019-04-04T00:00:00")


def scan(levels="50%(90%) uncertainty location => Change in 2LLH of 22.2(64.2)", **header):
    """Likelihood as IceCube publishes it: 50 and 90 % of a Gaussian of SIGMA at 22.2 and 64.2."""
    wilks = -2 * np.log(np.maximum(gaussian(), 1e-300))
    nodes = 2 * math.log(2), 2 * math.log(10)
    values = np.interp(wilks, [0, *nodes], [0, 22.2, 64.2])
    values += np.maximum(wilks - nodes[1], 0) * 42 / (nodes[1] - nodes[0]) + 3.0
    values[wilks > 60] = np.nan
    values[wilks > 80] = healpy.UNSEEN
    return fits_map({"2LLH": values}, "RING", **({"NSIDE": NSIDE, "COMMENTS": levels} | header))


def row(**changes):
    return neutrino(ra=RA, dec=DEC) | {"in_window": True, "map": "map.fits"} | changes


def take(directory, content, given="alerts/1-neutrinos.json", **changes):
    rows = [row(**changes)]
    if content is not None:
        path = directory / "alerts/1-neutrinos-map.fits"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    said = take_maps(rows, directory, neutrino_file=given)
    return rows[0], said
