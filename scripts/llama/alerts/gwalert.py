"""LVK's JSON alerts of the Kafka topic `igwn.gwalert`, and the door for any alert file."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from llama.alerts.gracedb_record import is_record, record_to_alert
from llama.alerts.record import Alert, Notes, from_notice
from llama.alerts.voevent import parse_voevent
from llama.errors import LlamaError, printable
from llama.event.skymap_info import KINDS
from llama.files import first_sign

MAX_BYTES = 8_000_000
_KIND_OF_NAME = {kind.upper(): kind for kind in KINDS}
_REQUIRED = ("alert_type", "time_created", "superevent_id")
_TOP = frozenset((*_REQUIRED, "event", "urls", "external_coinc"))
_TOLD = ("far", "instruments", "group", "pipeline", "search")  # by every alert about an event
_EVENT = frozenset(
    ("time", *_TOLD, "significant", "properties", "classification", "skymap", "skymap_filename")
)
_LONG = 30  # digits; no integer of an alert has so many


def parse_alert(content: bytes, name: str) -> Alert:
    """Return the alert in a file of any known form: VOEvent, `igwn.gwalert` or GraceDB record.

    Minor fields that cannot be used are left out, with a note; a map that cannot be read is not
    minor: the event's next products would be made from an older one, or from none. The form
    is taken from the content; `name` only begins the text of a `LlamaError`.
    """
    start = first_sign(content)
    try:
        if start == b"<":
            return parse_voevent(content)
        if start != b"{":
            raise LlamaError(
                "this is neither a VOEvent (XML) nor a JSON alert; give the notice as it was sent"
            )
        notice = load_json(content)
        return record_to_alert(notice) if is_record(notice) else _to_alert(notice)
    except LlamaError as error:
        raise LlamaError(f"{name}: {error}") from error


def load_json(content: bytes) -> dict[str, Any]:
    """Return a JSON object, which may have NaN and infinities; `LlamaError` if it is none."""
    if len(content) > MAX_BYTES:
        raise LlamaError(
            f"the alert has {len(content):,} bytes, more than the {MAX_BYTES:,} of any real alert; "
            "give the alert itself"
        )
    try:
        notice = json.loads(content, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise LlamaError(
            f"the alert is not valid JSON ({printable(error, 100)}); give it as it was sent"
        ) from error
    if not isinstance(notice, dict):
        raise LlamaError("the alert is not a JSON object; give it as it was sent")
    return notice


def _integer(text: str) -> float:
    return int(text) if len(text) <= _LONG else float(text)


def _to_alert(notice: Mapping[str, Any]) -> Alert:
    if "superevent_id" not in notice or "alert_type" not in notice:
        kind = printable(notice.get("$schema") or notice.get("mission") or "no superevent_id")
        raise LlamaError(
            f"this is not an LVK gravitational-wave alert ({kind}); give a record of igwn.gwalert"
        )
    _need(notice, _REQUIRED, "alert")
    name = str(notice["alert_type"])
    kind = _KIND_OF_NAME.get(name.upper().replace("_", ""), "")
    if not kind:
        raise LlamaError(
            f"the alert has alert_type '{printable(name, 40)}'; it must be one of "
            f"{', '.join(_KIND_OF_NAME)}"
        )
    notes = Notes()
    urls = notes.storable("urls", notice.get("urls"))
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
    event = notice.get("event")
    if kind == "Retraction" and not (isinstance(event, Mapping) and "time" in event):
        if event:
            notes.left_out("event", event, "an event with a time")
        return from_notice(**common, extra=extra, notes=notes.shown())
    if not isinstance(event, Mapping):
        raise LlamaError(
            f"the alert is of type {kind} but its event is '{printable(event, 40)}', which only a "
            "RETRACTION may leave out; get the alert again from its source"
        )
    _need(event, ("time",), "alert's event")
    notes.all += [f"the alert has no {key}" for key in _TOLD if event.get(key) is None]
    coincidence = notes.storable("external_coinc", _without_map(notice.get("external_coinc")))
    unknown = {key: value for key, value in event.items() if key not in _EVENT}
    if unknown := notes.storable("event", unknown):
        extra["event"] = unknown
    instruments = event.get("instruments")
    return from_notice(
        **common,
        event_time_iso=event["time"],
        far_hz=event.get("far"),
        pipeline=event.get("pipeline"),
        group=event.get("group"),
        search=event.get("search"),
        instruments=() if instruments is None else instruments,
        significant=event.get("significant", True),
        classification=event.get("classification"),
        properties=event.get("properties"),
        # a map that cannot be read must not keep a retraction from taking its event back
        skymap=None if kind == "Retraction" else _fits(event.get("skymap"), "skymap"),
        skymap_filename=event.get("skymap_filename"),
        external_coinc=coincidence,
        extra=extra,
        notes=tuple(notes.all),
    )


def _without_map(coincidence: Any) -> Any:
    """Leave out the combined map: the publisher's own coincidence stays in the archived alert."""
    if not isinstance(coincidence, Mapping):
        return coincidence
    return {key: value for key, value in coincidence.items() if key != "combined_skymap"}


def _need(mapping: Mapping[str, Any], keys: tuple[str, ...], what: str) -> None:
    missing = [key for key in keys if key not in mapping]
    if missing:
        raise LlamaError(
            f"the {what} lacks {', '.join(missing)}; get the alert again from its source"
        )


def _fits(text: Any, what: str) -> bytes | None:
    if text is None or text == "":
        return None
    try:
        # encoders break lines, and that is no damage
        content = base64.b64decode("".join(text.split()), validate=True)
    except (AttributeError, TypeError, ValueError, binascii.Error) as error:
        raise LlamaError(
            f"the alert's {what} is not base64 ({error}); get the alert again from its source"
        ) from error
    return content
