"""Reading the directories in which IceCube publishes track events.

The 10-year release (doi 10.21234/sxvs-mt83, 10.7910/DVN/VKL316) and IceTracks-DR2
(10.7910/DVN/MMIIZA): `events/*_exp.csv`, `uptime/*_exp.csv`, `irfs/*_effectiveArea.csv`, or `.tab`.
Columns are found by their name, never by their place, and converted from the unit that stands in
brackets behind it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.neutrinos.given import DEC_DEG, MJD, ZENITH_DEG
from llama.neutrinos.release_table import read_table, titles_of
from llama.neutrinos.seasons import (
    area_season,
    check_events,
    check_one_release,
    check_other_releases,
    check_reach,
    check_whole,
    choose,
    release_files,
    season_of,
)
from llama.stats.healpix import within_turn
from llama.times import mjd_to_gps

MOCK_SEASON = "MOCK"  # toy releases carry it in their file names (see mock.py)

_EVENT = {
    "mjd": "mjd",
    "log10(e/gev)": "log10_energy",
    "angerr": "sigma_deg",
    "ra": "ra_deg",
    "dec": "dec_deg",
    "azimuth": "azimuth_deg",
    "zenith": "zenith_deg",
}
_EVENT_NUMBERS = {"run": "run", "event": "event", "subevent": "subevent"}
_UPTIME = {"mjd_start": "start", "mjd_stop": "stop"}
_AREA = {
    "log10(e_nu/gev)_min": "log10_energy_min",
    "log10(e_nu/gev)_max": "log10_energy_max",
    "dec_nu_min": "dec_min_deg",
    "dec_nu_max": "dec_max_deg",
    "a_eff": "area_cm2",
}
_RANGES = {  # closed; outside of them a number is not what its column says
    "mjd": MJD,
    "dec_deg": DEC_DEG,
    "zenith_deg": ZENITH_DEG,
    "log10_energy": (-3.0, 15.0),
    "sigma_deg": (1e-6, 180.0),
    "ra_deg": (-360.0, 360.0),
    "azimuth_deg": (-360.0, 360.0),
}


@dataclass(frozen=True)
class EffectiveArea:
    """One season's table: mean area in bins of neutrino energy and declination.

    `log10_energy` (n+1 edges, E in GeV), `dec_deg` (m+1 edges), `area_cm2` [n, m].
    """

    season: str
    log10_energy: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    area_cm2: NDArray[np.float64]


@dataclass(frozen=True)
class Release:
    """What a release directory holds, checked.

    `events`: one array per column, sorted by `gps`; `uptime_gps`: [n, 2] disjoint intervals of
    the seasons of the events; `areas`: oldest season first, and `area_season` is that of the
    newest events; `counts`: per file, what was kept and what was rejected and why; `files`: every
    file that was read; `seasons`: of the events, with their uptimes, and `left_out` those that
    were not read.
    """

    events: dict[str, NDArray[Any]]
    uptime_gps: NDArray[np.float64]
    areas: tuple[EffectiveArea, ...]
    counts: dict[str, dict[str, int]]
    files: tuple[Path, ...]
    seasons: tuple[str, ...]
    season_livetime_s: tuple[float, ...]
    left_out: tuple[str, ...]
    area_season: str


def read_release(directory: Path, seasons: Sequence[str] | None = None) -> Release:
    """Return the checked content of a release directory; `LlamaError` if it is none.

    `seasons`: which to read, such as IC86_IV, or IC86 for all of IC86 (default: those of the newest
    configuration).
    """
    check_whole(directory)
    event_files = _files(directory, "events", "_exp")
    area_files = _files(directory, "irfs", "_effectiveArea")
    uptime_files = _files(directory, "uptime", "_exp")
    check_one_release(event_files, area_files)
    chosen = choose(event_files, seasons)
    # The uptime of a season without its events would turn "not here" into "no neutrinos".
    missing = [event_files[name] for name in chosen if name not in uptime_files]
    if missing:
        raise LlamaError(
            f"{directory / 'uptime'} has no {missing[0].name}; add the uptime list of every season "
            "in events, or take that season's events away"
        )
    of_areas = area_season(list(area_files), chosen)
    events, counts = read_events([event_files[name] for name in chosen])
    check_events(directory, *(events[name] for name in ("mjd", "ra_deg", "dec_deg")))
    intervals = []
    for path in (uptime_files[name] for name in chosen):
        mjd, counts[f"uptime/{path.name}"] = _read_uptime(path)
        intervals.append(merge_intervals(mjd_to_gps(mjd)))
    for number, name in enumerate(chosen):
        if (here := events["gps"][events["season"] == number]).size:
            check_reach(name, here, intervals[number])
    return Release(
        events=events,
        uptime_gps=merge_intervals(np.concatenate(intervals)),
        areas=tuple(read_area(path) for path in area_files.values()),
        counts=counts,
        files=(
            *(files[name] for files in (event_files, uptime_files) for name in chosen),
            *area_files.values(),
        ),
        seasons=tuple(chosen),
        season_livetime_s=tuple(float(np.diff(runs).sum()) for runs in intervals),
        left_out=tuple(name for name in event_files if name not in chosen),
        area_season=of_areas,
    )


def read_events(paths: Sequence[Path]) -> tuple[dict[str, NDArray[Any]], dict[str, dict[str, int]]]:
    """Return the events of all files as arrays sorted by gps, and the counts per file.

    Columns: mjd, gps, ra_deg, dec_deg, sigma_deg, energy_gev, zenith_deg, azimuth_deg (float64),
    run, event, subevent (int64, -1 where the release has none), season (int64, place in `paths`).
    Rows that are not finite, out of range or repeated exactly (in any file) are left out; so is the
    second event of the same run, event and subevent, where seasons overlap.
    """
    import pandas as pd

    frames, counts = [], {}
    for number, path in enumerate(paths):
        frame = read_table(path, _EVENT, _EVENT_NUMBERS)
        finite = np.isfinite(frame).all(axis=1)
        inside = np.all([frame[name].between(*span) for name, span in _RANGES.items()], axis=0)
        counts[f"events/{path.name}"] = {
            "rows": len(frame),
            "not_finite": int((~finite).sum()),
            "out_of_range": int((finite & ~inside).sum()),
        }
        frames.append(frame[finite & inside].assign(season=number))
    table = pd.concat(frames, ignore_index=True)
    frames.clear()  # 1.6 million events have 140 MB
    for name in _EVENT_NUMBERS:
        table[name] = table[name].fillna(-1).astype(np.int64) if name in table else np.int64(-1)
    exact = table.duplicated(subset="mjd", keep=False).to_numpy(
        copy=True
    )  # all columns take memory
    same = table[exact].drop(columns="season")
    exact[exact] = same.duplicated().to_numpy()
    again = table.duplicated(subset=list(_EVENT_NUMBERS)).to_numpy()
    again = again & (table[["run", "event"]] >= 0).all(axis=1).to_numpy() & ~exact
    for number, path in enumerate(paths):
        here = (table["season"] == number).to_numpy()
        counts[f"events/{path.name}"] |= {
            "duplicates": int((here & exact).sum()),
            **({"repeats": int((here & again).sum())} if (here & again).any() else {}),
            "kept": int((here & ~exact & ~again).sum()),
        }
    table = table[~(exact | again)]
    if table.empty:
        raise LlamaError(f"{paths[0].parent} has no usable event; check the release's files")
    columns = {
        name: table[name].to_numpy() for name in (*_EVENT.values(), *_EVENT_NUMBERS, "season")
    }
    columns["gps"] = mjd_to_gps(columns["mjd"])
    columns["energy_gev"] = 10.0 ** columns.pop("log10_energy")
    columns["ra_deg"] = within_turn(columns["ra_deg"])
    columns["azimuth_deg"] = within_turn(columns["azimuth_deg"])
    order = np.argsort(columns["gps"], kind="stable")
    return {name: column[order] for name, column in columns.items()}, counts


def read_area(path: Path) -> EffectiveArea:
    """Return one effective-area table; `LlamaError` unless its bins fill a rectangle, no holes."""
    table = _by_zenith(path) if _of_zenith(path) else read_table(path, _AREA)
    energy = np.union1d(table["log10_energy_min"], table["log10_energy_max"])
    dec = np.union1d(table["dec_min_deg"], table["dec_max_deg"])
    n, m = len(energy) - 1, len(dec) - 1
    row = np.searchsorted(energy, table["log10_energy_min"])
    column = np.searchsorted(dec, table["dec_min_deg"])
    area = np.full((max(n, 1), max(m, 1)), np.nan)
    if np.isfinite(table).all(axis=None) and row.max() < n and column.max() < m:
        area[row, column] = table["area_cm2"]
        whole = len(table) == n * m and (energy[row + 1] == table["log10_energy_max"]).all()
        whole = whole and (dec[column + 1] == table["dec_max_deg"]).all()
    else:
        whole = False
    if not (whole and np.all(area >= 0) and area.any() and np.abs(dec).max() <= 90):
        raise _not_a_grid(path)
    return EffectiveArea(season_of(path), energy, dec, area)


def merge_intervals(intervals: NDArray[np.float64], gap_s: float = 0.01) -> NDArray[np.float64]:
    """Return [n, 2] intervals sorted and disjoint; those `gap_s` or less apart become one."""
    intervals = intervals[np.argsort(intervals[:, 0])]
    reach = np.maximum.accumulate(intervals[:, 1])
    first = np.append(True, intervals[1:, 0] > reach[:-1] + gap_s)
    last = np.append(first[1:], True)
    return np.column_stack([intervals[first, 0], reach[last]])


def _read_uptime(path: Path) -> tuple[NDArray[np.float64], dict[str, int]]:
    runs = read_table(path, _UPTIME).to_numpy(dtype=float)
    finite = np.isfinite(runs).all(axis=1)
    inside = (runs[:, 0] < runs[:, 1]) & (runs[:, 0] >= MJD[0]) & (runs[:, 1] <= MJD[1])
    good = runs[finite & inside]
    if not len(good):
        raise LlamaError(f"{path} has no usable run; replace it with the file of the release")
    return good, {
        "rows": len(runs),
        "not_finite": int((~finite).sum()),
        "out_of_range": int((finite & ~inside).sum()),
        "kept": len(good),
    }


def _not_a_grid(path: Path) -> LlamaError:
    return LlamaError(
        f"{path} is not a full grid of log10 energy and declination bins with areas >= 0; "
        "replace it with the file of the release"
    )


def _of_zenith(path: Path) -> dict[str, str]:
    """Return the columns of an area by energy and cos zenith, {} if the table is not one."""
    names = {
        "emin": "energy_min_gev",
        "emax": "energy_max_gev",
        "enumin": "energy_min_gev",
        "enumax": "energy_max_gev",
        "cosmin": "cos_zenith_min",
        "cosmax": "cos_zenith_max",
        "a": "area_cm2",
        "aeff": "area_cm2",
    }
    plain = {
        title: re.sub(r"cosz(?:en(?:ith)?)?|coszenith", "cos", re.sub("[^a-z]", "", title))
        for title in titles_of(path)
    }
    found = {title: names[word] for title, word in plain.items() if word in names}
    return found if len(set(found.values())) == len(found) == 5 else {}


def _by_zenith(path: Path) -> Any:
    """Return an area over energy [GeV] and cos zenith at the South Pole by declination."""
    table = read_table(path, _of_zenith(path))
    sides = table[["cos_zenith_min", "cos_zenith_max"]]
    good = np.isfinite(table).all(axis=1) & (sides.abs() <= 1).all(axis=1)
    good &= (table[["energy_min_gev", "energy_max_gev"]] > 0).all(axis=1)
    if not good.all():
        raise _not_a_grid(path)
    dec = {side: np.degrees(np.arcsin(-table[f"cos_zenith_{side}"])) for side in ("min", "max")}
    return table.assign(
        log10_energy_min=np.log10(table["energy_min_gev"]),
        log10_energy_max=np.log10(table["energy_max_gev"]),
        dec_min_deg=dec["max"],
        dec_max_deg=dec["min"],
    )[list(_AREA.values())]


def _files(directory: Path, folder: str, ending: str) -> dict[str, Path]:
    found = release_files(directory, folder, ending)
    if not found:
        check_other_releases(directory)
        raise LlamaError(
            f"{directory / folder} has no file *{ending}.csv; give the directory of an IceCube "
            "track release, with events, irfs and uptime in it"
        )
    return found
