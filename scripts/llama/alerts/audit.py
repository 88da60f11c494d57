"""Whether everything heard is archived and taken over, and every event up to date."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llama.alerts.content import skymap_bytes
from llama.alerts.spool import Entry, Spool
from llama.alerts.takeover import recognise, source
from llama.alerts.workflow import Workflow, outdated
from llama.errors import LlamaError
from llama.event.audit import Finding
from llama.event.flags import read_flags
from llama.event.names import has_skymap
from llama.event.skymap_info import read_info
from llama.files import read_json, sha256_bytes, sha256_file


@dataclass
class Records:
    """What the spool holds: how many records in each state, and how many are alerts of LVK."""

    count: dict[str, int] = field(default_factory=dict)
    alerts: int = 0


def audit_records(output_dir: Path, records: Records) -> Iterator[Finding]:
    """Yield what is wrong with the records in the spool, and count them in `records`."""
    spool = Spool(output_dir)
    for state, entries in spool.entries().items():
        records.count[state] = len(entries)
        for name, entry in entries.items():
            if isinstance(entry, LlamaError):
                if state != "quarantine":
                    yield Finding(name, "record", str(entry))
                continue
            try:
                content = spool.read(entry)
            except LlamaError as error:
                yield Finding(name, "archived", str(error))
                continue
            graceid = _graceid(entry, content)
            records.alerts += graceid is not None
            if graceid and (sentence := _taken_over(output_dir, state, entry, graceid)):
                yield Finding(name, "taken over", sentence)


def _graceid(entry: Entry, content: bytes) -> str | None:
    """Return the event of a record that is a valid alert of LVK."""
    try:
        alert = recognise(source(entry), content)
    except LlamaError:
        return None
    return alert.graceid if alert else None


def _taken_over(output_dir: Path, state: str, entry: Entry, graceid: str) -> str | None:
    """Return what is wrong with an alert in the spool, None if nothing is."""
    if state == "quarantine":
        return (
            f"an alert of {graceid} is in quarantine; its entry says why, mend that, then move it "
            "from spool/quarantine/ back into spool/"
        )
    if state == "pending":
        return None
    events = [output_dir / "current_run" / graceid, *output_dir.glob(f"past_runs/*/{graceid}")]
    for event in events:
        for path in event.glob("alerts/[0-9]*"):
            if path.stat().st_size == entry.size_bytes and sha256_file(path) == entry.sha256:
                return None
    return (
        f"{graceid} does not have this alert; move its entry from spool/done/ back into spool/, "
        "or restore the event"
    )


def audit_alerts(output_dir: Path, event_dir: Path) -> Iterator[Finding]:
    """Yield what is wrong between an event and the alerts it came from."""
    try:
        info = read_info(event_dir)
    except LlamaError:
        return  # found by `audit_files`
    names = ("alert_file", "event_alert_file", "skymap_file", "skymap_alert_file", "neutrino_file")
    gone = sorted({info[key] for key in names if info[key]} - _archived(event_dir))
    for name in gone:
        yield Finding(
            event_dir.name,
            "alerts",
            f"{name} is gone; put it back, or give it again with skymap_info --force",
        )
    if has_skymap(info) and not gone:
        try:
            same = sha256_bytes(skymap_bytes(event_dir, info)) == info["skymap_sha256"]
        except LlamaError:
            same = False
        if not same:
            name = info["skymap_file"] or info["skymap_alert_file"]
            yield Finding(
                event_dir.name,
                "alerts",
                f"the map in {name} is not the one that came; put the original back",
            )
    for path in sorted(event_dir.glob("alerts/*.heard.json")):
        yield from _heard(output_dir, event_dir, path)


def _archived(event_dir: Path) -> set[str]:
    return {f"alerts/{path.name}" for path in (event_dir / "alerts").glob("*")}


def _heard(output_dir: Path, event_dir: Path, path: Path) -> Iterator[Finding]:
    """Compare an alert that was heard with the archive of records."""
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
            target = f"{directory.replace('current_run/', 'events/', 1)}/all"
            yield Finding(
                Path(directory).name,
                "up to date",
                f"a product is missing or outdated; run: snakemake {target}",
            )


def _is_made(event_dir: Path) -> bool:
    try:
        info, flags = read_info(event_dir), read_flags(event_dir)
    except LlamaError:
        return False
    return not flags["VETOED"] and (has_skymap(info) or bool(info["retracted"]))
