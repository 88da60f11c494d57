"""An event's own background: a p-value of 1e-8 on two cores, beside plain injections that tell it.

S190425z's map and the tables of the public matrix; the archive is a mock one, at the rate of
real-time tracks. And the set-up with an archive of 1.6 million events.
"""

import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measure import CLONE, row

from llama.background.cells import build_cells
from llama.background.draws import Draws, draw_background, join
from llama.background.tilts import tilt_map
from llama.event.map_background import map_background
from llama.event.parameters import search_parameters
from llama.event.prepared import odds_of_drawn, prepare_skymap
from llama.neutrinos.archive import Archive
from llama.neutrinos.importing import import_release
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.response import load_response, response_file
from llama.settings import Settings
from llama.sky import read_skymap
from llama.sky.mock import mock_skymap
from llama.stats.pvalue import weighted_p_values

PUBLISHED = CLONE.parent / "shared/data/events/S190425z/bayestar.multiorder.fits"
P, PLAIN, MANY = 1e-8, 2_000, 1_600_000


def rows() -> Iterator[dict[str, Any]]:
    """Yield the rows: seconds on two cores, set-up included, and what plain ones would take."""
    settings = Settings()
    background = settings.background
    search = settings.search_parameters() | {"real_time": True}
    tiles = mock_skymap(130.0, 20.0, (20.0, 0.7), (150.0, 40.0))
    if PUBLISHED.exists():
        tiles = read_skymap(PUBLISHED.read_bytes(), "map")
    with tempfile.TemporaryDirectory() as directory:
        write_mock_release(Path(directory) / "release", 1, matrix=True)
        import_release(Path(directory) / "release", directory, "mock")
        archive = Archive.open(Path(directory) / "mock")
        events = archive.events()
        name = response_file(archive.directory, search["response"])
        response = load_response(archive.directory / name)
    params = search_parameters(search, "bns", response)
    draws = Draws(background.seed, "weighted", events, response, params)
    seconds = np.inf
    for injections in (64, background.map_injections, background.map_injections):  # compiles
        start = time.perf_counter()
        prepared = prepare_skymap(tiles, response.area_relative, params)
        found = map_background(prepared, draws, background.p_astro, injections, 2)["map"]
        seconds = min(seconds, time.perf_counter() - start) if injections > 64 else np.inf
    odds, weights = found[""], found["weights"]
    at = np.flatnonzero(np.cumsum(weights[::-1])[::-1] / odds.size >= P)[-1:]
    p = weighted_p_values(odds[at], weights[at], odds, weights)
    error = float(p.error[0] / p.p[0])
    plain = draws._replace(kind="background")
    start = time.perf_counter()
    for first in range(0, PLAIN, 64):
        drawn = join([draw_background(plain, np.arange(first, first + 64))])
        odds_of_drawn(prepared, plain, *drawn, background.p_astro)
    needed = 1 / (P * error**2)
    plain_s = (time.perf_counter() - start) / PLAIN * needed / 2
    yield row("pvalue_1e8_s", seconds, "s", 10)
    yield row("pvalue_1e8_percent", 100 * error, "%", 20)
    yield row("pvalue_1e8_plain_injections", needed, "", None)
    yield row("pvalue_1e8_plain_s", plain_s, "s", None)
    yield row("pvalue_1e8_ratio", plain_s / seconds, "", None)
    rng = np.random.default_rng(1)
    which = rng.integers(0, events["dec_deg"].size, MANY)
    many = draws._replace(events={name: values[which] for name, values in events.items()})
    tracemalloc.start()
    start = time.perf_counter()
    tilt_map(prepared, many, build_cells(many.events, response, params))
    yield row("pvalue_set_up_s", time.perf_counter() - start, "s", 2)
    yield row("pvalue_set_up_mib", tracemalloc.get_traced_memory()[1] / 2**20, "MiB", 1024)
    tracemalloc.stop()
