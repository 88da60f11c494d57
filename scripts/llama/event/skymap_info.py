"""skymap_info.json: what the newest alert says about the event, and where its map lies."""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.event.flags import ROLES
from llama.event.names import GRACEID_PATTERN
from llama.files import read_json

FILE_NAME = "skymap_info.json"
ALERT_TYPES = ("igwn-alert", "gcn", "gracedb", "manual", "gstlal-offline", "injection", "mock")
KINDS = ("EarlyWarning", "Preliminary", "Initial", "Update", "Retraction")

_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?"
_ARCHIVED = r"alerts/\d+-[A-Za-z]+\."


def _text(pattern: str) -> Callable[[Any], bool]:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _nullable(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _instruments(value: Any) -> bool:
    detector = _text("[A-Z][0-9]")
    return isinstance(value, list) and all(detector(name) for name in value)


# Every key, what it may hold, and how to say so. Times are UTC. Only a retraction whose event
# was never seen has no event_time, gps_time [s] and far [Hz].
_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "alert_type": (lambda value: value in ALERT_TYPES, "one of " + ", ".join(ALERT_TYPES)),
    "graceid": (_text(GRACEID_PATTERN), "a GraceDB id"),
    "event_time": (_nullable(_text(_TIME)), "an ISO time in UTC"),
    "gps_time": (_nullable(_number), "GPS seconds"),
    "far": (_nullable(lambda value: _number(value) and value >= 0), "a rate in Hz"),
    "pipeline": (_text(r".{0,40}"), "a text"),
    "group": (_text(r".{0,40}"), "a text"),
    "search": (_text(r".{0,40}"), "a text"),
    "instruments": (_instruments, 'a list like ["H1", "L1"]'),
    "significant": (_boolean, "true or false"),
    "role": (lambda value: value in ROLES, "test or observation"),
    "retracted": (_boolean, "true or false"),
    "internal": (_boolean, "true or false"),
    "skymap_filename": (_nullable(_text(r"[^/\s]{1,200}")), "a file name"),
    "skymap_sha256": (_nullable(_text("[0-9a-f]{64}")), "64 hexadecimal digits"),
    "skymap_file": (_nullable(_text(_ARCHIVED + r"fits(\.gz)?")), "a path below alerts/"),
    "skymap_alert_file": (_nullable(_text(_ARCHIVED + "json")), "a path below alerts/"),
    "alert_file": (_text(_ARCHIVED + "(json|xml)"), "a path below alerts/"),
    "event_alert_file": (_nullable(_text(_ARCHIVED + "(json|xml)")), "a path below alerts/"),
    "neutrino_file": (_nullable(_text(_ARCHIVED + "(json|csv)")), "a path below alerts/"),
    "gracedb_service_url": (_nullable(_text(r"https?://\S{1,200}")), "a URL"),
    "notice_time": (_text(_TIME), "an ISO time in UTC"),
    "notice": (_text(GRACEID_PATTERN + r"-\d+-[A-Za-z]+"), "a name like S190425z-2-Initial"),
    "revision": (lambda value: type(value) is int and value >= 1, "a number from 1"),
}

KEYS = tuple(_CHECKS)


def check_info(info: Any, where: str) -> dict[str, Any]:
    """Return `info` when every key of skymap_info.json is there and valid; unknown keys are kept.

    `where` names the file in the `LlamaError` raised otherwise.
    """
    remedy = "make it again with skymap_info --force"
    if not isinstance(info, Mapping):
        raise LlamaError(f"{where} is not a JSON object; {remedy}")
    missing = [key for key in _CHECKS if key not in info]
    if missing:
        raise LlamaError(
            f"{where} lacks {', '.join(missing)}; make it again with skymap_info --force"
        )
    for key, (check, meaning) in _CHECKS.items():
        if not check(info[key]):
            raise LlamaError(
                f"{where} has {key} = {str(info[key])[:40]!r}, which is not {meaning}; {remedy}"
            )
    if not info["retracted"] and (info["gps_time"] is None or info["event_time"] is None):
        raise LlamaError(f"{where} has no event time; {remedy}")
    return dict(info)


def read_info(event_dir: Path) -> dict[str, Any]:
    """Return the checked content of the event's skymap_info.json.

    Keys as in docs/files.md, among them: `role` (what the alert allows: a mock is never an
    observation), `retracted`, `gps_time` [s], and paths relative to the event directory:
    `alert_file` (newest alert), `event_alert_file` (newest alert that describes the event,
    i.e. no bare retraction), `skymap_file` (map given as a file) or `skymap_alert_file` (alert
    with the map inside), `neutrino_file` (given neutrinos); null where there is none.
    """
    path = event_dir / FILE_NAME
    if not path.exists():
        raise LlamaError(f"{path} does not exist; create the event with skymap_info")
    return check_info(read_json(path), str(path))
