"""LVK's JSON alerts of the Kafka topic `igwn.gwalert`, and the door for any alert file."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from llama.alerts import by_hand
from llama.alerts.gracedb_record import JsonObject, is_record, record_to_alert
from llama.alerts.record import Alert, Notes, from_notice, kind_named
from llama.alerts.voevent import parse_voevent
from llama.errors import LlamaError, printable
from llama.event.skymap_info import KINDS
from llama.files import first_sign
from llama.typed import typed

MAX_BYTES = 8_000_000
_TOLD = ("far", "instruments", "group", "pipeline", "search")  # by every alert about an event
_LONG = 30  # digits; no integer of an alert has so many
_REMEDY = "get the alert again from its source"


class _Notice(Struct, frozen=True):
    alert_type: object
    time_created: object
    superevent_id: object
    event: object = None
    urls: object = None
    external_coinc: object = None


class _Event(Struct, frozen=True, rename={"event_time_iso": "time", "far_hz": "far"}):
    """What such a record says about its event, named as in `Alert`; a value may be anything."""

    event_time_iso: object
    far_hz: object = None
    instruments: object = None
    group: object = None
    pipeline: object = None
    search: object = None
    significant: object = True
    properties: object = None
    classification: object = None
    skymap: object = None
    skymap_filename: object = None


def parse_alert(content: bytes, name: str) -> Alert:
    """Return the alert in a file of any known form: VOEvent, `igwn.gwalert`, a record.

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
        if by_hand.MARK in notice and "superevent_id" not in notice:
            return by_hand.record_to_alert(notice)
        return record_to_alert(notice) if is_record(notice) else _to_alert(notice)
    except LlamaError as error:
        raise LlamaError(f"{name}: {error}") from error


def load_json(content: bytes) -> JsonObject:
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


def _to_alert(content: JsonObject) -> Alert:
    if "superevent_id" not in content or "alert_type" not in content:
        form = printable(content.get("$schema") or content.get("mission") or "no superevent_id")
        raise LlamaError(
            f"this is not an LVK gravitational-wave alert ({form}); give a record of igwn.gwalert"
        )
    notice = typed(content, _Notice, "the alert", _REMEDY)
    name = str(notice.alert_type)
    kind = kind_named(name)
    if kind is None:
        raise LlamaError(
            f"the alert has alert_type '{printable(name, 40)}'; it must be one of "
            f"{', '.join(KINDS).upper()}"
        )
    notes = Notes()
    urls = notes.storable("urls", notice.urls)
    common = {
        "graceid": notice.superevent_id,
        "kind": kind,
        "alert_type": "igwn-alert",
        "notice_time": notice.time_created,
        "gracedb_url": urls.pop("gracedb", None),
    }
    extra = _unknown(content, notice) | ({"urls": urls} if urls else {})
    said = notice.event
    if kind == "Retraction" and not (isinstance(said, Mapping) and "time" in said):
        if said:
            notes.left_out("event", said, "an event with a time")
        return from_notice(**common, extra=extra, notes=notes.shown())
    if not isinstance(said, Mapping):
        raise LlamaError(
            f"the alert is of type {kind} but its event is '{printable(said, 40)}', which only a "
            f"RETRACTION may leave out; {_REMEDY}"
        )
    event = typed(said, _Event, "the alert's event", _REMEDY)
    notes.all += [f"the alert has no {key}" for key in _TOLD if said.get(key) is None]
    coincidence = notes.storable("external_coinc", _without_map(notice.external_coinc))
    if unknown := notes.storable("event", _unknown(said, event)):
        extra["event"] = unknown
    fields = asdict(event)
    if event.instruments is None:
        fields["instruments"] = ()
    # a map that cannot be read must not keep a retraction from taking its event back
    fields["skymap"] = None if kind == "Retraction" else _fits(event.skymap)
    return from_notice(
        **common, **fields, external_coinc=coincidence, extra=extra, notes=notes.shown()
    )


def _unknown(content: JsonObject, known: Struct) -> dict[str, object]:
    return {key: content[key] for key in content if key not in known.__struct_encode_fields__}


def _without_map(coincidence: object) -> object:
    """Leave out the combined map: the publisher's own coincidence stays in the archived alert."""
    if not isinstance(coincidence, Mapping):
        return coincidence
    return {key: value for key, value in coincidence.items() if key != "combined_skymap"}


def _fits(text: Any) -> bytes | None:
    if text is None or text == "":
        return None
    try:
        # encoders break lines, and that is no damage
        return base64.b64decode("".join(text.split()), validate=True)
    except (AttributeError, TypeError, ValueError) as error:
        raise LlamaError(f"the alert's skymap is not base64 ({error}); {_REMEDY}") from error
