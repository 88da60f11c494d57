"""Detectors that are declared in ECSV files with units, beside lists and areas as published.

A directory has `area.ecsv`, or Super-K's `effarea_superk.h5`; and either `background.ecsv`, a table
of rates that events are drawn from, or `events.*`, a list as of `llama.neutrinos.columns` with
`uptime.ecsv`. ANTARES' list of 2007 to 2017 (dec, ra, nhit, beta, mjd) is such a list: beta is the
error, and there are no energies.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.files import reading_hdf5
from llama.neutrinos.columns import read_table
from llama.neutrinos.given import check_rows
from llama.neutrinos.local import Site, site_of
from llama.neutrinos.other_release import (
    SIDEREAL_MEAN,
    LocalForm,
    OtherRelease,
    drawn_events,
    event_columns,
    local_form,
    other_release,
    sidereal_area,
)
from llama.neutrinos.release import EffectiveArea, merge_intervals
from llama.neutrinos.seasons import check_events
from llama.stats.healpix import unit_vectors
from llama.times import mjd_to_gps

Floats = NDArray[np.float64]

_AREA, _BACKGROUND, _UPTIME = "area.ecsv", "background.ecsv", "uptime.ecsv"
_EVENTS = ("events.ecsv", "events.csv", "events.txt")
_SUPERK = "effarea_superk.h5"
_SUPERK_SITE = Site(36.4257, 137.3103)
_UNITS = {
    **dict.fromkeys(("energy_min", "energy_max"), "GeV"),
    **dict.fromkeys(("dec_min", "dec_max", "sigma"), "deg"),
    **dict.fromkeys(("cos_zenith_min", "cos_zenith_max", "sin_dec_min", "sin_dec_max"), ""),
    **dict.fromkeys(("start", "stop"), "d"),
    "area": "cm2",
    "rate": "1/s",
}


def is_declared(directory: Path) -> bool:
    """Return whether a directory has an area in one of these forms, or what belongs to one."""
    return any((directory / name).is_file() for name in (_AREA, _SUPERK, _BACKGROUND, *_EVENTS))


def read_declared(directory: Path, season: str | None) -> OtherRelease:
    """Return what is declared; season: of Super-K's samples FC, PC and UPMU, else the last."""
    if (directory / _AREA).exists():
        (area, local), path = _area(directory / _AREA), directory / _AREA
    elif not (directory / _SUPERK).exists():
        raise LlamaError(
            f"{directory} has a background and no area; put {_AREA} beside it "
            "(docs/neutrinos.md, Other detectors)"
        )
    else:
        is_icecubes = season is None or season.startswith("IC")  # of the settings
        path = directory / _SUPERK
        area, local = _superk(path, "UPMU" if is_icecubes else str(season))
    reason = "no energy response is declared: the area at the stated energy, and a Gaussian"
    events = next((directory / name for name in _EVENTS if (directory / name).exists()), None)
    if (directory / _BACKGROUND).exists():
        site = local.site if local else None
        found, livetime_s = _drawn(directory / _BACKGROUND, site)
        runs, files = np.array([[0.0, livetime_s]]), [path, directory / _BACKGROUND]
        told: dict[str, Any] = {"drawn": True}
        if np.isnan(found["zenith_deg"]).any():
            told["background"], local = SIDEREAL_MEAN, None
        return OtherRelease(other_release(area, found, runs, files), None, reason, told, local)
    if events is None:
        raise LlamaError(
            f"{directory} has an area and no background; put {_BACKGROUND} beside it, a table of "
            f"rates, or {_EVENTS[0]} with {_UPTIME} (docs/neutrinos.md, Other detectors)"
        )
    found, files = _listed(events), [path, events]
    runs = np.array([[found["gps"][0], found["gps"][-1]]])
    if (directory / _UPTIME).exists():
        files.append(directory / _UPTIME)
        table = _columns(directory / _UPTIME, ("start", "stop"))
        runs = merge_intervals(mjd_to_gps(np.column_stack([table["start"], table["stop"]])))
    else:
        reason += f"; without {_UPTIME} it observed from the first to the last event"
    counts = {events.name: {"rows": found["gps"].size, "kept": found["gps"].size}}
    release = other_release(area, found, runs, files, counts)
    if local is None:
        return OtherRelease(release, None, reason, {"background": SIDEREAL_MEAN})
    vectors = unit_vectors(found["ra_deg"], found["dec_deg"])
    up = local.site.sin_altitude(found["gps"], vectors.reshape(-1, 3))
    found["zenith_deg"] = np.degrees(np.arccos(up))
    return OtherRelease(release, None, reason, {}, local)


