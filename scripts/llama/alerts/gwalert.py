"""LVK's JSON alerts of the Kafka topic `igwn.gwalert`, and the door for any alert file."""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from llama.alerts.gracedb_record import is_record, record_to_alert
from llama.alerts.record import Alert, number
from llama.alerts.voevent import parse_voevent
from llama.errors import LlamaError
from llama.event.skymap_info import KINDS

MAX_BYTES = 8_000_000
_KIND_OF_NAME = {kind.upper(): kind for kind in KINDS}
_REQUIRED = ("alert_type", "time_created", "superevent_id", "event")
_TOP = frozenset((*_REQUIRED, "urls", "external_coinc"))
_REQUIRED_EVENT = ("time", "far", "instruments", "group", "pipeline", "search")
_EVENT = frozenset((*_REQUIRED_EVENT, "significant", "properties", "classification", "skymap"))


def parse_alert(content: bytes, name: str) -> Alert:
    """Return the alert in a file of any known form: VOEvent, `igwn.gwalert` or GraceDB record.

    The form is taken from the content; `name` only begins the text of a `LlamaError`.
    """
    start = content[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    try:
        if start.startswith(b"<"):
            return parse_voevent(content)
        if not start.startswith(b"{"):
            raise LlamaError(
                "this is neither a VOEvent (XML) nor a JSON alert; give the notice as it was sent"
            )
        notice = load_json(content)
        return record_to_alert(notice) if is_record(notice) else _to_alert(notice)
    except LlamaError as error:
        raise LlamaError(f"{name}: {error}") from error


def load_json(content: bytes) -> dict[str, Any]:
    """Return a JSON object without NaN and infinities; `LlamaError` if `content` is none."""
    if len(content) > MAX_BYTES:
        raise LlamaError(
            f"the alert has {len(content):,} bytes, more than the {MAX_BYTES:,} of any real alert; "
            "give the alert itself"
        )
    try:
        notice = json.loads(content, parse_constant=_not_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise LlamaError(
            f"the alert is not valid JSON ({str(error)[:100]}); give it as it was sent"
        ) from error
    if not isinstance(notice, dict):
        raise LlamaError("the alert is not a JSON object; give it as it was sent")
    return notice


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"it contains {text}, which is not a number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _not_finite(text)


def _to_alert(notice: Mapping[str, Any]) -> Alert:
    if "superevent_id" not in notice or "alert_type" not in notice:
        kind = str(notice.get("$schema") or notice.get("mission") or "no superevent_id")
        raise LlamaError(
            f"this is not an LVK gravitational-wave alert ({kind[:100]}); "
            "give a record of igwn.gwalert"
        )
    _need(notice, _REQUIRED, "alert")
    name = str(notice["alert_type"])
    kind = _KIND_OF_NAME.get(name.upper().replace("_", ""), "")
    if not kind:
        raise LlamaError(
            f"the alert has alert_type {name[:40]!r}; it must be one of {', '.join(_KIND_OF_NAME)}"
        )
    urls = _mapping(notice.get("urls"), "urls")
    common: dict[str, Any] = {
        "graceid": notice["superevent_id"],
        "kind": kind,
        "alert_type": "igwn-alert",
        "notice_time": notice["time_created"],
        "gracedb_url": urls.get("gracedb"),
    }
    extra: dict[str, Any] = {key: value for key, value in notice.items() if key not in _TOP}
    if len(urls) > ("gracedb" in urls):
        extra["urls"] = {key: value for key, value in urls.items() if key != "gracedb"}
    event = notice["event"]
    if event is None:
        if kind != "Retraction":
            raise LlamaError(
                f"the alert is of type {name} but its event is null, which only a RETRACTION may "
                "have; get the alert again from its source"
            )
        return Alert(**common, extra=extra)
    event = _mapping(event, "event")
    _need(event, _REQUIRED_EVENT, "alert's event")
    unknown = {key: value for key, value in event.items() if key not in _EVENT}
    coincidence = _mapping(notice.get("external_coinc"), "external_coinc")
    return Alert(
        **common,
        event_time_iso=event["time"],
        far_hz=number(event["far"], "far"),
        pipeline=event["pipeline"] or "",
        group=event["group"] or "",
        search=event["search"] or "",
        instruments=tuple(_list(event["instruments"], "instruments")),
        significant=_significant(event),
        classification=_mapping(event.get("classification"), "classification"),
        properties=_mapping(event.get("properties"), "properties"),
        skymap=_fits(event.get("skymap"), "skymap"),
        skymap_filename=unknown.pop("skymap_filename", None),
        # the combined map is the publisher's own coincidence; it stays in the archived alert
        external_coinc={k: v for k, v in coincidence.items() if k != "combined_skymap"} or None,
        extra={**extra, "event": unknown} if unknown else extra,
    )


def _need(mapping: Mapping[str, Any], keys: tuple[str, ...], what: str) -> None:
    missing = [key for key in keys if key not in mapping]
    if missing:
        raise LlamaError(
            f"the {what} lacks {', '.join(missing)}; get the alert again from its source"
        )


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if value is None or isinstance(value, dict):
        return dict(value or {})
    raise LlamaError(f"the alert's {what} is not a JSON object; get it again from its source")


def _list(value: Any, what: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise LlamaError(f"the alert's {what} is not a list; get it again from its source")


def _significant(event: Mapping[str, Any]) -> bool:
    value = event.get("significant", True)  # alerts before O4 do not say, and all were
    if isinstance(value, bool):
        return value
    raise LlamaError("the alert's significant is neither true nor false; get it again")


def _fits(text: Any, what: str) -> bytes | None:
    if text is None:
        return None
    try:
        content = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise LlamaError(
            f"the alert's {what} is not base64 ({error}); get the alert again from its source"
        ) from error
    if content:
        return content
    raise LlamaError(f"the alert's {what} is empty; get the alert again from its source")
