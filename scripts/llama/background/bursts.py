"""Chance bursts beside the neutrinos of a weighted background, and their exact weights.

Bursts that the delays allow are a Poisson process of mean m, uniform over the sky, each with an
error of the list and, in a list of several instruments, of one of these. A share a of the
injections has one more, from a density h whose mean over the sky is 1: at any place, on the map,
and beside the neutrinos that have high odds alone. As with neutrinos (docs/method.md (18, 19)),
f / g is 1 / (1 - a + a sum_j h_j / m), however many there are.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from llama.background.cells import Cells
from llama.background.draws import Draws, poisson
from llama.background.emission import scattered
from llama.background.tilts import smoothed
from llama.stats.arrays import Floats, Integers
from llama.stats.healpix import directions_deg, unit_vectors
from llama.stats.messengers import Messenger, prepare_bursts
from llama.stats.overlap import PreparedMap
from llama.stats.parameters import GrbParameters, SearchParameters
from llama.stats.tilted import BANDS, ERROR_FACTOR, ERRORS, FIRST_ERROR_DEG, RA_BINS

BURSTS = 6  # stream
SHARE = 1 / 3  # of injections with a burst more
ANYWHERE, ON_MAP, BESIDE = 0.2, 0.4, 0.4  # of these
LEAST_BESIDE_DEG = 1.0  # width of places beside a neutrino, which has an error, too
# of bursts where a list has none: some degrees by counting, and the 3.7 deg that are systematic in
# GBM (Connaughton et al. 2015, ApJS 216, 32)
TYPICAL_SIGMA_DEG = 5.0


class Marks(NamedTuple):
    """Kinds of chance bursts, (n,) each: 1 sigma [deg], gain (`prepare_bursts`), probability."""

    sigma_deg: Floats
    gain: Floats
    share: Floats

    @classmethod
    def of_errors(cls, sigma_deg: Sequence[float]) -> "Marks":
        """Return the errors of a list, each with equal chance; a typical one for an empty list."""
        sigmas = np.sort(np.array(sigma_deg or [TYPICAL_SIGMA_DEG], dtype=float))
        return cls(sigmas, np.ones(sigmas.size), np.full(sigmas.size, 1 / sigmas.size))


class Places(NamedTuple):
    """Bursts that the delays allow: where each was [deg], its 1-sigma radius [deg], its gain."""

    ra_deg: Floats
    dec_deg: Floats
    sigma_deg: Floats
    gain: Floats

    def messenger(self, model: GrbParameters, params: SearchParameters, nodes: int) -> Messenger:
        """Return the bursts as the statistic takes them."""
        # when in the delays it came changes nothing
        dt_s = np.full(self.ra_deg.size, model.delay_min_s)
        return prepare_bursts(dt_s, *self[:3], model, params, nodes, self.gain)


class Neighbors(NamedTuple):
    """Neutrinos that a burst may be beside: unit vectors (n, 3), and their odds alone (n,)."""

    vectors: Floats
    odds: Floats


class Chance(NamedTuple):
    """What chance bursts are drawn from.

    density [smoothing, b, RA]: of the map, smoothed, in units of its mean over the sky; cumulative
    [smoothing, cells]; smoothing: of each class of errors.
    """

    model: GrbParameters
    marks: Marks
    density: Floats
    cumulative: Floats
    smoothing: Integers

    @property
    def mean(self) -> float:
        """Expected number of chance bursts."""
        return self.model.rate_hz * (self.model.delay_max_s - self.model.delay_min_s)

    def draw(
        self, draws: Draws, numbers: Integers, neighbors: Sequence[Neighbors]
    ) -> tuple[list[Places], Floats]:
        """Return the bursts of injections whose neutrinos are given, and f / g of each (n,)."""
        u = draws.uniforms(BURSTS, numbers, 1)[:, 0]
        counts, more = poisson(self.mean, u[:, 0]), u[:, 1] < SHARE
        u = draws.uniforms(BURSTS, numbers, 2 + int(counts.max(initial=0)))
        found, weights = [], np.empty(numbers.size)
        shares = np.cumsum(self.marks.share)
        for k, near in enumerate(neighbors):
            rows = [_anywhere(row) for row in u[k, 2 : 2 + counts[k]]]
            sigmas = u[k, 2 : 2 + counts[k], 2]
            if more[k]:  # the first block chooses, the second says where
                sigmas = np.append(sigmas, u[k, 0, 3])
            which = np.searchsorted(shares[:-1], sigmas * shares[-1], side="right")
            sigma_deg, gain = self.marks.sigma_deg[which], self.marks.gain[which]
            if more[k]:
                rows.append(self._one_more(u[k, 0, 2], u[k, 1], sigma_deg[-1], near))
            ra_deg, dec_deg = np.array(rows).reshape(-1, 2).T
            found.append(Places(ra_deg, dec_deg, sigma_deg, gain))
            weights[k] = self.weight(found[-1], near)
        return found, weights

    def weight(self, places: Places, near: Neighbors) -> float:
        """Return f / g of bursts beside neutrinos: at most 1 / (1 - SHARE), that of no burst."""
        return float(1 / (1 - SHARE + SHARE * self.tilt(places, near).sum() / self.mean))

    def tilt(self, places: Places, near: Neighbors) -> Floats:
        """Return h of each burst."""
        band = ((places.dec_deg + 90) * (BANDS / 180)).astype(np.int64)
        turn = (places.ra_deg % 360 * (RA_BINS / 360)).astype(np.int64)
        cell = np.minimum(band, BANDS - 1), np.minimum(turn, RA_BINS - 1)
        on_map = self.density[self._smoothing_of(places.sigma_deg), *cell]
        beside = np.ones(band.size)
        if near.odds.any():
            vectors = unit_vectors(places.ra_deg, places.dec_deg)
            away = ((vectors[:, None] - near.vectors) ** 2).sum(axis=2) / 2
            kappa = _beside_rad(places.sigma_deg[:, None]) ** -2
            vmf = 2 * kappa / -np.expm1(-2 * kappa) * np.exp(-kappa * away)
            beside = vmf @ (near.odds / near.odds.sum())
        return np.asarray(ANYWHERE + ON_MAP * on_map + BESIDE * beside)

    def _one_more(
        self, part: float, u: Floats, sigma_deg: float, near: Neighbors
    ) -> tuple[float, float]:
        """Return RA and declination [deg] from h."""
        if part < ON_MAP:
            cumulative = self.cumulative[self._smoothing_of(sigma_deg)]
            cell = _one_of(cumulative, u[0])
            edges = np.sin(
                np.radians(np.array([0, 1]) + cell // RA_BINS) * (180 / BANDS) - np.pi / 2
            )
            sin_dec = edges[0] + u[2] * (edges[1] - edges[0])
            return (cell % RA_BINS + u[1]) * (360 / RA_BINS), math.degrees(math.asin(sin_dec))
        if part < ON_MAP + BESIDE and near.odds.any():
            vector = near.vectors[[_one_of(np.cumsum(near.odds), u[0])]]
            place = scattered(vector, _beside_rad(np.array([sigma_deg])), u[1:2], u[2:3])
            (ra_deg,), (dec_deg,) = directions_deg(place)
            return ra_deg, dec_deg
        return _anywhere(u)

    def _smoothing_of(self, sigma_deg: Floats | float) -> Integers:
        error = np.log(np.asarray(sigma_deg) / FIRST_ERROR_DEG) / math.log(ERROR_FACTOR)
        return self.smoothing[np.clip(error + 0.5, 0, ERRORS - 1).astype(np.int64)]


def chance_bursts(
    prepared: PreparedMap, cells: Cells, model: GrbParameters, marks: Marks
) -> Chance:
    """Return what chance bursts of a map are drawn from; marks: as the event's list has them."""
    density = smoothed(prepared, cells, 0)
    edges = np.sin(np.radians(np.linspace(-90, 90, BANDS + 1)))
    area = (np.diff(edges) / 2 / RA_BINS)[:, None]  # of the whole sky
    density /= (density * area).sum(axis=(1, 2), keepdims=True)
    cumulative = np.cumsum((density * area).reshape(density.shape[0], -1), axis=1)
    return Chance(model, marks, density, cumulative, cells.smoothing)


def _beside_rad(sigma_deg: Floats) -> Floats:
    return np.asarray(np.radians(np.hypot(sigma_deg, LEAST_BESIDE_DEG)))


def _one_of(cumulative: Floats, u: float) -> int:
    at = np.searchsorted(cumulative, u * cumulative[-1], side="right")
    return min(int(at), cumulative.size - 1)


def _anywhere(u: Floats) -> tuple[float, float]:
    return 360.0 * float(u[0]), math.degrees(math.asin(2 * u[1] - 1))