def _area(path: Path) -> tuple[EffectiveArea, LocalForm | None]:
    """Return the area in declination and, if that is a mean, in local coordinates."""
    table, meta = _read(path)
    season = str(meta.get("name", path.parent.name))[:40]
    if "dec_min" in table:
        x, dec, values = _grid(path, table, _log10(path, table), ("dec_min", "dec_max"), "area")
        _check_ends(path, dec, 90.0, "declinations")
        return EffectiveArea(season, x, dec, values), None
    pair = "cos_zenith_min", "cos_zenith_max"
    x, up, values = _grid(path, table, _log10(path, table), pair, "area")
    site = site_of(path, meta)
    _check_ends(path, up, 1.0, "values of cos_zenith")
    of_local = season, x, up, values
    return sidereal_area(*of_local, site.latitude_deg), local_form(*of_local, site)


def _check_ends(path: Path, edges: Floats, end: float, what: str) -> None:
    if edges[0] != -end or edges[-1] != end:
        told = f"its {what} are {edges[0]:g} to {edges[-1]:g}, not {-end:g} to {end:g}"
        raise _broken(path, f"{told}; give bins of area 0 where it sees nothing")


def _superk(path: Path, sample: str) -> tuple[EffectiveArea, LocalForm]:
    """Return the area of a sample, tabulated at points [cm^2], in cells around these."""
    with reading_hdf5(path, f"{path} has no area of {sample}; name FC, PC or UPMU") as file:
        x, altitude = file["bins_logenergy"][()], file["bins_altitude"][()]
        area = file[f"aeff_{sample}"][()]
    along = np.argsort(altitude)
    up = np.sin(np.radians(altitude[along]))
    edges = np.concatenate([[-1.0], (up[1:] + up[:-1]) / 2, [1.0]])
    cells = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    named = f"SK_{sample}", cells, edges, area[:, along]
    return sidereal_area(*named, _SUPERK_SITE.latitude_deg), local_form(*named, _SUPERK_SITE)


def _drawn(path: Path, site: Site | None) -> tuple[dict[str, NDArray[Any]], float]:
    """Return events of a table, whose axis is that of the area or declination."""
    table, _ = _read(path)
    if "cos_zenith_min" in table:
        if site is None:
            raise _broken(path, "it is over cos_zenith and the area is not; give both in one way")
        for end in ("min", "max"):
            table[f"sin_dec_{end}"] = table[f"cos_zenith_{end}"]
    else:
        site = None
    if "dec_min" in table:
        for end in ("min", "max"):
            table[f"sin_dec_{end}"] = np.sin(np.radians(table[f"dec_{end}"]))
    energies = _log10(path, table) if "energy_min" in table else None
    first = energies
    if first is None:
        first = np.zeros(table["rate"].size), np.ones(table["rate"].size)
    pair = "sin_dec_min", "sin_dec_max"
    x, sin_dec, rate_hz = _grid(path, table, first, pair, "rate")
    sigma_deg = _grid(path, table, first, pair, "sigma")[2]
    if not ((sigma_deg > 0).all() and abs(sin_dec).max() <= 1):
        raise _broken(path, "sigma must be above 0 and declinations from -90 to 90 deg")
    return drawn_events(None if energies is None else x, sin_dec, rate_hz, sigma_deg, site)


