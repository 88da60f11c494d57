"""An event's own background: weighted injections with its sky map, map_background.hdf5.

It knows nothing of the event's neutrinos: it is there before the window closes, and serves all
later lists of the same stream.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from llama.background.cells import build_cells
from llama.background.draws import ONE_WITHOUT_ENERGY_IN, Draws
from llama.background.tilts import draw_weighted, tilt_map
from llama.event.populations import ascending_groups
from llama.event.prepared import odds_of_drawn
from llama.stats.arrays import Floats, Integers
from llama.stats.overlap import PreparedMap

_BLOCK = 64  # injections at once: their tables stay in the processor's cache


class Drawn(NamedTuple):
    """Weighted injections: odds, weight and count of neutrinos of each; odds of these alone."""

    odds: Floats
    weights: Floats
    counts: Integers
    single: Floats


def map_background(
    prepared: PreparedMap, draws: Draws, p_astro: float, injections: int, threads: int
) -> dict[str, Floats]:
    """Return the odds and weights of injections with one map by the groups of populations.hdf5.

    They are the same bits however many threads there are. draws: of `WEIGHTED`.
    """
    found: dict[str, Floats] = {}
    for group, step in (("", 1), ("without_energy", ONE_WITHOUT_ENERGY_IN)):
        numbers = np.arange(0, injections, step)
        of_group = draws._replace(hides_energy=bool(group))
        drawn = _injections(prepared, of_group, p_astro, numbers, threads)
        found |= ascending_groups(group, *drawn)
    return found


def _injections(
    prepared: PreparedMap, draws: Draws, p_astro: float, numbers: Integers, threads: int
) -> Drawn:
    cells = build_cells(draws.events, draws.response, draws.params, draws.hides_energy)
    tilt = tilt_map(prepared, draws, cells)

    def work(block: Integers) -> Drawn:
        counts, columns, weights = draw_weighted(draws, block, cells, tilt)
        odds = odds_of_drawn(prepared, draws, counts, columns, p_astro)
        return Drawn(odds.odds_ratio, weights, counts, odds.single_odds)

    # compiled code runs beside other Python: threads share the tables
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(work, np.split(numbers, range(_BLOCK, numbers.size, _BLOCK))))
    return Drawn(*(np.concatenate(column) for column in zip(*parts, strict=True)))
