"""An event without an alert: what its sky map and a human say of it, as a record to archive.

The record is JSON with the key `event_without_alert`; `gwalert.parse_alert` reads it as every
other alert.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from llama.alerts.foreign import SAME_EVENT_S
from llama.alerts.record import Alert, from_notice
from llama.child import in_child
from llama.errors import LlamaError, printable
from llama.event.skymap_info import FILE_NAME, read_info
from llama.files import dump_json, has_content
from llama.graceid import EVENT_PATTERN, is_of_catalogue
from llama.times import gps_to_iso, iso_to_gps, mjd_to_gps, now_gps
from llama.typed import as_number, typed

MARK = "event_without_alert"
_GPS = (0.0, 4.1e9)  # 1980 to 2109, as of every alert
_CARDS = ("OBJECT", "DATE-OBS", "MJD-OBS", "INSTRUME", "DATE")
_NAMED = re.compile(r"GW(\d\d)(\d\d)(\d\d)(?:_(\d\d)(\d\d)(\d\d))?")
_DAY_S = 86_400.0


class MapFacts(NamedTuple):
    """What a sky map's header says of its event; None where it does not. Times in GPS s."""

    name: str | None
    gps: float | None
    instruments: tuple[str, ...]
    made_gps: float | None


@dataclass(frozen=True, kw_only=True)
class Unalerted:
    """An event without an alert.

    gps: time [s]; source_class: BNS, NSBH, BBH, or CBC where it is not known which; made_gps: when
    what is said of it was made; extra: what else is to be kept, such as which map was chosen.
    `LlamaError` where neither far_hz nor p_astro is known, or a number is none.
    """

    name: str
    gps: float
    far_hz: float | None = None
    p_astro: float | None = None
    source_class: str = "CBC"
    instruments: tuple[str, ...] = ()
    made_gps: float | None = None
    extra: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _GPS[0] < self.gps < _GPS[1]:
            raise LlamaError(f"{self.name} is at GPS {self.gps}, not from 1980 to 2109; correct it")
        if self.far_hz is not None and not 0 <= self.far_hz < math.inf:
            raise LlamaError(f"{self.name} has a false-alarm rate of {self.far_hz}; give it in Hz")
        if self.p_astro is not None and not 0 <= self.p_astro <= 1:
            raise LlamaError(f"{self.name} has p_astro {self.p_astro}; give it from 0 to 1")
        if self.far_hz is None and self.p_astro is None:
            raise LlamaError(f"{self.name} has neither p_astro nor a false-alarm rate; give one")

    def record(self, event_dir: Path) -> bytes:
        """Return the record to archive: of what the event says already, the very same bytes.

        What is new is dated later than the present record, so that it counts.
        """
        made_gps = self.gps if self.made_gps is None else self.made_gps
        content = self._record(made_gps)
        if not (event_dir / FILE_NAME).exists():
            return content
        info = read_info(event_dir)
        present = self._record(iso_to_gps(info.notice_time))
        if has_content(event_dir / info.alert_file, present):
            return present
        return content if gps_to_iso(made_gps) > info.notice_time else self._record(now_gps())

    def _record(self, made_gps: float) -> bytes:
        classes = {}
        if self.p_astro is not None:
            classes = {self.source_class: self.p_astro, "Terrestrial": 1 - self.p_astro}
        record = {
            MARK: self.name,
            "time": gps_to_iso(self.gps),
            "time_created": gps_to_iso(made_gps),
            "far": self.far_hz,
            "classification": classes,
            "instruments": list(self.instruments),
            "extra": dict(self.extra),
        }
        return dump_json(record).encode()


class _Record(Struct, frozen=True):
    event_without_alert: object
    time: object
    time_created: object
    far: object = None
    classification: object = None
    instruments: object = None
    extra: object = None


def record_to_alert(content: Mapping[str, object]) -> Alert:
    """Return the alert that a record amounts to."""
    record = typed(content, _Record, "the record", "make the event again with skymap_info")
    of_catalogue = is_of_catalogue(str(record.event_without_alert))
    fields: dict[str, Any] = {
        "graceid": record.event_without_alert,
        "notice_time": record.time_created,
        "event_time_iso": record.time,
        "far_hz": record.far,
        "classification": record.classification,
        "instruments": record.instruments or (),
        "extra": record.extra,
    }
    return from_notice(
        **fields,
        kind="Update",
        alert_type="catalogue" if of_catalogue else "manual",
        group="CBC" if of_catalogue else "",
    )


def map_facts(content: bytes, name: str) -> MapFacts:
    """Return what the header of anybody's sky map says, read in a child with limits."""
    from llama.sky.table import find_table  # imports slowly
    from llama.sky.unpack import SMALLER

    def parse() -> dict[str, str]:
        header = find_table(content, name).header
        return {key: str(header[key])[:200] for key in _CARDS if key in header}

    cards: dict[str, str] = in_child(parse, name, SMALLER)
    known = cards.get("OBJECT", "")
    gps = _gps(cards.get("DATE-OBS"))
    if gps is None and math.isfinite(mjd := as_number(cards.get("MJD-OBS"))):
        gps = float(mjd_to_gps(mjd))
    return MapFacts(
        known if re.fullmatch(EVENT_PATTERN, known) else None,
        gps if gps is not None and _GPS[0] < gps < _GPS[1] else None,
        tuple(re.findall("[A-Z][0-9]", cards.get("INSTRUME", ""))),
        _gps(cards.get("DATE")),
    )


def parse_time(text: str) -> float:
    """Return GPS seconds, or a UTC time in ISO 8601, as GPS seconds."""
    gps = as_number(text)
    if math.isnan(gps):
        return iso_to_gps(text)
    if not _GPS[0] < gps < _GPS[1]:
        raise LlamaError(f"{printable(text, 40)} is no GPS time from 1980 to 2109; correct it")
    return gps


def misnamed(name: str, gps: float) -> str | None:
    """Return in a sentence that a catalogue's name has another time than `gps`, None if not."""
    match = _NAMED.fullmatch(name)
    if match is None:
        return None
    year, month, day, *clock = match.groups()
    try:
        start = iso_to_gps(f"20{year}-{month}-{day}T" + ":".join(c or "00" for c in clock))
    except LlamaError:
        return f"{name} names no date"
    # without a time of day it may be any of that day
    least, most = (-SAME_EVENT_S, SAME_EVENT_S) if clock[0] else (-1.0, _DAY_S + 1.0)
    if least <= gps - start <= most:
        return None
    return f"{name} names another time than {gps_to_iso(gps, 0)}"


def _gps(text: str | None) -> float | None:
    try:
        return iso_to_gps(text or "")
    except LlamaError:  # a header may have any text there
        return None