def _listed(path: Path) -> dict[str, NDArray[Any]]:
    titles, rows = read_table(path.read_text(encoding="utf-8-sig"), str(path))
    named = [{_OTHERS.get(str(k), str(k)): v for k, v in row.items()} for row in rows]
    names = [_OTHERS.get(title, title) for title in titles]
    if len(set(names)) < len(names):
        raise _broken(path, "two columns have the same meaning")
    taken = [{key: row[key] for key in _TAKEN.intersection(row)} for row in named]
    checked = check_rows(taken, str(path))
    if not checked:
        raise _broken(path, "it has no events")
    numbers = {
        key: np.array([row.get(key) for row in checked], dtype=float)  # None becomes NaN
        for key in ("mjd", "ra", "dec", "sigma", "energy")
    }
    if np.isnan(numbers["energy"]).any() and not np.isnan(numbers["energy"]).all():
        raise _broken(path, "some events have an energy and others none; give all or none")
    check_events(path, numbers["mjd"], numbers["ra"], numbers["dec"])
    along = np.argsort(numbers["mjd"], kind="stable")
    columns = {key: values[along] for key, values in numbers.items()}
    found = event_columns(mjd_to_gps(columns["mjd"]), columns["ra"], columns["dec"])
    return found | {"sigma_deg": columns["sigma"], "energy_gev": columns["energy"]}


_OTHERS = {"beta": "sigma", "decl": "dec"}  # ANTARES' names
_TAKEN = {"mjd", "ra", "dec", "sigma", "r50", "r90", "energy"}


def _log10(path: Path, table: dict[str, Floats]) -> tuple[Floats, Floats]:
    try:
        ends = table["energy_min"], table["energy_max"]
    except KeyError as error:
        raise _broken(path, f"it has no column {error.args[0]}") from None
    if not min(end.min() for end in ends) > 0:
        raise _broken(path, "energies must be above 0")
    low, high = (np.asarray(np.round(np.log10(end), 9), dtype=np.float64) for end in ends)
    return low, high


def _grid(
    path: Path,
    table: dict[str, Floats],
    first: tuple[Floats, Floats],
    pair: tuple[str, str],
    name: str,
) -> tuple[Floats, Floats, Floats]:
    """Return edges along two axes and the values of a column; bins must fill a rectangle."""
    missing = [column for column in (*pair, name) if column not in table]
    if missing:
        raise _broken(path, f"it has no column {missing[0]}")
    ends = [first, tuple(np.round(table[column], 9) for column in pair)]
    edges = [np.union1d(low, high) for low, high in ends]
    at = [np.searchsorted(edge, low) for edge, (low, _) in zip(edges, ends, strict=True)]
    values = np.full(tuple(edge.size - 1 for edge in edges), np.nan)
    whole = (
        table[name].size == values.size
        and all(
            (place < edge.size - 1).all() and np.array_equal(edge[place + 1], high)
            for edge, place, (_, high) in zip(edges, at, ends, strict=True)
        )
        if values.size
        else False
    )
    if whole:
        values[at[0], at[1]] = table[name]
    if not (whole and (values >= 0).all() and values.any()):
        raise _broken(path, f"its bins of {name} do not fill a rectangle with numbers of 0 or more")
    return edges[0], edges[1], values


def _columns(path: Path, names: tuple[str, ...]) -> dict[str, Floats]:
    table, _ = _read(path)
    missing = [name for name in names if name not in table]
    if missing:
        raise _broken(path, f"it has no column {missing[0]}")
    return table


def _read(path: Path) -> tuple[dict[str, Floats], dict[str, Any]]:
    """Return the columns of an ECSV file in the units of `_UNITS`, and its meta."""
    from astropy.table import QTable  # imports slowly
    from astropy.units import Quantity, UnitConversionError

    try:
        table = QTable.read(path, format="ascii.ecsv")
        found = {}
        for name in (name for name in table.colnames if name in _UNITS):
            column, unit = table[name], _UNITS[name]
            if unit and not isinstance(column, Quantity):
                raise _broken(path, f"{name} has no unit; say one, such as {unit}")
            value = column.to_value(unit) if isinstance(column, Quantity) else column
            found[name] = np.asarray(value, dtype=float)
    except UnitConversionError as error:
        raise _broken(path, f"{name}: {error}") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _broken(path, " ".join(str(error).split())[:150]) from error
    for name, values in found.items():
        if not values.size or not np.isfinite(values).all():
            raise _broken(path, f"{name} has values that are not finite, or none")
    return found, dict(table.meta)


def _broken(path: Path, what: str) -> LlamaError:
    return LlamaError(f"{path} cannot be read: {what}; correct it (docs/neutrinos.md)")
