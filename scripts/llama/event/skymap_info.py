"""skymap_info.json: what the newest alert says about the event, and where its map lies."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from llama.errors import LlamaError
from llama.event.flags import ROLES
from llama.files import read_json
from llama.graceid import EVENT_PATTERN
from llama.typed import typed

FILE_NAME = "skymap_info.json"
ALERT_TYPES = (
    *("igwn-alert", "gcn", "gracedb", "manual", "catalogue"),
    *("gstlal-offline", "injection", "mock"),
)
KINDS = ("EarlyWarning", "Preliminary", "Initial", "Update", "Retraction")
_REMEDY = "make it again with skymap_info --force"
_MOST = 1.7976931348623157e308  # what is above, or not a number, is not finite


def _text(pattern: str, meaning: str) -> Meta:
    return Meta(pattern=rf"\A(?:{pattern})\Z", description=meaning)


def _one_of(values: Iterable[str], meaning: str) -> Meta:
    return _text("|".join(map(re.escape, values)), meaning)


def _archived(suffixes: str) -> Meta:
    return _text(rf"alerts/\d+-[A-Za-z]+\.(?:{suffixes})", "a path below alerts/")


_Time = Annotated[str, _text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?", "an ISO time in UTC")]
_Word = Annotated[str, _text(r".{0,40}", "a text")]
_YesNo = Annotated[bool, Meta(description="true or false")]
_AlertFile = Annotated[str, _archived("json|xml")]


class EventInfo(Struct, frozen=True, kw_only=True, rename={"far_hz": "far", "others": ""}):
    """What the newest alert says about an event, and where its files lie.

    Times are UTC; paths are relative to the event's directory, None where there is no such file.
    Only a retraction whose event was never seen has no event_time, gps_time [s] and far_hz.
    """

    alert_type: Annotated[str, _one_of(ALERT_TYPES, "one of " + ", ".join(ALERT_TYPES))]
    graceid: Annotated[str, _text(EVENT_PATTERN, "a GraceDB id or a catalogue's name")]
    event_time: _Time | None
    gps_time: Annotated[float, Meta(ge=-_MOST, le=_MOST, description="GPS seconds")] | None
    far_hz: Annotated[float, Meta(ge=0, le=_MOST, description="a rate in Hz")] | None
    pipeline: _Word
    group: _Word
    search: _Word
    instruments: Annotated[
        list[Annotated[str, _text("[A-Z][0-9]", "")]], Meta(description='a list like ["H1", "L1"]')
    ]
    significant: _YesNo
    # what the alert allows: a mock is never an observation
    role: Annotated[str, _one_of(ROLES, "test or observation")]
    retracted: _YesNo
    internal: _YesNo
    skymap_filename: Annotated[str, _text(r"[^/\s]{1,200}", "a file name")] | None
    skymap_sha256: Annotated[str, _text("[0-9a-f]{64}", "64 hexadecimal digits")] | None
    # the map given as a file, or the alert with the map inside
    skymap_file: Annotated[str, _archived(r"fits(?:\.gz)?")] | None
    skymap_alert_file: Annotated[str, _archived("json")] | None
    # the newest alert, and the newest that describes the event, that is, not a bare retraction
    alert_file: _AlertFile
    event_alert_file: _AlertFile | None
    neutrino_file: Annotated[str, _archived("json|csv")] | None
    gracedb_service_url: Annotated[str, _text(r"https?://\S{1,200}", "a URL")] | None
    notice_time: _Time
    notice: Annotated[
        str, _text(EVENT_PATTERN + r"-\d+-[A-Za-z]+", "a name like S190425z-2-Initial")
    ]
    revision: Annotated[int, Meta(ge=1, description="a number from 1")]
    # keys that LLAMA does not know, kept as they are
    others: dict[str, object] = {}

    @property
    def has_skymap(self) -> bool:
        """Whether the event has a sky map, as a file or inside an alert."""
        return bool(self.skymap_source)

    @property
    def skymap_source(self) -> str | None:
        """The file with the sky map, None without one."""
        return self.skymap_file or self.skymap_alert_file

    @property
    def trigger_gps(self) -> float:
        """The event's time in GPS seconds; `LlamaError` where its alert never came."""
        if self.gps_time is None:
            raise LlamaError(f"{self.graceid} has no event time; give its alert with skymap_info")
        return self.gps_time

    def taking(self, other: "EventInfo", names: Iterable[str]) -> "EventInfo":
        """Return this with some of the values of another one."""
        return msgspec.structs.replace(self, **{name: getattr(other, name) for name in names})

    def as_json(self) -> dict[str, object]:
        """Return the content of the file."""
        content = msgspec.to_builtins(self)
        return content.pop("") | content


_KEY_OF = {f.name: f.encode_name for f in msgspec.structs.fields(EventInfo) if f.required}
KEYS = tuple(_KEY_OF.values())


def neutrino_map_file(neutrino_file: str, name: str) -> str:
    """Return where the map lies that a given list of neutrinos calls `name`."""
    return f"{neutrino_file.rpartition('.')[0]}-{name}"


def check_info(content: object, where: str) -> EventInfo:
    """Return the content of a skymap_info.json, checked.

    `where` names the file in the `LlamaError` raised otherwise.
    """
    info = typed(content, EventInfo, where, _REMEDY)
    if not info.retracted and (info.gps_time is None or info.event_time is None):
        raise LlamaError(f"{where} has no event time; {_REMEDY}")
    return _with_others(info, content)


def read_info(event_dir: Path) -> EventInfo:
    """Return the event's skymap_info.json, checked."""
    path = event_dir / FILE_NAME
    if not path.exists():
        raise LlamaError(f"{path} does not exist; create the event with skymap_info")
    return check_info(read_json(path), str(path))


def unchecked_info(content: Mapping[str, object]) -> EventInfo:
    """Return what is only shown, perhaps of an older version: any values, None where none is."""
    known: dict[str, Any] = {name: content.get(key) for name, key in _KEY_OF.items()}
    return _with_others(EventInfo(**known), content)


def _with_others(info: EventInfo, content: Any) -> EventInfo:
    others = {key: value for key, value in content.items() if key not in KEYS}
    return msgspec.structs.replace(info, others=others)
