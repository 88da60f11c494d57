"""How the neutrinos of a source are seen: energy, stated error and direction."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from llama.neutrinos.network import tells_energy
from llama.neutrinos.table import Columns
from llama.neutrinos.truth import UNIFORMS, Sampler
from llama.stats.arrays import Floats

if TYPE_CHECKING:
    from llama.neutrinos.network import AnyResponse

_NEIGHBOURS = 200  # archive events of like energy that a neutrino may have its sigma from


class Emission(NamedTuple):
    """One detector, by its tables and an archive's events, or as it was simulated (`truth`)."""

    events: Columns
    response: "AnyResponse"
    sigma_floor_deg: float
    truth: Sampler | None

    def draw(self, true: Floats, where: Floats, u: Floats) -> tuple[Floats, Floats, Floats]:
        """Return energy [GeV], sigma [deg] and direction of neutrinos of sources at `true`.

        where: sin(dec) of these, or where they are on the axis of the tables; u (n, 6): uniform
        numbers. Energies follow A_eff E^-2, NaN where the detector tells none.
        """
        if self.truth is not None:
            drawn = self.truth.draw(where, u[:, :UNIFORMS])
            away = 2 * np.sin(drawn.angle_rad / 2) ** 2
            return drawn.energy_gev, drawn.sigma_deg, displaced(true, away, u[:, UNIFORMS])
        energy, sigma = energies(self.response, where, u[:, 0], u[:, 1]), self._sigma
        if tells_energy(self.response):
            along = np.argsort(self.events["energy_gev"], kind="stable")
            nearest = np.searchsorted(self.events["energy_gev"][along], energy)
            nearest += np.floor((u[:, 2] - 0.5) * _NEIGHBOURS).astype(np.int64)
            sigma = sigma[along[np.clip(nearest, 0, along.size - 1)]]
        else:
            energy = np.full_like(energy, np.nan)
            sigma = sigma[(u[:, 2] * sigma.size).astype(np.int64)]
        error = np.radians(np.maximum(sigma, self.sigma_floor_deg))
        return energy, sigma, scattered(true, error, u[:, 3], u[:, 4])

    @property
    def _sigma(self) -> Floats:
        return np.asarray(self.events["sigma_deg"], dtype=float)


def energies(response: "AnyResponse", sin_dec: Floats, u: Floats, v: Floats) -> Floats:
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
    return np.asarray(10 ** quantiles(grid, spectra[node], v))


def quantiles(x: Floats, density: Floats, u: Floats) -> Floats:
    """Return x at quantile u of the densities along the rows, constant within a step."""
    steps = np.diff(x, axis=1) * (density[:, 1:] + density[:, :-1]) / 2
    cumulative = np.concatenate([np.zeros((u.size, 1)), np.cumsum(steps, axis=1)], axis=1)
    target = (u * cumulative[:, -1])[:, None]
    i = np.clip((cumulative <= target).sum(axis=1) - 1, 0, x.shape[1] - 2)
    row = np.arange(u.size)
    here, step = cumulative[row, i], steps[row, i]
    part = np.divide(target[:, 0] - here, step, out=np.zeros_like(step), where=step > 0)
    return np.asarray(x[row, i] + part * (x[row, i + 1] - x[row, i]))


def scattered(vectors: Floats, sigma_rad: Floats, u: Floats, v: Floats) -> Floats:
    """Return unit vectors von Mises-Fisher distributed about others, kappa = 1 / sigma^2."""
    return displaced(vectors, -np.log1p(-u * -np.expm1(-2 / sigma_rad**2)) * sigma_rad**2, v)


def displaced(vectors: Floats, away: Floats, v: Floats) -> Floats:
    """Return unit vectors at 1 - cos = `away` from others, v of a turn around them."""
    away = np.minimum(away, 2.0)[:, None]
    across = np.stack([-vectors[:, 1], vectors[:, 0], np.zeros(v.size)], axis=1)
    length = np.linalg.norm(across, axis=1, keepdims=True)
    east = np.where(length > 0, across / np.maximum(length, 1e-300), [0.0, 1.0, 0.0])
    north = np.cross(vectors, east)
    phi = (2 * math.pi * v)[:, None]
    aside = np.sqrt(away * (2 - away)) * (np.cos(phi) * east + np.sin(phi) * north)
    return np.asarray(vectors * (1 - away) + aside)
