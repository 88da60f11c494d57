"""Backgrounds with more of what is rare, and their exact weights: tables of a class and of a map.

A background X of one map is a Poisson process of neutrinos with the density f. With one, two or
three more neutrinos, x* from h / H and those near it from k(. | x*) / K(x*), it has densities g_c
that are known multiples of f (docs/method.md (17)). h and k are functions of declination, stated
error, energy, RA and time, tabulated on cells: what is observed has a weight without being in the
archive.
"""

import math
from typing import NamedTuple

import numpy as np

from llama.neutrinos.detector import Detector
from llama.neutrinos.response import Response
from llama.neutrinos.simulation import ANGERR, PROXY
from llama.neutrinos.table import Columns
from llama.stats.arrays import Floats, Integers
from llama.stats.overlap import PreparedMap
from llama.stats.parameters import SearchParameters
from llama.study.draws import WEIGHTED, Draws, draw_background, join, whole_ticks
from llama.study.tilted import (
    BANDS,
    ENERGIES,
    ENERGY_STEP,
    ERROR_FACTOR,
    ERRORS,
    FINER,
    FIRST_ENERGY,
    FIRST_ERROR_DEG,
    RA_BINS,
    convolve,
    draw_more,
    fill_cells,
    fill_ratios,
)

_PLACE = "dec_deg", "sigma_deg", "energy_gev"
MORE, CHOICE = 4, 5  # streams
_BLOCKS = 4  # of its numbers
_MOST = 4  # neutrinos more

SMOOTHEST = 0.7  # deg: smallest width that the bins of the map allow
TAIL = 0.1, 4.0  # part of the smoothing that is so many times as wide
FLOOR = 1e-5  # of the smoothed map, relative to its mean
LEAST_RATIO = 1e-3  # of signal over background, relative to the archive's usual one
GAMMAS = 0.5, 0.75, 1.0  # powers of h, the last one for the rough Lambda_s
SCALES = 1.0, 2.0, 4.0  # of k, in units of both errors
LEAST_REACH_DEG, MOST_REACH_DEG = 0.25, 15.0
NEAR_POWER = 0.9  # of signal over background and time in k


class Component(NamedTuple):
    """One part of the mixture: its share, how many neutrinos more, power of h, scale of k."""

    share: float
    more: int
    gamma: int = 0
    scale: int = 0


MIXTURE = (
    Component(0.20, 0),
    *(Component(0.10, 1, gamma) for gamma in range(3)),
    *(Component(0.04, 2, gamma, scale) for gamma in range(3) for scale in range(3)),
    *(Component(0.012, 3, gamma, scale) for gamma in range(3) for scale in range(3)),
    *(Component(0.01, 4, 0, scale) for scale in range(3)),
)
CANDIDATES = 32  # lists of which one becomes an injection
OBSERVED = (
    1 << 48
)  # number of an injection that is none: the observed list is one of its candidates
# Candidates that tell how a map's rough Lambda_s is distributed, at how many points per decade,
# to which probability
PILOT, PER_DECADE, LEAST_P = 4096, 4, 1e-9


