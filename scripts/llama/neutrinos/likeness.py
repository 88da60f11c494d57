"""Whether neutrinos are like those that they are taken together with, or compared with.

With a hundred thousand events in a season every difference is significant, so that a season counts
as unlike the others only if the difference is large as well: those of IC86 differ by some percent,
other configurations by factors.
"""

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llama.neutrinos.response import LOG10_ENERGY, SIN_DEC, Response
from llama.neutrinos.seasons import configuration

if TYPE_CHECKING:
    from llama.neutrinos.detector import Detector

Floats = NDArray[np.float64]

RARE = 1e-4  # probability of a chance fluctuation; below it a difference counts
RATE_FACTOR = 1.25  # between two seasons' rates
DISTANCE = 0.1  # between two cumulative distributions
TAIL, TAIL_FACTOR = 0.01, 1.5  # share of the highest proxies, and between two such shares
BANDS_DEG = (-90.0, -5.0, 30.0, 90.0)  # south, horizon, north


def unlike_seasons(
    names: Sequence[str],
    season: NDArray[np.int64],
    log10_proxy: Floats,
    sin_dec: Floats,
    livetime_s: Floats,
) -> list[str]:
    """Return a sentence for each season that does not fit the others of the newest configuration.

    names: oldest first; season (a place among them), log10_proxy, sin_dec (events,); livetime_s
    (seasons,). Rates by a binomial test, distributions by that of Kolmogorov and Smirnov. Of what
    differs in several bands of declination the worst is told.
    """
    newest, dec = configuration(names[-1]), np.degrees(np.arcsin(sin_dec))
    by_dec, bands = _Counts(sin_dec, season, len(names)), {}
    for low, high in itertools.pairwise(BANDS_DEG):
        at = (dec >= low) & (dec <= high)
        where = f"from {low:.0f} to {high:.0f} deg"
        bands[where] = _Counts(log10_proxy[at], season[at], len(names))
    found = []
    for k, name in enumerate(names):
        like = [j for j, other in enumerate(names) if configuration(other) == newest and j != k]
        ours, theirs = by_dec.of([k]), by_dec.of(like)
        if not (ours[-1] and theirs[-1]):
            continue
        parts = []
        factor = _factor(ours[-1], theirs[-1], livetime_s[k], livetime_s[like].sum(), RATE_FACTOR)
        if factor is not None:
            parts.append(f"{factor:.2g} times their rate")
        if _is_far(ours, theirs):
            parts.append("other declinations")
        medians, tails = {}, {}
        for where, proxies in bands.items():
            ours, theirs = proxies.of([k]), proxies.of(like)
            if not (ours.size and ours[-1] and theirs[-1]):
                continue
            if _is_far(ours, theirs):
                medians[where] = 10 ** (proxies.median(ours) - proxies.median(theirs))
            edge = np.searchsorted(theirs, (1 - TAIL) * theirs[-1])
            high_ones = ours[-1] - ours[edge], theirs[-1] - theirs[edge]
            factor = _factor(*high_ones, ours[-1], theirs[-1], TAIL_FACTOR)
            if factor is not None:
                tails[where] = factor
        told = medians or tails
        if told:
            where = max(told, key=lambda where: abs(math.log(max(told[where], 1e-9))))
            what = "their median energy proxy" if medians else "as many of the highest proxies"
            parts.append(f"{told[where]:.2g} times {what} at declinations {where}")
        if parts:
            those = f"the other seasons of {newest}" if newest == configuration(name) else newest
            apart = "" if newest == configuration(name) else "; without --seasons it stays apart"
            found.append(f"{name} does not fit {those}: it has {', '.join(parts)}{apart}")
    return found


