"""Seasons of a release: which go together, which area is theirs, and what is no release at all.

The energy proxy of IC40, IC59 and IC79 means something else than that of IC86: seasons of one
configuration make one background. IceTracks-DR2 has one area for all IC86 seasons; the 10-year
release has IC86_I, and IC86_II for itself and all later ones.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.files import is_litter, is_unfinished
from llama.neutrinos.release_table import read_table, titles_of
from llama.stats.healpix import directions_deg, unit_vectors
from llama.times import gps_to_iso

PARTIAL = ".part"  # end of the name of a file that is being fetched
_NUMERALS = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII"]
_FORMS = (".csv", ".tab", ".txt")
_ONE_SOURCE_DEG = 10.0  # the releases of single sources reach 3 deg
_MISSING = 30  # events that have to be missing before a file counts as cut
_DAY_S = 86400.0
_ENOUGH = 10  # events from which a list is told to be of one source, or of whole days


def season_of(path: Path) -> str:
    """Return IC86_IV for IC86_IV_exp.csv, IC86_IV_effectiveArea.tab and IC86_IV_smearing.csv."""
    return path.name.rpartition("_")[0]


def configuration(season: str) -> str:
    """Return IC86 for IC86 and IC86_IV; "" for a season that is not IceCube's."""
    match = re.match(r"IC\d+(?![0-9])", season)
    return match[0] if match else ""


def age(season: str) -> tuple[int, int, str]:
    """Order seasons by time: IC40, IC59, IC79, IC86_I, IC86_II, ... IC86_IX, IC86_X."""
    match = re.fullmatch(r"IC(\d+)(?:_([IVX]+))?", season)
    if not match or (match[2] or "") not in _NUMERALS:
        return (0, 0, season)
    return (int(match[1]), _NUMERALS.index(match[2] or ""), season)


def choose(there: Iterable[str], wanted: Sequence[str] | None) -> list[str]:
    """Return the seasons to use, oldest first: those wanted, else all of the newest configuration.

    A configuration, such as IC86, stands for all its seasons.
    """
    seasons = sorted(there, key=age)
    if not wanted:
        return [name for name in seasons if configuration(name) == configuration(seasons[-1])]
    for word in wanted:
        if not any(word in (name, configuration(name)) for name in seasons):
            raise LlamaError(f"there is no season {word!r}; choose some of {', '.join(seasons)}")
    return [name for name in seasons if name in wanted or configuration(name) in wanted]


def area_season(areas: Sequence[str], seasons: Sequence[str]) -> str:
    """Return which of the areas is the one of the newest season; `LlamaError` if none is."""
    newest = max(seasons, key=age)
    if (found := _area_of(newest, areas)) is None:
        raise LlamaError(
            f"irfs has the areas of {', '.join(areas)}, none of them for the events of {newest}; "
            "add the effective area of that season"
        )
    return found


def with_area(seasons: Iterable[str], areas: Sequence[str]) -> list[str]:
    """Return the configurations of seasons that have an area of their own, the newest first."""
    newest = {configuration(name): name for name in sorted(seasons, key=age)}
    return [kind for kind, name in reversed(newest.items()) if kind and _area_of(name, areas)]


def _area_of(season: str, areas: Sequence[str]) -> str | None:
    same = [name for name in areas if configuration(name) == configuration(season)]
    if season in same:
        return season
    before = [name for name in same if configuration(name) and age(name) <= age(season)]
    return max(before, key=age, default=None)


def check_area(area: str, seasons: Sequence[str]) -> None:
    """Refuse the area of another configuration than that of some of the events' seasons."""
    kinds = {configuration(name) for name in seasons}
    if configuration(area) not in kinds:
        raise LlamaError(
            f"the effective area of {area} is not that of the events, {', '.join(seasons)}; choose "
            "an area of theirs with --season, or other seasons with --seasons"
        )


def release_files(directory: Path, folder: str, ending: str) -> dict[str, Path]:
    """Return the files of a folder by season, oldest first; `ending` is like _exp."""
    found: dict[str, Path] = {}
    for path in sorted((directory / folder).glob(f"*{ending}.*")):
        if path.suffix not in _FORMS or is_litter(path.name):
            continue
        season = season_of(path)
        if season in found:
            raise LlamaError(
                f"{directory / folder} has {found[season].name} and {path.name}, one season twice; "
                "keep one of them"
            )
        found[season] = path
    return dict(sorted(found.items(), key=lambda item: age(item[0])))


