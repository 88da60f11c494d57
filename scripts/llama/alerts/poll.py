"""Superevents on GraceDB whose alerts were not heard: the safety net under the listener."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

from llama.alerts.gracedb import GraceDBClient, fetch_record
from llama.alerts.gracedb_record import Superevent, notices
from llama.alerts.gwalert import parse_alert
from llama.alerts.intake import create_event
from llama.alerts.record import Alert
from llama.errors import LlamaError, printable, sentence
from llama.event.flags import read_flags
from llama.event.skymap_info import FILE_NAME, read_info
from llama.graceid import check_graceid
from llama.topics import POLL, begins_as_test

log = logging.getLogger("llama.poll")

# An alert has gone out, or is about to.
_LABELS = frozenset(
    ("EM_READY", "GCN_PRELIM_SENT", "LOW_SIGNIF_PRELIM_SENT", "EARLY_WARNING", "ADVOK", "ADVNO")
)


def poll(
    client: GraceDBClient, run_dir: Path, start_gps: float, stop_gps: float
) -> Iterator[tuple[str, str | LlamaError]]:
    """Take over what GraceDB has and `run_dir` has not; yield (superevent, what was done).

    Superevents with start_gps <= t_0 <= stop_gps and a notice or a label that tells of one,
    oldest first. An event's alerts are compared with GraceDB's notices, so that asking again
    changes nothing. One superevent in trouble is yielded with its error and stops no other;
    `LlamaError` when GraceDB cannot be asked at all.
    """
    superevents = map(Superevent.of, client.superevents(start_gps, stop_gps))
    for superevent in sorted(superevents, key=lambda superevent: superevent.time(start_gps)):
        graceid, labels = str(superevent.superevent_id), superevent.labels
        if not isinstance(labels, list) or not _LABELS.intersection(map(str, labels)):
            continue
        try:
            done = _take(client, run_dir, check_graceid(graceid))
        except LlamaError as error:
            yield printable(graceid), error
        except Exception as error:  # one may hold anything, and others wait behind it
            log.exception("a defect of LLAMA, met by %s", printable(graceid))
            yield printable(graceid), LlamaError(sentence(error))
        else:
            if done:
                yield graceid, done


def _take(client: GraceDBClient, run_dir: Path, graceid: str) -> str | None:
    """Bring one event up to date and return what was done, None if there is no alert yet."""
    event_dir = run_dir / graceid
    known = (event_dir / FILE_NAME).exists()
    if known and not read_flags(event_dir)["ONLINE"]:
        return "not asked for, because its flag ONLINE is false"
    content = fetch_record(client, graceid)
    alert = parse_alert(content, f"GraceDB's record of {graceid}")
    if alert.serial is None and alert.kind not in ("Initial", "Retraction"):
        return None
    if known and _is_heard(alert, content, event_dir):
        return "nothing new"
    skymap = None
    if alert.kind != "Retraction" and alert.skymap_filename:
        skymap = (alert.skymap_filename, client.file(graceid, alert.skymap_filename))
    result = create_event(
        run_dir,
        alert,
        alert_content=content,
        alert_suffix="json",
        skymap=skymap,
        role="test" if begins_as_test(POLL) else "observation",
        # the notice may have been heard while GraceDB answered
        unless=lambda: _is_heard(alert, content, event_dir),
    )
    if not result.changed:
        return "nothing new"
    named = (f"its sky map is {skymap[0]}",) if skymap else ()
    said = f"revision {result.revision}, {alert.kind}, which had not been heard"
    return "; ".join((said, *named, *alert.notes))


def _is_heard(alert: Alert, content: bytes, event_dir: Path) -> bool:
    """Tell whether the newest notice on GraceDB is among the event's alerts.

    Alerts by Kafka have no serial number: of the kind of the newest notice, there must then be as
    many of them as GraceDB has notices.
    """
    info = read_info(event_dir)
    if alert.kind == "Retraction" and info.retracted:
        return True
    if alert.serial is None:
        return any((event_dir / "alerts").glob(f"*-{alert.kind}.*"))
    if info.alert_type == "gracedb":
        return bool(info.notice == f"{alert.graceid}-{alert.serial}-{alert.kind}")
    files = json.loads(content)["files"]
    sent = sum(kind == alert.kind for _, kind, _ in notices(alert.graceid, files))
    alerts = (event_dir / "alerts").glob(f"*-{alert.kind}.*")
    return sum(path.name.endswith((f"{alert.kind}.json", ".xml")) for path in alerts) >= sent
