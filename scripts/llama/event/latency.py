"""latency.json: when each alert of an event was sent, heard and used, and how long that took.

Products are remade: when the window closes, when a setting changes. What counts is when an alert's
step was first reached, so that is remembered in `alerts/made.json`, which no rule makes or removes.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypedDict

from msgspec import Meta, Struct

from llama.errors import LlamaError
from llama.event.messages import Line, Receipt, read_receipt
from llama.event.skymap_info import KINDS, EventInfo
from llama.files import read_json, write_json
from llama.times import iso_to_gps, unix_to_iso
from llama.typed import as_written, typed

STEPS = ("sent", "heard", "taken_over", "map", "neutrinos", "significance", "published")
HISTORY = "alerts/made.json"
_ALERT = re.compile(rf"([0-9]+)-({'|'.join(KINDS)})\.(?:json|xml)")
_REMEDY = "move the file away"
_MOST_MS = 250e12  # what has a date


class Heard(Struct, frozen=True, kw_only=True):
    """The file `alerts/<n>-<Kind>.heard.json`: when and where an alert was heard.

    record: its name in the spool; archive: its file below the output directory.
    """

    record: str = ""
    topic: str | None = None
    kafka_time_ms: (
        Annotated[float, Meta(ge=0, le=_MOST_MS, description="Unix milliseconds")] | None
    ) = None
    heard_at: str | None = None
    taken_over_at: str | None = None
    archive: str | None = None


class Step(TypedDict):
    """When a step was reached, and how long after event and notice [s]."""

    time: str
    after_event_s: float | None
    after_notice_s: float | None


class AlertSteps(TypedDict):
    """An archived alert and when its steps were reached, null for what did not happen."""

    revision: int
    kind: str
    notice_time: str
    steps: dict[str, Step | None]


class Latency(TypedDict):
    """The content of latency.json but for its provenance; `revisions` in the alerts' order."""

    graceid: str
    event_time: str | None
    revisions: list[AlertSteps]


def remember_steps(event_dir: Path, info: EventInfo, made: Mapping[str, Path]) -> None:
    """Add to the history what the event's alerts have reached for the first time.

    made: step to the file that was made last on its way. A file that is older than the alert's
    takeover was made for an earlier one and does not count.
    """
    history = _history(event_dir)
    taken_over = _times(event_dir / info.alert_file)["taken_over"] or ""
    moments = {step: unix_to_iso(path.stat().st_mtime) for step, path in made.items()}
    published = _published(event_dir)
    reached: dict[str, dict[str, str | None]] = {n: {"published": published[n]} for n in published}
    reached.setdefault(str(info.revision), {}).update(
        {step: time for step, time in moments.items() if time >= taken_over}
    )
    merged = {n: reached.get(n, {}) | history.get(n, {}) for n in reached.keys() | history.keys()}
    if merged != history:
        write_json(event_dir / HISTORY, merged)


def published_at(event_dir: Path, info: EventInfo) -> str | None:
    """Return when something of the event's present alert was first sent out, None if never yet."""
    return _published(event_dir).get(str(info.revision))


def has_gone_out(event_dir: Path) -> bool:
    """Return whether something of any alert of the event was sent out."""
    return bool(_published(event_dir))


def _published(event_dir: Path) -> dict[str, str]:
    """Return revision to the time when something of it was first sent, as the receipts say."""
    first: dict[str, str] = {}
    for path in (event_dir / "receipts").glob("*.json"):
        receipt = read_receipt(path)
        messages: list[Receipt | Line] = [receipt, *receipt.history]
        for message in messages:
            if message.sent_at and message.revision:
                time, revision = _normal(message.sent_at, path), str(message.revision)
                first[revision] = min(time, first.get(revision, time))
    return first


def build_latency(event_dir: Path, info: EventInfo, notice_time: Callable[[Path], str]) -> Latency:
    """Return the content of latency.json; notice_time: when an archived alert was issued."""
    history = _history(event_dir)
    found = [(path, _ALERT.fullmatch(path.name)) for path in (event_dir / "alerts").iterdir()]
    alerts = sorted((int(match[1]), match[2], path) for path, match in found if match)
    revisions: list[AlertSteps] = []
    for number, kind, path in alerts:
        notice = notice_time(path)
        times = _times(path) | history.get(str(number), {})
        steps = {step: _step(times.get(step), info.event_time, notice) for step in STEPS}
        revisions.append({"revision": number, "kind": kind, "notice_time": notice, "steps": steps})
    return {"graceid": info.graceid, "event_time": info.event_time, "revisions": revisions}


def _times(alert: Path) -> dict[str, str | None]:
    """Return the times of an alert before its event was worked on.

    It was taken over when `llama run` says so, else when its file was written.
    """
    path = alert.with_suffix(".heard.json")
    heard = typed(read_json(path), Heard, str(path), _REMEDY) if path.exists() else Heard()
    sent_ms, at, taken_over = heard.kafka_time_ms, heard.heard_at, heard.taken_over_at
    return {
        "sent": None if sent_ms is None else unix_to_iso(sent_ms / 1000),
        "heard": _normal(at, path) if at else None,
        "taken_over": _normal(taken_over, path)
        if taken_over
        else unix_to_iso(alert.stat().st_mtime),
    }


def _history(event_dir: Path) -> dict[str, dict[str, str | None]]:
    path = event_dir / HISTORY
    content = read_json(path) if path.exists() else {}
    return as_written(content, dict[str, dict[str, str | None]], str(path), _REMEDY)


def _step(time: str | None, event_time: str | None, notice_time: str) -> Step | None:
    if not time:
        return None
    event, notice = (
        None if zero is None else round(iso_to_gps(time) - iso_to_gps(zero), 3)
        for zero in (event_time, notice_time)
    )
    return {"time": time, "after_event_s": event, "after_notice_s": notice}


def _normal(time: str, where: Path) -> str:
    """Return an ISO time with microseconds and Z, so that texts compare as times do."""
    try:
        return unix_to_iso(datetime.fromisoformat(time).astimezone(UTC).timestamp())
    except ValueError as error:
        raise LlamaError(
            f"{where} has the time {time[:40]!r}, which is no ISO time; {_REMEDY}"
        ) from error
