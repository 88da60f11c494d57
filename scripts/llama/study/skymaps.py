"""Lists of sky maps: read, or made per detector combination from a simulation's coincidences."""

import contextlib
import csv
import gzip
import itertools
import os
import re
import shutil
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from llama.errors import LlamaError
from llama.files import atomic_path, is_litter, write_bytes
from llama.sky.tiles import SkyTiles
from llama.times import SIDEREAL_DAY_S, iso_to_gps

_DETECTORS = ("ifos", "instruments", "network", "detectors")
_IDS = ("coinc_event_id", "event_id", "simulation_id", "sim_id", "id")
SKYMAP_SUFFIXES = (".fits.gz", ".fits")

# When injections happen: a date of their run, long past.
_DATES = {
    "o1": "2015-11-01T00:00:00Z",
    "o2": "2017-02-01T00:00:00Z",
    "o3": "2019-07-01T00:00:00Z",
    "o4": "2024-01-01T00:00:00Z",
    "ir1": "2026-10-15T00:00:00Z",
}


def list_skymaps(source: Path) -> list[Path]:
    """Return the sky maps of a list file (one path per line) or of a directory, in order.

    Relative paths in a list start at the list's directory. LlamaError that names what is missing.
    """
    if source.is_dir():
        maps = _maps_in(source)
    elif source.is_file():
        try:
            lines = [line.strip() for line in source.read_text("utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise LlamaError(
                f"{source} cannot be read as a list of sky maps; put one path per line"
            ) from error
        maps = [source.parent / line for line in lines if line and not line.startswith("#")]
    else:
        raise LlamaError(
            f"{source} is neither a list of sky maps nor a directory; correct background.studies"
        )
    # os.path: a name that is too long is not there either
    missing = [path for path in maps if not os.path.isfile(path)]
    if missing:
        raise LlamaError(
            f"{len(missing)} of {len(maps)} sky maps of {source} do not exist: "
            f"{some(map(str, missing), 5)}; correct the list"
        )
    if not maps:
        raise LlamaError(f"{source} lists no sky maps; put one path per line")
    return maps


def content_of(path: Path) -> bytes:
    """Return the bytes of one piece of a study, a sky map or a list; `LlamaError` if it cannot."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise LlamaError(f"{path} cannot be read ({error.strerror}); replace it") from error


def trigger_gps(run: str, tiles: SkyTiles) -> float:
    """Return the time of a map's injections [GPS s]: in their run, at the sidereal time of the map.

    That is as its header has DATE-OBS; a map without is of the first time of the run.
    """
    first = float(round(iso_to_gps(_DATES.get(run, _DATES["o4"]))))
    with contextlib.suppress(LlamaError):
        away_s = iso_to_gps(str(tiles.meta.get("date_obs", ""))) - first
        return first + round(away_s % SIDEREAL_DAY_S)
    return first


def read_coincs(path: Path) -> list[tuple[str, str]]:
    """Return (id, detectors) of each coincidence, detectors like H1L1V1, in the table's order.

    Any table with a header, commented or not, columns separated by tabs, commas or blanks; an id
    like `coinc_event:coinc_event_id:12` is 12. LlamaError that names line or columns.
    """
    try:
        lines = [line for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise LlamaError(
            f"cannot read {path} ({error}); give the coincs.dat of a simulation"
        ) from error
    if not lines:
        raise LlamaError(f"{path} is empty; give the coincs.dat of a simulation")
    heads = [*itertools.takewhile(lambda line: line.startswith("#"), lines)]
    heads += lines[len(heads) : len(heads) + 1]  # the header may be a comment
    for head in heads:
        separator = next((mark for mark in "\t," if mark in head), None)
        header = [name.strip().lower() for name in _fields(head.lstrip("# "), separator)]
        columns = [
            next((header.index(name) for name in names if name in header), -1)
            for names in (_IDS, _DETECTORS)
        ]
        if -1 not in columns:
            break
    else:
        raise LlamaError(
            f"{path} has the columns {', '.join(header)[:100]}; "
            f"it needs one of {', '.join(_IDS)} and one of {', '.join(_DETECTORS)}"
        )
    rows = []
    for number, line in enumerate(lines, 1):
        if line is head or line.startswith("#"):
            continue
        fields = _fields(line, separator)
        if len(fields) != len(header):
            raise LlamaError(
                f"{path} has {len(fields)} columns in line {number}, not {len(header)}; correct it"
            )
        identity = re.search(r"(\d+)$", fields[columns[0]])
        detectors = sorted(set(re.findall(r"[A-Z]\d", fields[columns[1]])))
        if identity is None or not detectors:
            raise LlamaError(f"{path} has no id or no detectors in line {number}; correct it")
        rows.append((identity[1], "".join(detectors)))
    if len({identity for identity, _ in rows}) != len(rows):
        raise LlamaError(f"{path} has the same id twice; correct it")
    return rows


def _fields(line: str, separator: str | None) -> list[str]:
    try:
        cells = next(csv.reader([line])) if separator == "," else line.split(separator)
    except csv.Error:
        cells = [line]  # a cell of 128 kB: there will be too few
    return [cell.strip() for cell in cells]


def write_lists(coincs: list[tuple[str, str]], maps: Path, out: Path) -> dict[str, int]:
    """Write `<out>/<detectors>.csv`, one full path of a sky map per line; return the counts.

    maps: directory with `<id>.fits.gz` or `<id>.fits`, at any depth. Every coincidence must have
    its map and every map its coincidence, else LlamaError with the names, and nothing is written.
    """
    lists = _maps_by_detectors(coincs, maps)
    for detectors, paths in lists.items():
        _write_list(out / f"{detectors}.csv", paths)
    return {detectors: len(paths) for detectors, paths in sorted(lists.items())}


def write_list(coincs: list[tuple[str, str]], maps: Path, detectors: str, path: str) -> None:
    """Write one of the lists of `write_lists`; maps that are in no coincidence are left out."""
    lists = _maps_by_detectors(coincs, maps, surplus=True)
    wanted = "".join(sorted(re.findall("..", detectors)))
    if wanted not in lists:
        counts = ", ".join(f"{name} {len(found)}" for name, found in sorted(lists.items()))
        raise LlamaError(
            f"no sky map was seen by just {wanted} ({counts}); "
            "raise injections in background.simulations, or leave out the study"
        )
    _write_list(Path(path), lists[wanted])


def _write_list(path: Path, maps: list[Path]) -> None:
    write_bytes(path, "".join(f"{name}\n" for name in maps).encode())


def _maps_by_detectors(
    coincs: list[tuple[str, str]], maps: Path, surplus: bool = False
) -> dict[str, list[Path]]:
    there: dict[str, Path] = {}
    for path in _maps_in(maps):
        stem = path.name.removesuffix(".gz").removesuffix(".fits")
        other = there.setdefault(stem, path.resolve())
        if other != path.resolve():
            raise LlamaError(
                f"{other} and {path} have the same id; give the directory of one simulation"
            )
    wanted = {identity for identity, _ in coincs}
    missing = [f"{identity}.fits.gz" for identity, _ in coincs if identity not in there]
    extra = [] if surplus else [path.name for stem, path in there.items() if stem not in wanted]
    if missing:
        raise LlamaError(
            f"{len(missing)} of {len(wanted)} coincidences have no sky map in {maps}: "
            f"{some(missing)}; add the maps or correct the table"
        )
    if extra:
        raise LlamaError(
            f"{len(extra)} sky maps in {maps} are not in the table: {some(extra)}; "
            "give the table that belongs to the maps"
        )
    lists: dict[str, list[Path]] = defaultdict(list)
    for identity, detectors in coincs:
        lists[detectors].append(there[identity])
    return dict(lists)


def count_without_distance(listed: Path) -> int:
    """Return how many maps of a list have no distance, as those of bursts; broken ones are not."""
    from llama.sky.table import find_table  # imports slowly

    count = 0
    for path in list_skymaps(listed):
        with contextlib.suppress(OSError, LlamaError):
            count += "DISTMU" not in find_table(path.read_bytes(), str(path)).columns
    return count


def pack(directory: Path, archive: Path) -> Iterator[Path]:
    """Write all sky maps, gzipped, to a .tar.gz, and yield each; LlamaError if there are none."""
    maps = _maps_in(directory)
    if not maps:
        raise LlamaError(f"{directory} holds no sky maps (.fits, .fits.gz); give their directory")
    with atomic_path(archive) as temporary, tarfile.open(temporary, "w:gz", compresslevel=1) as tar:
        for path in maps:
            within = path.relative_to(directory).as_posix().removesuffix(".gz")
            name = f"{directory.resolve().name}/{within}.gz"
            if path.name.endswith(".gz"):
                tar.add(path, name)
            else:
                with atomic_path(archive.with_name(f".{path.name}.gz")) as zipped:
                    with path.open("rb") as source, gzip.open(zipped, "wb", 6) as target:
                        shutil.copyfileobj(source, target)
                    tar.add(zipped, name)
                archive.with_name(f".{path.name}.gz").unlink()
            yield path


def _maps_in(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise LlamaError(f"{directory} is no directory; give that of the sky maps")

    def refuse(error: OSError) -> None:
        raise LlamaError(
            f"{error.filename} cannot be read ({error.strerror}), and may hold sky maps; correct "
            "its permissions"
        ) from error

    found = [
        Path(place, name)
        for place, _, names in os.walk(directory, onerror=refuse)  # rglob leaves them out
        for name in names
    ]
    return sorted(
        path
        for path in found
        if path.name.endswith(SKYMAP_SUFFIXES) and not is_litter(str(path.relative_to(directory)))
    )


def some(names: Iterable[str], most: int = 10) -> str:
    """Return the first names, each of 200 characters at most, for an error's sentence."""
    listed = [name[:200] for name in names]
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")
