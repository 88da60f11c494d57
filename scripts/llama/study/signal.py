"""Neutrinos of a simulated source that is where and as far as a sky map says.

The source is drawn from the map's posterior, not weighted with the brightness that a detection
would favour: a row keeps the count that its source is expected to give, and every isotropic
energy E is then a weight, Poisson(n | expected E / 1e51 erg), on the same injections.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama.neutrinos.response import Response
from llama.neutrinos.table import Columns
from llama.sky import SkyTiles
from llama.stats.compiled import njit
from llama.stats.distance import distance_nodes
from llama.stats.healpix import sphere_point, tile_position
from llama.stats.parameters import SearchParameters
from llama.study.draws import SIGNAL, SOURCE, Integers, uniforms, whole_ticks

Floats = NDArray[np.float64]

_NODES = 512  # of the distance's distribution
_NEIGHBOURS = 200  # archive events of like energy that a neutrino may have its sigma from


class Sources(NamedTuple):
    """Sources of n injections: unit vectors (n, 3), distance [Mpc], when the GW left [s].

    expected: count of neutrinos from 1e51 erg (isotropic-equivalent) at that place.
    """

    vectors: Floats
    distance_mpc: Floats
    gw_time_s: Floats
    expected: Floats


def draw_sources(
    seed: int,
    kind: int,
    numbers: Integers,
    tiles: SkyTiles,
    response: Response,
    params: SearchParameters,
) -> Sources:
    """Return the sources of injections that all have the sky map `tiles`.

    A tile by its probability, a point uniform in it, a distance from its distribution; where
    the map tells none, uniform in volume to `assumed_horizon_mpc`.
    """
    u = uniforms(seed, kind, SOURCE, numbers, 2)
    cumulative = np.cumsum(tiles.prob)
    which = np.searchsorted(cumulative, u[:, 0, 0] * cumulative[-1], side="right")
    which = np.minimum(which, tiles.prob.size - 1)
    vectors = _points(tiles.order[which], tiles.ipix[which], u[:, 0, 1], u[:, 0, 2])
    quantile = 1 - u[:, 0, 3]  # never 0: no source is here
    distance = params.assumed_horizon_mpc * quantile ** (1 / 3)
    if tiles.distmu is not None and tiles.distsigma is not None:
        mu, sigma = tiles.distmu[which], tiles.distsigma[which]
        known = np.isfinite(mu)
        distance[known] = _distances(mu[known], sigma[known], quantile[known])
    area = np.interp(vectors[:, 2], response.sin_dec, response.area_relative)
    return Sources(
        vectors,
        distance,
        params.tgwminus + (params.tgwplus - params.tgwminus) * u[:, 1, 0],
        params.nu_51_100 * (100 / distance) ** 2 * area,
    )


def draw_signal(
    seed: int,
    kind: int,
    numbers: Integers,
    sources: Sources,
    response: Response,
    events: Columns,
    params: SearchParameters,
) -> tuple[Integers, Columns]:
    """Return how many neutrinos of its source each injection has (`kind`), and all of them.

    Energies follow A_eff E^-2 at the source's declination, sigma is that of an archive event of
    like energy, the direction is von Mises-Fisher about the source, emission times are uniform
    in their window. Columns as `draw_background`.
    """
    u = uniforms(seed, kind, SIGNAL, numbers, 2 * kind).reshape(-1, 8)
    true = np.repeat(sources.vectors, kind, axis=0)
    energy = _energies(response, true[:, 2], u[:, 1], u[:, 2])
    along = np.argsort(events["energy_gev"], kind="stable")
    nearest = np.searchsorted(events["energy_gev"][along], energy)
    nearest += np.floor((u[:, 3] - 0.5) * _NEIGHBOURS).astype(np.int64)
    sigma = events["sigma_deg"][along[np.clip(nearest, 0, along.size - 1)]]
    error = np.radians(np.maximum(sigma, params.sigma_floor_deg))
    seen = _scattered(true, error, u[:, 4], u[:, 5])
    emitted = params.tnuminus + (params.tnuplus - params.tnuminus) * u[:, 0]
    return np.full(numbers.size, kind), {
        "dt_s": whole_ticks(emitted - np.repeat(sources.gw_time_s, kind)),
        **directions(seen),
        "sigma_deg": sigma,
        "energy_gev": energy,
    }


def directions(vectors: Floats) -> Columns:
    """Return ra_deg (0 to 360) and dec_deg of unit vectors (n, 3)."""
    x, y, z = vectors.T
    return {
        "ra_deg": np.degrees(np.arctan2(y, x)) % 360.0,
        "dec_deg": np.degrees(np.arctan2(z, np.hypot(x, y))),
    }


@njit()
def _points(order, ipix, u, v):  # type: ignore[no-untyped-def]
    """Return the unit vectors of points u, v (0 to 1) of NESTED tiles; equal areas."""
    vectors = np.empty((order.size, 3))
    for k in range(order.size):
        face, x, y = tile_position(np.int64(order[k]), ipix[k])
        side = 1.0 / (1 << np.int64(order[k]))
        vectors[k] = sphere_point(face, x + (u[k] - 0.5) * side, y + (v[k] - 0.5) * side)
    return vectors


def _distances(mu: Floats, sigma: Floats, u: Floats) -> Floats:
    """Return the quantiles u of r^2 N(r; mu, sigma) [Mpc]."""
    r, density = distance_nodes(
        mu[:, None], sigma[:, None], np.sqrt(np.linspace(0, 1, _NODES)), 1.0
    )
    return _quantiles(r, density, u)


def _energies(response: Response, sin_dec: Floats, u: Floats, v: Floats) -> Floats:
    """Return energies [GeV] at quantile v of the spectrum seen at sin(dec).

    Between two nodes of sin(dec) it is a mixture of theirs, which u chooses from. Where the
    detector is blind, and the weight of the injection 0, the spectrum is that of the whole sky.
    """
    position = np.interp(sin_dec, response.sin_dec, np.arange(response.sin_dec.size))
    node = np.floor(position + u).astype(np.int64)
    node = np.clip(node, 0, response.sin_dec.size - 1)
    spectra = response.signal_per_dex.T.copy()
    spectra[response.area_relative <= 0] = response.area_relative @ spectra
    grid = np.broadcast_to(response.log10_energy, (node.size, response.log10_energy.size))
    return np.asarray(10 ** _quantiles(grid, spectra[node], v))


def _quantiles(x: Floats, density: Floats, u: Floats) -> Floats:
    """Return x at quantile u of the densities along the rows, constant within a step."""
    steps = np.diff(x, axis=1) * (density[:, 1:] + density[:, :-1]) / 2
    cumulative = np.concatenate([np.zeros((u.size, 1)), np.cumsum(steps, axis=1)], axis=1)
    target = (u * cumulative[:, -1])[:, None]
    i = np.clip((cumulative <= target).sum(axis=1) - 1, 0, x.shape[1] - 2)
    row = np.arange(u.size)
    here, step = cumulative[row, i], steps[row, i]
    part = np.divide(target[:, 0] - here, step, out=np.zeros_like(step), where=step > 0)
    return np.asarray(x[row, i] + part * (x[row, i + 1] - x[row, i]))


def _scattered(vectors: Floats, sigma_rad: Floats, u: Floats, v: Floats) -> Floats:
    """Return unit vectors von Mises-Fisher distributed about others, kappa = 1 / sigma^2."""
    away = -np.log1p(-u * -np.expm1(-2 / sigma_rad**2)) * sigma_rad**2  # 1 - cos
    away = np.minimum(away, 2.0)[:, None]
    across = np.stack([-vectors[:, 1], vectors[:, 0], np.zeros(u.size)], axis=1)
    length = np.linalg.norm(across, axis=1, keepdims=True)
    east = np.where(length > 0, across / np.maximum(length, 1e-300), [0.0, 1.0, 0.0])
    north = np.cross(vectors, east)
    phi = (2 * math.pi * v)[:, None]
    aside = np.sqrt(away * (2 - away)) * (np.cos(phi) * east + np.sin(phi) * north)
    return np.asarray(vectors * (1 - away) + aside)
