"""Backgrounds with more of what is rare, and their exact weights.

A background X of one map is a Poisson process of neutrinos with the density f. With more neutrinos,
one from h / H and those near it from k(. | x*) / K(x*), it has densities g_c that are known
multiples of f, and so has their mixture g (`llama.background.cells`). An injection is one of some
candidates from g, taken by a rough guess of its Lambda_s so that all decades of p are alike; its
weight is the ratio of the densities of all candidates and the choice.
"""

import math
from typing import NamedTuple

import numpy as np

from llama.background.cells import MOST, Cells, mean_time
from llama.background.draws import (
    WEIGHTED,
    Draws,
    draw_background,
    drawn_names,
    join,
    whole_ticks,
)
from llama.background.turned import turned_density
from llama.neutrinos.network import Network
from llama.neutrinos.table import Columns
from llama.stats.arrays import Floats, Integers
from llama.stats.overlap import PreparedMap
from llama.stats.tilted import BANDS, FINER, RA_BINS, convolve, draw_more, fill_ratios

MORE, CHOICE = 4, 5  # streams
_BLOCKS = 4  # of MORE
FLOOR = 1e-5  # of the smoothed map, relative to its mean
CANDIDATES = 32  # lists of which one becomes an injection
OBSERVED = 1 << 48  # number of no injection: an observed list is one of its candidates
# lists that tell how often a guess is as high, at points per decade, down to what p
PILOT, PER_DECADE, LEAST_P = 4096, 4, 1e-9
BULK = 5.0  # how much more often the usual is taken


class Tilt(NamedTuple):
    """What h is for one map, and how often a guess of Lambda_s is as high.

    density [smoothing, b, RA]: of the smoothed map [sr^-1]; sky [g, smoothing, b, RA]: it to a
    power; cumulative [g, cells]; norms [g]: H; sums (4,): of the map's weights of 1 to 4
    neutrinos; log_guess, log_p: ascending guesses and how probable these or more are.
    """

    density: Floats
    sky: Floats
    cumulative: Floats
    norms: Floats
    sums: Floats
    log_guess: Floats
    log_p: Floats


def tilt_map(prepared: PreparedMap, draws: Draws, cells: Cells) -> Tilt:
    """Return the tables of a map; draws: as `draw_weighted` has them, of any seed."""
    density = smoothed(prepared, cells, 1)
    sky = np.exp(np.multiply.outer(cells.gammas, np.log(density)))
    counts = np.diff(cells.starts).reshape(*cells.near.shape, FINER).sum(axis=3)
    rows = sky.mean(axis=3)[:, cells.smoothing]  # g, c, b
    mass = (counts * cells.tilts * rows[:, :, None, :]).reshape(cells.gammas.size, -1)
    cumulative = np.cumsum(mass, axis=1)
    norms = cumulative[:, -1] / cells.along.size * mean_time(cells.window, cells.gammas)
    sums = prepared.heaviest[0, 1:]
    tilt = Tilt(density, sky, cumulative, norms, sums, np.zeros(2), np.zeros(2))
    pilot = draws._replace(seed=0, kind=WEIGHTED)
    _, _, weights, guess = draw_candidates(pilot, np.arange(PILOT), cells, tilt)
    along = np.argsort(-guess, kind="stable")
    above = np.cumsum(weights[along]) / PILOT
    log_p = np.arange(0, math.log10(LEAST_P) * PER_DECADE - 1, -1) / PER_DECADE
    at = np.minimum(np.searchsorted(above, 10**log_p), PILOT - 1)
    return tilt._replace(log_guess=_log(guess[along[at]]), log_p=log_p * math.log(10))


