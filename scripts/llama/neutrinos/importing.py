"""Making an archive of a release directory, whole or not at all (see `archive` for its form)."""

import dataclasses
import hashlib
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from llama import __version__
from llama.errors import LlamaError
from llama.files import atomic_hdf5, sha256_file, write_json
from llama.neutrinos.archive import COLUMNS, About
from llama.neutrinos.likeness import unlike_seasons
from llama.neutrinos.local import Local
from llama.neutrinos.other_release import OtherRelease, read_other
from llama.neutrinos.release import MOCK_SEASON, EffectiveArea, Release, read_release
from llama.neutrinos.release_table import Progress
from llama.neutrinos.response import Response, build_response
from llama.neutrinos.seasons import check_area, configuration, release_files, with_area
from llama.neutrinos.simulation import ANGERR, ANGERR_STEP
from llama.neutrinos.smearing import Smearing
from llama.neutrinos.smearing_table import GRID, is_of_ten_years, read_smearing


class _Simulation(NamedTuple):
    """The smearing matrix of an archive, where it is from, and a few words that say why."""

    matrix: Smearing | None
    kind: Literal["own", "public IC86"] | None
    reason: str
    path: Path | None = None


class _Made(NamedTuple):
    """An archive that is still to be written."""

    release: Release
    area: EffectiveArea
    response: Response
    simulation: _Simulation
    told: Mapping[str, Any] = {}
    local_area: EffectiveArea | None = None
    local: Local | None = None


