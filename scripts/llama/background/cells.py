"""Tables of what a weighted background has more of: those of an archive, for all maps of a class.

h is the chance of a neutrino to give high odds, k that of one beside it, both to some power. They
are functions of declination, stated error, energy, RA and time, tabulated on cells and taken at the
edge outside, so that what is observed has a weight without being in the archive.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from llama.neutrinos.detector import Detector
from llama.neutrinos.network import Network, tells_energy
from llama.neutrinos.simulation import ANGERR, PROXY
from llama.neutrinos.table import Columns
from llama.stats.arrays import Floats, Integers
from llama.stats.parameters import SearchParameters
from llama.stats.tilted import (
    BANDS,
    ENERGIES,
    ENERGY_STEP,
    ERROR_FACTOR,
    ERRORS,
    FINER,
    FIRST_ENERGY,
    FIRST_ERROR_DEG,
    RA_BINS,
    fill_cells,
)

if TYPE_CHECKING:
    from llama.neutrinos.network import AnyResponse

LEAST_RATIO = 1e-3  # of signal over background, relative to the archive's usual one
GAMMAS = 0.5, 0.75, 1.0, 2.0  # powers of h
SCALES = 1.0, 2.0, 4.0  # how far k reaches, in units of both errors
LEAST_REACH_DEG, MOST_REACH_DEG = 0.25, 15.0
NEAR_POWER = 0.9  # of signal over background and time in k
SMOOTHEST_DEG = 0.7  # smoothing of maps: the least that their bins allow
TAIL = 0.1, 4.0  # part of it that is so many times as wide


class Component(NamedTuple):
    """One part of the mixture: its share, how many neutrinos more, power of h, scale of k."""

    share: float
    more: int
    gamma: int = 0
    scale: int = 0


MOST = 4  # neutrinos more
MIXTURE = (
    Component(0.20, 0),
    *(Component(0.075, 1, gamma) for gamma in range(4)),
    *(Component(0.04, 2, gamma, scale) for gamma in range(3) for scale in range(3)),
    *(Component(0.012, 3, gamma, scale) for gamma in range(3) for scale in range(3)),
    *(Component(0.01, 4, 0, scale) for scale in range(3)),
)


class Cells(NamedTuple):
    """An archive's events by cell, and what of h and k does not depend on the map.

    Axes: error class c, energy e (of a network those of each detector, one after the other), band b
    or fine band d, power g, scale s. starts [c, e, d] of events in `along`; ratio [c, e, b]: signal
    over background [sr], of time differences, too;
    tilts [g, c, e, b] and near [c, e, b]: the same to a power, relative to the usual one; sums
    [c, e, d]: of `near` over the archive's events south of a fine band, over all events; reach
    [s, c, c]: fine bands on either side; norms [s, c, d]: K; cosines [d] of declination; kernels
    [smoothing, m, b, b] of maps; smoothing [c]; window: start, stop, rise [s]; mean: expected
    neutrinos; gammas, shares and parts (more, power, scale): of the mixture.
    """

    starts: Integers
    along: Integers
    ratio: Floats
    tilts: Floats
    near: Floats
    sums: Floats
    reach: Integers
    norms: Floats
    cosines: Floats
    kernels: Floats
    smoothing: Integers
    window: Floats
    mean: float
    floor_deg: float
    near_power: float
    gammas: Floats
    shares: Floats
    parts: Integers
    detectors: int
    events: tuple[Floats, Floats, Floats]  # `place` of the archive's

    def place(self, columns: Columns) -> tuple[Floats, Floats, Floats]:
        """Return dec, sigma [deg] and energy [GeV] of neutrinos, by which they are in a cell."""
        return _place(columns, self.detectors, self.near.shape[1] // self.detectors)


def _place(columns: Columns, detectors: int, energies: int) -> tuple[Floats, Floats, Floats]:
    dec, sigma, energy = (
        np.ascontiguousarray(columns[name], float)
        for name in ("dec_deg", "sigma_deg", "energy_gev")
    )
    if detectors == 1:
        return dec, sigma, energy
    # as if the bins of the second detector's energies followed those of the first
    known = np.where(energy > 0, energy, 1.0) if energies > 1 else np.ones(energy.size)
    step = np.clip((np.log10(known) - FIRST_ENERGY) / ENERGY_STEP, 0, energies - 0.5)
    step = np.floor(step) + energies * columns["detector"] + 0.5
    return dec, sigma, np.asarray(10 ** (FIRST_ENERGY + ENERGY_STEP * step))


def build_cells(
    events: Columns,
    response: "AnyResponse",
    params: SearchParameters,
    hides_energy: bool = False,
    mixture: tuple[Component, ...] = MIXTURE,
) -> Cells:
    """Return the tables of an archive's `events` for a response and the model.

    hides_energy: neutrinos have none, as those of circulars.
    """
    detectors = len(response.names) if isinstance(response, Network) else 1
    energies = 1 if hides_energy else ENERGIES
    shape = ERRORS, detectors * energies, BANDS * FINER
    cell = np.empty(events["dec_deg"].size, dtype=np.int64)
    place = _place(events, detectors, energies)
    fill_cells(*place, params.sigma_floor_deg, shape[1], cell)
    starts = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=math.prod(shape)))])
    counts = np.diff(starts).reshape(shape)
    ratio = _by_detector(response, params, hides_energy)
    ratio, usual = _clamped(ratio, counts.reshape(*ratio.shape, FINER).sum(axis=3))
    near = ratio**NEAR_POWER
    window = params.window
    rise_s = min(params.tgwplus - params.tgwminus, params.tnuplus - params.tnuminus)
    times = np.array([window.start_s, window.stop_s, rise_s])
    errors = np.maximum(FIRST_ERROR_DEG * ERROR_FACTOR ** np.arange(ERRORS), params.sigma_floor_deg)
    dense = counts * np.repeat(near, FINER, axis=2) / cell.size
    sums = np.concatenate([np.zeros((*shape[:2], 1)), np.cumsum(dense, axis=2)], axis=2)
    norms, reach, cosines = _near_norms(sums.sum(axis=1), errors)
    # where no event is near: as if one of the faintest were
    norms = np.maximum(norms, 1e-3 / cell.size * near.min()) * mean_time(times, NEAR_POWER)
    widths, smoothing = np.unique(np.maximum(errors, SMOOTHEST_DEG), return_inverse=True)
    return Cells(
        starts,
        np.argsort(cell, kind="stable"),
        ratio * usual,
        np.stack([ratio**gamma for gamma in GAMMAS]),
        near,
        sums,
        reach,
        norms,
        cosines,
        _kernels(widths),
        smoothing.astype(np.int64),
        times,
        params.ratebgnu * window.length_s,
        params.sigma_floor_deg,
        NEAR_POWER,
        np.array(GAMMAS),
        np.array([part.share for part in mixture]) / sum(part.share for part in mixture),
        np.array([part[1:] for part in mixture], dtype=np.int64),
        detectors,
        place,
    )


def mean_time(window: Floats, power: float | Floats) -> Floats:
    """Return the mean of the time's factor to a power over the window: start, stop, rise [s]."""
    start_s, stop_s, rise_s = window
    return np.asarray(1 - 2 * rise_s / (stop_s - start_s) * (1 - 1 / (1 + power)))


