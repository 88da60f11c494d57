"""Releases of other detectors: KM3NeT/ARCA's tables, and what anybody may declare in ECSV.

All become what a release of IceCube is (`llama.neutrinos.release`), with areas and background as
means over a sidereal day, and beside these in local coordinates where both are known in them. Where
one is known as a mean only, the archive says `background: sidereal mean`. A background that is a
table is drawn from, and the archive says `drawn`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama.neutrinos.local import Site
from llama.neutrinos.release import EffectiveArea, Release
from llama.neutrinos.smearing import Smearing
from llama.stats.healpix import directions_deg, within_turn
from llama.times import gps_to_mjd

Floats = NDArray[np.float64]

SIDEREAL_MEAN: Literal["sidereal mean"] = "sidereal mean"
DRAWN = 200_000  # events of a table
SEED = 230
_SIN_DEC = np.round(np.linspace(-1.0, 1.0, 201), 10)
_HOURS = 720  # hour angles of the mean


class LocalForm(NamedTuple):
    """A release in local coordinates: area, whose `dec_deg` are altitudes, and the site."""

    area: EffectiveArea
    site: Site


class OtherRelease(NamedTuple):
    """A release, its smearing matrix if it has one, and what `archive.json` says besides."""

    release: Release
    matrix: Smearing | None
    reason: str
    told: dict[str, Any]
    local: LocalForm | None = None


def local_form(
    season: str, log10_energy: Floats, cos_zenith: Floats, area_cm2: Floats, site: Site
) -> LocalForm:
    """Return an area in bins of cos(zenith), 1 from above: axes as of `sidereal_area`."""
    altitude_deg = np.degrees(np.arcsin(cos_zenith))
    return LocalForm(EffectiveArea(f"{season} local", log10_energy, altitude_deg, area_cm2), site)


def sidereal_area(
    season: str, log10_energy: Floats, cos_zenith: Floats, area_cm2: Floats, latitude_deg: float
) -> EffectiveArea:
    """Return the mean over a sidereal day of an area in bins of cos(zenith), 1 from above.

    log10_energy, cos_zenith: ascending edges; area_cm2 [energy, cos zenith]; latitude of the site.
    """
    middle = (_SIN_DEC[1:] + _SIN_DEC[:-1]) / 2
    sin_dec = (middle[:, None] + np.array([-0.0025, 0.0025])).reshape(-1, 2)
    hour = 2 * np.pi * (np.arange(_HOURS) + 0.5) / _HOURS
    phi = np.radians(latitude_deg)
    up = np.sin(phi) * sin_dec[..., None] + np.cos(phi) * np.sqrt(1 - sin_dec**2)[
        ..., None
    ] * np.cos(hour)
    cells = np.clip(np.searchsorted(cos_zenith, up, side="right") - 1, 0, cos_zenith.size - 2)
    mean = area_cm2[:, cells].mean(axis=(2, 3))
    return EffectiveArea(season, log10_energy, np.degrees(np.arcsin(_SIN_DEC)), mean)


def drawn_events(
    log10_energy: Floats | None,
    sin_dec: Floats,
    rate_hz: Floats,
    sigma_deg: Floats,
    site: Site | None = None,
) -> tuple[dict[str, NDArray[Any]], float]:
    """Return `DRAWN` events of a table of rates [energy, sin dec], and how long these take [s].

    log10_energy, sin_dec: edges; without energies the table has one row. sigma_deg [energy, sin
    dec]: stated error. With a site, the axis is cos(zenith), 1 from above. Even within a cell;
    always the same events.
    """
    rng = np.random.Generator(np.random.Philox(SEED))
    cell = rng.choice(rate_hz.size, DRAWN, p=rate_hz.ravel() / rate_hz.sum())
    row, column = np.unravel_index(cell, rate_hz.shape)
    z = sin_dec[column] + rng.random(DRAWN) * np.diff(sin_dec)[column]
    energy = np.full(DRAWN, np.nan)
    if log10_energy is not None:
        energy = 10 ** (log10_energy[row] + rng.random(DRAWN) * np.diff(log10_energy)[row])
    livetime_s = DRAWN / float(rate_hz.sum())
    # in no time of any wave: they are no observation
    gps = np.sort(rng.random(DRAWN)) * livetime_s
    if site is None:
        events = event_columns(gps, 360 * rng.random(DRAWN), np.degrees(np.arcsin(z)))
    else:
        turn = 2 * np.pi * rng.random(DRAWN)
        events = event_columns(gps, *directions_deg(site.directions(gps, z, turn)))
        events["zenith_deg"] = np.degrees(np.arccos(z))
        events["azimuth_deg"] = np.degrees(turn)
    return events | {"sigma_deg": sigma_deg[row, column], "energy_gev": energy}, livetime_s


def event_columns(gps: Floats, ra_deg: Floats, dec_deg: Floats) -> dict[str, NDArray[Any]]:
    """Return the columns of an archive but for sigma and energy; local directions are not known."""
    none = np.full(gps.size, -1, dtype=np.int64)
    unknown = np.full(gps.size, np.nan)
    return {
        "mjd": np.asarray(gps_to_mjd(gps)),
        "gps": gps,
        "ra_deg": within_turn(ra_deg),
        "dec_deg": dec_deg,
        "zenith_deg": unknown,
        "azimuth_deg": unknown,
        **dict.fromkeys(("run", "event", "subevent"), none),
        "season": np.zeros(gps.size, dtype=np.int64),
    }


def other_release(
    area: EffectiveArea,
    events: dict[str, NDArray[Any]],
    runs: Floats,
    files: Sequence[Path],
    counts: dict[str, dict[str, int]] | None = None,
) -> Release:
    """Return a release of one season; runs [n, 2]: uptime [GPS s]."""
    return Release(
        events=events,
        uptime_gps=runs,
        areas=(area,),
        counts=counts or {},
        files=tuple(files),
        seasons=(area.season,),
        season_livetime_s=(float(np.diff(runs, axis=1).sum()),),
        left_out=(),
        area_season=area.season,
    )


def is_other(directory: Path) -> bool:
    """Return whether a directory has a release of another detector than IceCube."""
    from llama.neutrinos import arca, declared

    return (directory / arca.AREA).exists() or declared.is_declared(directory)


def read_other(directory: Path, season: str | None) -> OtherRelease | None:
    """Return the release of another detector, None where the directory has none of these forms.

    season: which of several areas, of Super-K.
    """
    from llama.neutrinos import arca, declared

    if (directory / arca.AREA).exists():
        return arca.read_arca(directory)
    return declared.read_declared(directory, season) if is_other(directory) else None
