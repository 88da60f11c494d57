"""Background injections: sky maps of one class with scrambled neutrinos.

Injection k draws from a counter-based generator keyed by (seed, k), so that its result does not
depend on shard size, order, machine or number of cores.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from llama.event.provenance import settings_hash, software
from llama.event.significance import prepare_skymap, search_parameters
from llama.files import atomic_path
from llama.neutrinos.archive import Columns
from llama.neutrinos.response import Response
from llama.neutrinos.scramble import scramble
from llama.stats.odds import event_odds, prepare_neutrinos
from llama.stats.parameters import SearchParameters
from llama.study.bank import Bank

Floats = NDArray[np.float64]

DTYPE = np.dtype(
    [
        ("odds", "<f8"),
        ("neutrinos", "<i4"),
        ("skymap", "<i4"),
        ("lambda_s", "<f8"),
        ("lambda_cgw", "<f8"),
    ]
)


def draw(
    seed: int, k: int, n_maps: int, events: Columns, params: SearchParameters
) -> tuple[int, Columns]:
    """Return the map index and the neutrinos of injection k (times relative to the GW, seconds).

    The number is Poisson at `ratebgnu` in the time that one source can explain (1000 s).
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, k]))
    half_width_s = (params.dt_max_s - params.dt_min_s) / 2
    index = int(rng.integers(n_maps))
    number = int(rng.poisson(params.ratebgnu * 2 * half_width_s))
    return index, scramble(
        events, number, rng, (params.dt_max_s + params.dt_min_s) / 2, half_width_s
    )


def run_shard(
    bank: Bank,
    events: Columns,
    response: Response,
    params: SearchParameters,
    p_astro: float,
    seed: int,
    numbers: range,
    tick: Callable[[], object] = lambda: None,
) -> tuple[NDArray[Any], Floats]:
    """Return one row (DTYPE) per injection number, and all single-neutrino odds in that order.

    p_astro is given to every trigger. Maps are taken one after the other, so that only one is
    in memory; the rows come back in the order of `numbers`.
    """
    drawn = [draw(seed, k, len(bank.names), events, params) for k in numbers]
    rows = np.zeros(len(drawn), dtype=DTYPE)
    single: list[Floats] = [np.empty(0)] * len(drawn)
    by_map = np.array([index for index, _ in drawn], dtype=np.int64)
    for index in np.unique(by_map):
        prepared = prepare_skymap(bank.tiles(int(index)), response.area_relative, params)
        for row in np.flatnonzero(by_map == index):
            columns = drawn[row][1]
            neutrinos = prepare_neutrinos(
                columns["gps"],
                columns["ra_deg"],
                columns["dec_deg"],
                columns["sigma_deg"],
                columns["energy_gev"],
                response,
                params,
            )
            odds = event_odds(prepared, neutrinos, p_astro, params, response.area_relative)
            rows[row] = (
                odds.odds_ratio,
                neutrinos.dt_s.size,
                index,
                odds.lambda_s,
                odds.lambda_cgw,
            )
            single[row] = odds.single_odds
            tick()
    return rows, np.concatenate([*single, np.empty(0)])


def write_shard(
    path: str | os.PathLike[str],
    rows: NDArray[Any],
    single: Floats,
    names: list[str],
    first: int,
    seed: int,
    p_astro: float,
    settings: Mapping[str, Any],
) -> None:
    """Write one shard: rows, single-neutrino odds, the maps' names, and what made it."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("injections", data=rows, track_times=False)
        file.create_dataset("single", data=single, track_times=False)
        file.create_dataset("skymaps", data=names, track_times=False)
        attributes = {"first": first, "seed": seed, "p_astro": p_astro, "software": software()}
        file.attrs.update(attributes | {"settings_sha256": settings_hash(settings)})


def shard_search(search: Mapping[str, Any], study: str) -> SearchParameters:
    """Return the statistic's parameters for a study named population-run-detectors."""
    return search_parameters(search, study.split("-")[0])
