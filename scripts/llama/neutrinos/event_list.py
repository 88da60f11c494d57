"""The neutrino list of one event: who may be in it, whether more can still come, what it held."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

import msgspec
import numpy as np

from llama.errors import LlamaError
from llama.files import cannot_write, dump_json, sha256_bytes
from llama.graceid import is_mock, is_of_catalogue
from llama.neutrinos.archive import Archive
from llama.neutrinos.scramble import generator, seed_from, simulate
from llama.neutrinos.sources import ArchiveSource, Source, collect
from llama.neutrinos.table import ICECUBE, Neutrino, Rows, from_columns
from llama.stats.window import PUBLISHED, Window
from llama.times import gps_to_iso, gps_to_mjd

_TOLD = ("gps", "ra", "dec", "sigma", "energy")  # what a later list may not change unnoticed


class Observed(TypedDict):
    """What a list says of one detector of a network; why: it was off, or its neutrinos are left."""

    on: bool
    why: str
    complete: bool
    livetime_s: float | None
    source: dict[str, object]


class NoSourceError(LlamaError):
    """No source covers the window."""


class NeutrinoList(TypedDict):
    """The content of `icecube_neutrino_list.json`."""

    window: dict[str, float | str]
    window_state: str
    complete: bool
    livetime_s: float | None
    unusable: list[str]
    retrieved_at: str
    source: dict[str, object]
    seed: int | None
    events: Rows
    detectors: NotRequired[dict[str, Observed]]
    provenance: NotRequired[dict[str, object]]


def window_state(event_gps: float, now_gps: float, window: Window = PUBLISHED) -> str:
    """Return "open" while neutrinos of the window can still happen, then "closed"."""
    return "open" if now_gps < event_gps + window.stop_s else "closed"


def make_list(
    graceid: str,
    event_gps: float,
    *,
    now_gps: float,
    given: Sequence[Mapping[str, object]] | None = None,
    given_name: str = "",
    given_scrambled: Mapping[str, str | int] | None = None,
    archive: Archive | None = None,
    sources: Sequence[Source] = (),
    online: bool = True,
    blinded: bool = False,
    window: Window = PUBLISHED,
    rate_hz: float | None = None,
    detector: str = ICECUBE,
) -> NeutrinoList:
    """Return the content of `icecube_neutrino_list.json`, without its provenance.

    The neutrinos are the `given` ones (see `read_given`; also those outside the window, marked);
    else, for a mock or test event, a Poisson number at `rate_hz` (None: the archive's) scrambled
    from it; else those of the `sources`, without any the archive's; `online` permits to ask other
    machines. `blinded` replaces right ascension and time by random ones. The list is complete only
    when the window is closed and the sources say that nothing is to come. What is drawn for a
    `detector` other than IceCube is another draw. `given_scrambled` is what given ones were moved
    from. `NoSourceError` when none covers the window, but of a catalogue's event, which then has
    an empty list of 0 s.
    """
    drawn_for = graceid if detector == ICECUBE else f"{graceid} {detector}"
    start, stop = event_gps + window.start_s, event_gps + window.stop_s
    state = window_state(event_gps, now_gps, window)
    complete = state == "closed"
    seed, livetime_s = None, None
    unusable: list[str] = []
    source: dict[str, object]
    if given is not None:
        source = {"kind": "file", "name": given_name}
        if given_scrambled is not None:
            source["scrambled"] = dict(given_scrambled)
        neutrinos = [Neutrino.of(row) for row in given]
    elif is_mock(graceid):
        if archive is None:
            raise _no_source(graceid, event_gps, window)
        archive = archive.at(event_gps)
        source = {"kind": "simulation", "name": archive.name, "identity": archive.identity}
        seed = seed_from(drawn_for)
        rate_hz = rate_hz or archive.rate_hz
        drawn = simulate(archive.events(), seed, event_gps, window, rate_hz, archive.turns)
        neutrinos = from_columns(drawn, "simulated")
    else:
        if archive is not None and not sources:
            sources = [ArchiveSource.of(archive)]
        found = collect(sources, start, stop, online)
        if not (found.covers or is_of_catalogue(graceid)):
            raise _no_source(graceid, event_gps, window)
        source, livetime_s = dict(found.about), found.livetime_s
        neutrinos, unusable = [Neutrino.of(row) for row in found.rows], list(found.unusable)
        complete &= found.complete
        if not found.covers:  # of a catalogue's event nothing is to come: the detector was off
            source, livetime_s, complete = {"kind": "none", "name": "none observed"}, 0.0, True
    if blinded:
        seed = seed_from(f"{drawn_for} blinded")
        neutrinos = _blind(neutrinos, seed, event_gps, window)
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
        "events": _finish(neutrinos, event_gps, window, detector == ICECUBE),
    }


def is_from_archive(source: object) -> bool:
    """Return whether a list's neutrinos are the archive's own; source: what the list tells."""
    parts = source.get("parts", [source]) if isinstance(source, Mapping) else [{}]
    return all(isinstance(part, Mapping) and part.get("kind") == "archive" for part in parts)


def list_is_from_archive(path: Path) -> bool:
    """Return this of icecube_neutrino_list.json; of a broken one, that it is not."""
    try:
        return is_from_archive(msgspec.json.decode(path.read_bytes(), type=_OfSource).source)
    except (msgspec.DecodeError, OSError):
        return False


class _OfSource(msgspec.Struct):
    source: object = None


def _blind(
    neutrinos: Sequence[Neutrino], seed: int, event_gps: float, window: Window
) -> list[Neutrino]:
    """Return the neutrinos with random RA, and random time for those in the window.

    Nothing else than declination, sigma and energy survives: an id or an unknown key could be
    used to find the event again.
    """
    rng = generator(seed)
    gps = np.array([neutrino.gps for neutrino in neutrinos])
    inside = np.array([window.holds(neutrino.gps - event_gps) for neutrino in neutrinos], bool)
    drawn = event_gps + rng.uniform(*window, len(neutrinos))
    gps = np.where(inside, drawn, gps)
    ra_deg = rng.uniform(0.0, 360.0, len(neutrinos))
    return [
        Neutrino(
            mjd=float(gps_to_mjd(gps[k])),
            gps=float(gps[k]),
            ra_deg=float(ra_deg[k]),
            dec_deg=neutrinos[k].dec_deg,
            sigma_deg=neutrinos[k].sigma_deg,
            energy_gev=neutrinos[k].energy_gev,
            kind="blinded",
            id=f"blinded-{place}",
        )
        for place, k in enumerate(np.argsort(gps, kind="stable"), 1)
    ]


def _finish(neutrinos: Sequence[Neutrino], event_gps: float, window: Window, in_ice: bool) -> Rows:
    """Return rows by time, with what every row must have: local direction, id, dt, in_window.

    The local direction is IceCube's: one that others do not give is not known.
    """
    neutrinos = sorted(neutrinos, key=lambda neutrino: neutrino.gps)
    bare = [n for n in neutrinos if n.zenith_deg is None or n.azimuth_deg is None]
    if bare and in_ice:
        from llama.neutrinos.coordinates import to_zenith_azimuth

        places = np.array([(n.ra_deg, n.dec_deg, n.mjd) for n in bare])
        for neutrino, zenith, azimuth in zip(bare, *to_zenith_azimuth(*places.T), strict=True):
            neutrino.zenith_deg, neutrino.azimuth_deg = float(zenith), float(azimuth)
    ids: Counter[str] = Counter()
    rows = []
    for neutrino in neutrinos:
        identity = str(neutrino.id or _identity(neutrino))[:64]
        ids[identity] += 1
        neutrino.id = identity if ids[identity] == 1 else f"{identity}-{ids[identity]}"
        numbers = {name: getattr(neutrino, name) for name in ("run", "event", "subevent")}
        dt_s = neutrino.gps - event_gps
        rows.append(neutrino.row() | numbers | {"dt": dt_s, "in_window": window.holds(dt_s)})
    return rows


def _identity(neutrino: Neutrino) -> str:
    if neutrino.run is None or neutrino.event is None:
        return f"MJD{neutrino.mjd:.8f}"
    name = f"{neutrino.run}_{neutrino.event}"
    return f"{name}_{neutrino.subevent}" if neutrino.subevent else name


def _no_source(graceid: str, event_gps: float, window: Window) -> NoSourceError:
    when = f"{gps_to_iso(event_gps, 0)} {window.words('+- {} s')}"
    return NoSourceError(
        f"no neutrino source covers {graceid} ({when}); "
        "give its neutrinos with `skymap_info --neutrinos FILE` or an archive of that time with "
        "`llama neutrinos import PATH`"
    )


class _Held(msgspec.Struct):
    """A line of the history: what a list held, its neutrinos as digests by their ids."""

    made_at: str
    complete: bool
    window_state: str
    source: object
    neutrinos: dict[str, str]


def note_late_data(history: Path, graceid: str, made: NeutrinoList) -> str | None:
    """Append a list to the file `history`, one JSON object per line.

    Return a sentence if the list before was complete and held other neutrinos.
    """
    text = history.read_text(encoding="utf-8", errors="replace") if history.exists() else ""
    before = next(filter(None, map(_held, reversed(text.splitlines()))), None)
    kind = made["source"].get("kind", made["source"].get("name"))
    blinded = any(event["type"] == "blinded" for event in made["events"])
    row = _Held(
        made["retrieved_at"],
        made["complete"],
        made["window_state"],
        "blinded" if blinded else kind,
        {str(event["id"]): _digest(event) for event in made["events"]},
    )
    line = json.dumps(msgspec.to_builtins(row), sort_keys=True, allow_nan=False)
    try:
        history.parent.mkdir(parents=True, exist_ok=True)
        with history.open("a", encoding="utf-8") as stream:
            stream.write("\n" * (text[-1:] not in ("", "\n")) + f"{line}\n")
    except OSError as error:
        raise cannot_write(history, error) from error
    if before is None or not before.complete or before.source != row.source:
        return None
    old, new = before.neutrinos, row.neutrinos
    changes = {
        "new": sorted(new.keys() - old.keys()),
        "gone": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in new.keys() & old.keys() if new[name] != old[name]),
    }
    if not any(changes.values()):
        return None
    told = "; ".join(f"{what}: {', '.join(names)}" for what, names in changes.items() if names)
    return (
        f"late neutrino data for {graceid}: its list of {before.made_at} was complete, now "
        f"there are other neutrinos ({told}); what depends on them is made again"
    )


def _held(line: str) -> _Held | None:
    try:
        return msgspec.json.decode(line, type=_Held)
    except msgspec.DecodeError:  # cut short when the disk was full
        return None


def _digest(event: Mapping[str, object]) -> str:
    told = [event[key] for key in _TOLD] + [event[key] for key in ("map_sha256",) if key in event]
    return sha256_bytes(dump_json(told).encode())[:12]
