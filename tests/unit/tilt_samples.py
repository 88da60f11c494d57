"""Maps and a detector for tests of weighted backgrounds, and g / f straight from its formulas."""

import functools
import itertools
import math

import numpy as np
from stats_samples import near_blob, prepare_tiles

from llama.background.cells import (
    GAMMAS,
    LEAST_REACH_DEG,
    MIXTURE,
    MOST_REACH_DEG,
    NEAR_POWER,
    SCALES,
)
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.release import read_release
from llama.neutrinos.response import build_response
from llama.stats.odds import prepare_neutrinos
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
)
from llama.stats.windows import odds_of_windows

# RA, dec, width [deg] and distance [Mpc] of maps
MAPS = {
    "small": (60.0, -30.0, 4.0, 150.0),
    "wide": (130.0, 20.0, 45.0, 150.0),
    "pole": (0.0, 88.0, 10.0, 60.0),
    "without distance": (200.0, 35.0, 12.0, math.inf),
}
# round the sky by the golden angle, from narrow to wide, from near to far
CLASS = {
    f"{k} of 24": (137.5 * k % 360, 75 * (2 * (k + 0.5) / 24 - 1), 2.0 * 1.13**k, 40.0 + 20 * k)
    for k in range(24)
}
PLACE = "dec_deg", "sigma_deg", "energy_gev"
COLUMNS = "dt_s", "ra_deg", *PLACE
BLOCK = 64


def make_release(directory, n_events):
    """Return the release of the mock detector and its response."""
    write_mock_release(directory, 1, n_events=n_events)
    release = read_release(directory)
    energies, dec = release.events["energy_gev"], release.events["dec_deg"]
    return release, build_response(release.areas[0], energies, dec)


def prepare(name, response, params):
    """Return a map of `MAPS` or `CLASS` ready for the statistic."""
    ra, dec, sigma, distance = (MAPS | CLASS)[name]
    blob = near_blob(ra, dec, sigma, distance, 0.25 * distance, coarsest=3, finest=6, floor=1e-4)
    return prepare_tiles(*blob, response.area_relative, params)


def odds_of(prepared, response, counts, columns, params):
    """Return the odds of injections, in blocks as studies have them."""
    odds, ends = [], np.cumsum(counts)
    for first in range(0, counts.size, BLOCK):
        some = counts[first : first + BLOCK]
        begin, end = ends[first] - counts[first], ends[first + some.size - 1]
        given = (columns[name][begin:end] for name in COLUMNS)
        neutrinos = prepare_neutrinos(*given, response, params)
        shared = np.cumsum(some), 0.99, params, response.area_relative
        odds.append(odds_of_windows(prepared, neutrinos, *shared).odds_ratio)
    return np.concatenate(odds)


def worst_level(found):
    """How far in sigma the number of p-values below levels is from what they say, at most."""
    n, worst = found.p.size, 0.0
    for level in (0.5, 0.1, 0.01, 1e-3, 1e-4):
        if n * level >= 20:
            near = np.abs(found.p / level - 1).argmin()
            spread = np.hypot((n * level) ** 0.5, n * found.error[near])
            worst = max(worst, abs(np.count_nonzero(found.p <= level) - n * level) / spread)
    return worst


