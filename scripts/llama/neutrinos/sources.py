"""Where the neutrinos of an event may come from; how to add a source is in docs/neutrinos.md."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from llama.errors import LlamaError, sentence
from llama.neutrinos.archive import Archive
from llama.neutrinos.table import Rows, from_columns

ENTRY_POINTS = "llama.neutrino_sources"
_BUILT_IN = {
    "archive": "llama.neutrinos.sources:ArchiveSource",
    "files": "llama.neutrinos.files_source:FilesSource",
    "gcn": "llama.neutrinos.gcn:GcnSource",
    "https_json": "llama.neutrinos.https_json:HttpsJsonSource",
}

_SAME_S, _SAME_SIGMA = 1.0, 2.0  # how near two sources' readings of one neutrino are

log = logging.getLogger("llama.neutrinos")


@dataclass(frozen=True)
class Found:
    """What a source has for a window.

    `rows`: mjd (UTC), ra, dec, sigma (deg, 1 sigma of a 2D Gaussian), energy (GeV, None if not
    known), type, and if known gps, zenith, azimuth, run, event, subevent, id; other keys are kept.
    `covers`: whether the source has looked at the window at all. `complete`: whether it says that
    nothing is to come. `about`: what the list tells of its source. `unusable`: a sentence for each
    thing that may be a neutrino of the window, and cannot be read; with one, nothing is complete.
    """

    rows: Rows
    covers: bool
    complete: bool
    about: Mapping[str, object] = field(default_factory=dict)
    livetime_s: float | None = None
    unusable: Sequence[str] = ()


class Source(Protocol):
    """One source, made as `Class(name, options, output_dir)` from its line in the settings."""

    time_scale: str  # of the times that it is given in
    sigma: str  # what its angular error means
    completeness: str  # when it says that nothing is to come
    credentials: str  # what it needs to be let in
    network: bool  # whether it asks other machines, which the flag ONLINE permits

    name: str

    def state(self, start_gps: float, stop_gps: float) -> object:
        """Return JSON that changes when `fetch` would return something else; cheap, never fails.

        It is asked for up to `events.tracked_newest` windows each time that Snakemake looks for
        what is outdated.
        """

    def fetch(self, start_gps: float, stop_gps: float) -> Found:
        """Return what there is for a window; `LlamaError` when that cannot be said."""


Maker = Callable[[str, Mapping[str, object], Path], Source]


class SourceOptions(BaseModel):
    """The options of a source in the settings; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Options = TypeVar("Options", bound=SourceOptions)


def check_options(model: type[Options], name: str, options: Mapping[str, object]) -> Options:
    """Return the checked options of the source `name`; `LlamaError` says which one is wrong."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(map(str, ("neutrinos.source", name, *detail["loc"])))
        what = detail["msg"].removeprefix("Value error, ")
        raise LlamaError(
            f"{place} is wrong ({what}); known options are {', '.join(model.model_fields)}, "
            "see docs/neutrinos.md"
        ) from error


def open_sources(
    wanted: Mapping[str, Mapping[str, object]], output_dir: Path, archive: str
) -> list[Source]:
    """Return the sources of the settings `neutrinos.source`; without any, that of `archive`."""
    sources = []
    for name, line in (wanted or {"archive": {}}).items():
        options = {key: value for key, value in line.items() if key != "detector"}
        kind = str(options.pop("kind", name))
        if kind == "archive":
            options.setdefault("archive", archive)
        sources.append(_class(kind)(name, options, output_dir))
    return sources


@cache
def _class(kind: str) -> Maker:
    if kind in _BUILT_IN:
        module, _, name = _BUILT_IN[kind].partition(":")
        return cast(Maker, getattr(import_module(module), name))
    others = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if kind in others:
        return cast(Maker, others[kind].load())
    known = ", ".join(sorted({*_BUILT_IN, *others}))
    raise LlamaError(f"{kind[:40]!r} is no kind of neutrino source; known are {known}")


def state_of(sources: Sequence[Source], start_gps: float, stop_gps: float, online: bool) -> object:
    """Return JSON that changes when `collect` would return something else."""
    return [
        [source.name, _state(source, start_gps, stop_gps)] for source in _allowed(sources, online)
    ]


def _state(source: Source, start_gps: float, stop_gps: float) -> object:
    """Return the state of a source; one that fails all the same stops no other event."""
    try:
        return source.state(start_gps, stop_gps)
    except Exception as error:
        log.exception("the neutrino source %s cannot tell its state", source.name)
        return ["failed", type(error).__name__]


def _fetch(source: Source, start_gps: float, stop_gps: float) -> Found:
    try:
        return source.fetch(start_gps, stop_gps)
    except LlamaError:
        raise
    except Exception as error:
        raise LlamaError(
            f"the neutrino source {source.name} fails ({sentence(error)}); mend it, or take it out "
            "of neutrinos.source"
        ) from error


def collect(
    sources: Sequence[Source], start_gps: float, stop_gps: float, online: bool = True
) -> Found:
    """Return what all sources have together; those that ask other machines only if `online`.

    An event (run, event, subevent) that several have is that of the first, and so is a neutrino
    within 1 s and 2 sigma of one of an earlier source: `repeats` names it. All that cover the
    window must say that nothing is to come.
    """
    parts, rows, seen = [], Rows(), set()
    for source in _allowed(sources, online):
        found = _fetch(source, start_gps, stop_gps)
        if not found.covers:
            continue
        declared = {name: getattr(source, name) for name in ("time_scale", "sigma", "completeness")}
        about = {"name": source.name, **declared, **found.about, "complete": found.complete}
        parts.append((found, about))
        before, repeats = len(rows), []
        for row in found.rows:
            key = identity(row)
            if key is not None and key in seen:
                continue
            if first := next((other for other in rows[:before] if _is_same(row, other)), None):
                repeats.append(f"MJD {row['mjd']:.6f} is MJD {first['mjd']:.6f} of another source")
            else:
                rows.append(row)
        if repeats:
            about["repeats"] = repeats
        seen |= {identity(row) for row in found.rows} - {None}
    livetimes = [found.livetime_s for found, _ in parts if found.livetime_s is not None]
    abouts = [about for _, about in parts]
    names = " + ".join(str(about["name"]) for about in abouts)
    return Found(
        rows=rows,
        covers=bool(parts),
        complete=bool(parts) and all(f.complete and not f.unusable for f, _ in parts),
        about=abouts[0] if len(parts) == 1 else {"kind": "several", "name": names, "parts": abouts},
        livetime_s=max(livetimes, default=None),
        unusable=[sentence for found, _ in parts for sentence in found.unusable],
    )


def _is_same(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two sources have one neutrino: within 1 s and 2 sigma of both."""
    if abs(row["mjd"] - other["mjd"]) * 86_400 > _SAME_S:
        return False
    turn, north, south = (
        math.radians(angle) for angle in (row["ra"] - other["ra"], row["dec"], other["dec"])
    )
    half = math.sin((north - south) / 2) ** 2
    half += math.cos(north) * math.cos(south) * math.sin(turn / 2) ** 2
    apart_deg = math.degrees(2 * math.asin(min(1.0, math.sqrt(half))))
    return apart_deg <= _SAME_SIGMA * math.hypot(row["sigma"], other["sigma"])


