"""Neutrinos whose direction is a published map: taken in, checked, kept beside the event."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llama.child import in_child
from llama.errors import LlamaError
from llama.event.skymap_info import neutrino_map_file
from llama.files import read_json, sha256_bytes, sha256_file, write_bytes, write_json
from llama.sky.scan import read_direction
from llama.sky.tiles import SkyTiles
from llama.sky.unpack import MAX_PACKED_BYTES, SMALLER
from llama.stats.direction_map import DirectionMap
from llama.stats.healpix import directions_deg, tiles_geometry, unit_vectors
from llama.stats.mapped import MOST_MAPS
from llama.units import R90_PER_SIGMA
from llama.web import fetch

# what a list and a result tell of a map
MAP_KEYS = "map", "map_name", "map_sha256", "map_area_90_deg2"
DIRECTORY = "neutrino_maps"
_FAINT = 1e-4 / (4 * math.pi)  # density [sr^-1]: what is below is of no interest, and made coarse
# of their mean, that densities of four tiles may differ by which become one: within the densest
# half of the map, and at most
_EVEN = 0.016, 0.2
_HELD, _AWAY = 0.999, 3.0  # where a neutrino's own direction must be: in its map, or so many sigma

Rows = list[dict[str, Any]]


def take_maps(
    rows: Rows,
    event_dir: Path,
    *,
    neutrino_file: str | None = None,
    online: bool = True,
) -> list[str]:
    """Replace what `map` says, a file's name or a URL, by a file in the event's directory.

    Only of neutrinos in the window. A row has then `map_sha256`, `map_area_90_deg2`, and as `sigma`
    that of the circle of equal area. neutrino_file: list given by hand that the rows are of, beside
    which the maps are, and which must have them: `LlamaError`. In other lists a neutrino whose map
    cannot be used keeps its circle, and a sentence is returned. online: whether to ask other
    machines.
    """
    problems, taken = [], 0
    for row in rows:
        said = row.pop("map", None)
        for name in [name for name in row if name.startswith("map_")]:
            del row[name]  # what others say
        if said is None or not row["in_window"]:
            continue
        try:
            if taken == MOST_MAPS:
                raise LlamaError(f"only {MOST_MAPS} may have maps; give the others without")
            row |= _taken(str(said), row, event_dir, neutrino_file, online)
            taken += 1
        except LlamaError as error:
            if neutrino_file:
                raise
            row["map_problem"] = str(error)
            problems.append(f"neutrino {row['id']} is taken as a circle: {error}")
    return problems


def _taken(
    said: str, row: Mapping[str, Any], event_dir: Path, neutrino_file: str | None, online: bool
) -> dict[str, object]:
    is_url = said.startswith("https://")
    kept = event_dir / DIRECTORY / f"{sha256_bytes(said.encode())[:16]}.json"
    name = re.sub(r"[^A-Za-z0-9_.:+-]", "_", said.rsplit("/", 1)[-1])[-150:] or "map"
    if is_url and kept.exists():  # a map that has come stays, whether its server does or not
        path = event_dir / str(read_json(kept)["map"])
        content = path.read_bytes()
    elif is_url:
        if not online:
            raise LlamaError(f"the map {said} is not fetched, because the flag ONLINE is false")
        content = fetch(said, MAX_PACKED_BYTES, "the neutrino's map")
    else:
        path = Path(said)
        if neutrino_file or path.name == said:  # a path is of a directory of lists, and no other
            path = event_dir / neutrino_map_file(neutrino_file or "none.csv", said)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise LlamaError(
                f"the map {said} of a neutrino cannot be read ({error.strerror}); put it beside "
                "the list and give both again"
            ) from error
    sha256 = sha256_bytes(content)
    suffix = "fits.gz" if content.startswith(b"\x1f\x8b") else "fits"
    path = event_dir / DIRECTORY / f"{sha256[:16]}.{suffix}"
    place = path.relative_to(event_dir).as_posix()
    where = float(row["ra"]), float(row["dec"])
    tiles_geometry(np.zeros(1, np.int8), np.zeros(1, np.int64))  # compiled here, not in each child
    facts = in_child(lambda: _facts(content, name, path, sha256, where), name, SMALLER)
    if not path.exists():
        write_bytes(path, content)
    if is_url:
        write_json(kept, {"url": said, "map": place})
    area = float(facts["area_90_deg2"])
    return {
        "map": place,
        "map_name": name,
        **({"map_url": said} if is_url else {}),
        "map_sha256": sha256,
        "map_area_90_deg2": area,
        "sigma": circle_90_deg(area) / R90_PER_SIGMA,
        "sigma_stated": row["sigma"],
        "direction": "map",
    }


def circle_90_deg(area_90_deg2: float) -> float:
    """Return the radius [deg] of the circle with the area that holds 90 %."""
    part = min(area_90_deg2 / math.degrees(math.degrees(2 * math.pi)), 2.0)
    return math.degrees(math.acos(1 - part)) if part > 1e-6 else math.sqrt(area_90_deg2 / math.pi)


def _facts(
    content: bytes, name: str, path: Path, sha256: str, where_deg: tuple[float, float]
) -> dict[str, float]:
    """Return what a list tells of a map, and keep its tiles; in a child, whoever made the map."""
    tiles = thinned(read_direction(content, name))
    density = tiles.prob / tiles.area_deg2
    along = np.argsort(-density, kind="stable")
    before = np.cumsum(tiles.prob[along]) - tiles.prob[along]
    vectors, _ = tiles_geometry(tiles.order, tiles.ipix)
    area = tiles.credible_area_deg2(0.9)
    own = unit_vectors(np.array(where_deg[0]), np.array(where_deg[1]))
    near = np.linalg.norm(vectors[along] - own, axis=1) < np.sqrt(
        2 * np.radians(np.radians(tiles.area_deg2[along]))
    )
    away = math.degrees(math.acos(min(1.0, float(vectors[along[0]] @ own))))
    if not (before[near] < _HELD).any() and away > _AWAY * circle_90_deg(area) / R90_PER_SIGMA:
        ra, dec = directions_deg(vectors[along[0]])
        raise LlamaError(
            f"{name} has next to nothing at the direction of its neutrino, "
            f"{where_deg[0]:.2f}, {where_deg[1]:+.2f} deg, and most at {float(ra):.2f}, "
            f"{float(dec):+.2f} deg; give the neutrino's own map, in equatorial coordinates"
        )
    tiles.meta["input_sha256"] = sha256
    path.parent.mkdir(exist_ok=True)
    tiles.save(_tiles_of(path))
    return {"area_90_deg2": area}


def _tiles_of(path: Path) -> Path:
    return path.with_name(f"{path.name.split('.')[0]}.hdf5")


def load_map(row: Mapping[str, Any], event_dir: Path) -> DirectionMap:
    """Return the map of a neutrino that `take_maps` has taken; `LlamaError` if it is not there."""
    path, sha256 = event_dir / str(row["map"]), row["map_sha256"]
    tiles = None
    if _tiles_of(path).exists():
        tiles = SkyTiles.load(_tiles_of(path))
    if tiles is None or tiles.meta.get("input_sha256") != sha256:
        if not path.exists() or sha256_file(path) != sha256:
            raise LlamaError(
                f"{path}, the map of a neutrino, is gone or damaged; remove "
                "icecube_neutrino_list.json and run snakemake"
            )
        tiles = thinned(read_direction(path.read_bytes(), path.name))
    return DirectionMap(tiles.order, tiles.ipix, tiles.prob)


def load_maps(rows: Sequence[Mapping[str, Any]], event_dir: Path) -> dict[int, DirectionMap]:
    """Return the maps of a list's neutrinos by their indices."""
    return {i: load_map(row, event_dir) for i, row in enumerate(rows) if row.get("map_sha256")}