class Formulas:
    """The densities of the mixture in plain Python, and their norms by sums over the archive.

    Only the tables of h and k are those of `llama.background.cells`: signal over background by
    cell, and the smoothed map.
    """

    def __init__(self, events, params, cells, tilt, mixture=MIXTURE):
        self.params, self.cells, self.tilt, self.mixture = params, cells, tilt, mixture
        self.archive = [self.place(*row) for row in zip(*(events[n] for n in PLACE), strict=True)]
        self.mean = params.ratebgnu * params.window.length_s
        self.mean_near = self.mean_time(NEAR_POWER)

    def place(self, dec, sigma, energy):
        """Error class, energy bin, band, fine band."""
        centers = FIRST_ERROR_DEG * ERROR_FACTOR ** np.arange(ERRORS)
        sigma = max(sigma, self.params.sigma_floor_deg)
        c = int(np.abs(np.log(sigma / centers)).argmin())
        edges = FIRST_ENERGY + ENERGY_STEP * np.arange(1, ENERGIES)
        e = int((edges <= math.log10(energy)).sum())
        fine = min(int((dec + 90) / 180 * BANDS * FINER), BANDS * FINER - 1)
        return c, e, fine // FINER, fine

    def time(self, dt):
        """Length of the source times that explain a neutrino, over the longest there is."""
        p = self.params
        first, last = dt - p.tnuplus, dt - p.tnuminus  # the source's time after the wave's
        low, high = max(-p.tgwplus, first), min(-p.tgwminus, last)
        first, last = sorted((p.tgwplus - p.tgwminus, p.tnuplus - p.tnuminus))
        return max(high - low, 0.0) / first

    def mean_time(self, power):
        """Mean of `time` to a power over the window: two slopes, and what is between them."""
        p = self.params
        rise = min(p.tgwplus - p.tgwminus, p.tnuplus - p.tnuminus)
        slopes = 2 * rise / (1 + power)
        return (p.window.length_s - 2 * rise + slopes) / p.window.length_s

    def norms(self):
        """H of each power."""
        cells, sky = self.cells, self.tilt.sky
        return [
            np.mean(
                [cells.tilts[g, c, e, b] * sky[g, cells.smoothing[c], b].mean()
                 for c, e, b, _ in self.archive]
            ) * self.mean_time(gamma)
            for g, gamma in enumerate(GAMMAS)
        ]  # fmt: skip

    def reach(self, s, first, second):
        """Fine bands on either side, and degrees in RA."""
        errors = [max(FIRST_ERROR_DEG * ERROR_FACTOR**n, self.params.sigma_floor_deg)
                  for n in (first[0], second[0])]  # fmt: skip
        reach = min(max(SCALES[s] * math.hypot(*errors), LEAST_REACH_DEG),
                    MOST_REACH_DEG)  # fmt: skip
        step = 180 / (BANDS * FINER)
        bands = math.ceil(reach / step - 1e-9)
        cosine = math.cos(math.radians(-90 + step * (first[3] + 0.5)))
        return bands, min(bands * step / cosine, 180.0)

    def near_norm(self, s, first):
        """K of one neutrino."""
        total = 0.0
        for c, e, b, fine in self.archive:
            bands, turn = self.reach(s, first, (c,))
            if abs(fine - first[3]) <= bands:
                total += self.cells.near[c, e, b] * turn / 180
        return total / len(self.archive) * self.mean_near

    def ratio(self, columns, norms):
        """g / f of one list; columns: rows of `COLUMNS`; norms: `norms()`."""
        dt, ra, *rest = columns
        n = len(dt)
        places = [self.place(*row) for row in zip(*rest, strict=True)]
        cells, sky = self.cells, self.tilt.sky

        @functools.cache
        def h(g, i):
            c, e, b, _ = places[i]
            turn = min(int(ra[i] / 360 * RA_BINS), RA_BINS - 1)
            value = cells.tilts[g, c, e, b] * sky[g, cells.smoothing[c], b, turn]
            return value * self.time(dt[i]) ** GAMMAS[g]

        near_norms = {}

        @functools.cache
        def k(s, i, j):
            bands, turn = self.reach(s, places[i], places[j])
            away = abs((ra[i] - ra[j] + 180) % 360 - 180)
            if abs(places[i][3] - places[j][3]) > bands or away > turn:
                return 0.0
            if (s, i) not in near_norms:
                near_norms[s, i] = self.near_norm(s, places[i])
            c, e, b, _ = places[j]
            density = cells.near[c, e, b] * self.time(dt[j]) ** NEAR_POWER
            return density / near_norms[s, i]

        total = 0.0
        shares = sum(part.share for part in self.mixture)
        for share, more, g, s in self.mixture:
            of = 1.0
            if more == 1:
                of = sum(h(g, i) for i in range(n)) / (self.mean * norms[g])
            elif more > 1:
                of = sum(
                    h(g, i) * math.prod(k(s, i, j) for j in others)
                    for i in range(n)
                    for others in itertools.permutations(set(range(n)) - {i}, more - 1)
                ) / (self.mean**more * norms[g])
            total += share / shares * of
        return total
