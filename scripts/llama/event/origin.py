"""Whether a result belongs to what the event has now: every file on the way from its alert."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.event.names import BURSTS_NAME
from llama.event.skymap_info import EventInfo
from llama.files import read_json, sha256_file

LIST, P_ASTRO, TILES = "icecube_neutrino_list.json", "p_astro.json", "lvc_skymap.hdf5"
DISTANCES = "lvc_skymap_distances.json"


def other_inputs(event_dir: Path, info: EventInfo, significance: Mapping[str, Any]) -> list[str]:
    """Return what a significance was made from that is not what the event has now, in words.

    That is each of its own inputs, and what those were made from in turn: the map that
    `info` (skymap_info.json) names, the alert that describes the event, the given neutrinos and
    the time around which they were listed. A file that is missing, or that the significance does
    not name, is another one, too.
    """
    return list(dict.fromkeys(_others(event_dir, info, significance)))


def _others(event_dir: Path, info: EventInfo, significance: Mapping[str, Any]) -> Iterator[str]:
    made_from = _made_from(significance)
    names = ["skymap_info.json", TILES, DISTANCES, P_ASTRO, LIST]
    names += [BURSTS_NAME] if BURSTS_NAME in made_from else []
    changed = [name for name in names if not _is(event_dir / name, made_from.get(name))]
    yield from changed
    if changed:
        return
    if _map_of_tiles(event_dir / TILES) != info.skymap_sha256:
        yield "sky map"
    if not _is(event_dir / TILES, _made_from(read_json(event_dir / DISTANCES)).get(TILES)):
        yield TILES
    alert = info.event_alert_file
    described = _made_from(read_json(event_dir / P_ASTRO))
    for name in ("skymap_info.json", *([alert] if alert else [])):
        if not _is(event_dir / name, described.get(Path(name).name)):
            yield name
    neutrinos, given = read_json(event_dir / LIST), info.neutrino_file
    listed = _made_from(neutrinos)
    if listed.keys() != {Path(name).name for name in ([given] if given else [])} or (
        given and not _is(event_dir / given, listed[Path(given).name])
    ):
        yield "list of given neutrinos"
    if neutrinos["window"].get("centre_gps") != info.gps_time:
        yield "event time"


def _made_from(product: Mapping[str, Any]) -> dict[str, str]:
    return dict((product.get("provenance") or {}).get("inputs") or {})


def _is(path: Path, sha256: str | None) -> bool:
    return sha256 is not None and path.exists() and sha256_file(path) == sha256


def _map_of_tiles(path: Path) -> str:
    """Return the sha256 of the map, as published, that tiles were made from."""
    import h5py

    try:
        with h5py.File(path) as tiles:
            return str(tiles.attrs["input_sha256"])
    except (OSError, KeyError) as error:
        raise LlamaError(f"{path} cannot be read; delete it and run snakemake again") from error