def thinned(tiles: SkyTiles) -> SkyTiles:
    """Return a map with the mean of four tiles in place of these where they are nearly alike.

    Total and mean stay. Published maps have millions of pixels, most of them where nothing is.
    """
    order, ipix, prob = tiles.order.astype(np.int8), tiles.ipix.copy(), tiles.prob.copy()
    density = prob * 4.0 ** order.astype(float)
    along = np.argsort(-density)
    usual = density[along[np.searchsorted(np.cumsum(prob[along]), 0.5 * prob.sum())]]
    for level in range(int(order.max()), 0, -1):
        same = (order[:-3] == level) & (ipix[:-3] & 3 == 0)
        for sibling in (1, 2, 3):
            end = order.size - 3 + sibling
            same &= (order[sibling:end] == level) & (ipix[sibling:end] == ipix[:-3] + sibling)
        first = np.flatnonzero(same)
        four = prob[first[:, None] + np.arange(4)]
        most = four.max(axis=1)
        faint = most < _FAINT * math.pi / 3 * 0.25**level
        # a narrow wave may be in a corner of the tile: the less, the rarer that is
        rarer = np.sqrt(np.sqrt(usual / np.maximum(most * 4.0**level, 1e-200)))
        even = np.clip(_EVEN[0] * rarer, *_EVEN) * four.mean(axis=1)
        alike = faint | (most - four.min(axis=1) <= even)
        first, four = first[alike], four[alike]
        kept = np.ones(order.size, dtype=bool)
        for sibling in (1, 2, 3):
            kept[first + sibling] = False
        prob[first], order[first], ipix[first] = four.sum(axis=1), level - 1, ipix[first] >> 2
        order, ipix, prob = order[kept], ipix[kept], prob[kept]
    return SkyTiles(order, ipix, prob, meta=dict(tiles.meta))
