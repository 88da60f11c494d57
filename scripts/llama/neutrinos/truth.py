"""Simulated neutrinos of a source, drawn from the rows of a smearing matrix.

The truth of proofs and the source of injected signals: true energy, proxy, angle and stated error
jointly as IceCube simulated them, without any of the models of the statistic.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama.files import reading_hdf5
from llama.neutrinos.mixture import tents
from llama.neutrinos.release import EffectiveArea
from llama.neutrinos.response import Response
from llama.neutrinos.simulation import FLOOR, Pieces, piece_weights, pieces
from llama.neutrinos.smearing import PUBLIC_IC86, Smearing

if TYPE_CHECKING:
    from llama.neutrinos.detector import Detector

Floats = NDArray[np.float64]

UNIFORMS = 5  # random numbers that a neutrino takes


class Drawn(NamedTuple):
    """Neutrinos (n,): true energy and proxy [GeV], angle to the source [rad], AngErr [deg]."""

    true_energy_gev: Floats
    energy_gev: Floats
    angle_rad: Floats
    sigma_deg: Floats


def archive_truth(directory: Path, response: "Response | Detector") -> "Sampler | None":
    """Return what draws the neutrinos that sources give an archive's detector.

    None with a `Response`, which is its own truth. Where an archive has no `smearing.hdf5`, the
    matrix is the public one.
    """
    if isinstance(response, Response):
        return None
    path = directory / "events.hdf5"
    problem = f"{path} has no effective area of {response.season}; "
    with reading_hdf5(
        path, problem + "import the archive again with `llama neutrinos import PATH`"
    ) as file:
        group = file["effective_areas"][response.season]
        names = ("log10_energy_edges", "dec_edges_deg", "area_cm2")
        area = EffectiveArea(response.season, *(group[name][()] for name in names))
    own = directory / "smearing.hdf5"
    return Sampler(Smearing.load(own if own.exists() else PUBLIC_IC86), area, response.gamma)


class Sampler:
    """Draws neutrinos of sources with A_eff(E, dec) E^-gamma.

    Everything follows from the uniforms given: the same numbers give the same neutrinos.
    """

    def __init__(self, smearing: Smearing, area: EffectiveArea, gamma: float = 2.0) -> None:
        rows = smearing.rows
        self._low, self._width = rows.low, rows.high - rows.low
        self._floor = rows.low[:, 2] < FLOOR
        self._events = rows.events
        self._cumulative = np.concatenate([[0.0], np.cumsum(rows.events)])
        cell = rows.energy * smearing.simulated.shape[1] + rows.dec
        self._first = np.searchsorted(cell, np.arange(smearing.simulated.size + 1))
        self._simulated = smearing.simulated
        self._centres = (smearing.sin_dec[1:] + smearing.sin_dec[:-1]) / 2
        self._area, self._gamma = area, gamma
        self._pieces: Pieces = pieces(smearing, area, gamma)
        self._sin_dec = np.sin(np.radians(area.dec_deg))

    def draw(self, sin_dec: Floats, uniforms: Floats) -> Drawn:
        """Return a neutrino of a source at each declination; uniforms (n, 5) in [0, 1).

        Energies by the area at the declination itself. Between the centres of two of the matrix's
        declination bins it is a mixture of them, which the first number chooses from. Where the
        area is zero, energies are those of the whole sky.
        """
        u = np.asarray(uniforms, dtype=float)
        true_x, piece = self._energies(sin_dec, u[:, 1])
        energy = self._pieces.energy_bin[piece]
        node, part = tents(sin_dec, self._centres)
        other = self._simulated[energy, node + 1] > 0
        dec = np.where((self._simulated[energy, node] > 0) & ~((u[:, 0] < part) & other), 0, 1)
        cell = energy * self._simulated.shape[1] + node + dec
        first, last = (self._cumulative[self._first[cell + k]] for k in (0, 1))
        target = first + u[:, 2] * (last - first)
        row = np.searchsorted(self._cumulative, target, side="right") - 1
        row = np.clip(row, self._first[cell], self._first[cell + 1] - 1)
        inside = (target - self._cumulative[row]) / self._events[row]
        at = np.stack([inside, u[:, 3], u[:, 4]], axis=1)
        proxy, log_angle, log_error = (self._low[row] + at * self._width[row]).T
        return Drawn(
            10.0**true_x,
            10.0**proxy,
            np.minimum(np.exp(log_angle), np.pi),
            np.where(self._floor[row], 0.2, 10.0**log_error),
        )

    def _energies(self, sin_dec: Floats, u: Floats) -> tuple[Floats, NDArray[np.int64]]:
        """Return log10 true energies at quantile u of the spectrum seen, and their pieces."""
        edges, gamma = self._pieces.log10_edges, self._gamma
        place, where = np.unique(sin_dec, return_inverse=True)
        weights = piece_weights(self._pieces, self._area, place)
        blind = ~(weights.sum(axis=0) > 0)
        weights[:, blind] = self._whole_sky[:, None]
        cumulative = np.concatenate([np.zeros((1, place.size)), np.cumsum(weights, axis=0)])
        below = cumulative[:, where]
        target = u * below[-1]
        piece = np.clip((below <= target).sum(axis=0) - 1, 0, edges.size - 2)
        k = np.arange(u.size)
        step = below[piece + 1, k] - below[piece, k]
        part = np.divide(target - below[piece, k], step, out=np.zeros_like(step), where=step > 0)
        low, high = edges[piece], edges[piece + 1]
        if gamma == 1:
            return low + part * (high - low), piece
        ends = 10.0 ** ((low - high) * (1 - gamma))  # of E^(1-gamma), low over high
        return high + np.log10(ends + part * (1 - ends)) / (1 - gamma), piece

    @property
    def _whole_sky(self) -> Floats:
        middle = (self._sin_dec[1:] + self._sin_dec[:-1]) / 2
        return piece_weights(self._pieces, self._area, middle) @ np.diff(self._sin_dec)