class Cells(NamedTuple):
    """An archive's events by cell, and what of h and k does not depend on the map.

    Axes: error class c, energy e, band b or fine band d, gamma g, scale s. starts [c, e, d] of
    events in `along`; tilts [g, c, e, b] and near [c, e, b]: signal over background to a power;
    sums [c, e, d]: of `near` over the archive's events in fine bands below, over all events;
    reach [s, c, c]: fine bands on either side; norms [s, c, d]: K; cosines [d] of declination;
    kernels [smoothing, m, b, b] of the map; smoothing [c]; window: start, stop, rise [s]; mean:
    expected neutrinos; parts: `MIXTURE` as shares, more, gamma and scale.
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


class Tilt(NamedTuple):
    """What h is for one map, and what its rough Lambda_s means.

    density [smoothing, b, RA]: of the smoothed map [sr^-1]; sky [g, smoothing, b, RA]: it to a
    power; cumulative [g, cells]; norms [g]: H; sums (4,): of the map's weights of 1 to 4
    neutrinos; log_guess, log_p: how probable as much is.
    """

    density: Floats
    sky: Floats
    cumulative: Floats
    norms: Floats
    sums: Floats
    log_guess: Floats
    log_p: Floats


def build_cells(
    events: Columns,
    response: Response | Detector,
    params: SearchParameters,
    hides_energy: bool = False,
    mixture: tuple[Component, ...] = MIXTURE,
) -> Cells:
    """Return the tables of an archive's `events` for a response and the model.

    hides_energy: neutrinos have none, as those of circulars.
    """
    n = events["dec_deg"].size
    shape = ERRORS, 1 if hides_energy else ENERGIES, BANDS * FINER
    floor_deg = params.sigma_floor_deg
    cell = np.empty(n, dtype=np.int64)
    place = tuple(np.ascontiguousarray(events[name], float) for name in _PLACE)
    fill_cells(*place, floor_deg, shape[1], cell)
    along = np.argsort(cell, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=math.prod(shape)))])
    counts = np.diff(starts).reshape(shape)
    ratio = _signal_over_background(response, params, hides_energy)
    ratio, usual = _clamped(ratio, counts.reshape(*ratio.shape, FINER).sum(axis=3))
    gammas = np.array(GAMMAS)
    near = ratio**NEAR_POWER
    window = params.window
    emitted = params.tgwplus - params.tgwminus, params.tnuplus - params.tnuminus
    rise = min(emitted)
    flat = window.length_s - 2 * rise
    dense = counts * np.repeat(near, FINER, axis=2) / n
    sums = np.concatenate([np.zeros((*shape[:2], 1)), np.cumsum(dense, axis=2)], axis=2)
    errors = np.maximum(FIRST_ERROR_DEG * ERROR_FACTOR ** np.arange(ERRORS), floor_deg)
    both = np.hypot(errors[:, None], errors)
    reach_deg = np.clip(np.multiply.outer(SCALES, both), LEAST_REACH_DEG, MOST_REACH_DEG)
    step = 180.0 / shape[2]
    reach = np.ceil(reach_deg / step).astype(np.int64)
    cosines = np.cos(np.radians(-90.0 + step * (np.arange(shape[2]) + 0.5)))
    bands = np.arange(shape[2])
    norms = np.zeros((len(SCALES), ERRORS, shape[2]))
    by_error = sums.sum(axis=1)
    for s, first, second in np.ndindex(*reach.shape):
        width = reach[s, first, second]
        low, high = np.maximum(bands - width, 0), np.minimum(bands + width + 1, shape[2])
        turn = np.minimum(width * step / cosines, 180.0) / 180.0
        norms[s, first] += turn * (by_error[second, high] - by_error[second, low])
    norms *= (flat + 2 * rise / (1 + NEAR_POWER)) / window.length_s
    # no event there: as for one of the faintest
    norms = np.maximum(norms, 1e-3 / n * near.min())
    smooth = np.maximum(errors, SMOOTHEST)
    widths, smoothing = np.unique(smooth, return_inverse=True)
    return Cells(
        starts,
        along,
        ratio * usual,
        np.stack([ratio**gamma for gamma in GAMMAS]),
        near,
        sums,
        reach,
        norms,
        cosines,
        _kernels(widths),
        smoothing.astype(np.int64),
        np.array([window.start_s, window.stop_s, rise]),
        params.ratebgnu * window.length_s,
        floor_deg,
        NEAR_POWER,
        gammas,
        np.array([part.share for part in mixture]) / sum(part.share for part in mixture),
        np.array([part[1:] for part in mixture], dtype=np.int64),
    )


def tilt_map(prepared: PreparedMap, draws: Draws, cells: Cells) -> Tilt:
    """Return the tables of a map; draws: of any seed."""
    x, y, z, _ = prepared.base.astype(float)
    band = ((np.degrees(np.arctan2(z, np.hypot(x, y))) + 90) * (BANDS / 180)).astype(np.int64)
    turn = (np.degrees(np.arctan2(y, x)) % 360 * (RA_BINS / 360)).astype(np.int64)
    place = np.minimum(band, BANDS - 1) * RA_BINS + np.minimum(turn, RA_BINS - 1)
    weight = prepared.base_weights[1].astype(float)
    binned = np.bincount(place, weight, BANDS * RA_BINS).reshape(BANDS, RA_BINS)
    binned /= max(binned.sum(), 1e-300)
    spectrum = np.fft.rfft(binned, axis=1).T
    smooth = np.empty((*cells.kernels.shape[:3], 2))
    convolve(cells.kernels, np.stack([spectrum.real, spectrum.imag], axis=2), smooth)
    density = np.fft.irfft(
        (smooth[..., 0] + 1j * smooth[..., 1]).transpose(0, 2, 1), RA_BINS, axis=2
    )
    density = np.maximum(density, 0.0) + FLOOR / (4 * math.pi)
    sky = np.exp(np.multiply.outer(cells.gammas, np.log(density)))
    counts = np.diff(cells.starts).reshape(*cells.near.shape, FINER).sum(axis=3)
    rows = sky.mean(axis=3)[:, cells.smoothing]  # g, c, b
    mass = (counts * cells.tilts * rows[:, :, None, :]).reshape(cells.gammas.size, -1)
    cumulative = np.cumsum(mass, axis=1)
    length, rise = cells.window[1] - cells.window[0], cells.window[2]
    timed = (length - 2 * rise + 2 * rise / (1 + cells.gammas)) / length
    norms = cumulative[:, -1] / cells.along.size * timed
    sums = prepared.heaviest[0, 1:]
    tilt = Tilt(density, sky, cumulative, norms, sums, np.zeros(2), np.zeros(2))
    pilot = draws._replace(seed=0, kind=WEIGHTED)
    _, _, weights, guess = _candidates(pilot, np.arange(PILOT), cells, tilt)
    along = np.argsort(-guess, kind="stable")
    above = np.cumsum(weights[along]) / PILOT
    log_p = np.arange(0, math.log10(LEAST_P) * PER_DECADE - 1, -1) / PER_DECADE
    at = np.minimum(np.searchsorted(above, 10**log_p), PILOT - 1)
    return tilt._replace(log_guess=_log(guess[along[at]]), log_p=log_p * math.log(10))


def draw_weighted(
    draws: Draws, numbers: Integers, cells: Cells, tilt: Tilt
) -> tuple[Integers, Columns, Floats]:
    """Return what `draw_background` does for a weighted background, and the weights (n,).

    Of an injection's candidates one is taken, with a probability that makes all decades of p
    equally frequent. Neutrinos ascend in time within an injection.
    """
    numbers = np.asarray(numbers, dtype=np.int64)
    counts, columns, wishes, chances = _wishes(draws, numbers, cells, tilt)
    totals = np.cumsum(wishes, axis=1)
    u = draws.uniforms(CHOICE, numbers, 1)[:, 0, 0] * totals[:, -1]
    taken = np.minimum((totals <= u[:, None]).sum(axis=1), CANDIDATES - 1)
    rows = np.arange(numbers.size)
    is_taken = np.zeros(wishes.shape, dtype=bool)
    is_taken[rows, taken] = True
    some = np.repeat(is_taken.ravel(), counts)
    return (
        counts.reshape(wishes.shape)[rows, taken],
        {name: column[some] for name, column in columns.items()},
        totals[:, -1] / CANDIDATES * chances[rows, taken],
    )


def weights(draws: Draws, counts: Integers, columns: Columns, cells: Cells, tilt: Tilt) -> Floats:
    """Return the weights of observed lists: as if one candidate of `OBSERVED` were it, and taken.

    counts: neutrinos of each list, one after another in the columns of `draw_background`.
    """
    others = _wishes(draws, np.array([OBSERVED]), cells, tilt)[2][0, 1:].sum()
    own, guess = densities(counts, columns, cells, tilt)
    chance = _chances(guess, tilt)
    return np.asarray((own / chance + others) / CANDIDATES * chance)


def densities(
    counts: Integers, columns: Columns, cells: Cells, tilt: Tilt
) -> tuple[Floats, Floats]:
    """Return f / g of lists, at most 1 / share of the natural component, and a rough Lambda_s."""
    given = tuple(
        np.ascontiguousarray(columns[name], float) for name in ("dt_s", "ra_deg", *_PLACE)
    )
    ratio, guess = np.empty((2, counts.size))
    fill_ratios(np.cumsum(counts), given, cells, tilt, ratio, guess)
    return 1 / ratio, guess


def _wishes(
    draws: Draws, numbers: Integers, cells: Cells, tilt: Tilt
) -> tuple[Integers, Columns, Floats, Floats]:
    """Return all candidates of injections, how much each is wished for, and its chance of odds."""
    each = (numbers[:, None] * CANDIDATES + np.arange(CANDIDATES)).ravel()
    counts, columns, own, guess = _candidates(draws, each, cells, tilt)
    shape = numbers.size, CANDIDATES
    chances = _chances(guess, tilt)
    return counts, columns, (own / chances).reshape(shape), chances.reshape(shape)


def _candidates(
    draws: Draws, numbers: Integers, cells: Cells, tilt: Tilt
) -> tuple[Integers, Columns, Floats, Floats]:
    """Return lists drawn from the mixture, f / g and the rough Lambda_s of each."""
    u = draws.uniforms(MORE, numbers, _BLOCKS).reshape(numbers.size, -1)
    more, which = np.empty(numbers.size, np.int64), np.empty((numbers.size, _MOST), np.int64)
    ra_deg, dt_s = np.empty((2, numbers.size, _MOST))
    place = tuple(np.ascontiguousarray(draws.events[name], float) for name in _PLACE)
    draw_more(u, cells, tilt, place, more, which, ra_deg, dt_s)
    added = np.arange(_MOST) < more[:, None]
    columns = {"dt_s": whole_ticks(dt_s[added]), "ra_deg": ra_deg[added]}
    columns |= {name: draws.events[name][which[added]] for name in _PLACE}
    counts, columns = join([draw_background(draws, numbers), (more, columns)])
    return counts, columns, *densities(counts, columns, cells, tilt)


def _chances(guess: Floats, tilt: Tilt) -> Floats:
    """Return about how probable as high a rough Lambda_s is in plain background."""
    return np.asarray(np.exp(np.interp(_log(guess), tilt.log_guess, tilt.log_p)))


def _log(values: Floats) -> Floats:
    return np.log(np.maximum(values, 1e-300))


def _signal_over_background(
    response: Response | Detector, params: SearchParameters, hides_energy: bool
) -> Floats:
    """Return mean signal over mean background of each cell [c, e, b], in sr."""
    dec = np.radians(-90.0 + 180.0 / BANDS * (np.arange(BANDS) + 0.5))
    s = _nearest(response.sin_dec, np.sin(dec))
    grid = response.log10_energy
    energy = np.clip(grid, *np.log10([params.epsilon_min_gev, params.epsilon_max_gev]))
    bins = np.clip((energy - FIRST_ENERGY) / ENERGY_STEP, 0, ENERGIES - 1).astype(np.int64)
    filled = np.clip(np.arange(ENERGIES), bins.min(), bins.max())
    x = _nearest(grid, energy)
    tables = []
    for name in ("signal", "background"):
        table = getattr(response, f"{name}_per_dex")[:, s]
        if isinstance(response, Detector):
            errors = np.log(10**ANGERR / FIRST_ERROR_DEG) / math.log(ERROR_FACTOR) + 0.5
            of_class = np.clip(errors, 0, ERRORS - 1).astype(np.int64)
            shares = (of_class == np.arange(ERRORS)[:, None]).astype(float)
            shares /= shares.sum(axis=1, keepdims=True)
            if hides_energy:
                sums = response.unknown[name == "background"]
                sums = sums if sums.ndim == 2 else sums.sum(axis=1)
                tables.append(np.einsum("ca,as->cs", shares, sums[:, s])[:, None])
                continue
            angerr = getattr(response, f"{name}_angerr")[:, :, s]
            angerr = np.einsum("ca,pas->cps", shares, angerr)[:, _nearest(PROXY, grid[x])]
            density = table[x] * angerr
        elif hides_energy:
            density = np.trapezoid(table, grid, axis=0)[None, None]
            tables.append(np.broadcast_to(density, (ERRORS, 1, BANDS)))
            continue
        else:
            density = np.broadcast_to(table[x], (ERRORS, x.size, BANDS))
        mean = [density[:, bins == e].mean(axis=1) for e in filled]
        tables.append(np.stack(mean, axis=1))
    per_s = params.ratebgnu * (params.tnuplus - params.tnuminus)
    return np.asarray(tables[0] / tables[1] * (2 * math.pi / per_s))


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
