"""The neutrino archive: a public release in the internal form, checked once, then only read.

`<archive_dir>/<name>/` holds `events.hdf5` (groups events, uptime, effective_areas),
`response.hdf5` (see `Response`), `archive.json` (where it came from, what was rejected) and, of a
release with a smearing matrix which can be read, `smearing.hdf5` (see `Smearing`) and
`detector.hdf5` (see `Detector`).
"""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import numpy as np
from msgspec import Meta

from llama import __version__
from llama.errors import LlamaError
from llama.files import atomic_hdf5, read_json, reading_hdf5, sha256_file, write_json
from llama.neutrinos.release import MOCK_SEASON, EffectiveArea, Release, read_release
from llama.neutrinos.release_table import Progress
from llama.neutrinos.response import Response, build_response
from llama.neutrinos.seasons import check_area, release_files
from llama.neutrinos.smearing import Smearing, read_smearing
from llama.neutrinos.table import Columns
from llama.times import gps_to_iso
from llama.typed import as_written

COLUMNS = (
    *("mjd", "gps", "ra_deg", "dec_deg", "sigma_deg", "energy_gev", "zenith_deg", "azimuth_deg"),
    *("run", "event", "subevent"),
)


_MOST_GPS_S = 1e11  # what has a date


class About(TypedDict):
    """The content of `archive.json`; the last four are what `summary` adds."""

    name: str
    source: str
    software_version: str
    identity: str
    events: Annotated[int, Meta(ge=0, le=1 << 62)]
    first_gps: Annotated[float, Meta(ge=0, le=_MOST_GPS_S)]
    last_gps: Annotated[float, Meta(ge=0, le=_MOST_GPS_S)]
    livetime_s: Annotated[float, Meta(gt=0)]
    effective_area_season: str
    simulated: bool
    seasons: list[str]
    event_seasons: NotRequired[list[str]]  # archives of earlier versions lack these three
    left_out_seasons: NotRequired[list[str]]
    smearing: NotRequired[bool]
    counts: dict[str, dict[str, int]]
    inputs: dict[str, str]
    first: NotRequired[str]
    last: NotRequired[str]
    livetime_days: NotRequired[float]
    rate_hz: NotRequired[float]


@dataclass(frozen=True)
class Archive:
    """An imported archive; opening it reads `archive.json` only."""

    directory: Path
    about: About

    @classmethod
    def open(cls, directory: str | Path) -> "Archive":
        """Open `<archive_dir>/<name>`; `LlamaError` when nothing has been imported there."""
        path = Path(directory)
        if not (path / "archive.json").is_file():
            raise LlamaError(
                f"there is no neutrino archive in {path}; "
                "make one with `llama neutrinos import PATH`"
            )
        about = path / "archive.json"
        remedy = "import the archive again with llama neutrinos import"
        return cls(path, as_written(read_json(about), About, str(about), remedy))

    @property
    def name(self) -> str:
        """The name given at import."""
        return str(self.about["name"])

    @property
    def identity(self) -> str:
        """Twelve hexadecimal digits that change when any number in the archive changes."""
        return str(self.about["identity"])

    @property
    def rate_hz(self) -> float:
        """Rate of its events, whole sky."""
        return self.about["events"] / self.about["livetime_s"]

    @property
    def simulated(self) -> bool:
        """Whether the events come from a toy release (see `mock.py`)."""
        return bool(self.about["simulated"])

    def events(self) -> Columns:
        """Return all events: one array per name of `COLUMNS`, ascending gps (s), angles in deg."""
        with self._open() as file:
            return {name: file["events"][name][()] for name in COLUMNS}

    def query(self, start_gps: float, stop_gps: float) -> Columns:
        """Return the events with start_gps <= gps <= stop_gps, like `events`."""
        with self._open() as file:
            gps = file["events/gps"][()]
            first = int(np.searchsorted(gps, start_gps, "left"))
            last = int(np.searchsorted(gps, stop_gps, "right"))
            return {name: file["events"][name][first:last] for name in COLUMNS}

    def livetime_s(self, start_gps: float, stop_gps: float) -> float:
        """Return the seconds of good detector uptime between two times."""
        with self._open() as file:
            runs = file["uptime"][()]
        overlap = np.minimum(runs[:, 1], stop_gps) - np.maximum(runs[:, 0], start_gps)
        return float(np.maximum(overlap, 0.0).sum())

    def covers(self, start_gps: float, stop_gps: float) -> bool:
        """Say whether the detector was taking good data all the time between two times."""
        return self.livetime_s(start_gps, stop_gps) >= stop_gps - start_gps - 0.01

    def has_event_after(self, gps: float) -> bool:
        """Say whether the archive goes on after a time, so that nothing before it is to come."""
        return float(self.about["last_gps"]) > gps

    def response(self) -> Response:
        """Return the detector and background tables made at import."""
        return Response.load(self.directory / "response.hdf5")

    def smearing(self) -> Smearing | None:
        """Return the release's simulation of the detector, None if it has none that is read."""
        path = self.directory / "smearing.hdf5"
        return Smearing.load(path) if path.is_file() else None

    def _open(self) -> AbstractContextManager[Any]:
        path = self.directory / "events.hdf5"
        remedy = "import the archive again with `llama neutrinos import PATH`"
        return reading_hdf5(path, f"{path} cannot be read; {remedy}")


