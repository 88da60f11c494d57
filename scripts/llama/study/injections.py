"""Injections: sky maps of one class with scrambled neutrinos, and some with a source's as well.

The result of an injection depends on seed, kind and its number only: not on shard size, order,
machine or number of cores.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llama.background.cells import build_cells
from llama.background.draws import (
    ONE_WITHOUT_ENERGY_IN,
    WEIGHTED,
    Draws,
    Sources,
    directions,
    draw_background,
    draw_signal,
    draw_skymaps,
    draw_sources,
    join,
)
from llama.background.tilts import draw_weighted, tilt_map
from llama.errors import LlamaError
from llama.event.classes import EARLY, LOW, class_detectors, split_class
from llama.event.parameters import search_parameters
from llama.event.prepared import odds_of_drawn
from llama.event.provenance import settings_hash, software
from llama.files import atomic_hdf5
from llama.neutrinos.network import response_at
from llama.neutrinos.table import Columns
from llama.sky import SkyTiles
from llama.stats.arrays import Floats, Integers
from llama.stats.parameters import SearchParameters
from llama.study.bank import Bank
from llama.study.pairs import Pairs
from llama.study.populations import ROWS_WITHOUT_ENERGY, WITHOUT_ENERGY

if TYPE_CHECKING:
    from llama.neutrinos.network import AnyResponse

_BLOCK = 64  # injections prepared together: their tables stay in the processor's cache

DTYPE = np.dtype(
    [("odds", "<f8"), ("neutrinos", "<i4"), ("skymap", "<i4")]
    + [(name, "<f8") for name in ("lambda_s", "lambda_cgw", "lambda_cnu")]
)
WEIGHTED_DTYPE = np.dtype([*DTYPE.descr, ("weight", "<f8")])
# the true source of a signal, and the count of neutrinos expected from 1e51 erg (isotropic)
SIGNAL_DTYPE = np.dtype(
    DTYPE.descr + [(name, "<f8") for name in ("ra_deg", "dec_deg", "distance_mpc", "expected")]
)


def draw_neutrinos(
    draws: Draws, numbers: Integers, tiles: SkyTiles | None
) -> tuple[Integers, Columns, Sources | None]:
    """Return the number of neutrinos of injections that share a sky map, all these, and sources.

    Neutrinos ascend in time within an injection; columns as `draw_background`. Background has
    no sources and needs no `tiles` of the map.
    """
    background = draw_background(draws, numbers)
    if not draws.has_sources or tiles is None:
        return *join([background]), None
    sources = draw_sources(draws, numbers, tiles)
    return *join([background, draw_signal(draws, numbers, sources)]), sources


def run_shard(
    bank: Bank,
    draws: Draws,
    p_astro: float,
    numbers: range,
    tick: Callable[[], object] = lambda: None,
    pairs: Pairs | None = None,
) -> tuple[NDArray[Any], Floats]:
    """Return one row per injection number, and all single-neutrino odds in that order.

    Rows are of DTYPE, WEIGHTED_DTYPE, or SIGNAL_DTYPE for the kinds with neutrinos of a source
    (signal, doublet and quadruplet). p_astro is given to every trigger. Maps are taken one after
    the other, so that only one is in memory; `tick` is called after each injection. With `pairs`,
    number k is that pair instead of a draw, and there are no more rows than pairs.
    """
    response, params = draws.response, draws.params
    every = np.arange(numbers.start, numbers.stop, numbers.step, dtype=np.int64)
    if pairs is not None:
        every = every[every < len(pairs)]
        by_map = pairs.skymaps(every)
    else:
        by_map = draw_skymaps(draws.seed, draws.code, every, len(bank.names), bank.broken)
    dtype = WEIGHTED_DTYPE if draws.is_weighted else DTYPE
    rows = np.zeros(every.size, dtype=SIGNAL_DTYPE if draws.has_sources else dtype)
    cells = None
    if draws.is_weighted:
        cells = build_cells(draws.events, response, params, draws.hides_energy)
    single: list[Floats] = [np.empty(0)] * every.size
    rows["skymap"] = by_map
    along = np.argsort(by_map, kind="stable")
    for of_map in np.split(along, np.flatnonzero(np.diff(by_map[along])) + 1):
        if of_map.size == 0:
            continue
        index = int(by_map[of_map[0]])
        response = response_at(draws.response, bank.gps(index))
        draws = draws._replace(response=response)
        prepared = bank.prepared(index, response, params)
        tiles = bank.tiles(index) if draws.has_sources else None
        tilt = tilt_map(prepared, draws, cells) if cells else None
        for start in range(0, of_map.size, _BLOCK):
            block = of_map[start : start + _BLOCK]
            if pairs is not None:
                (counts, columns), sources = pairs.neutrinos(every[block]), None
            elif cells and tilt:
                drawn = draw_weighted(draws, every[block], cells, tilt)
                (counts, columns, rows["weight"][block]), sources = drawn, None
            else:
                counts, columns, sources = draw_neutrinos(draws, every[block], tiles)
            if sources is not None:
                for name, values in directions(sources.vectors).items():
                    rows[name][block] = values
                rows["distance_mpc"][block] = sources.distance_mpc
                rows["expected"][block] = sources.expected
            odds = odds_of_drawn(prepared, draws, counts, columns, p_astro)
            rows["neutrinos"][block] = counts
            rows["odds"][block], rows["lambda_s"][block] = odds.odds_ratio, odds.lambda_s
            rows["lambda_cgw"][block], rows["lambda_cnu"][block] = odds.lambda_cgw, odds.lambda_cnu
            ends = np.cumsum(counts)[:-1]
            for row, of_one in zip(block, np.split(odds.single_odds, ends), strict=True):
                single[row] = of_one
                tick()
    return rows, np.concatenate([*single, np.empty(0)])


def run_without_energy(
    bank: Bank, draws: Draws, p_astro: float, numbers: range, pairs: Pairs | None = None
) -> tuple[NDArray[Any], Floats]:
    """Return the rows of every tenth injection with energies hidden, and single-neutrino odds.

    Which these are depends on their numbers only. Weighted ones are drawn with tables that know
    no energies either, so that a list without energies has a weight.
    """
    step = ONE_WITHOUT_ENERGY_IN
    some = range(numbers.start + -numbers.start % step, numbers.stop, step)
    return run_shard(bank, draws._replace(hides_energy=True), p_astro, some, pairs=pairs)


def write_shard(
    path: str | Path,
    rows: NDArray[Any],
    single: Floats,
    names: list[str],
    first: int,
    seed: int,
    p_astro: float,
    settings: Mapping[str, Any],
    kind: str = "background",
    without_energy: tuple[NDArray[Any], Floats] = (np.empty(0, DTYPE), np.empty(0)),
    broken_maps: int = 0,
) -> None:
    """Write one shard: rows, single-neutrino odds, the maps' names, and what made it.

    without_energy: what `run_without_energy` returns; of weighted rows all of them are kept.
    broken_maps: how many of the names no injection can have.
    settings: those of weighted ones name the archive, whose events an event's weight needs.
    """
    hidden, *_ = without_energy
    with atomic_hdf5(path) as file:
        file.create_dataset("injections", data=rows, track_times=False)
        file.create_dataset("single", data=single, track_times=False)
        for name, values in zip(WITHOUT_ENERGY, (hidden["odds"], without_energy[1]), strict=True):
            file.create_dataset(name, data=values, track_times=False)
        file.create_dataset("skymaps", data=names, track_times=False)
        attributes = {"kind": kind, "first": first, "seed": seed, "p_astro": p_astro}
        attributes["n_maps"] = len(names) - broken_maps
        attributes |= {"software": software(), "settings_sha256": settings_hash(settings)}
        if kind == WEIGHTED:
            file.create_dataset(ROWS_WITHOUT_ENERGY, data=hidden, track_times=False)
            attributes["archive"] = settings["archive"]
        file.attrs.update(attributes)


def study_search(search: Mapping[str, Any], study: str) -> dict[str, Any]:
    """Return what of the settings' `search` a study named population-run-detectors depends on."""
    population = split_class(study)[0]
    if population not in search["assumed_horizon_mpc"]:
        known = ", ".join(sorted(search["assumed_horizon_mpc"]))
        raise LlamaError(
            f"{study} is of population {population}, which events never have; "
            f"name it after one of {known} in background.studies, perhaps with {LOW} or {EARLY} "
            "at its end"
        )
    if "detectors" in search:
        own = {name: search["detectors"][name] for name in class_detectors(study)}
        search = {**search, "detectors": own}
    of_population = {population: search["assumed_horizon_mpc"][population]}
    return {
        **{name: value for name, value in search.items() if name != "far_signal_rate_hz"},
        "assumed_horizon_mpc": of_population,
    }


def study_parameters(
    search: Mapping[str, Any], study: str, response: "AnyResponse"
) -> SearchParameters:
    """Return the statistic's parameters for a study; search: as of `study_search`, or whole."""
    return search_parameters(study_search(search, study), split_class(study)[0], response)
