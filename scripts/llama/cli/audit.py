"""`llama audit`: proof that records, events and messages agree, and that nothing is out of date."""

import argparse
import logging
from collections.abc import Iterable
from pathlib import Path

from llama.audit.alerts import Records, audit_alerts, audit_records, audit_workflow
from llama.audit.event import Finding, audit_files
from llama.audit.publish import audit_messages
from llama.cli.common import plural, say
from llama.errors import LlamaError, sentence
from llama.event.find import EventRef, find_events
from llama.locks import is_processed
from llama.settings import load

log = logging.getLogger("llama.audit")


def run(options: argparse.Namespace) -> int:
    """Run `llama audit`."""
    output_dir = load().output_dir
    records, found, busy = Records(), 0, 0
    if options.events is None:
        found += _tell(audit_records(output_dir, records))
        states = ", ".join(f"{count:,} {state}" for state, count in records.count.items())
        total = plural(sum(records.count.values()), "record")
        say(f"{total} ({states}), of them {plural(records.alerts, 'alert')} of LVK")
    audited = []
    for directory in _directories(output_dir, options.events):
        findings = _event(output_dir, directory)
        if findings is None:
            busy += 1
        else:
            audited.append(directory)
            found += _tell(findings)
    found += _tell(audit_workflow(output_dir, audited))
    left = f", {busy} left out because they are being made" if busy else ""
    verdict = plural(found, "problem") if found else "all is well"
    say(f"{plural(len(audited), 'event')} audited{left}: {verdict}")
    return 1 if found else 0


def _directories(output_dir: Path, pattern: str | None) -> list[str]:
    """Return the directories of events, such as current_run/S190425z."""
    if pattern is None and not any(output_dir.glob("current_run/*/skymap_info.json")):
        return []
    found = find_events(output_dir, pattern)
    if not all(event.is_relative_to(output_dir) for event in found):
        raise LlamaError(f"{pattern} is not in the output directory {output_dir}; name RUN/GLOB")
    return [event.relative_to(output_dir).as_posix() for event in found]


def _event(output_dir: Path, directory: str) -> list[Finding] | None:
    """Return what is wrong with one event, None while it is being made."""
    event, before = output_dir / directory, _stamps(output_dir / directory)
    target = EventRef.parse(directory).target
    try:
        found = [
            *audit_alerts(output_dir, event),
            *audit_files(output_dir, event, target),
            *audit_messages(event, target),
        ]
    except Exception as error:  # a file may hold anything, and the other events are audited
        log.exception("a defect of LLAMA, met by %s", directory)
        found = [Finding(event.name, "files", f"cannot be checked: {sentence(error)}")]
    return None if is_processed(event) or _stamps(event) != before else found


def _tell(findings: Iterable[Finding]) -> int:
    count = 0
    for finding in findings:
        print(f"{finding.subject}  {finding.check}: {finding.sentence}", flush=True)
        count += 1
    return count


def _stamps(event: Path) -> list[int | None]:
    """Return what changes when an alert comes or a run ends."""
    paths = (event / "skymap_info.json", event / "manifest.json")
    return [path.stat().st_mtime_ns if path.exists() else None for path in paths]
