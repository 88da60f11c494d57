"""From the spool to event directories, in the order heard and exactly once in effect.

A record is taken over in steps, each of which may be repeated: its event gets a revision
(`create_event`), `alerts/<n>-<Kind>.heard.json` beside the archived alert says when it was heard,
everything is brought to disk, and only then the spool's entry is done. Whoever is killed in
between finds the same record pending, and the event as if nothing had happened.
"""

import json
import logging
import time
from collections.abc import Collection, Generator
from dataclasses import dataclass
from pathlib import Path

from llama.alerts.gwalert import parse_alert
from llama.alerts.intake import create_event
from llama.alerts.record import Alert
from llama.errors import LlamaError, sentence
from llama.event.burst_notice import instrument_of
from llama.event.flags import PRESETS, read_flags
from llama.event.latency import Heard
from llama.event.skymap_info import FILE_NAME, read_info
from llama.files import first_sign, sync_directory
from llama.listening.spool import Entry, Spool
from llama.locks import LockedError, locked
from llama.times import unix_to_iso
from llama.topics import (
    ALERT_TOPIC,
    INSTRUMENTS,
    LVK,
    POLL,
    REPLAY,
    begins_as_test,
    brought_by,
    may_bring,
    topic_of_file,
)

_JSON_KEYS = ("superevent_id", "alert_type", "event")
_MOST_DEATHS = 2  # of processes in the middle of one record

log = logging.getLogger("llama.run")


@dataclass(frozen=True)
class Taken:
    """What became of one record: `event` is the GraceDB id, None for what is no alert of LVK.

    `changed` tells that the event has a new revision; `stays` that the record waits for the next
    time. `said` is a sentence for the log.
    """

    entry: Entry
    event: str | None = None
    changed: bool = False
    stays: bool = False
    quarantined: bool = False
    said: str = ""


def take_over(
    output_dir: Path, new_event_flags: str, running: Collection[str] = ()
) -> Generator[Taken, None, None]:
    """Take over every record that waits, and yield what became of each as it is done.

    `new_event_flags` is the preset of new events. Alerts of the events `running`, and of those
    that another run of Snakemake has locked, wait: nobody changes what is being read. What
    cannot be written waits too; what can never be taken over goes into the quarantine.
    """
    spool = Spool(output_dir)
    if not spool.count()["pending"]:
        return
    with locked(spool.directory):
        for entry in spool.pending():
            try:
                taken = _take(spool, entry, output_dir / "current_run", new_event_flags, running)
            except (LlamaError, OSError) as error:  # what cannot be written now
                taken = Taken(entry, stays=True, said=f"{entry.name} waits: {sentence(error)}")
            except Exception as error:  # not even the quarantine took it
                log.exception("a defect of LLAMA, met by %s", entry.name)
                taken = Taken(entry, stays=True, said=f"{entry.name} waits: {sentence(error)}")
            finally:
                spool.end()
            yield taken


def source(entry: Entry) -> str:
    """Return the topic that decides whether a record is used.

    For a replayed file of the archive it is the topic on which it was heard. A broker's topic that
    is named replay or poll is neither.
    """
    if entry.partition is None:
        return topic_of_file((entry.key or "").rpartition("/")[2]) or REPLAY
    return f"{entry.topic}/{entry.partition}" if entry.topic in (REPLAY, POLL) else entry.topic


def recognise(topic: str, content: bytes) -> Alert | None:
    """Return the LVK alert in a record; None for a notice of somebody else.

    `topic` is that of `source`. `LlamaError` for what is, or should be, an alert of LVK but not a
    valid one, and for one on a topic that carries none (`llama.topics`).
    """
    if topic == ALERT_TOPIC or _is_lvk(content):
        if may_bring(topic, LVK):
            return parse_alert(content, topic)
        raise LlamaError(
            f"it is an LVK alert on topic {topic}, which carries none, and was not used; if LVK "
            "sent it, give it to skymap_info"
        )
    return None


