"""Whether everything heard is archived and taken over, and every event up to date."""

import logging
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from llama.alerts.content import skymap_bytes
from llama.alerts.gwalert import MAX_BYTES
from llama.audit.event import Finding
from llama.errors import LlamaError, printable, sentence
from llama.event.find import EventRef
from llama.event.flags import read_flags
from llama.event.skymap_info import read_info
from llama.files import read_json, sha256_bytes, sha256_file
from llama.listening.spool import Entry, Spool
from llama.running.takeover import recognise, source
from llama.running.workflow import Workflow, outdated

log = logging.getLogger("llama.audit")


@dataclass
class Records:
    """What the spool holds: how many records in each state, and how many are alerts of LVK."""

    count: dict[str, int] = field(default_factory=dict)
    alerts: int = 0


def audit_records(output_dir: Path, records: Records) -> Iterator[Finding]:
    """Yield what is wrong with the records, and count those in the spool in `records`.

    From every entry to the archive and the event, and from the archive back to the entries.
    """
    spool = Spool(output_dir)
    # before the entries: a record that is heard meanwhile gets its entry last
    archived = spool.archived()
    entries = spool.entries()
    for state, found in entries.items():
        records.count[state] = len(found)
        for name, entry in found.items():
            try:
                yield from _entry(output_dir, spool, state, name, entry, records)
            except Exception as error:  # one may hold anything, and the others are audited
                log.exception("a defect of LLAMA, met by %s", printable(name, 200))
                problem = f"cannot be checked: {sentence(error)}"
                yield Finding(printable(name, 200), "record", problem)
    for name, reason in spool.reasons():
        yield Finding(name, "quarantine", reason)
    yield from _without_entry(output_dir, spool, archived, entries)


def _entry(
    output_dir: Path,
    spool: Spool,
    state: str,
    name: str,
    entry: Entry | LlamaError,
    records: Records,
) -> Iterator[Finding]:
    """Follow one entry to the archive, and to the event of its alert."""
    if isinstance(entry, LlamaError):
        if state != "quarantine":  # named there
            yield Finding(printable(name, 200), "record", str(entry))
        return
    try:
        path = spool.check(entry)
    except LlamaError as error:
        yield Finding(name, "archived", str(error))
        return
    graceid = _graceid(entry, path.read_bytes()) if entry.size_bytes <= MAX_BYTES else None
    records.alerts += graceid is not None
    if graceid is None or state != "done" or spool.is_left(entry):
        return
    if not _has_alert(output_dir, entry, graceid):
        yield Finding(
            name,
            "taken over",
            f"{graceid} does not have this alert; move its entry from spool/done/ to spool/, or "
            "restore the event",
        )


def _without_entry(
    output_dir: Path,
    spool: Spool,
    archived: Sequence[Path],
    entries: Mapping[str, Mapping[str, Entry | LlamaError]],
) -> Iterator[Finding]:
    """Yield the records in the archive that have no entry, so that no process takes them over."""
    names = {name for found in entries.values() for name in found}  # of damaged ones too
    sound = [e for found in entries.values() for e in found.values() if isinstance(e, Entry)]
    paths, digests = {e.archive for e in sound}, {e.sha256 for e in sound}
    for path in archived:
        archive = path.relative_to(output_dir).as_posix()
        try:
            is_known = archive in paths or path.stem in names or sha256_file(path) in digests
        except OSError as error:
            yield Finding(archive, "heard", f"cannot be read: {sentence(error)}; correct that")
            continue
        if not is_known:
            yield Finding(
                printable(archive, 300),
                "heard",
                "this record has no entry in the spool and was not taken over; run: llama listen "
                f"replay {shlex.quote(str(path))}",
            )


def _graceid(entry: Entry, content: bytes) -> str | None:
    try:
        alert = recognise(source(entry), content)
    except LlamaError:
        return None
    return alert.graceid if alert else None


def _has_alert(output_dir: Path, entry: Entry, graceid: str) -> bool:
    """Tell whether an alert lies in its event, byte for byte, in the current or a past run."""
    events = [output_dir / "current_run" / graceid, *output_dir.glob(f"past_runs/*/{graceid}")]
    return any(
        path.stat().st_size == entry.size_bytes and sha256_file(path) == entry.sha256
        for event in events
        for path in event.glob("alerts/[0-9]*")
    )


def audit_alerts(output_dir: Path, event_dir: Path) -> Iterator[Finding]:
    """Yield what is wrong between an event and the alerts it came from."""
    try:
        info = read_info(event_dir)
    except LlamaError:
        return  # found by `audit_files`
    wrong = partial(Finding, event_dir.name, "alerts")
    maps = {info.skymap_file, info.skymap_alert_file}
    named = {info.alert_file, info.event_alert_file, info.neutrino_file, *maps}
    there = {f"alerts/{path.name}" for path in (event_dir / "alerts").glob("*")}
    gone = sorted(filter(None, named - there))
    for name in gone:
        yield wrong(f"{name} is gone; put it back, or give it again with skymap_info --force")
    if info.has_skymap and not gone:
        try:
            same = sha256_bytes(skymap_bytes(event_dir, info)) == info.skymap_sha256
        except LlamaError:
            same = False
        if not same:
            where = info.skymap_source
            yield wrong(f"the map in {where} is not the one that came; put the original back")
    for path in sorted(event_dir.glob("alerts/*.heard.json")):
        yield from _heard(output_dir, event_dir, path)


def _heard(output_dir: Path, event_dir: Path, path: Path) -> Iterator[Finding]:
    stem = path.name.removesuffix(".heard.json")
    alerts = [path.with_name(f"{stem}.{suffix}") for suffix in ("json", "xml")]
    alert = next((alert for alert in alerts if alert.exists()), None)
    try:
        archived = output_dir / str(read_json(path)["archive"])
    except (LlamaError, KeyError, TypeError):
        archived = output_dir / "gcn"
    if alert is None or not archived.is_file() or sha256_file(alert) != sha256_file(archived):
        yield Finding(
            event_dir.name,
            "archived",
            f"alerts/{stem} is not the record {archived.relative_to(output_dir)}, as {path.name} "
            "says; put back whichever is gone or was changed",
        )


def audit_workflow(output_dir: Path, directories: Sequence[str]) -> Iterator[Finding]:
    """Yield the events, such as current_run/S190425z, that have a missing or outdated product.

    Vetoed events, and those without map, have nothing to make; broken ones `audit_files` names.
    """
    asked = [directory for directory in directories if _is_made(output_dir / directory)]
    if not asked:
        return
    workflow = Workflow(output_dir)
    with tempfile.TemporaryDirectory(prefix="llama-audit-") as temporary:
        out, log = Path(temporary) / "summary.tsv", Path(temporary) / "summary.log"
        process: subprocess.Popen[bytes] = workflow.summarise(asked, out, log)
        if process.wait():
            reason = workflow.reason(log).replace(f"; see {log}", "")
            yield Finding("snakemake", "up to date", f"cannot tell: {reason}")
            return
        old = outdated(out.read_text(errors="replace"))
    for directory in asked:
        if directory in old:
            event = EventRef.parse(directory)
            problem = f"a product is missing or outdated; run: snakemake {event.target}"
            yield Finding(event.graceid, "up to date", problem)


def _is_made(event_dir: Path) -> bool:
    try:
        info, flags = read_info(event_dir), read_flags(event_dir)
    except LlamaError:
        return False
    return not flags["VETOED"] and (info.has_skymap or bool(info.retracted))