def _near_norms(sums: Floats, errors_deg: Floats) -> tuple[Floats, Integers, Floats]:
    """Return K [s, c, d] without its time, how far k reaches [s, c, c], and the bands' cosines."""
    step, bands = 180.0 / (BANDS * FINER), np.arange(BANDS * FINER)
    both = np.multiply.outer(SCALES, np.hypot(errors_deg[:, None], errors_deg))
    reach = np.ceil(np.clip(both, LEAST_REACH_DEG, MOST_REACH_DEG) / step).astype(np.int64)
    cosines = np.cos(np.radians(-90.0 + step * (bands + 0.5)))
    norms = np.zeros((len(SCALES), ERRORS, bands.size))
    for s, first, second in np.ndindex(*reach.shape):
        width = reach[s, first, second]
        low, high = np.maximum(bands - width, 0), np.minimum(bands + width + 1, bands.size)
        turn = np.minimum(width * step / cosines, 180.0) / 180.0
        norms[s, first] += turn * (sums[second, high] - sums[second, low])
    return norms, reach, cosines


def _by_detector(response: "AnyResponse", params: SearchParameters, hides_energy: bool) -> Floats:
    """Return `_signal_over_background`, of a network that of each member along the energies."""
    if not isinstance(response, Network):
        return _signal_over_background(response, params, hides_energy)
    middle = np.radians(-90.0 + 180.0 / BANDS * (np.arange(BANDS) + 0.5))
    found = []
    for k, member in enumerate(response.members):
        own, hides = response.responses[k], hides_energy or not tells_energy(response.responses[k])
        ratio = _signal_over_background(own, member.parameters(params), hides)
        ratio = np.broadcast_to(ratio, (ERRORS, 1 if hides_energy else ENERGIES, BANDS))
        found.append(ratio * np.interp(np.sin(middle), response.sin_dec, response.fractions[k]))
    return np.concatenate(found, axis=1)