def import_release(
    directory: str | Path,
    archive_dir: str | Path,
    name: str,
    season: str | None = None,
    seasons: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> About:
    """Write a release directory to `<archive_dir>/<name>` and return its `archive.json`.

    `seasons` chooses the events (default: those of the newest configuration), `season` the
    effective area of the response (default: that of the newest of them). `progress` is told how
    far the smearing matrix is read. An archive of that name is replaced only after the new one is
    complete.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise LlamaError(
            f"{name[:40]!r} cannot name an archive; use letters, digits, '.', '_' and '-'"
        )
    directory = Path(directory)
    release = read_release(directory, seasons)
    areas = {area.season: area for area in release.areas}
    area = areas.get(season or release.area_season)
    if area is None:
        raise LlamaError(f"there is no effective area {season!r}; choose one of {', '.join(areas)}")
    check_area(area.season, release.seasons)
    energy, dec, sigma = (release.events[n] for n in ("energy_gev", "dec_deg", "sigma_deg"))
    rate_hz = energy.size / float(np.diff(release.uptime_gps, axis=1).sum())
    # all but some strays: a release states its own floor
    response = build_response(area, energy, dec, rate_hz, float(np.quantile(sigma, 1e-3)))
    # The matrices of the 10-year release have other bins; only DR2's events have numbers.
    matrices = release_files(directory, "irfs", "_smearing") if release.numbered else {}
    matrix = matrices.get(area.season)
    smearing = read_smearing(matrix, progress) if matrix else None
    about = _describe(release, response, directory, name, matrix, smearing)
    target = Path(archive_dir) / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=target.parent))
        try:
            _write_events(temporary / "events.hdf5", release)
            response.save(temporary / "response.hdf5")
            if smearing:
                smearing.save(temporary / "smearing.hdf5")
                _save_detector(temporary / "detector.hdf5", smearing, area, response, release)
            write_json(temporary / "archive.json", about)
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


def summary(archive_dir: str | Path) -> dict[str, About]:
    """Return what each archive in `archive_dir` holds, by name: `archive.json` and derived rates.

    Added keys: first and last (UTC), livetime_days, rate_hz. Empty when nothing was imported.
    """
    archives: dict[str, About] = {}
    for path in sorted(Path(archive_dir).glob("[!.]*/archive.json")):
        about = Archive.open(path.parent).about
        archives[about["name"]] = {
            **about,
            "first": gps_to_iso(about["first_gps"], 0),
            "last": gps_to_iso(about["last_gps"], 0),
            "livetime_days": about["livetime_s"] / 86400.0,
            "rate_hz": about["events"] / about["livetime_s"],
        }
    return archives


def _describe(
    release: Release,
    response: Response,
    directory: Path,
    name: str,
    matrix: Path | None,
    smearing: Smearing | None,
) -> About:
    gps = release.events["gps"]
    files = (*release.files, *([matrix] if matrix else []))
    return {
        "name": name,
        "source": str(directory.resolve()),
        "software_version": __version__,
        "identity": _identity(release, response, smearing),
        "events": len(gps),
        "first_gps": float(gps[0]),
        "last_gps": float(gps[-1]),
        "livetime_s": float(np.diff(release.uptime_gps, axis=1).sum()),
        "effective_area_season": response.season,
        "simulated": any(area.season == MOCK_SEASON for area in release.areas),
        "seasons": [area.season for area in release.areas],
        "event_seasons": list(release.seasons),
        "left_out_seasons": list(release.left_out),
        "smearing": smearing is not None,
        "counts": release.counts,
        "inputs": {str(p.relative_to(directory)): sha256_file(p) for p in files},
    }


def _identity(release: Release, response: Response, smearing: Smearing | None) -> str:
    digest = hashlib.sha256()
    tables = {name: release.events[name] for name in COLUMNS} | {"uptime": release.uptime_gps}
    tables |= response.tables
    if smearing:
        tables |= {"smearing": smearing.events, "smearing_edges": smearing.edges}
    for name, table in tables.items():
        digest.update(f"{name} {table.dtype.str} {table.shape};".encode())
        digest.update(np.ascontiguousarray(table).data)
    return digest.hexdigest()[:12]


def _save_detector(
    path: Path, smearing: Smearing, area: EffectiveArea, response: Response, release: Release
) -> None:
    from llama.neutrinos.detector import build_detector  # other releases do not wait for it

    energy, dec, sigma = (release.events[n] for n in ("energy_gev", "dec_deg", "sigma_deg"))
    build_detector(smearing, area, response, energy, dec, sigma).save(path)


def _write_events(path: Path, release: Release) -> None:
    with atomic_hdf5(path) as file:
        for name in COLUMNS:
            file[f"events/{name}"] = release.events[name]
        file["uptime"] = release.uptime_gps
        for area in release.areas:
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
