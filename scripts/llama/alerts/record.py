"""The one form in which every alert arrives, whatever it was written in; all checks are here.

An event cannot do without id, kind and times: an alert in which these are wrong is refused. Every
other field that cannot be used is left out, with a note.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from llama.errors import LlamaError, printable
from llama.event.skymap_info import KINDS
from llama.graceid import check_event_name, check_graceid, is_mock, is_of_catalogue
from llama.times import gps_to_iso, iso_to_gps
from llama.typed import as_number

_GPS_RANGE = (0.0, 4.1e9)  # 1980 to 2109
_LABEL = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9 _.+-]{0,39})?")
_URL = re.compile(r"https?://[^\s<>\"'\\]{1,300}")
_HOST = re.compile(r"https?://[A-Za-z0-9.-]{1,100}")
_DETECTOR = re.compile("[A-Z][0-9]")
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,150}(?:,[0-9]{1,6})?")
_ROUNDING = 1e-6  # of probabilities below 0 or above 1
_SUM = 1e-3  # of classes, from 1
_MOST_NOTES = 20
_MOST_LETTERS = 200  # in the name of a key
_KIND_OF_NAME = {kind.lower(): kind for kind in KINDS}


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One notice about one gravitational-wave candidate, checked.

    Times are ISO 8601 UTC, `far_hz` is in Hz, probabilities in [0, 1]; `skymap` is raw FITS
    bytes. A bare retraction has neither event time nor FAR. `notes` says which fields of the
    notice were left out because they cannot be used, and why.
    `extra` keeps what the notice says beyond the fields. `LlamaError` for an invalid id or time.
    """

    graceid: str
    kind: str  # one of KINDS
    alert_type: str  # one of ALERT_TYPES: the way it came
    notice_time: str
    event_time_iso: str | None = None
    far_hz: float | None = None
    pipeline: str = ""
    group: str = ""
    search: str = ""
    instruments: tuple[str, ...] = ()
    significant: bool = True
    classification: Mapping[str, float] = field(default_factory=dict)
    properties: Mapping[str, float] = field(default_factory=dict)
    serial: int | None = None
    role: str = "observation"
    gracedb_url: str | None = None
    skymap: bytes | None = field(default=None, repr=False)
    skymap_filename: str | None = None
    external_coinc: Mapping[str, object] | None = None
    hardware_injection: bool = False
    internal: bool = False
    extra: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check = check_event_name if self.alert_type == "catalogue" else check_graceid
        check(self.graceid)
        self._set("notice_time", _normal_time(self.notice_time))
        notes = Notes(self.notes)
        self._set_event_time(notes)
        self._set("far_hz", notes.number("far", self.far_hz, 0.0, math.inf, "a rate in Hz"))
        self._set("pipeline", (notes.matching("pipeline", self.pipeline, _LABEL) or "").upper())
        self._set("group", notes.matching("group", self.group, _LABEL) or "")
        count = len(notes.all)
        self._set("search", notes.matching("search", self.search, _LABEL) or "")
        if len(notes.all) > count:  # it may have been a mock data challenge
            notes.all.append("without a search the event can only be a test")
            self._set("role", "test")
        self._set("instruments", notes.detectors(self.instruments))
        # alerts before O4 do not say, and all were
        self._set("significant", notes.flag("significant", self.significant, True))
        for name in ("hardware_injection", "internal"):  # what is not clearly false may be true
            self._set(name, notes.flag(name, getattr(self, name), True))
        self._set("properties", notes.probabilities("properties", self.properties))
        self._set("classification", notes.classification(self.classification))
        serial = notes.number("serial number", self.serial, 0, 999_999, "a small number")
        self._set("serial", int(serial or 0) or None)
        self._set("gracedb_url", notes.site(self.gracedb_url))
        filename = notes.matching("sky map name", self.skymap_filename, _FILENAME)
        self._set("skymap_filename", filename)
        self._set("external_coinc", notes.storable("external_coinc", self.external_coinc) or None)
        self._set("extra", notes.storable("", self.extra))
        self._set("notes", notes.shown())

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _set_event_time(self, notes: "Notes") -> None:
        """Check the event time; without one, a retraction still takes back what has its id."""
        time, is_retraction = self.event_time_iso, self.kind == "Retraction"
        if time is None and not is_retraction:
            raise LlamaError("the alert has no event time; get the notice again from its source")
        try:
            self._set("event_time_iso", None if time is None else _normal_time(time))
        except LlamaError:
            if not is_retraction:
                raise
            notes.left_out("event time", time, "a UTC time")
            self._set("event_time_iso", None)
        if self.event_time_iso is None:
            self._set("far_hz", None)  # a bare retraction

    @cached_property
    def gps_time(self) -> float | None:
        """The event time in GPS seconds, None for a bare retraction."""
        return None if self.event_time_iso is None else iso_to_gps(self.event_time_iso)

    @property
    def test_reason(self) -> str | None:
        """Why the event can only be a test, None if it may be an observation."""
        if is_of_catalogue(self.graceid):
            return "it is of a catalogue, which is never published as an alert"
        if is_mock(self.graceid):
            return "its id is that of a mock or test event"
        if self.role == "test":
            return "its alert has role test"
        if self.search.upper() == "MDC":
            return "its search is MDC, a mock data challenge"
        return "it is a hardware injection" if self.hardware_injection else None


