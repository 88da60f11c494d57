"""The neutrino list of an event for several detectors: one list, each neutrino with its detector.

A detector that no source covers, or that did not observe, was off: it is left out, and named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from llama.errors import LlamaError
from llama.neutrinos.archive import Archive
from llama.neutrinos.event_list import NeutrinoList, NoSourceError, Observed, make_list
from llama.neutrinos.sources import Source, open_sources
from llama.neutrinos.table import ICECUBE, Rows

NOT_IN_LIST = "the list that was given does not name it"
_OFF = "it did not observe"


@dataclass(frozen=True)
class Stream:
    """Where the neutrinos of one detector come from, and the rate of made-up ones [Hz]."""

    archive: Archive | None
    sources: Sequence[Source]
    rate_hz: float | None = None


def make_network_list(
    graceid: str,
    event_gps: float,
    streams: Mapping[str, Stream],
    given: Rows | None = None,
    given_detectors: Sequence[str] | None = None,
    **more: Any,
) -> NeutrinoList:
    """Return what `make_list` does, with `detector` in every row and `detectors` of the list.

    streams: by the names of the detectors. given: with the column `detector`, of all of them or of
    `given_detectors`; without, all are `default_detector`'s and the others were off. more: what
    else `make_list` takes. `NoSourceError` if all were off.
    """
    of_each = None if given is None else _divided(given, list(streams), given_detectors)
    lists: dict[str, NeutrinoList] = {}
    told: dict[str, Observed] = {}
    refusal = NoSourceError(f"no neutrino detector observed {graceid}")
    for name, stream in sorted(streams.items()):
        if of_each is not None and name not in of_each:
            told[name] = _off(NOT_IN_LIST)
            continue
        own = {} if of_each is None else {"given": of_each[name]}
        try:
            made = make_list(
                graceid,
                event_gps,
                archive=stream.archive,
                sources=stream.sources,
                rate_hz=stream.rate_hz,
                detector=name,
                **more | own,
            )
        except NoSourceError as error:
            refusal = error
            told[name] = _off(_OFF)
            continue
        if made["livetime_s"] == 0 and not made["events"]:
            told[name] = _off(_OFF)
            lists.setdefault("", made)  # the window, if there is nothing else
            continue
        lists[name] = made
        told[name] = {
            "on": True,
            "why": "",
            **{key: made[key] for key in ("complete", "livetime_s", "source")},  # type: ignore[typeddict-item]
        }
    nothing = lists.pop("", None)
    if not lists:
        if nothing is None:
            raise refusal
        return nothing | {"detectors": told}
    return _joined(lists) | {"detectors": told}


def open_stream(
    archive: str, sources: Mapping[str, Mapping[str, object]], rate_hz: float | None
) -> Stream:
    """Return the stream of a detector by the path of its archive and its lines in the settings."""
    path = Path(archive)
    there = Archive.open(path) if (path / "archive.json").exists() else None
    return Stream(there, open_sources(sources, Path(), path.name), rate_hz)


def default_detector(names: Sequence[str]) -> str:
    """Return whose neutrinos are in lists and sources that name no detector."""
    return ICECUBE if ICECUBE in names else min(names)


def list_observing(path: Path) -> list[str] | None:
    """Return which detectors icecube_neutrino_list.json says were on, of all if none was.

    None where it does not say, or is not there.
    """
    try:
        told = msgspec.json.decode(path.read_bytes(), type=_Told).detectors
    except (msgspec.DecodeError, OSError):
        return None
    if told is None:
        return None
    return sorted(name for name, one in told.items() if one.on) or sorted(told)


class _Of(msgspec.Struct):
    on: bool


class _Told(msgspec.Struct):
    detectors: dict[str, _Of] | None = None


def _off(why: str) -> Observed:
    return {"on": False, "why": why, "complete": True, "livetime_s": None, "source": {}}


def _divided(rows: Rows, known: Sequence[str], named: Sequence[str] | None) -> dict[str, Rows]:
    """Return the rows of each detector that a list names, or of the one that it is of."""
    if named is None and not any("detector" in row for row in rows):
        return {default_detector(known): rows}
    names = known if named is None else [name for name in named if name in known]
    found: dict[str, Rows] = {name: [] for name in names}
    for number, row in enumerate(rows, 1):
        if (name := str(row.get("detector"))) not in found:
            raise LlamaError(
                f"row {number} of the neutrino list is of the detector {name[:40]!r}; name one of "
                f"{', '.join(sorted(names))}, those of neutrinos.detectors in the settings"
            )
        found[name].append(row)
    return found


def _joined(lists: Mapping[str, NeutrinoList]) -> NeutrinoList:
    """Return one list of those of the detectors that were on."""
    first, ids, events = next(iter(lists.values())), set(), Rows()
    for name, made in lists.items():
        for row in made["events"]:
            identity = str(row["id"])
            identity = f"{name}-{identity}"[:64] if identity in ids else identity
            ids.add(identity)
            events.append(row | {"id": identity, "detector": name})
    live = [made["livetime_s"] for made in lists.values() if made["livetime_s"] is not None]
    parts = [{**made["source"], "detector": name} for name, made in lists.items()]
    source: dict[str, object] = {"kind": "several", "parts": parts}
    source["name"] = " + ".join(
        f"{name}: {made['source'].get('name')}" for name, made in lists.items()
    )
    if scrambled := next(filter(None, (part.get("scrambled") for part in parts)), None):
        source["scrambled"] = scrambled
    return first | {
        "complete": all(made["complete"] for made in lists.values()),
        "livetime_s": min(live, default=None),
        "unusable": [
            f"{name}: {said}" for name, made in lists.items() for said in made["unusable"]
        ],
        "source": parts[0] if len(parts) == 1 else source,
        "events": sorted(events, key=lambda row: float(str(row["gps"]))),
    }