def _is_lvk(content: bytes) -> bool:
    start = first_sign(content)
    if start == b"<":
        return b'"graceid"' in content.lower().replace(b"'", b'"')
    if start != b"{" or b'"superevent_id"' not in content:
        return False
    try:
        notice = json.loads(content)
    except (ValueError, RecursionError):
        return True  # cut off, for instance
    return all(key in notice for key in _JSON_KEYS)


def _take(
    spool: Spool, entry: Entry, run_dir: Path, preset: str, running: Collection[str]
) -> Taken:
    try:
        if spool.begin(entry) >= _MOST_DEATHS:
            raise LlamaError(
                f"{_MOST_DEATHS} processes were killed while taking it over, perhaps because they "
                "ran out of memory"
            )
        return _take_alert(spool, entry, run_dir, preset, running)
    except LlamaError as error:
        if _may_pass(error.__cause__):
            raise
        reason = str(error)
    except OSError:
        raise
    except Exception as error:  # a record may hold anything, and others wait behind it
        log.exception("a defect of LLAMA, met by %s", entry.name)
        reason = sentence(error)
    spool.quarantine(entry, reason)
    said = f"{entry.name} is in quarantine: {reason}"
    return Taken(entry, quarantined=True, said=said)


def _may_pass(cause: BaseException | None) -> bool:
    """Tell whether an error is one of the system, such as a full disk, and not of the record."""
    lost = isinstance(cause, FileNotFoundError)
    return isinstance(cause, OSError) and cause.errno is not None and not lost


def _take_alert(
    spool: Spool, entry: Entry, run_dir: Path, preset: str, running: Collection[str]
) -> Taken:
    content = spool.read(entry)
    alert = recognise(source(entry), content)
    if alert is None:
        spool.finish(entry)
        return Taken(entry, said=_left_alone(entry, content))
    event_dir = run_dir / alert.graceid
    if alert.graceid in running:
        return Taken(entry, alert.graceid, stays=True)
    if problem := _problem(event_dir):
        return Taken(entry, alert.graceid, stays=True, said=f"{entry.name} waits: {problem}")
    is_test = alert.test_reason or begins_as_test(entry.topic)
    flags = PRESETS["TRIGGERED_TEST" if is_test else preset]
    try:
        result = create_event(
            run_dir,
            alert,
            alert_content=content,
            alert_suffix="xml" if alert.alert_type == "gcn" else "json",
            role=flags["ROLE"],
            flags=flags,
            wait_s=0,
            heard=_heard(entry),
        )
    except LockedError:
        return Taken(entry, alert.graceid, stays=True)
    for directory in (event_dir / "alerts", event_dir, run_dir, run_dir.parent):
        sync_directory(directory)
    spool.finish(entry)
    what = f"revision {result.revision}" if result.changed else "nothing new"
    said = "; ".join((f"{alert.graceid}: {alert.kind}, {what}", *alert.notes, *result.notes))
    return Taken(entry, alert.graceid, changed=result.changed, said=said)


def _left_alone(entry: Entry, content: bytes) -> str:
    """Return a sentence for a notice of a burst by an instrument that its topic does not bring."""
    of_topic = {*brought_by(source(entry))} & {*INSTRUMENTS}
    if not of_topic or entry.topic == REPLAY or instrument_of(content) in of_topic:
        return ""
    return f"{entry.name} is archived and left alone: it is of no instrument that is known there"


def _problem(event_dir: Path) -> str | None:
    """Return what is wrong with the files of an event that is there: not the record's fault."""
    try:
        if (event_dir / FILE_NAME).exists():
            read_info(event_dir)
        if (event_dir / "flags.json").exists():
            read_flags(event_dir)
    except LlamaError as error:
        return str(error)
    return None


def _heard(entry: Entry) -> Heard:
    return Heard(
        record=entry.name,
        topic=entry.topic,
        kafka_time_ms=entry.kafka_time_ms,
        heard_at=entry.received_at,
        taken_over_at=unix_to_iso(time.time()),
        archive=entry.archive,
    )
