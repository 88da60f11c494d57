"""Reading the directories in which IceCube publishes track events.

The 10-year release (doi 10.21234/sxvs-mt83, 10.7910/DVN/VKL316) and IceTracks-DR2
(10.7910/DVN/MMIIZA): `events/*_exp.csv`, `uptime/*_exp.csv`, `irfs/*_effectiveArea.csv`, tables
split on blanks with one header line. Columns are found by their name, never by their place, and
converted from the unit that stands in brackets behind it.
"""

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.files import is_litter
from llama.neutrinos.given import DEC_DEG, MJD, ZENITH_DEG
from llama.times import mjd_to_gps
from llama.units import unit_factor

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
_UNITS = {"mjd": "d", "start": "d", "stop": "d", "area_cm2": "cm2"}  # those in _deg are in deg
_TITLE = re.compile(r"([^\s\[]+)\s*(?:\[([^\]]*)\])?")
_RANGES = {  # closed; outside of them a number is not what its column says
    "mjd": MJD,
    "dec_deg": DEC_DEG,
    "zenith_deg": ZENITH_DEG,
    "log10_energy": (-3.0, 15.0),
    "sigma_deg": (1e-6, 180.0),
    "ra_deg": (-360.0, 360.0),
    "azimuth_deg": (-360.0, 360.0),
}
_NUMERALS = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII"]


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
    the seasons that have events; `areas`: oldest season first; `counts`: per file, what was
    kept and what was rejected and why; `files`: every file that was read.
    """

    events: dict[str, NDArray[Any]]
    uptime_gps: NDArray[np.float64]
    areas: tuple[EffectiveArea, ...]
    counts: dict[str, dict[str, int]]
    files: tuple[Path, ...]


def read_release(directory: Path) -> Release:
    """Return the checked content of a release directory; `LlamaError` if it is none."""
    event_files = _files(directory, "events", "_exp.csv")
    area_files = _files(directory, "irfs", "_effectiveArea.csv")
    uptime_files = _files(directory, "uptime", "_exp.csv")
    # The uptime of a season without its events would turn "not here" into "no neutrinos".
    seasons = {path.name for path in event_files}
    missing = seasons - {path.name for path in uptime_files}
    if missing:
        raise LlamaError(
            f"{directory / 'uptime'} has no {min(missing)}; add the uptime list of every season "
            "in events, or take that season's events away"
        )
    uptime_files = [path for path in uptime_files if path.name in seasons]
    events, counts = read_events(event_files)
    intervals = []
    for path in uptime_files:
        mjd, counts[f"uptime/{path.name}"] = _read_uptime(path)
        intervals.append(mjd)
    return Release(
        events=events,
        uptime_gps=merge_intervals(mjd_to_gps(np.concatenate(intervals))),
        areas=tuple(read_area(path) for path in sorted(area_files, key=_age)),
        counts=counts,
        files=(*event_files, *uptime_files, *area_files),
    )


def read_events(
    paths: Sequence[Path],
) -> tuple[dict[str, NDArray[Any]], dict[str, dict[str, int]]]:
    """Return the events of all files as arrays sorted by gps, and the counts per file.

    Columns: mjd, gps, ra_deg, dec_deg, sigma_deg, energy_gev, zenith_deg, azimuth_deg (float64),
    run, event, subevent (int64, -1 where the release has none). Rows that are not finite, out of
    range or repeated exactly (in any file) are left out.
    """
    import pandas as pd

    frames, counts = [], {}
    for path in paths:
        frame = _read_table(path, _EVENT, _EVENT_NUMBERS)
        finite = np.isfinite(frame).all(axis=1)
        inside = np.all([frame[name].between(*span) for name, span in _RANGES.items()], axis=0)
        counts[f"events/{path.name}"] = {
            "rows": len(frame),
            "not_finite": int((~finite).sum()),
            "out_of_range": int((finite & ~inside).sum()),
        }
        frames.append(frame[finite & inside].assign(file=f"events/{path.name}"))
    table = pd.concat(frames, ignore_index=True)
    for name in _EVENT_NUMBERS:
        table[name] = table[name].fillna(-1).astype(np.int64) if name in table else np.int64(-1)
    repeated = table.duplicated(subset=[name for name in table if name != "file"])
    table = table.assign(repeated=repeated)
    for file, rows in table.groupby("file"):
        kept = rows[~rows["repeated"]]
        counts[file] |= {
            "duplicates": int(rows["repeated"].sum()),
            "kept": len(kept),
        }
    table = table[~repeated]
    if table.empty:
        raise LlamaError(f"{paths[0].parent} has no usable event; check the release's files")
    columns = {name: table[name].to_numpy() for name in (*_EVENT.values(), *_EVENT_NUMBERS)}
    columns["gps"] = mjd_to_gps(columns["mjd"])
    columns["energy_gev"] = 10.0 ** columns.pop("log10_energy")
    columns["ra_deg"] = columns["ra_deg"] % 360.0
    columns["azimuth_deg"] = columns["azimuth_deg"] % 360.0
    order = np.argsort(columns["gps"], kind="stable")
    return {name: column[order] for name, column in columns.items()}, counts


def read_area(path: Path) -> EffectiveArea:
    """Return one effective-area table; `LlamaError` unless its bins fill a rectangle, no holes."""
    table = _read_table(path, _AREA)
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
        raise LlamaError(
            f"{path} is not a full grid of log10 energy and declination bins with areas >= 0; "
            "replace it with the file of the release"
        )
    return EffectiveArea(path.name.removesuffix("_effectiveArea.csv"), energy, dec, area)


def merge_intervals(intervals: NDArray[np.float64], gap_s: float = 0.01) -> NDArray[np.float64]:
    """Return [n, 2] intervals sorted and disjoint; those `gap_s` or less apart become one."""
    intervals = intervals[np.argsort(intervals[:, 0])]
    reach = np.maximum.accumulate(intervals[:, 1])
    first = np.append(True, intervals[1:, 0] > reach[:-1] + gap_s)
    last = np.append(first[1:], True)
    return np.column_stack([intervals[first, 0], reach[last]])


def _read_uptime(path: Path) -> tuple[NDArray[np.float64], dict[str, int]]:
    runs = _read_table(path, _UPTIME).to_numpy(dtype=float)
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


def _read_table(path: Path, required: dict[str, str], optional: Iterable[str] = ()) -> Any:
    """Return the named columns as a DataFrame of float64; words become NaN."""
    import pandas as pd

    try:
        with path.open(encoding="utf-8-sig") as stream:
            header = stream.readline(4096)
        units = {title.lower(): unit for title, unit in _TITLE.findall(header.lstrip("#"))}
        titles = list(units)
        missing = [name for name in required if name not in titles]
        if missing:
            raise LlamaError(
                f"{path} has no column {', '.join(missing)}; its first line must name the columns "
                "as in IceCube's public releases (areas in cm^2 by declination)"
            )
        names = {title: required.get(title, title) for title in titles}
        factors = {names[title]: _factor(names[title], units[title], path) for title in required}
        wanted = [title for title in titles if title in required or title in optional]
        with warnings.catch_warnings():  # pandas only warns of rows longer than the header
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                path,
                sep=r"\s+",
                header=None,
                names=titles,
                index_col=False,
                skiprows=1,
                comment="#",
            )[wanted]
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        raise LlamaError(
            f"{path} cannot be read as a table ({str(error).strip()}); replace it with the file "
            "of the release"
        ) from error
    if table.empty:
        raise LlamaError(f"{path} has no rows; replace it with the file of the release")
    table = table.rename(columns=names).apply(pd.to_numeric, errors="coerce").astype(float)
    for name, factor in factors.items():
        if factor != 1:
            table[name] *= factor
    return table


def _factor(column: str, unit: str, path: Path) -> float:
    """Return what a column is multiplied by to be in the unit of its name."""
    wanted = "deg" if column.endswith("_deg") else _UNITS.get(column)
    try:
        factor = 1.0 if wanted is None else unit_factor(unit, wanted)
    except ValueError as error:
        raise LlamaError(
            f"{path} has a column whose unit LLAMA cannot convert: {error}; convert it, or replace "
            "it with the file of the release"
        ) from error
    if factor is None and column == "area_cm2":
        raise LlamaError(f"{path} has areas without a unit; write it into its title, as A_Eff[m^2]")
    return 1.0 if factor is None else factor


def _files(directory: Path, folder: str, ending: str) -> list[Path]:
    paths = (directory / folder).glob(f"*{ending}")
    found = sorted((path for path in paths if not is_litter(path.name)), key=_age)
    if not found:
        raise LlamaError(
            f"{directory / folder} has no file *{ending}; give the directory of an IceCube track "
            "release, with events, irfs and uptime in it"
        )
    return found


def _age(path: Path) -> tuple[int, int, str]:
    """Order seasons by time: IC40, IC59, IC79, IC86_I, IC86_II, ... IC86_IX, IC86_X."""
    match = re.match(r"IC(\d+)(?:_([IVX]+))?_", path.name)
    if not match or (match[2] or "") not in _NUMERALS:
        return (0, 0, path.name)
    return (int(match[1]), _NUMERALS.index(match[2] or ""), path.name)