def check_whole(directory: Path) -> None:
    """Refuse a directory that a download has not finished."""
    partial = [
        path
        for path in sorted(directory.rglob("*"))
        if path.name.endswith((PARTIAL, ".crdownload", ".download")) or is_unfinished(path.name)
    ]
    if partial:
        raise LlamaError(
            f"{directory} is half a download, {partial[0].relative_to(directory)} is not finished; "
            "run the same `llama neutrinos fetch` again, or take that file away"
        )


def check_one_release(events: dict[str, Path], areas: Iterable[str]) -> None:
    """Refuse files of two releases: numbers and an area of IC86 are IceTracks-DR2's."""
    numbered = {name: "run" in titles_of(path) for name, path in events.items() if "IC" in name}
    both = f"{next(iter(events.values())).parent.parent} has files of two releases"
    if len(set(numbered.values())) > 1:
        with_number = next(name for name, has in numbered.items() if has)
        without = next(name for name, has in numbered.items() if not has)
        raise LlamaError(
            f"{both}: events of {with_number} have run numbers and those of {without} do not; give "
            "each release a directory of its own"
        )
    whole, parts = "IC86" in areas, [name for name in areas if name.startswith("IC86_")]
    if whole and parts:
        raise LlamaError(
            f"{both}: areas of IC86 and of {parts[0]}; give each release a directory of its own"
        )


def check_events(
    place: Path, mjd: NDArray[np.float64], ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]
) -> None:
    """Refuse times in whole days, and the events around a single source."""
    if mjd.size < _ENOUGH:
        return
    if (mjd == np.rint(mjd)).all():
        raise LlamaError(
            f"{place} has times in whole days, as the release of the first year, and coincidences "
            "need seconds; take a later release for the events (an effective area by cos zenith "
            "in m^2 may be put into its irfs)"
        )
    points = unit_vectors(ra_deg, dec_deg)
    middle = points.mean(axis=0)
    middle /= np.linalg.norm(middle)
    radius = float(np.degrees(np.arccos(np.clip(points @ middle, -1, 1).min())))
    if radius < _ONE_SOURCE_DEG:
        ra_0, dec_0 = directions_deg(middle)
        raise LlamaError(
            f"{place} has only events within {radius:.1f} deg of RA {ra_0:.1f}, Dec {dec_0:.1f}: a "
            "release of a single source, without the background of the whole sky; take "
            "IceTracks-DR2 or the 10-year release"
        )


def check_reach(season: str, gps: NDArray[np.float64], runs: NDArray[np.float64]) -> None:
    """Refuse a season whose events (n,) end long before its uptime [m, 2], or go on long after.

    Times that were not looked at would count as times without neutrinos.
    """
    last, end = float(gps.max()), float(runs[-1, 1])
    before_s = np.clip(np.minimum(runs[:, 1], last) - runs[:, 0], 0, None).sum()
    after_s = np.diff(runs).sum() - before_s
    missing = gps.size * after_s / max(before_s, 1.0)
    if missing > _MISSING or (gps > end + _DAY_S).sum() > _MISSING:
        raise LlamaError(
            f"the events of {season} end at {gps_to_iso(last, 0)} and its uptime at "
            f"{gps_to_iso(end, 0)}, so one of the two files is cut; fetch both again"
        )


def check_other_releases(directory: Path) -> None:
    """Say what the directory is if it has another known release's tables of events."""
    for path in sorted([*directory.glob("*"), *(directory / "events").glob("*")]):
        if path.suffix not in (*_FORMS, ".dat") or is_litter(path.name) or not path.is_file():
            continue
        try:
            titles = list(titles_of(path))
            places = {name: _titled(titles, name) for name in ("mjd", "ra", "dec")}
            if not all(places.values()):
                continue
            table = read_table(path, {str(place): name for name, place in places.items()})
        except LlamaError:
            continue
        check_events(directory, *(table[name].to_numpy() for name in ("mjd", "ra", "dec")))


def _titled(titles: list[str], name: str) -> str | None:
    """Return the title that is `name`, whatever its unit stands in."""
    pattern = re.compile(rf"{name}(?:[^a-z].*)?,?")
    return next((title for title in titles if pattern.fullmatch(title)), None)