def from_notice(**fields: Any) -> Alert:
    """Return an `Alert` from fields that may hold anything, as the notice has them."""
    return Alert(**fields)


def kind_named(name: str) -> str | None:
    """Return the one of KINDS that a notice calls by a name like EARLY_WARNING, None if none."""
    return _KIND_OF_NAME.get(name.lower().replace("_", ""))


class Notes:
    """What was left out of an alert, and the readers of the fields that may be left out."""

    def __init__(self, notes: Iterable[str] = ()) -> None:
        self.all = list(notes)

    def shown(self) -> tuple[str, ...]:
        """Return the notes, the first of them where there are many."""
        more = len(self.all) - _MOST_NOTES
        return (*self.all[:_MOST_NOTES], *([f"and {more} more were left out"] if more > 0 else []))

    def left_out(self, what: str, value: object, meaning: str) -> None:
        """Note that `value` cannot be used."""
        text = "null" if value is None else f"'{printable(value, 40)}'"
        self.all.append(f"{printable(what)} {text} is not {meaning} and was left out")

    def number(
        self, what: str, value: object, least: float, most: float, kind: str
    ) -> float | None:
        """Return a number, None where there is none between `least` and `most`."""
        if value is None:
            return None
        found = as_number(value)
        if least <= found <= most and math.isfinite(found):
            return found
        self.left_out(what, value, kind if math.isfinite(found) else "a finite number")
        return None

    def matching(self, what: str, value: object, pattern: re.Pattern[str]) -> str | None:
        """Return a text of the given form without spaces around it, None if it is another one."""
        text = value.strip() if isinstance(value, str) else None
        if value is None or (text is not None and pattern.fullmatch(text)):
            return text
        self.left_out(what, value, "a short name")
        return None

    def flag(self, what: str, value: object, default: bool) -> bool:
        """Return true or false, however it is written; `default` where it is neither."""
        known = {"1": True, "true": True, "0": False, "false": False}.get(str(value).lower())
        if known is not None and isinstance(value, bool | int | str):
            return known
        self.all.append(f"{what} '{printable(value, 40)}' was taken as {str(default).lower()}")
        return default

    def detectors(self, value: object) -> tuple[str, ...]:
        """Return the detectors in a list, or in a text like H1,L1."""
        names = re.findall(r"[^,\s]+", value) if isinstance(value, str) else value
        if not isinstance(names, list | tuple):
            self.left_out("instruments", value, "a list of detectors")
            return ()
        for name in names:
            if not _matches(_DETECTOR, name):
                self.left_out("instrument", name, "a detector like H1")
        return tuple(sorted({name for name in names if _matches(_DETECTOR, name)}))

    def _object(self, what: str, raw: object, meaning: str) -> Mapping[str, object]:
        if isinstance(raw, Mapping):
            return raw
        if raw is not None:
            self.left_out(what, raw, meaning)
        return {}

    def probabilities(self, what: str, raw: object) -> dict[str, float]:
        """Return the probabilities that can be used, those beyond 0 or 1 by rounding there."""
        found = {}
        for name, value in self._object(what, raw, "a set of probabilities").items():
            probability = as_number(value)
            clipped = min(max(probability, 0.0), 1.0)
            if not (name and _matches(_LABEL, name)):
                self.left_out(f"{what} name", name, "a short name")
            elif not abs(probability - clipped) <= _ROUNDING:
                self.left_out(f"{what} {name}", value, "a probability")
            else:
                found[name] = clipped
        return found

    def classification(self, raw: object) -> dict[str, float]:
        """Return the probabilities of the classes, none where they do not sum to 1."""
        found = self.probabilities("classification", raw)
        total = sum(found.values())
        if found and abs(total - 1) > _SUM:
            self.all.append(f"classification sums to {total:.4g} instead of 1 and was left out")
            return {}
        return found

    def site(self, value: object) -> str | None:
        """Return the address of the event's page, of an odd one its host, which tells tests."""
        text = value if isinstance(value, str) else ""
        if value is None or _URL.fullmatch(text):
            return text or None
        host = _HOST.match(text)
        self.left_out("event page", value, "an address")
        return f"{host[0]}/" if host else None

    def storable(self, what: str, raw: object) -> dict[str, object]:
        """Return the keys whose values are text and finite numbers, in lists and objects too."""
        found = {}
        for key, value in self._object(what, raw, "a JSON object").items():
            try:
                json.dumps({key: value}, ensure_ascii=False, allow_nan=False).encode()
            except (TypeError, ValueError, RecursionError):
                self.left_out(f"{what} {key}".strip(), value, "text and finite numbers")
                continue
            if len(str(key)) > _MOST_LETTERS:
                self.left_out(f"{what} key".strip(), key, "a short name")
            else:
                found[key] = value
        return found


def check_gps(value: object, what: str) -> float:
    """Return `value` as GPS seconds from 1980 to 2109; `LlamaError` names `what`."""
    gps = as_number(value)
    if not _GPS_RANGE[0] < gps < _GPS_RANGE[1]:
        raise LlamaError(
            f"the alert's {what} '{printable(value, 40)}' is not a time from 1980 to 2109; "
            "get the notice again from its source"
        )
    return gps


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _normal_time(text: str) -> str:
    return gps_to_iso(check_gps(iso_to_gps(text), "time"))