def _allowed(sources: Sequence[Source], online: bool) -> list[Source]:
    return [source for source in sources if online or not source.network]


def identity(row: Mapping[str, object]) -> tuple[object, ...] | None:
    """Return run, event and subevent of a neutrino, None where it has no such numbers."""
    numbers = tuple(-1 if row.get(key) is None else row[key] for key in ("run", "event"))
    return None if -1 in numbers else (*numbers, row.get("subevent") or 0)


class ArchiveSource:
    """An imported release (10-year, IceTracks-DR2); see `llama neutrinos import`."""

    time_scale = "UT1, taken as UTC (0.9 s at most)"
    sigma = "angular error of the release, 1 sigma"
    completeness = "its events go on after the window, or its uptime covers it"
    credentials = "none"
    network = False

    class _Options(SourceOptions):
        archive: str

    def __init__(self, name: str, options: Mapping[str, object], output_dir: Path) -> None:
        self.name = name
        chosen = check_options(self._Options, name, options)
        self._directory = output_dir / "archive" / chosen.archive
        self._archive: Archive | None = None

    @classmethod
    def of(cls, archive: Archive) -> "ArchiveSource":
        """Return the source of an archive that is open."""
        source = cls("archive", {"archive": archive.directory.name}, Path())
        source._archive = archive
        return source

    def state(self, start_gps: float, stop_gps: float) -> str | None:
        """Return the identity of the archive of that time, None while there is none."""
        archive = self._open(start_gps, stop_gps)
        return archive.identity if archive else None

    def fetch(self, start_gps: float, stop_gps: float) -> Found:
        """Return the events of the window; those of a toy release have type simulated."""
        archive = self._open(start_gps, stop_gps)
        livetime_s = archive.livetime_s(start_gps, stop_gps) if archive else 0.0
        if archive is None or not livetime_s:
            return Found([], covers=False, complete=False)
        kind = "simulated" if archive.simulated else "observation"
        found = from_columns(archive.query(start_gps, stop_gps), kind)
        return Found(
            rows=[neutrino.row() for neutrino in found],
            covers=True,
            complete=archive.has_event_after(stop_gps) or archive.covers(start_gps, stop_gps),
            about={"kind": "archive", "name": archive.name, "identity": archive.identity},
            livetime_s=livetime_s,
        )

    def _open(self, start_gps: float, stop_gps: float) -> Archive | None:
        if self._archive is None and (self._directory / "archive.json").exists():
            self._archive = Archive.open(self._directory)
        if self._archive is not None and self._archive.drawn:
            return None
        return self._archive and self._archive.at((start_gps + stop_gps) / 2)
