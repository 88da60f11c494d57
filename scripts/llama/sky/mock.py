"""Sky maps of sources that never were, in the published multi-order form, for demo and tests."""

import math

import numpy as np

from llama.sky.tiles import SkyTiles
from llama.sky.write import skymap_fits
from llama.stats.healpix import tiles_geometry, unit_vectors

_COARSEST, _FINEST = 4, 9


def mock_skymap(
    ra_deg: float, dec_deg: float, sigma_deg: tuple[float, float], distance_mpc: tuple[float, float]
) -> SkyTiles:
    """Return an elongated Gaussian on the sphere with a distance.

    sigma_deg: along the great circles through the centre that point east and north;
    distance_mpc: distmu and distsigma, the latter wider away from the centre. One part in a
    hundred of the probability is spread over the sky, as published maps have it.
    """
    centre = unit_vectors(np.array(ra_deg), np.array(dec_deg))
    east = np.array([-math.sin(math.radians(ra_deg)), math.cos(math.radians(ra_deg)), 0.0])
    axes = np.stack([east, np.cross(centre, east)])
    sigma = np.radians(sigma_deg)
    order = np.full(12 * 4**_COARSEST, _COARSEST, dtype=np.int8)
    ipix = np.arange(order.size, dtype=np.int64)
    while True:  # divide tiles that are wide against the Gaussian where it is not negligible
        vectors, _ = tiles_geometry(order, ipix)
        # the distance from the centre in units of sigma, by angle along each axis
        angle, across = np.arccos(np.clip(vectors @ centre, -1, 1)), vectors @ axes.T
        length = np.maximum(np.linalg.norm(across, axis=1), 1e-300)
        chi = np.linalg.norm(angle[:, None] * across / length[:, None] / sigma, axis=1)
        side = math.sqrt(math.pi / 3) * 0.5 ** order.astype(float)
        wide = (chi < 5 + 2 * side / sigma.min()) & (side > sigma.min() / 3) & (order < _FINEST)
        if not wide.any():
            break
        children = (4 * ipix[wide][:, None] + np.arange(4)).ravel()
        ipix = np.concatenate([ipix[~wide], children])
        order = np.concatenate([order[~wide], np.repeat(order[wide] + 1, 4)]).astype(np.int8)
    area = 4.0 ** -order.astype(float)
    prob = area * np.exp(-0.5 * chi**2)
    prob = 0.99 * prob / prob.sum() + 0.01 * area / area.sum()
    along = np.argsort(ipix << (2 * (29 - order.astype(np.int64))), kind="stable")
    distsigma = distance_mpc[1] * (1 + 0.1 * np.minimum(chi, 10))
    distnorm = 1 / (distance_mpc[0] ** 2 + distsigma**2)
    return SkyTiles(
        order[along],
        ipix[along],
        prob[along],
        np.full(order.size, distance_mpc[0]),
        distsigma[along],
        distnorm[along],
    )


def to_fits(tiles: SkyTiles, date_obs: str) -> bytes:
    """Return the tiles as a multi-order FITS file like those in alerts."""
    return skymap_fits(tiles, {"CREATOR": "LLAMA mock", "DATE-OBS": date_obs})
