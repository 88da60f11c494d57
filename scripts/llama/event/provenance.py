"""Where a product comes from: code, settings and inputs, as hashes; whether these still stand."""

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from msgspec import Struct

import llama
from llama.event.names import BURSTS_NAME, HEARD_NAME
from llama.event.skymap_info import EventInfo
from llama.files import dump_json, read_json, reading_hdf5, sha256_file
from llama.layout import commit_of, own_workflow
from llama.typed import typed

LIST, P_ASTRO, TILES = "icecube_neutrino_list.json", "p_astro.json", "lvc_skymap.hdf5"
DISTANCES = "lvc_skymap_distances.json"


class Made(Struct):
    """The inputs in a file's block `provenance`, and the window of a list of neutrinos."""

    provenance: "_Inputs | None" = None
    window: "_Window | None" = None

    @property
    def inputs(self) -> dict[str, str]:
        """The sha256 of each input by its name."""
        return self.provenance.inputs if self.provenance else {}


class _Inputs(Struct):
    inputs: dict[str, str] = {}


class _Window(Struct):
    centre_gps: float | None = None


class Provenance(TypedDict):
    """The block `provenance` of a file: its inputs' sha256 by their names, and what made it."""

    software: str
    inputs: dict[str, str]
    settings_sha256: str | None
    seed: int | None


def inputs_by_name(inputs: Mapping[str, str | Sequence[str]]) -> dict[str, str]:
    """Return every input by its name, of a network's detectors with the archive's before it."""
    single = {Path(path).name: path for path in inputs.values() if isinstance(path, str)}
    several = [path for paths in inputs.values() if not isinstance(paths, str) for path in paths]
    return single | {f"{Path(path).parent.name}/{Path(path).name}": path for path in several}


def provenance(
    inputs: Mapping[str, str | Path],
    settings: Mapping[str, object] | None = None,
    seed: int | None = None,
) -> Provenance:
    """Return the block `provenance` of a derived JSON file; equal inputs give equal bytes.

    inputs: name to path of every file read; settings: the values that were used.
    """
    return {
        "software": software(),
        "inputs": {name: sha256_file(path) for name, path in sorted(inputs.items())},
        "settings_sha256": settings_hash(settings) if settings is not None else None,
        "seed": seed,
    }


def settings_hash(settings: Mapping[str, object]) -> str:
    """Return the sha256 of settings, independent of their order."""
    return hashlib.sha256(dump_json(dict(settings)).encode()).hexdigest()


@functools.cache
def software() -> str:
    """Return name, version and, of a clone and its wheels, the commit: `llama 0.1.0+g1a2b3c4d`."""
    commit = commit_of(own_workflow())
    return f"llama {llama.__version__}" + (f"+g{commit[:8]}" if commit else "")


@functools.cache
def code_sha256(top: Path = Path(llama.__file__).parent) -> str:
    """Return the sha256 of the package's code: another with changes that are in no commit."""
    digest = hashlib.sha256()
    for path in sorted(top.rglob("*.py")):
        digest.update(f"{path.relative_to(top).as_posix()} {sha256_file(path)}\n".encode())
    return digest.hexdigest()


def other_inputs(event_dir: Path, info: EventInfo, significance: str) -> list[str]:
    """Return what the file `significance` was made from that is not what is there now, in words.

    That is each of its own inputs, and what those were made from in turn: the map that
    `info` (skymap_info.json) names, the alert that describes the event, the given neutrinos and
    the time around which they were listed. A file that is missing, or that the significance does
    not name, is another one, too.
    """
    return list(dict.fromkeys(_others(event_dir, info, significance)))


def _others(event_dir: Path, info: EventInfo, significance: str) -> Iterator[str]:
    made_from = _made(event_dir / significance).inputs
    names = ["skymap_info.json", TILES, DISTANCES, P_ASTRO, LIST]
    names += [name for name in (BURSTS_NAME, HEARD_NAME) if name in made_from]
    changed = [name for name in names if not _is(event_dir / name, made_from.get(name))]
    yield from changed
    if changed:
        return
    if _map_of_tiles(event_dir / TILES) != info.skymap_sha256:
        yield "sky map"
    if not _is(event_dir / TILES, _made(event_dir / DISTANCES).inputs.get(TILES)):
        yield TILES
    alert = info.event_alert_file
    described = _made(event_dir / P_ASTRO).inputs
    for name in ("skymap_info.json", *([alert] if alert else [])):
        if not _is(event_dir / name, described.get(Path(name).name)):
            yield name
    neutrinos, given = _made(event_dir / LIST), info.neutrino_file
    listed = neutrinos.inputs
    if listed.keys() != {Path(name).name for name in ([given] if given else [])} or (
        given and not _is(event_dir / given, listed[Path(given).name])
    ):
        yield "list of given neutrinos"
    if neutrinos.window is None or neutrinos.window.centre_gps != info.gps_time:
        yield "event time"


def _made(path: Path) -> Made:
    return typed(read_json(path), Made, str(path), "make it again: remove it and run snakemake")


def _is(path: Path, sha256: str | None) -> bool:
    return sha256 is not None and path.exists() and sha256_file(path) == sha256


def _map_of_tiles(path: Path) -> str:
    with reading_hdf5(path, f"{path} cannot be read; delete it and run snakemake again") as tiles:
        return str(tiles.attrs["input_sha256"])
