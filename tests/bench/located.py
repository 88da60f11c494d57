"""The combined sky maps of ten real events with one injected neutrino: areas and volumes, and time.

The maps are published ones; the source is drawn from each, and a neutrino of 100 TeV and 0.4 deg
about it, 30 s after the wave. A volume is the smallest one that holds so much, in Euclidean space.

    python tests/bench/located.py    # writes the table into measured.json, then docs/measured.md
"""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import measured_page
import numpy as np
from measure import CLONE, row

from llama.event.combined import as_tiles, locate_source
from llama.neutrinos.archive import Archive
from llama.neutrinos.importing import import_release
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.response import load_response, response_file
from llama.settings import Settings
from llama.sky import read_skymap
from llama.sky.tiles import SkyTiles
from llama.stats.healpix import directions_deg, tiles_geometry

DATA = CLONE.parent / "shared/data"
MAPS = {  # with the class that each was published with
    "S190425z": ("events/S190425z/bayestar.multiorder.fits", "bns"),
    "S190426c": ("skymaps/S190426c.bayestar.multiorder.fits", "bns"),
    "S190510g": ("skymaps/S190510g.bayestar.multiorder.fits", "bns"),
    "GW200105": ("skymaps/GW200105_162426", "nsbh"),
    "GW200115": ("skymaps/GW200115_042309", "nsbh"),
    "S190408an": ("skymaps/S190408an.bayestar.multiorder.fits", "bbh"),
    "S190412m": ("skymaps/S190412m.bayestar.multiorder.fits", "bbh"),
    "S190503bf": ("skymaps/S190503bf.bayestar.multiorder.fits", "bbh"),
    "S190512at": ("skymaps/S190512at.bayestar.multiorder.fits", "bbh"),
    "S190513bm": ("skymaps/S190513bm.bayestar.multiorder.fits", "bbh"),
}
TITLE, LEVELS, SIGMA_DEG, GPS = "Where to point", (0.5, 0.9), 0.4, 1_240_215_503.0


class Found(NamedTuple):
    """Of one map: areas [deg^2] and volumes [Mpc^3] at `LEVELS`; given a wave, given a source."""

    name: str
    kind: str
    before: "Sizes"
    real: "Sizes"
    common: "Sizes"
    seconds: float


class Sizes(NamedTuple):
    """What of a map holds 50 and 90 %."""

    areas: list[float]
    volumes: list[float]


def rows() -> Iterator[dict[str, Any]]:
    """Yield the median of what is left of area and volume, and the longest time."""
    found = list(measure())
    for level, percent in enumerate((50, 90)):
        for name in ("areas", "volumes"):
            left = [getattr(f.common, name)[level] / getattr(f.before, name)[level] for f in found]
            yield row(f"located_{name}_{percent}_ratio", float(np.median(left)), "", None)
    yield row("located_s", max(f.seconds for f in found), "s", 1)


def measure() -> Iterator[Found]:
    """Yield what the combined maps of each event are."""
    search = Settings().search_parameters() | {"real_time": True}
    with tempfile.TemporaryDirectory() as directory:
        write_mock_release(Path(directory) / "release", 1, matrix=True)
        import_release(Path(directory) / "release", directory, "mock")
        archive = Archive.open(Path(directory) / "mock")
        name = response_file(archive.directory, search["response"])
        response = load_response(archive.directory / name)
    for number, (event, (start, kind)) in enumerate(MAPS.items()):
        (path,) = DATA.glob(f"{start}*")
        tiles = read_skymap(path.read_bytes(), event)
        rng = np.random.default_rng([20261129, number])
        tile = rng.choice(tiles.prob.size, p=tiles.prob / tiles.prob.sum())
        center = tiles_geometry(tiles.order[[tile]], tiles.ipix[[tile]])[0][0]
        ra, dec = directions_deg(center + np.radians(SIGMA_DEG) * rng.normal(size=3))
        neutrino = {"id": "injected", "gps": GPS + 30.0, "mjd": 58598.0, "ra": float(ra)}
        neutrino |= {"dec": float(dec), "sigma": SIGMA_DEG, "energy": 1e5}
        listed = {"events": [neutrino]}
        seconds = np.inf
        for _ in range(2):  # the first one may compile
            began = time.perf_counter()
            found = locate_source(tiles, GPS, kind, listed, response, search)
            assert found.coincidence is not None
            made = [as_tiles(found, posterior) for posterior in (found.combined, found.coincidence)]
            seconds = min(seconds, time.perf_counter() - began)
        yield Found(event, kind, *map(_sizes, (tiles, *made)), seconds)


def _sizes(tiles: SkyTiles) -> Sizes:
    solid = np.radians(1) ** 2 * tiles.area_deg2
    heavy = np.argsort(-tiles.prob / solid)
    heavy = heavy[: np.searchsorted(np.cumsum(tiles.prob[heavy]), 0.999)]
    heavy = heavy[np.isfinite(tiles.distmu[heavy])]
    mu, sigma, norm = (c[heavy, None] for c in (tiles.distmu, tiles.distsigma, tiles.distnorm))
    mean, std = tiles.distance_moments_mpc()
    step = (mean + 6 * std) / 200
    r = step * (np.arange(200) + 0.5)
    volume = solid[heavy, None] * r**2 * step
    prob = tiles.prob[heavy, None] * norm * np.exp(-0.5 * ((r - mu) / sigma) ** 2) / sigma
    prob *= r**2 * step / np.sqrt(2 * np.pi)
    along = np.argsort(-(prob / volume).ravel())
    held, inside = np.cumsum(prob.ravel()[along]), np.cumsum(volume.ravel()[along])
    volumes = [float(np.interp(level, held, inside)) for level in LEVELS]
    return Sizes([tiles.credible_area_deg2(level) for level in LEVELS], volumes)


def write_table() -> None:
    """Write the table into measured.json, where it stays in its place, and the page."""
    path = Path(__file__).with_name("measured.json")
    tables = json.loads(path.read_text(encoding="utf-8"))
    made = {
        "title": TITLE,
        "measured_on": "maps as published, one injected neutrino of 100 TeV and 0.4 deg each; "
        "`python tests/bench/located.py`",
        "note": "50 % / 90 % areas, and 90 % volumes (Euclidean, the smallest): of the wave's own "
        "map, of `combined_skymap` (the wave is real) and of `coincidence_skymap` (a common "
        "source). A distant source gives hardly any neutrinos, so that one beside it is rather "
        "chance: odds decide how much of the combined map is the neutrino's.",
        "header": [
            *("event", "class", "own [deg²]", "real [deg²]", "common [deg²]"),
            *("own [Mpc³]", "real [Mpc³]", "common [Mpc³]"),
        ],
        "rows": [
            [f.name, f.kind.upper()]
            + [" / ".join(map(_three, each.areas)) for each in (f.before, f.real, f.common)]
            + [f"{each.volumes[1]:.1e}" for each in (f.before, f.real, f.common)]
            for f in measure()
        ],
    }
    tables = [made if table["title"] == TITLE else table for table in tables]
    if made not in tables:
        tables.append(made)
    text = json.dumps(tables, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")
    measured_page.PAGE.write_text(measured_page.page(), encoding="utf-8")


def _three(value: float) -> str:
    return f"{float(f'{value:.3g}'):,g}"


if __name__ == "__main__":
    write_table()