def _signal_over_background(
    response: "AnyResponse", params: SearchParameters, hides_energy: bool
) -> Floats:
    """Return mean signal over mean background of each cell [c, e, b]."""
    dec = np.radians(-90.0 + 180.0 / BANDS * (np.arange(BANDS) + 0.5))
    s, grid = _nearest(response.sin_dec, np.sin(dec)), response.log10_energy
    low, high = np.log10([params.epsilon_min_gev, params.epsilon_max_gev])
    x = _nearest(grid, np.clip(grid, low, high))
    bins = np.clip((grid[x] - FIRST_ENERGY) / ENERGY_STEP, 0, ENERGIES - 1).astype(np.int64)
    filled = np.clip(np.arange(ENERGIES), bins.min(), bins.max())
    found = []
    for name in ("signal", "background"):
        table = getattr(response, f"{name}_per_dex")[:, s]
        if isinstance(response, Detector):
            if hides_energy:
                signal, background = response.unknown
                sums = signal.sum(axis=1) if name == "signal" else background
                density = _by_error(sums[None, :, s])
            else:
                density = _by_error(getattr(response, f"{name}_angerr")[:, :, s])
                density = density[:, _nearest(PROXY, grid[x])] * table[x]
        else:
            density = np.broadcast_to(table[x], (ERRORS, x.size, BANDS))
            if hides_energy:
                density = np.asarray(np.trapezoid(density, grid, axis=1))[:, None]
        if not hides_energy:
            density = np.stack([density[:, bins == e].mean(axis=1) for e in filled], axis=1)
        found.append(density)
    per_s = params.ratebgnu * (params.tnuplus - params.tnuminus)
    return np.asarray(found[0] / found[1] * (2 * math.pi / per_s))


def _by_error(density: Floats) -> Floats:
    """Return means over classes of the stated error [c, p, b] of a density [p, AngErr, b]."""
    errors = np.log(10**ANGERR / FIRST_ERROR_DEG) / math.log(ERROR_FACTOR) + 0.5
    of_class = np.clip(errors, 0, ERRORS - 1).astype(np.int64)
    shares = (of_class == np.arange(ERRORS)[:, None]).astype(float)
    shares /= shares.sum(axis=1, keepdims=True)
    return np.einsum("ca,pas->cps", shares, density)


def _nearest(nodes: Floats, values: Floats) -> Integers:
    """Return the index of the node nearest to each value."""
    return np.asarray(np.abs(nodes - values[:, None]).argmin(axis=1))


def _clamped(ratio: Floats, counts: Integers) -> tuple[Floats, float]:
    """Return ratios in units of the usual event's, none far below it, and the usual one."""
    seen = (counts > 0) & (ratio > 0)
    usual = math.exp(np.average(np.log(ratio[seen]), weights=counts[seen])) if seen.any() else 1.0
    return np.clip(ratio / usual, LEAST_RATIO, 1 / LEAST_RATIO**2), usual


def _kernels(widths_deg: Floats) -> Floats:
    """Return the Fourier series over RA of the smoothing from band to band [width, m, b, b]."""
    dec = np.radians(-90.0 + 180.0 / BANDS * (np.arange(BANDS) + 0.5))
    turn = np.radians(360.0 / RA_BINS * np.arange(RA_BINS // 2 + 1))
    half = BANDS // 2
    away = 2 * np.sin((dec[:half, None] - dec) / 2)[:, :, None] ** 2 + np.multiply.outer(
        np.multiply.outer(np.cos(dec[:half]), np.cos(dec)), 2 * np.sin(turn / 2) ** 2
    )
    kernels = np.empty((widths_deg.size, RA_BINS // 2 + 1, BANDS, BANDS))
    for kernel, width in zip(kernels, widths_deg, strict=True):
        total = np.zeros_like(away)
        for part, times in ((1 - TAIL[0], 1.0), TAIL):
            kappa = np.radians(width * times) ** -2.0
            total += part * kappa / (2 * math.pi * -np.expm1(-2 * kappa)) * np.exp(-kappa * away)
        series = np.fft.hfft(total, RA_BINS, axis=2)[:, :, : RA_BINS // 2 + 1]
        kernel[:, :half] = series.transpose(2, 0, 1)
        kernel[:, half:] = series[::-1, ::-1].transpose(2, 0, 1)
    return kernels
