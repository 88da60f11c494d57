"""latency.json: when each alert of an event was sent, heard and used, and how long that took.

Products are remade: when the window closes, when a setting changes. What counts is when an alert's
step was first reached, so that is remembered in `alerts/made.json`, which no rule makes or removes.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.event.messages import Line, Receipt, read_receipt
from llama.event.skymap_info import KINDS, EventInfo
from llama.files import read_json, write_json
from llama.times import iso_to_gps

STEPS = ("sent", "heard", "taken_over", "map", "neutrinos", "significance", "published")
HISTORY = "alerts/made.json"
_ALERT = re.compile(rf"([0-9]+)-({'|'.join(KINDS)})\.(?:json|xml)")


def remember(event_dir: Path, info: EventInfo, made: Mapping[str, Path]) -> None:
    """Add to the history what the event's alerts have reached for the first time.

    made: step to the file that was made last on its way. A file that is older than the alert's
    takeover was made for an earlier one and does not count.
    """
    history = _history(event_dir)
    taken_over = _taken_over(event_dir / info.alert_file)
    moments = {step: _moment(path.stat().st_mtime) for step, path in made.items()}
    reached = {revision: {"published": time} for revision, time in _published(event_dir).items()}
    reached.setdefault(str(info.revision), {}).update(
        {step: time for step, time in moments.items() if time >= taken_over}
    )
    merged = {n: reached.get(n, {}) | history.get(n, {}) for n in reached.keys() | history.keys()}
    if merged != history:
        write_json(event_dir / HISTORY, merged)


def published_at(event_dir: Path, info: EventInfo) -> str | None:
    """Return when something of the event's present alert was first sent out, None if never yet."""
    return _published(event_dir).get(str(info.revision))


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


def build_latency(
    event_dir: Path, info: EventInfo, notice_time: Callable[[Path], str]
) -> dict[str, Any]:
    """Return the content of latency.json but for its provenance.

    `revisions` has an entry per archived alert, in their order, with `steps`: ISO time (UTC), and
    seconds after the event and after the notice; null for what did not happen, as when nothing had
    to be made. notice_time: returns when an archived alert was issued.
    """
    history = _history(event_dir)
    revisions = []
    for number, kind, path in _alerts(event_dir):
        notice = notice_time(path)
        times = _heard(path) | history.get(str(number), {})
        zeros = {"after_event_s": info.event_time, "after_notice_s": notice}
        steps = {step: _step(times.get(step), zeros) for step in STEPS}
        revisions.append({"revision": number, "kind": kind, "notice_time": notice, "steps": steps})
    return {
        "graceid": info.graceid,
        "event_time": info.event_time,
        "revisions": revisions,
    }


def _alerts(event_dir: Path) -> list[tuple[int, str, Path]]:
    found = [(path, _ALERT.fullmatch(path.name)) for path in (event_dir / "alerts").iterdir()]
    return sorted((int(match[1]), match[2], path) for path, match in found if match)


def _heard(alert: Path) -> dict[str, str | None]:
    """Return the times of an alert before its event was worked on."""
    sent_ms = _takeover(alert).get("kafka_time_ms")
    heard = _takeover(alert).get("heard_at")
    return {
        "sent": None if sent_ms is None else _moment(sent_ms / 1000),
        "heard": _normal(heard, alert) if heard else None,
        "taken_over": _taken_over(alert),
    }


def _taken_over(alert: Path) -> str:
    """Return when the alert came into the event: as `llama run` says, else as its file does."""
    time = _takeover(alert).get("taken_over_at")
    return _normal(time, alert) if time else _moment(alert.stat().st_mtime)


def _takeover(alert: Path) -> dict[str, Any]:
    path = alert.with_suffix(".heard.json")
    return read_json(path) if path.exists() else {}


def _history(event_dir: Path) -> dict[str, dict[str, str]]:
    path = event_dir / HISTORY
    return read_json(path) if path.exists() else {}


def _step(time: str | None, zeros: Mapping[str, str | None]) -> dict[str, Any] | None:
    """Return a time and how long after each of `zeros` it is."""
    if not time:
        return None
    after = {
        name: None if zero is None else round(iso_to_gps(time) - iso_to_gps(zero), 3)
        for name, zero in zeros.items()
    }
    return {"time": time, **after}


def _moment(unix_s: float) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _normal(time: Any, where: Path) -> str:
    """Return an ISO time with microseconds and Z, so that texts compare as times do."""
    try:
        return _moment(datetime.fromisoformat(time).astimezone(UTC).timestamp())
    except (TypeError, ValueError) as error:
        raise LlamaError(
            f"{where} has the time {str(time)[:40]!r}, which is no ISO time; move the file away"
        ) from error
