"""An event's own background: weighted injections with its sky map, map_background.hdf5.

It knows nothing of the event's neutrinos: it is there before the window closes, and serves all
later lists of the same stream. An event whose odds count gamma-ray bursts has a second one, of the
same neutrinos with chance bursts.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from llama.background.bursts import Chance, Marks, Neighbors, chance_bursts
from llama.background.cells import build_cells
from llama.background.draws import ONE_WITHOUT_ENERGY_IN, WEIGHTED, Draws
from llama.background.tilts import draw_weighted, tilt_map
from llama.event.detectors import Site
from llama.event.parameters import SearchBlock, search_parameters
from llama.event.populations import OF_BURSTS, OF_MAP, ascending_groups
from llama.event.prepared import odds_of_drawn, prepare_drawn, prepare_skymap
from llama.neutrinos.network import area_of
from llama.neutrinos.table import Columns
from llama.sky.tiles import SkyTiles
from llama.stats.arrays import Floats, Integers
from llama.stats.odds import Neutrinos, event_odds
from llama.stats.overlap import PreparedMap
from llama.stats.parameters import GrbParameters

_BLOCK = 64  # injections at once: their tables stay in the processor's cache


class Stream(NamedTuple):
    """Gamma-ray bursts as chance has them: their model, and what kinds the event's list has."""

    model: GrbParameters
    marks: Marks


class Drawn(NamedTuple):
    """Weighted injections: odds, weight and count of neutrinos of each; odds of these alone.

    joint, weights_joint: with chance bursts; of no injection where bursts do not count.
    """

    odds: Floats
    weights: Floats
    counts: Integers
    single: Floats
    joint: Floats
    weights_joint: Floats


def background_of_map(
    tiles: SkyTiles,
    site: Site,
    search: SearchBlock,
    population: str,
    seed: int,
    p_astro: float,
    injections: int,
    from_archive: bool,
    threads: int = 1,
    stream: Stream | None = None,
) -> tuple[dict[str, dict[str, Floats]], dict[str, str | float]]:
    """Return what `map_background` does, and what its file tells of it.

    search: settings block; population: of the event; seed, p_astro, injections: of `background`;
    from_archive: whether the neutrinos that are compared are the archive's.
    """
    params = search_parameters(search, population, site.response, from_archive)
    prepared = prepare_skymap(tiles, area_of(site.response), params)
    draws = Draws(seed, WEIGHTED, site.events(), site.response, params)
    classes = map_background(prepared, draws, p_astro, injections, threads, stream)
    about: dict[str, str | float] = {"sampling": WEIGHTED, "archive": site.identity, "seed": seed}
    about |= {"p_astro": p_astro, "n": injections, "rate_hz": params.ratebgnu}
    return classes, about


def map_background(
    prepared: PreparedMap,
    draws: Draws,
    p_astro: float,
    injections: int,
    threads: int,
    stream: Stream | None = None,
) -> dict[str, dict[str, Floats]]:
    """Return {class: {group of populations.hdf5: odds or weights}} of injections with one map.

    The classes are that of the map and, with a stream, that of its bursts. They are the same bits
    however many threads there are. draws: of `WEIGHTED`.
    """
    found: dict[str, dict[str, Floats]] = {OF_MAP: {}}
    for group, step in (("", 1), ("without_energy", ONE_WITHOUT_ENERGY_IN)):
        numbers = np.arange(0, injections, step)
        of_group = draws._replace(hides_energy=bool(group))
        drawn = _injections(prepared, of_group, p_astro, numbers, threads, stream)
        found[OF_MAP] |= ascending_groups(group, *drawn[:4])
        if stream:
            none = np.zeros(numbers.size, dtype=np.int64), np.empty(0)  # of single neutrinos
            groups = ascending_groups(group, drawn.joint, drawn.weights_joint, *none)
            found.setdefault(OF_BURSTS, {}).update(groups)
    return found


def _injections(
    prepared: PreparedMap,
    draws: Draws,
    p_astro: float,
    numbers: Integers,
    threads: int,
    stream: Stream | None,
) -> Drawn:
    cells = build_cells(draws.events, draws.response, draws.params, draws.hides_energy)
    tilt = tilt_map(prepared, draws, cells)
    chance = chance_bursts(prepared, cells, *stream) if stream else None

    def work(block: Integers) -> Drawn:
        counts, columns, weights = draw_weighted(draws, block, cells, tilt)
        odds = odds_of_drawn(prepared, draws, counts, columns, p_astro)
        joint = more = np.empty(0)
        if chance:
            drawn = counts, columns, odds.single_odds
            joint, more = _joint(prepared, draws, chance, block, drawn, p_astro)
            more = more * weights
        return Drawn(odds.odds_ratio, weights, counts, odds.single_odds, joint, more)

    # compiled code runs beside other Python: threads share the tables
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(work, np.split(numbers, range(_BLOCK, numbers.size, _BLOCK))))
    return Drawn(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _joint(
    prepared: PreparedMap,
    draws: Draws,
    chance: Chance,
    numbers: Integers,
    drawn: tuple[Integers, Columns, Floats],
    p_astro: float,
) -> tuple[Floats, Floats]:
    """Return odds of injections with chance bursts, and what these do to the weights.

    drawn: counts and columns of neutrinos, and the odds of each alone.
    """
    counts, columns, single = drawn
    neutrinos, area = prepare_drawn(draws, columns), area_of(draws.response)
    stops = np.cumsum(counts)
    parts = [slice(*ends) for ends in zip(stops - counts, stops, strict=True)]
    near = [Neighbors(neutrinos.vectors[of], single[of]) for of in parts]
    bursts, weights = chance.draw(draws, numbers, near)
    odds = np.empty(numbers.size)
    for k, of in enumerate(parts):
        mine = Neutrinos(*(column[of] for column in neutrinos))
        messenger = bursts[k].messenger(chance.model, draws.params, area.size)
        given = prepared, mine, p_astro, draws.params, area, [messenger]
        odds[k] = event_odds(*given).odds_ratio
    return odds, weights
