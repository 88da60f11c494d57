"""What must be true after a day of chaos, read from bytes and messages without any code of LLAMA.

`judge` returns a sentence for each thing that is wrong. It knows what was sent, what a person gave
by hand, what each receiver has, and what the source of neutrinos says in the end; of LLAMA it reads
only the files that its users read.
"""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

_SIGNIFICANCE = ("significance_lvc-i3.json", "significance_subthresh_lvc-i3.json")
# of two alerts of one second the later in this list counts
_KINDS = ("EARLYWARNING", "PRELIMINARY", "INITIAL", "UPDATE", "RETRACTION")


class Message(NamedTuple):
    """One message at a receiver: which place there, its idempotency key, and its text."""

    place: str
    key: str
    text: str


def judge(
    output: Path,
    heard: Iterable[bytes],
    alerts: Mapping[str, list[bytes]],
    neutrinos: Any,
    messages: Mapping[str, list[Message]],
) -> list[str]:
    """Return what is wrong, empty if nothing is.

    heard: all records that came through the broker; alerts: by event, the good ones and those given
    by hand; neutrinos: (start, stop) in GPS seconds -> all that happened between; messages: by
    receiver, in the order in which they came.
    """
    wrong = list(_archive(output, heard))
    for graceid, records in alerts.items():
        directory = output / "current_run" / graceid
        newest = max(map(json.loads, records), key=_order)
        retracted = newest["alert_type"] == "RETRACTION"
        wrong += [f"{graceid}: {what}" for what in _event(directory, records, newest, retracted)]
        if not retracted:
            wrong += [f"{graceid}: {what}" for what in _result(directory, records, neutrinos)]
        for name, received in messages.items():
            about = [message for message in received if graceid in message.text]
            # a notice to GCN has no odds
            known = None if name == "gcn" else _significance(directory).get("odds_ratio")
            odds = None if retracted else known
            said = _messages(graceid, about, retracted, odds)
            wrong += [f"{graceid}: {name} {what}" for what in said]
    for name, received in messages.items():
        twice = [key for key, n in Counter(m.key for m in received).items() if n > 1]
        wrong += [f"{name} has {key} more than once" for key in twice]
    return wrong


def messages(doubles: Mapping[str, Any], gcn: list[tuple[str, Any]]) -> dict[str, list[Message]]:
    """Return what has arrived at slack, webhook and gracedb, from their own memory, and at GCN."""
    slack = [message for message in doubles["slack"].messages if "metadata" in message]
    keys = [message["metadata"]["event_payload"]["key"] for message in slack]
    places = [message["channel"].removeprefix("C0123456").lower() for message in slack]
    posts = zip(doubles["webhook"].places, doubles["webhook"].posts, strict=True)
    logs = [row["comment"] for rows in doubles["gracedb"].logs.values() for row in rows]
    logs = [text for text in logs if not text.endswith(".fits")]  # but sky maps
    return {
        "slack": [
            Message(place, key, message["text"])
            for place, key, message in zip(places, keys, slack, strict=True)
        ],
        "webhook": [Message(path.rpartition("/")[2], key, p["text"]) for path, (key, p) in posts],
        "gracedb": [Message("real", text.splitlines()[-1], text) for text in logs],
        "gcn": [Message("real", key, json.dumps(notice)) for key, notice in gcn],
    }


def _order(alert: dict[str, Any]) -> tuple[datetime, int]:
    created = datetime.fromisoformat(alert["time_created"])
    return created.astimezone(UTC), _KINDS.index(alert["alert_type"])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _archive(output: Path, heard: Iterable[bytes]) -> Iterator[str]:
    """Every record heard is in the archive, as often as it was sent, and nothing else is."""
    files = (path for path in (output / "gcn").rglob("[!.]*") if path.is_file())
    there = Counter(_sha256(path.read_bytes()) for path in files)
    sent = Counter(map(_sha256, heard))
    for name, counts in (("lost from", sent - there), ("invented by", there - sent)):
        yield from (f"a record was {name} the archive: {digest}" for digest in counts)
    waiting = sorted(path.name for path in (output / "spool").glob("[!.]*.json"))
    yield from (f"{name} still waits in the spool" for name in waiting)


def _event(
    directory: Path, records: list[bytes], newest: dict[str, Any], retracted: bool
) -> Iterator[str]:
    """Every alert is kept byte for byte, and the newest one counts."""
    kept = {_sha256(path.read_bytes()) for path in (directory / "alerts").glob("[!.]*")}
    for record in records:
        if _sha256(record) not in kept:
            yield f"the alert {record[:80]!r} is not kept"
    info = json.loads((directory / "skymap_info.json").read_bytes())
    if info["retracted"] != retracted:
        yield f"retracted is {info['retracted']}"
    created, _ = _order(newest)
    if datetime.fromisoformat(info["notice_time"]).replace(tzinfo=UTC) != created:
        yield f"its notice is that of {info['notice_time']}, not of {created}"


def _significance(directory: Path) -> dict[str, Any]:
    for name in _SIGNIFICANCE:
        if (directory / name).exists():
            content: dict[str, Any] = json.loads((directory / name).read_bytes())
            return content
    return {}


def _result(directory: Path, records: list[bytes], neutrinos: Any) -> Iterator[str]:
    """The result is that of the newest map and of all neutrinos of the window."""
    significance = _significance(directory)
    if not significance:
        yield "it has no significance"
        return
    by_age = sorted(map(json.loads, records), key=_order)
    maps = [a["event"]["skymap"] for a in by_age if (a["event"] or {}).get("skymap")]
    used = significance["inputs"]["gw_skymap_info"]["skymap_sha256"]
    if used != _sha256(base64.b64decode(maps[-1])):
        yield "its significance is that of an older map"
    listed = json.loads((directory / "icecube_neutrino_list.json").read_bytes())
    if not listed["complete"]:
        yield "its list of neutrinos is not complete"
    window = listed["window"]
    if directory.name.startswith("M"):  # a mock gets neutrinos that never were
        if any(event["type"] != "simulated" for event in listed["events"]):
            yield "it is a mock with real neutrinos"
        return
    there = sorted(event["gps"] for event in listed["events"])
    known = sorted(neutrinos(window["start_gps"], window["stop_gps"]))
    # the list keeps MJD in double precision: 1e-6 s
    same = len(there) == len(known) and all(
        abs(a - b) < 1e-4 for a, b in zip(there, known, strict=True)
    )
    if not same:
        yield f"it has the neutrinos of {there}, the detector those of {known}"


def _messages(
    graceid: str, about: list[Message], retracted: bool, odds: float | None
) -> Iterator[str]:
    """A mock is never at a real place; what was published is withdrawn or up to date."""
    is_mock = graceid.startswith("M")
    places = {message.place for message in about}
    if is_mock and "real" in places:
        yield "has a mock event at the real place"
    for place in places:
        text = [message.text for message in about if message.place == place][-1]
        if retracted and "retract" not in text.lower():
            yield f"still has the result of a retracted event: {text[:80]!r}"
        if odds is not None and f"{odds:.3g}" not in text:
            yield f"has another result than {odds:.3g}: {text[:200]!r}"