def import_release(
    directory: str | Path,
    archive_dir: str | Path,
    name: str,
    season: str | None = None,
    seasons: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> About:
    """Write a release directory to `<archive_dir>/<name>` and return its `archive.json`.

    `seasons` chooses the events, all for one background; by default they are those of the newest
    configuration, and every older one with an area of its own becomes an archive inside.
    `season`: the effective area of the response (default: that of the newest of the events).
    `progress` is told how far a smearing matrix is read. An archive of that name is replaced only
    after the new one is complete.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise LlamaError(
            f"{name[:40]!r} cannot name an archive; use letters, digits, '.', '_' and '-'"
        )
    directory = Path(directory)
    newest = _read(directory, season, seasons, progress)
    left_out, areas = newest.release.left_out, [area.season for area in newest.release.areas]
    before = [] if seasons else with_area(left_out, areas)
    nowhere = [name for name in left_out if configuration(name) not in before]
    target = Path(archive_dir) / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=target.parent))
        try:
            about = _write(temporary, newest, directory, name, nowhere)
            del newest  # of 1.6 million events
            for kind in before:
                made = _read(directory, None, [kind], progress)
                (temporary / kind).mkdir()
                _write(temporary / kind, made, directory, f"{name}/{kind}", nowhere)
            temporary.chmod(0o755)
            _replace_directory(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise LlamaError(
            f"cannot write the archive {target}: {error.strerror or error}; "
            "free some space or correct the permissions, then import again"
        ) from error
    return about


def _read(
    directory: Path, season: str | None, seasons: Sequence[str] | None, progress: Progress | None
) -> _Made:
    """Return what the archive of some seasons is made of."""
    if other := read_other(directory, season):
        return _made_of_other(other)
    release = read_release(directory, seasons)
    areas = {area.season: area for area in release.areas}
    area = areas.get(season or release.area_season)
    if area is None:
        raise LlamaError(f"there is no effective area {season!r}; choose one of {', '.join(areas)}")
    check_area(area.season, release.seasons)
    simulation = _simulation(directory, area.season, progress)
    return _Made(release, area, _response(release, area), simulation)


def _response(release: Release, area: EffectiveArea) -> Response:
    energy, dec, sigma = (release.events[n] for n in ("energy_gev", "dec_deg", "sigma_deg"))
    rate_hz = energy.size / float(np.diff(release.uptime_gps, axis=1).sum())
    # all but some strays: a release states its own floor
    return build_response(area, energy, dec, rate_hz, float(np.quantile(sigma, 1e-3)))


def _made_of_other(other: OtherRelease) -> _Made:
    """Return what the archive of another detector than IceCube is made of."""
    area = other.release.areas[0]
    simulation = _Simulation(other.matrix, "own" if other.matrix else None, other.reason)
    response = _response(other.release, area)
    made = _Made(other.release, area, response, simulation, other.told)
    if other.local is None:
        return made
    area, site = other.local
    own = response.rate_hz, response.sigma_floor_deg
    events = other.release.events["energy_gev"], 90 - other.release.events["zenith_deg"]
    local = Local(build_response(area, *events, *own), site)
    told = {**other.told, "site": site._asdict()}
    return made._replace(told=told, local_area=area, local=local)


def _simulation(directory: Path, season: str, progress: Progress | None) -> _Simulation:
    """Return the matrix that goes with the effective area of a season."""
    found = release_files(directory, "irfs", "_smearing")
    path, others = found.get(season), ", ".join(found)
    if path is None:
        why = f"irfs has those of {others}" if found else "the release has none in irfs"
    elif is_of_ten_years(path):
        why = f"{path.name} has the three declination bins of the 10-year release, too few"
    else:
        from llama.neutrinos.mock import GRID as MOCK_GRID

        grid = MOCK_GRID if season == MOCK_SEASON else GRID
        return _Simulation(read_smearing(path, progress, grid), "own", path.name, path)
    if configuration(season) == "IC86":
        return _Simulation(Smearing.load(), "public IC86", why)
    return _Simulation(
        None, None, f"{why}, and the public one is of IC86, whose energy proxy is another"
    )


def _write(target: Path, made: _Made, directory: Path, name: str, left_out: Sequence[str]) -> About:
    """Write an archive into an empty directory; left_out: seasons that none has."""
    release, response, matrix = made.release, made.response, made.simulation.matrix
    local_area, local = made.local_area, made.local
    areas = (*release.areas, *((local_area,) if local_area else ()))
    _write_events(target / "events.hdf5", release, areas)
    response.save(target / "response.hdf5", local)
    if matrix:
        from llama.neutrinos.detector import build_detector  # other releases do not wait for it

        energy, dec, sigma = (release.events[n] for n in ("energy_gev", "dec_deg", "sigma_deg"))
        built = [build_detector(matrix, made.area, response, energy, dec, sigma)]
        if local and local_area and isinstance(local.response, Response):
            altitude = 90 - release.events["zenith_deg"]
            built += [build_detector(matrix, local_area, local.response, energy, altitude, sigma)]
        if made.told.get("drawn"):  # whose errors follow from the proxy, and say nothing
            even = np.full_like(built[0].signal_angerr, 1 / (ANGERR.size * ANGERR_STEP))
            built = [
                dataclasses.replace(tables, signal_angerr=even, background_angerr=even)
                for tables in built
            ]
        at_site = local._replace(response=built[1]) if local else None
        built[0].save(target / "detector.hdf5", at_site)
        if made.simulation.kind == "own":
            matrix.save(target / "smearing.hdf5")
    about = _describe(made, directory, name, left_out)
    write_json(target / "archive.json", about)
    return about


def _describe(made: _Made, directory: Path, name: str, left_out: Sequence[str]) -> About:
    release, simulation, gps = made.release, made.simulation, made.release.events["gps"]
    files = (*release.files, *([simulation.path] if simulation.path else []))
    return {
        "name": name,
        "source": str(directory.resolve()),
        "software_version": __version__,
        "identity": _identity(made),
        "events": len(gps),
        "first_gps": float(gps[0]),
        "last_gps": float(gps[-1]),
        "livetime_s": float(np.diff(release.uptime_gps, axis=1).sum()),
        "effective_area_season": made.area.season,
        "simulated": any(area.season == MOCK_SEASON for area in release.areas),
        "seasons": [area.season for area in release.areas],
        "event_seasons": list(release.seasons),
        "left_out_seasons": list(left_out),
        "smearing": simulation.kind,
        "smearing_reason": simulation.reason,
        "unlike": unlike_seasons(
            release.seasons,
            release.events["season"],
            np.log10(release.events["energy_gev"]),
            np.sin(np.radians(release.events["dec_deg"])),
            np.array(release.season_livetime_s),
        ),
        "counts": release.counts,
        "inputs": {str(p.relative_to(directory)): sha256_file(p) for p in files},
        **made.told,  # type: ignore[typeddict-item]
    }


def _identity(made: _Made) -> str:
    digest, release, matrix = hashlib.sha256(), made.release, made.simulation.matrix
    tables = {name: release.events[name] for name in COLUMNS} | {"uptime": release.uptime_gps}
    tables |= made.response.tables
    if made.local and isinstance(made.local.response, Response):
        tables |= {f"local {k}": table for k, table in made.local.response.tables.items()}
        tables["site"] = np.array(made.local.site)
    if matrix:
        tables |= {"smearing": matrix.events, "smearing_edges": matrix.edges}
    for name, table in tables.items():
        digest.update(f"{name} {table.dtype.str} {table.shape};".encode())
        digest.update(np.ascontiguousarray(table).data)
    return digest.hexdigest()[:12]


def _write_events(path: Path, release: Release, areas: Sequence[EffectiveArea]) -> None:
    with atomic_hdf5(path) as file:
        for name in COLUMNS:
            file[f"events/{name}"] = release.events[name]
        file["uptime"] = release.uptime_gps
        for area in areas:
            group = file.create_group(f"effective_areas/{area.season}")
            group["log10_energy_edges"] = area.log10_energy
            group["dec_edges_deg"] = area.dec_deg
            group["area_cm2"] = area.area_cm2


def _replace_directory(new: Path, target: Path) -> None:
    """Put `new` at `target`; what was there comes back on error."""
    if not target.exists():
        new.rename(target)
        return
    old = new.with_name(f"{new.name}.old")
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
