"""The numeric core on one core: overlap, injection, weights, reading, import, and how they grow.

Times are the best of several repeats: the machine's other work only ever adds. The map is
S190425z's where the shared data are there, else a mock one of like size.
"""

import gc
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measure import row

from llama.event.direction_maps import thinned
from llama.event.parameters import published_parameters
from llama.event.prepared import prepare_mapped, prepare_skymap
from llama.neutrinos.archive import Archive
from llama.neutrinos.detector import build_detector
from llama.neutrinos.importing import import_release
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.release import read_release
from llama.neutrinos.scramble import scramble
from llama.neutrinos.smearing import Smearing
from llama.sky import SkyTiles, read_skymap
from llama.sky.mock import mock_skymap, to_fits
from llama.stats.direction_map import DirectionMap
from llama.stats.explain import explain_odds
from llama.stats.healpix import tiles_geometry, unit_vectors
from llama.stats.mapped import MappedNeutrinos
from llama.stats.odds import event_odds, prepare_neutrinos
from llama.stats.overlap import overlap, prepare_map
from llama.stats.sets import sum_sets
from llama.stats.windows import odds_of_windows

PUBLISHED = Path(__file__).parents[3] / "shared/data/events/S190425z/bayestar.multiorder.fits"
PARAMS = published_parameters("cbc")


def rows() -> Iterator[dict[str, Any]]:
    """Yield the rows of the statistic."""
    content = (
        PUBLISHED.read_bytes()
        if PUBLISHED.exists()
        else to_fits(mock_skymap(130.0, 20.0, (20.0, 0.7), (150.0, 40.0)), "2019-04-25")
    )
    tiles = read_skymap(content, "map")
    yield row("read_multiorder_ms", 1e3 * _best(lambda: read_skymap(content, "map")), "ms", 10)
    flat = _flat_gzip(tiles)
    ours, theirs = _best(lambda: read_skymap(flat, "map"), 3), _best(lambda: _read_healpy(flat), 3)
    yield row("read_flat_1024_s", ours, "s", 2.5) | {"peer": "healpy", "peer_value": theirs}
    with tempfile.TemporaryDirectory() as directory:
        write_mock_release(Path(directory) / "release", 1)
        area = read_release(Path(directory) / "release").areas[0]
        import_release(Path(directory) / "release", directory, "mock")
        archive = Archive.open(Path(directory) / "mock")
        response, events = archive.response(), archive.events()
        yield row("memory_growth_mib", _memory_growth_mib(content, Path(directory)), "MiB", 10)
    columns = (events[name] for name in ("energy_gev", "dec_deg", "sigma_deg"))
    mixture = build_detector(Smearing.load(), area, response, *columns)
    prepared = prepare_skymap(tiles, response.area_relative, PARAMS)  # compiles or loads
    seconds = _best(lambda: prepare_skymap(tiles, response.area_relative, PARAMS))
    yield row("map_weights_s", seconds, "s", 0.3)
    yield row("map_tiles", tiles.order.size, "tiles", None)
    for sigma_deg, goal in ((1.0, 0.04), (0.2, None), (0.5, None), (5.0, None), (30.0, None)):
        name = "overlap_one_neutrino_ms" + ("" if goal else f"_sigma_{sigma_deg:g}")
        yield row(name, 1e3 * _overlap(prepared, sigma_deg), "ms", goal)
    found: dict[str, float] = {}
    for prefix, detector, goal, goal_one in (
        ("", response, 0.5, None),
        ("mixture_", mixture, 0.8, 0.1),
    ):
        drawn = [_draw(events, PARAMS.ratebgnu * 1000, k) for k in range(200)]
        found[f"{prefix}injection"] = seconds = _injections(prepared, drawn, detector)
        yield row(f"{prefix}injection_ms", 1e3 * seconds, "ms", goal)
        fewer = [_draw(events, response.rate_hz * 1000, k) for k in range(200)]
        seconds = _injections(prepared, fewer, detector)
        yield row(f"{prefix}injection_own_rate_ms", 1e3 * seconds, "ms", None)
        alone = [_draw(events, 1, k, exactly=True) for k in range(200)]
        found[f"{prefix}one_neutrino"] = seconds = _sets(prepared, alone, detector)
        yield row(f"{prefix}one_neutrino_ms", 1e3 * seconds, "ms", goal_one)
        for number in (7, 20, 100, 400):
            busy = [_draw(events, number, k, exactly=True) for k in range(3)]
            seconds = _sets(prepared, busy, detector)
            yield row(f"{prefix}sets_of_{number}_ms", 1e3 * seconds, "ms", None)
    for name, goal in (("one_neutrino", 3), ("injection", None)):
        yield row(f"mixture_{name}_ratio", found[f"mixture_{name}"] / found[name], "", goal)
    # what a neutrino with a map adds to an event: its background, products with the sky map, odds
    alone = _draw(events, 8, 5, exactly=True)
    ra_deg, dec_deg = alone[1][0], alone[2][0]
    for sigma_deg in (0.5, 3.0, 15.0):
        tiles_of_map = mock_skymap(ra_deg, dec_deg, (sigma_deg, sigma_deg), (100.0, 30.0))
        thin = thinned(tiles_of_map)
        maps = {0: DirectionMap(thin.order, thin.ipix, thin.prob)}
        for prefix, detector in (("", response), ("mixture_", mixture)):
            of_map, of_circle = (_mapped(prepared, alone, detector, of) for of in (maps, {}))
            name = f"{prefix}neutrino_with_map_ms"
            name += "" if sigma_deg == 3.0 else f"_sigma_{sigma_deg:g}"
            yield row(name, 1e3 * (of_map - of_circle), "ms", 300)
    yield row("import_stats_s", _best(_import_stats), "s", 0.8)
    for order in (5, 6, 7, 8, 9):  # cost as maps grow: 12,288 to 3,145,728 tiles
        grown = prepare_map(*_uniform_map(order))
        for sigma_deg in (1.0, 10.0):
            name = f"overlap_{grown.order.size}_tiles_{sigma_deg:g}_deg_ms"
            yield row(name, 1e3 * _overlap(grown, sigma_deg), "ms", None)
    rng = np.random.default_rng(3)  # nearly all of it sets of two to four
    spot = [rng.normal(mean, 1.0, 12) for mean in (0.0, 40.0, 20.0)]
    columns = [*spot, np.ones(12), 10.0 ** rng.uniform(3, 5, 12)]
    together = prepare_neutrinos(*columns, response, PARAMS)
    seconds = _best(lambda: event_odds(prepared, together, 0.99, PARAMS, response.area_relative))
    yield row("injection_12_neutrinos_on_one_spot_ms", 1e3 * seconds, "ms", None)


