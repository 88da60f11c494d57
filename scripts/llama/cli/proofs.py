"""`llama audit` and `llama rebuild`: whether all agrees, and an earlier significance once more."""

import argparse
import logging
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from llama.audit.alerts import Records, audit_alerts, audit_records, audit_workflow
from llama.audit.event import Finding, audit_files, audit_messages
from llama.audit.rebuild import rebuild
from llama.cli.common import plural, say
from llama.errors import LlamaError, sentence
from llama.event.find import EventRef, find_events
from llama.event.manifest import find_manifest, kept_files, manifests, read_manifest
from llama.files import read_json
from llama.layout import to_type
from llama.locks import is_processed
from llama.settings import load
from llama.typed import typed

log = logging.getLogger("llama.audit")


def audit(options: argparse.Namespace) -> int:
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


class _Told(Struct):
    """What the list of manifests shows of skymap_info.json and of the significance."""

    notice: str = "?"
    odds_ratio: float | None = None
    p_value: float | None = None


def rebuild_event(options: argparse.Namespace) -> int:
    """Run `llama rebuild`."""
    output_dir = load().output_dir
    events = find_events(output_dir, options.event)
    if len(events) != 1:
        raise LlamaError(f"{options.event} names {len(events)} events; name one")
    (event,) = events
    if options.at is None:
        return _list(event, options.event)

    made = rebuild(output_dir, event, find_manifest(event, options.at), say)
    if made.identical:
        print(f"identical: sha256 {made.sha256}")
        return 0
    print(f"different: sha256 {made.sha256}, was {made.recorded_sha256}")
    for difference in made.differences:
        print(f"  {difference}")
    say(f"what was made is {made.path}")
    return 1


def _list(event: Path, given: str) -> int:
    found = manifests(event)
    for number, path in found.items():
        manifest = read_manifest(path)
        kept = kept_files(event, manifest)
        info = _told(kept.get("skymap_info.json"))
        name = next((name for name in kept if name.startswith("significance")), None)
        significance = _told(kept[name] if name else None)
        print(
            f"{number:3}  {manifest.get('made_at', '?'):20}  {info.notice:28}  "
            f"{manifest.get('software', '?'):25}  "
            f"odds {_number(significance.odds_ratio)}  "
            f"p {_number(significance.p_value)}"
        )
    if not found:
        command = to_type(f"events/{event.name}/all")
        say(f"{event.name} has no manifest yet; {command} makes the first")
        return 1
    say(f"to make one again: llama rebuild {given} --at NUMBER")
    return 0


def _told(path: Path | None) -> _Told:
    if path is None or not path.exists():
        return _Told()
    return typed(read_json(path), _Told, str(path), "put it back from a backup")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