class _Counts:
    """Events up to each value that occurs, of each season."""

    def __init__(self, values: Floats, season: NDArray[np.int64], seasons: int) -> None:
        self._values, place = np.unique(values, return_inverse=True)
        counts = np.bincount(place * seasons + season, minlength=self._values.size * seasons)
        self._counts = np.cumsum(counts.reshape(self._values.size, seasons), axis=0)

    def of(self, seasons: list[int]) -> NDArray[np.int64]:
        """Return those of some seasons together (values,)."""
        return np.asarray(self._counts[:, seasons].sum(axis=1))

    def median(self, counts: NDArray[np.int64]) -> float:
        """Return the median of events that `of` has counted."""
        return float(self._values[np.searchsorted(counts, counts[-1] / 2)])


def unlike_background(
    log10_proxy: Floats, sin_dec: Floats, expected: float, response: "Response | Detector"
) -> list[str]:
    """Return in which ways the neutrinos of a window (n,) are unlike the background of an archive.

    log10_proxy: NaN where not known; expected: number of background neutrinos, rate times uptime.
    The proxy is compared with that of the background at the neutrino's declination.
    """
    from scipy.special import pdtr, pdtrc

    n = sin_dec.size
    found = []
    probability = 2 * min(pdtr(n, expected), pdtrc(n - 1, expected) if n else 1.0)
    if probability < RARE:
        found.append(f"there are {n} of them, and {expected:.2g} are expected of the background")
    if _chance(_cumulative(sin_dec, SIN_DEC, response.background_per_dex.sum(axis=0))) < RARE:
        found.append("their declinations are other than those of the background")
    known = np.isfinite(log10_proxy)
    columns = np.rint((sin_dec[known] - SIN_DEC[0]) / (SIN_DEC[1] - SIN_DEC[0])).astype(int)
    places = [
        _cumulative(np.array([x]), LOG10_ENERGY, response.background_per_dex[:, column])[0]
        for x, column in zip(log10_proxy[known], columns, strict=True)
    ]
    if _chance(np.array(places)) < RARE:
        found.append("their energies are other than those of the background")
    low, high = LOG10_ENERGY[[0, -1]]
    outside = int(((log10_proxy[known] < low) | (log10_proxy[known] > high)).sum())
    if outside:
        found.append(
            f"{outside} of their energies are not between 1e{low:.0f} and 1e{high:.0f} GeV, where "
            "source and background are known"
        )
    return found


def _factor(ours: int, theirs: int, of_ours: float, of_theirs: float, limit: float) -> float | None:
    """Return ours / of_ours over theirs / of_theirs, None if it is near 1 or may be chance."""
    from scipy.special import bdtr, bdtrc

    factor = (ours / of_ours) / (max(theirs, 1) / of_theirs)
    if 1 / limit < factor < limit:
        return None
    total, share = int(ours + theirs), of_ours / (of_ours + of_theirs)
    above = bdtrc(float(ours - 1), total, share) if ours else 1.0
    return float(factor) if 2 * min(bdtr(float(ours), total, share), above) < RARE else None


def _is_far(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> bool:
    """Say whether two distributions differ, by a large and significant distance."""
    from scipy.special import kolmogorov

    n, m = float(ours[-1]), float(theirs[-1])
    far = float(np.abs(ours / n - theirs / m).max())
    return bool(far > DISTANCE and kolmogorov(far * math.sqrt(n * m / (n + m))) < RARE)


def _cumulative(values: Floats, nodes: Floats, density: Floats) -> Floats:
    """Return the share of a tabulated density below values."""
    below = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(nodes))])
    return np.interp(values, nodes, below / below[-1])


def _chance(uniform: Floats) -> float:
    """Return the probability of numbers from 0 to 1 as uneven as these (Kolmogorov, Smirnov)."""
    from scipy.special import smirnov

    n = uniform.size
    if not n:
        return 1.0
    ascending, steps = np.sort(uniform), np.arange(n + 1) / n
    far = max((steps[1:] - ascending).max(), (ascending - steps[:-1]).max())
    return float(min(1.0, 2 * smirnov(n, far)))
