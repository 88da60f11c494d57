"""The one form in which every alert arrives, whatever it was written in; all checks are here."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from llama.errors import LlamaError
from llama.event.flags import ROLES
from llama.event.names import check_graceid, is_mock
from llama.event.skymap_info import ALERT_TYPES, KINDS
from llama.times import gps_to_iso, iso_to_gps

_GPS_RANGE = (0.0, 4.1e9)  # 1980 to 2109
_LABEL = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9 _.+-]{0,39})?")
_URL = re.compile(r"https?://[^\s<>\"'\\]{1,300}")
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,150}(?:,[0-9]{1,6})?")


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One notice about one gravitational-wave candidate, checked.

    Times are ISO 8601 UTC, `far_hz` is in Hz, probabilities in [0, 1]; `skymap` is raw FITS
    bytes. A bare retraction has neither event time nor FAR.
    `extra` keeps what the notice says beyond the fields. `LlamaError` for an invalid value.
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
    external_coinc: Mapping[str, Any] | None = None
    hardware_injection: bool = False
    internal: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_graceid(self.graceid)
        _require(self.kind in KINDS, "kind", self.kind, "one of " + ", ".join(KINDS))
        _require(self.alert_type in ALERT_TYPES, "alert type", self.alert_type, "known")
        _require(self.role in ROLES, "role", self.role, "test or observation")
        self._set("notice_time", _normal_time(self.notice_time))
        if self.event_time_iso is not None:
            self._set("event_time_iso", _normal_time(self.event_time_iso))
        elif self.kind != "Retraction":
            raise LlamaError("the alert has no event time; get the notice again from its source")
        if self.far_hz is not None:
            self._set("far_hz", number(self.far_hz, "far"))
            _require(self.far_hz >= 0, "far", self.far_hz, "a rate in Hz")
        self._set("pipeline", str(self.pipeline).upper())
        for name in ("pipeline", "group", "search"):
            value = getattr(self, name)
            _require(_matches(_LABEL, value), name, value, "a short name")
        for detector in self.instruments:
            valid = isinstance(detector, str) and re.fullmatch("[A-Z][0-9]", detector)
            _require(bool(valid), "instrument", detector, "a detector like H1")
        self._set("instruments", tuple(sorted(set(self.instruments))))
        self._set("classification", _probabilities(self.classification, "classification"))
        self._set("properties", _probabilities(self.properties, "properties"))
        total = sum(self.classification.values())
        if self.classification and abs(total - 1) > 1e-3:
            raise LlamaError(
                f"the alert's classification sums to {total:.4g} instead of 1; "
                "get the notice again from its source"
            )
        if self.serial is not None:
            _require(0 < self.serial < 10**6, "serial number", self.serial, "a small number")
        if self.gracedb_url is not None:
            _require(_matches(_URL, self.gracedb_url), "event page", self.gracedb_url, "a URL")
        if self.skymap_filename is not None:
            name = self.skymap_filename
            _require(_matches(_FILENAME, name), "sky map name", name, "a file name")
        _require_text_and_numbers({"external_coinc": self.external_coinc, "extra": self.extra})

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @cached_property
    def gps_time(self) -> float | None:
        """The event time in GPS seconds, None for a bare retraction."""
        return None if self.event_time_iso is None else iso_to_gps(self.event_time_iso)

    @property
    def test_reason(self) -> str | None:
        """Why the event can only be a test, None if it may be an observation."""
        if is_mock(self.graceid):
            return "its id is that of a mock or test event"
        if self.role == "test":
            return "its alert has role test"
        if self.search == "MDC":
            return "its search is MDC, a mock data challenge"
        return "it is a hardware injection" if self.hardware_injection else None


def number(value: Any, what: str) -> float:
    """Return `value` (a number or its text) as a finite float; `LlamaError` names `what`."""
    try:
        result = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    _require(math.isfinite(result), what, value, "a finite number")
    return result


def check_gps(value: Any, what: str) -> float:
    """Return `value` as GPS seconds from 1980 to 2109; `LlamaError` names `what`."""
    gps = number(value, what)
    _require(_GPS_RANGE[0] < gps < _GPS_RANGE[1], what, value, "a time from 1980 to 2109")
    return gps


def _require(condition: bool, what: str, value: Any, meaning: str) -> None:
    if not condition:
        raise LlamaError(
            f"the alert's {what} {str(value)[:40]!r} is not {meaning}; "
            "get the notice again from its source"
        )


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _normal_time(text: str) -> str:
    return gps_to_iso(check_gps(iso_to_gps(text), "time"))


def _probabilities(raw: Mapping[str, Any], what: str) -> dict[str, float]:
    _require(isinstance(raw, Mapping), what, raw, "a set of probabilities")
    result = {str(name): number(value, f"{what} {name}") for name, value in raw.items()}
    for name, value in result.items():
        _require(_matches(_LABEL, name), f"{what} name", name, "a short name")
        _require(0 <= value <= 1, f"{what} {name}", value, "a probability")
    return result


def _require_text_and_numbers(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise LlamaError(
            f"the alert holds something that is neither text nor a finite number ({error}); "
            "get the notice again from its source"
        ) from error