def smoothed(prepared: PreparedMap, cells: Cells, count: int) -> Floats:
    """Return a map's weights of `count` neutrinos, smoothed [smoothing, b, RA] [sr^-1]."""
    x, y, z, _ = prepared.base.astype(float)
    band = ((np.degrees(np.arctan2(z, np.hypot(x, y))) + 90) * (BANDS / 180)).astype(np.int64)
    turn = (np.degrees(np.arctan2(y, x)) % 360 * (RA_BINS / 360)).astype(np.int64)
    place = np.minimum(band, BANDS - 1) * RA_BINS + np.minimum(turn, RA_BINS - 1)
    weight = prepared.base_weights[count].astype(float)
    binned = np.bincount(place, weight / max(weight.sum(), 1e-300), BANDS * RA_BINS)
    spectrum = np.fft.rfft(binned.reshape(BANDS, RA_BINS), axis=1).T
    smooth = np.empty((*cells.kernels.shape[:3], 2))
    convolve(cells.kernels, np.stack([spectrum.real, spectrum.imag], axis=2), smooth)
    density = np.fft.irfft(
        (smooth[..., 0] + 1j * smooth[..., 1]).transpose(0, 2, 1), RA_BINS, axis=2
    )
    return np.asarray(np.maximum(density, 0.0) + FLOOR / (4 * math.pi))


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
    own, guess = densities(draws, counts, columns, cells, tilt)
    chance = _chances(guess, tilt)
    return np.asarray((own / chance + others) / CANDIDATES * chance)


def densities(
    draws: Draws, counts: Integers, columns: Columns, cells: Cells, tilt: Tilt
) -> tuple[Floats, Floats]:
    """Return f / g of lists, at most 1 / share of what has no more, and a guess of Lambda_s."""
    given = tuple(np.ascontiguousarray(columns[name], float) for name in ("dt_s", "ra_deg"))
    response = draws.response
    denser = np.ones(given[0].size)
    if isinstance(response, Network) and response.turned:
        denser = turned_density(response, columns)
    given += (*cells.place(columns), denser)
    ratio, guess = np.empty((2, counts.size))
    fill_ratios(np.cumsum(counts), given, cells, tilt, ratio, guess)
    return 1 / ratio, guess


def _wishes(
    draws: Draws, numbers: Integers, cells: Cells, tilt: Tilt
) -> tuple[Integers, Columns, Floats, Floats]:
    """Return all candidates of injections, how much each is wished for, and its chance of odds."""
    each = (numbers[:, None] * CANDIDATES + np.arange(CANDIDATES)).ravel()
    counts, columns, own, guess = draw_candidates(draws, each, cells, tilt)
    shape = numbers.size, CANDIDATES
    chances = _chances(guess, tilt)
    return counts, columns, (own / chances).reshape(shape), chances.reshape(shape)


def draw_candidates(
    draws: Draws, numbers: Integers, cells: Cells, tilt: Tilt
) -> tuple[Integers, Columns, Floats, Floats]:
    """Return lists drawn from the mixture, `densities` of each, and their number (n,)."""
    u = draws.uniforms(MORE, numbers, _BLOCKS).reshape(numbers.size, -1)
    more, which = np.empty(numbers.size, np.int64), np.empty((numbers.size, MOST), np.int64)
    ra_deg, dt_s = np.empty((2, numbers.size, MOST))
    draw_more(u, cells, tilt, cells.events, more, which, ra_deg, dt_s)
    added = np.arange(MOST) < more[:, None]
    columns = {"dt_s": whole_ticks(dt_s[added]), "ra_deg": ra_deg[added]}
    columns |= {name: draws.events[name][which[added]] for name in drawn_names(draws.events)}
    counts, columns = join([draw_background(draws, numbers), (more, columns)])
    return counts, columns, *densities(draws, counts, columns, cells, tilt)


def _chances(guess: Floats, tilt: Tilt) -> Floats:
    """Return about how probable as high a guess is in plain background, or a bit less."""
    p = np.exp(np.interp(_log(guess), tilt.log_guess, tilt.log_p))
    return np.asarray(1 / (1 / p + BULK))


def _log(values: Floats) -> Floats:
    return np.log(np.maximum(values, 1e-300))
