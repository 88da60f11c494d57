"""The neutrino archive: a public release in the internal form, checked once, then only read.

`<archive_dir>/<name>/` holds `events.hdf5` (groups events, uptime, effective_areas),
`response.hdf5` (see `Response`), `archive.json` (where it came from, what was rejected); where
there is a simulation of the detector, `detector.hdf5` (see `Detector`), and `smearing.hdf5` (see
`Smearing`) if it is the release's own. An older configuration of the detector that the release
has, too, is an archive of the same form inside of it, `<archive_dir>/<name>/IC79/`.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import numpy as np
from msgspec import Meta

from llama.errors import LlamaError
from llama.files import read_json, reading_hdf5
from llama.neutrinos.response import Response
from llama.neutrinos.table import Columns
from llama.times import gps_to_iso
from llama.typed import as_written

COLUMNS = (
    *("mjd", "gps", "ra_deg", "dec_deg", "sigma_deg", "energy_gev", "zenith_deg", "azimuth_deg"),
    *("run", "event", "subevent"),
)


_MOST_GPS_S = 1e11  # what has a date
_HALF_DAY_S = 43_200.0


class SiteOf(TypedDict):
    """Where a detector is."""

    latitude_deg: float
    longitude_deg: float


class About(TypedDict):
    """The content of `archive.json`; first to rate_hz are what `summary` adds.

    background: of a detector away from the pole that is known as a mean only; site: of one that is
    known in local coordinates; drawn: from a table.
    """

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
    event_seasons: list[str]
    left_out_seasons: list[str]
    smearing: Literal["own", "public IC86"] | None
    smearing_reason: str
    unlike: list[str]
    counts: dict[str, dict[str, int]]
    inputs: dict[str, str]
    first: NotRequired[str]
    last: NotRequired[str]
    livetime_days: NotRequired[float]
    rate_hz: NotRequired[float]
    background: NotRequired[Literal["sidereal mean"]]
    site: NotRequired[SiteOf]
    drawn: NotRequired[bool]


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
        """The name given at import; of an older configuration with its own, toy/IC79."""
        return str(self.about["name"])

    @property
    def identity(self) -> str:
        """Twelve hexadecimal digits that change when any number in the archive changes."""
        return str(self.about["identity"])

    @property
    def simulated(self) -> bool:
        """Whether the events come from a toy release (see `mock.py`)."""
        return bool(self.about["simulated"])

    @property
    def drawn(self) -> bool:
        """Whether the events are drawn from a table of their rates, and happened to nobody."""
        return bool(self.about.get("drawn"))

    @property
    def turns(self) -> bool:
        """Whether the detector sees the sky turn, and its archive is in local coordinates."""
        return "site" in self.about

    @property
    def rate_hz(self) -> float:
        """Events per second of uptime."""
        return float(self.about["events"] / self.about["livetime_s"])

    @cached_property
    def older(self) -> "tuple[Archive, ...]":
        """The archives of older configurations that were imported with it, the newest first."""
        found = [Archive.open(p.parent) for p in self.directory.glob("[!.]*/archive.json")]
        return tuple(sorted(found, key=lambda archive: archive.about["last_gps"], reverse=True))

    def at(self, gps: float) -> "Archive":
        """Return the archive of the configuration that took data at a time; this one if none did.

        Seasons overlap: the one with most uptime within half a day is taken, of equals the newest.
        """
        near = [archive for archive in (self, *self.older) if archive._is_near(gps)]
        if len(near) < 2:
            return near[0] if near else self
        return max(near, key=lambda a: a.livetime_s(gps - _HALF_DAY_S, gps + _HALF_DAY_S))

    def _is_near(self, gps: float) -> bool:
        first, last = self.about["first_gps"], self.about["last_gps"]
        return first - _HALF_DAY_S <= gps <= last + _HALF_DAY_S

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

    def _open(self) -> AbstractContextManager[Any]:
        path = self.directory / "events.hdf5"
        remedy = "import the archive again with `llama neutrinos import PATH`"
        return reading_hdf5(path, f"{path} cannot be read; {remedy}")


def summary(archive_dir: str | Path) -> dict[str, About]:
    """Return what each archive in `archive_dir` holds, by name: `archive.json` and derived rates.

    An older configuration comes after the newest, as toy/IC79. Added keys: first and last (UTC),
    livetime_days, rate_hz. Empty when nothing was imported.
    """
    archives: dict[str, About] = {}
    for path in sorted(Path(archive_dir).glob("[!.]*/archive.json")):
        newest = Archive.open(path.parent)
        for archive in (newest, *newest.older):
            about = archive.about
            archives[archive.name] = {
                **about,
                "first": gps_to_iso(about["first_gps"], 0),
                "last": gps_to_iso(about["last_gps"], 0),
                "livetime_days": about["livetime_s"] / 86400.0,
                "rate_hz": archive.rate_hz,
            }
    return archives