def _best(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the least processor time: of one core, since nothing here uses more."""
    seconds = []
    gc.disable()
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    gc.enable()
    return min(seconds)


def _injections(prepared: Any, drawn: list[Any], detector: Any) -> float:
    """Return the seconds per injection, from the columns of its neutrinos to its odds.

    In blocks of 64, as a study does it.
    """

    def work() -> None:
        for first in range(0, len(drawn), 64):
            block = drawn[first : first + 64]
            stops = np.cumsum([columns[0].size for columns in block])
            columns = [np.concatenate(column) for column in zip(*block, strict=True)]
            neutrinos = prepare_neutrinos(*columns, detector, PARAMS)
            odds_of_windows(prepared, neutrinos, stops, 0.99, PARAMS, detector.area_relative)

    work()
    return _best(work, 10) / len(drawn)


def _sets(prepared: Any, drawn: list[Any], detector: Any) -> float:
    """Return the seconds of the sums over sets of each list of neutrinos."""
    windows = np.array([PARAMS.tgwminus, PARAMS.tgwplus, PARAMS.tnuminus, PARAMS.tnuplus])
    lists = [prepare_neutrinos(*columns, detector, PARAMS) for columns in drawn]

    def work() -> None:
        for neutrinos in lists:
            sum_sets(prepared, *neutrinos, windows, PARAMS.max_set_size)

    work()
    return _best(work, 3 if len(lists) < 10 else 20) / len(lists)


def _mapped(prepared: Any, columns: list[Any], response: Any, maps: Any) -> float:
    """Return the seconds of odds, direction and explanation; maps: of some of the neutrinos."""
    names = ("gps", "ra_deg", "dec_deg", "sigma_deg", "energy_gev")
    listed = dict(zip(names, columns, strict=True))
    area = response.area_relative

    def work() -> None:
        neutrinos = prepare_mapped(columns[0], listed, response, PARAMS, maps)
        here = MappedNeutrinos(prepared, neutrinos, maps, PARAMS, area)
        odds = here.odds(0.99)
        here.most_probable(odds.sets)
        explain_odds(prepared, neutrinos, 0.99, odds, PARAMS, response, maps)

    work()
    return _best(work)


def _overlap(prepared: Any, sigma_deg: float) -> float:
    """Return the seconds per overlap, over neutrinos drawn from the sky and from the map."""
    rng = np.random.default_rng(1)
    sky = unit_vectors(rng.uniform(0, 360, 200), np.degrees(np.arcsin(rng.uniform(-1, 1, 200))))
    likely = prepared.weights[0] / prepared.weights[0].sum()
    vectors = np.concatenate([sky, prepared.vectors[rng.choice(likely.size, 200, p=likely)]])
    kappa, table = 1 / np.radians(sigma_deg) ** 2, np.ones(201)

    def work() -> None:
        for vector in vectors:
            overlap(prepared, 1, kappa, vector, table)

    work()
    return _best(work) / len(vectors)


def _draw(events: Any, mean: float, seed: int, exactly: bool = False) -> list[Any]:
    rng = np.random.Generator(np.random.Philox(seed))
    drawn = scramble(events, int(mean) if exactly else rng.poisson(mean), rng, 0.0, PARAMS.window)
    return [drawn[name] for name in ("gps", "ra_deg", "dec_deg", "sigma_deg", "energy_gev")]


def _memory_growth_mib(content: bytes, directory: Path) -> float:
    """Return how much memory 99,000 injections more take, in shards of 1,000 in one process."""
    (directory / "map.fits").write_bytes(content)
    program = [sys.executable, str(Path(__file__).with_name("memory.py")), str(directory)]
    return float(subprocess.run(program, check=True, capture_output=True, text=True).stdout)


def _uniform_map(order: int) -> tuple[Any, Any, Any]:
    """Return the arguments of `prepare_map`: a Gaussian of 8 deg on tiles of one order."""
    orders, ipix = np.full(12 * 4**order, order, np.int8), np.arange(12 * 4**order)
    centre = unit_vectors(np.array(130.0), np.array(20.0))
    vectors, _ = tiles_geometry(orders, ipix)
    prob = np.exp((vectors @ centre - 1) / np.radians(8.0) ** 2) + 1e-6
    return orders, ipix, np.tile(prob / prob.sum(), (5, 1))


def _flat_gzip(tiles: SkyTiles) -> bytes:
    """Return the map flattened to NSIDE 1024 and compressed, as GraceDB used to give it."""
    import gzip

    from astropy.io import fits

    repeats = 4 ** (10 - tiles.order.astype(int))
    names = {"PROB": tiles.prob / repeats, "DISTMU": tiles.distmu}
    names |= {"DISTSIGMA": tiles.distsigma, "DISTNORM": tiles.distnorm}
    columns = [fits.Column(n, "D", array=np.repeat(a, repeats)) for n, a in names.items()]
    table = fits.BinTableHDU.from_columns(columns)
    table.header.update({"PIXTYPE": "HEALPIX", "ORDERING": "NESTED", "NSIDE": 1024})
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
    return gzip.compress(stream.getvalue(), 6)


def _read_healpy(flat: bytes) -> None:
    import healpy

    with tempfile.NamedTemporaryFile(suffix=".fits.gz") as file:
        file.write(flat)
        file.flush()
        healpy.read_map(file.name, field=None, nest=True)


def _import_stats() -> None:
    subprocess.run([sys.executable, "-c", "import llama.stats.odds"], check=True)
