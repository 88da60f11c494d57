"""The neutrino list of one event: who may be in it, and whether more can still come."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from llama.errors import LlamaError
from llama.neutrinos.archive import Archive
from llama.neutrinos.given import read_given
from llama.neutrinos.scramble import generator, scramble, seed_from, simulate
from llama.neutrinos.sources import ArchiveSource, Rows, Source, collect, column_rows
from llama.stats.window import PUBLISHED, Window
from llama.times import gps_to_iso, gps_to_mjd, mjd_to_gps

__all__ = ["make_list", "read_given", "scramble", "simulate", "window_state"]

BACKGROUND_RATE_HZ = 0.0064


def window_state(event_gps: float, now_gps: float, window: Window = PUBLISHED) -> str:
    """Return "open" while neutrinos of the window can still happen, then "closed"."""
    return "open" if now_gps < event_gps + window.stop_s else "closed"


def make_list(
    graceid: str,
    event_gps: float,
    *,
    now_gps: float,
    given: Sequence[dict[str, Any]] | None = None,
    given_name: str = "",
    archive: Archive | None = None,
    sources: Sequence[Source] = (),
    online: bool = True,
    blinded: bool = False,
    window: Window = PUBLISHED,
    rate_hz: float = BACKGROUND_RATE_HZ,
) -> dict[str, Any]:
    """Return the content of `icecube_neutrino_list.json`, without its provenance.

    The neutrinos are the `given` ones (see `read_given`; also those outside the window, marked);
    else, for a mock event (M...), a Poisson number at `rate_hz` scrambled from the archive; else
    those of the `sources`, without any the archive's; `online` permits to ask other machines.
    `blinded` replaces right ascension and time by random ones. The list is complete only when the
    window is closed and the sources say that nothing is to come. `LlamaError` when no source
    covers the window.
    """
    start, stop = event_gps + window.start_s, event_gps + window.stop_s
    state = window_state(event_gps, now_gps, window)
    complete = state == "closed"
    seed, livetime_s = None, None
    unusable: list[str] = []
    source: dict[str, Any]
    rows: Rows
    if given is not None:
        source = {"kind": "file", "name": given_name}
        rows = [{"type": "observation", **row} for row in given]
    elif graceid.startswith("M"):
        if archive is None:
            raise _no_source(graceid, event_gps, window)
        source = {"kind": "simulation", "name": archive.name, "identity": archive.identity}
        seed = seed_from(graceid)
        drawn = simulate(archive.events(), seed, event_gps, window, rate_hz)
        rows = column_rows(drawn, "simulated")
    else:
        if archive is not None and not sources:
            sources = [ArchiveSource.of(archive)]
        found = collect(sources, start, stop, online)
        if not found.covers:
            raise _no_source(graceid, event_gps, window)
        source, livetime_s = found.about, found.livetime_s
        rows, unusable = found.rows, list(found.unusable)
        complete &= found.complete
    for row in rows:
        row["gps"] = row.get("gps") or float(mjd_to_gps(row["mjd"]))
        row.setdefault("energy", None)
    if blinded:
        seed = seed_from(f"{graceid} blinded")
        rows = _blind(rows, seed, event_gps, window)
        # their names and values would tell what is blinded
        unusable = ["a neutrino of a source cannot be used" for _ in unusable]
    return {
        "window": {
            "centre_gps": event_gps,
            "half_width_s": window.length_s / 2,
            "start": gps_to_iso(start),
            "start_gps": start,
            "stop": gps_to_iso(stop),
            "stop_gps": stop,
        },
        "window_state": state,
        "complete": complete,
        "livetime_s": livetime_s,
        "unusable": unusable,
        "retrieved_at": gps_to_iso(now_gps, 0),
        "source": source,
        "seed": seed,
        "events": _finish(rows, event_gps, window),
    }


def _blind(rows: Rows, seed: int, event_gps: float, window: Window) -> Rows:
    """Return the rows with random RA, and random time for those in the window.

    Nothing else than declination, sigma and energy survives: an id or an unknown key could be
    used to find the event again.
    """
    rng = generator(seed)
    gps = np.array([row["gps"] for row in rows])
    inside = np.array([window.holds(row["gps"] - event_gps) for row in rows], dtype=bool)
    drawn = event_gps + rng.uniform(*window, len(rows))
    gps = np.where(inside, drawn, gps)
    ra = rng.uniform(0.0, 360.0, len(rows))
    kept = ("dec", "sigma", "sigma_given", "energy")
    return [
        {
            **{key: rows[k][key] for key in kept if key in rows[k]},
            "gps": float(gps[k]),
            "mjd": float(gps_to_mjd(gps[k])),
            "ra": float(ra[k]),
            "type": "blinded",
            "id": f"blinded-{place}",
        }
        for place, k in enumerate(np.argsort(gps, kind="stable"), 1)
    ]


def _finish(rows: Rows, event_gps: float, window: Window) -> Rows:
    """Sort by time and add what every row must have: local direction, id, dt, in_window."""
    rows = sorted(rows, key=lambda row: row["gps"])
    bare = [row for row in rows if "zenith" not in row or "azimuth" not in row]
    if bare:
        from llama.neutrinos.coordinates import to_zenith_azimuth

        zenith, azimuth = to_zenith_azimuth(
            *(np.array([row[key] for row in bare]) for key in ("ra", "dec", "mjd"))
        )
        for row, row_zenith, row_azimuth in zip(bare, zenith, azimuth, strict=True):
            row |= {"zenith": float(row_zenith), "azimuth": float(row_azimuth)}
    ids: Counter[str] = Counter()
    for row in rows:
        for key in ("run", "event", "subevent"):
            row[key] = None if row.get(key, -1) == -1 else row[key]
        identity = str(row.get("id") or _identity(row))[:64]
        ids[identity] += 1
        row["id"] = identity if ids[identity] == 1 else f"{identity}-{ids[identity]}"
        row["dt"] = row["gps"] - event_gps
        row["in_window"] = window.holds(row["dt"])
    return rows


def _identity(row: dict[str, Any]) -> str:
    if row["run"] is None or row["event"] is None:
        return f"MJD{row['mjd']:.8f}"
    return f"{row['run']}_{row['event']}" + (f"_{row['subevent']}" if row["subevent"] else "")


def _no_source(graceid: str, event_gps: float, window: Window) -> LlamaError:
    when = f"{gps_to_iso(event_gps, 0)} {window.words('+- {} s')}"
    return LlamaError(
        f"no neutrino source covers {graceid} ({when}); "
        "give its neutrinos with `skymap_info --neutrinos FILE` or an archive of that time with "
        "`llama neutrinos import PATH`"
    )
