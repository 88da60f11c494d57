"""From an alert to an event directory: a new event, or a new revision of one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama.alerts.lock import locked
from llama.alerts.record import Alert
from llama.alerts.revision import INSIDE, IntakeResult, Revision
from llama.errors import LlamaError
from llama.event.flags import read_flags
from llama.event.skymap_info import FILE_NAME, read_info

__all__ = ["IntakeResult", "create_event"]


def create_event(
    run_dir: Path,
    alert: Alert,
    *,
    alert_content: bytes,
    alert_suffix: str,
    skymap: tuple[str, bytes] | None = None,
    neutrinos: tuple[str, bytes] | None = None,
    role: str = "test",
    flags: Mapping[str, bool | str] | None = None,
    force: bool = False,
) -> IntakeResult:
    """Make `run_dir/<graceid>/`, or a new revision of it, from a checked alert.

    `alert_content` is archived as it is, with `alert_suffix` (json or xml); `skymap` and
    `neutrinos` are given files (name, content) and go before what the alert brings; `role`
    (test or observation) and `flags` are those of a new event. An alert that the event has had
    changes nothing. One that is older than the present one is archived, and used only for what
    no later one has told, or by `force`: in whichever order alerts come, the event ends the
    same. Everything is checked before anything is written, skymap_info.json is written last,
    and on `LlamaError` the directory is as it was; whoever was killed may do it again.
    """
    if role == "observation" and alert.test_reason:
        raise LlamaError(f"{alert.graceid} can only be a test: {alert.test_reason}; use role test")
    from llama.sky.check import check_skymap  # imports slowly

    if skymap is not None:
        check_skymap(skymap[1], skymap[0])
    elif alert.skymap is not None:
        check_skymap(alert.skymap, f"the map in the alert of {alert.graceid}")
    if neutrinos is not None:
        from llama.neutrinos.given import read_given

        read_given(neutrinos[1], neutrinos[0])
    event_dir = run_dir / alert.graceid
    with locked(event_dir):
        old = _read_old(event_dir, force)
        if (event_dir / "flags.json").exists():
            read_flags(event_dir)
        revision = Revision(event_dir, alert, alert_content, alert_suffix, old, force)
        if old is not None and not force:
            heard = alert.alert_type != "gracedb"
            nothing_given = skymap is neutrinos is None
            if nothing_given and revision.is_present:
                return revision.unchanged()
            if heard and alert.notice_time < old["notice_time"]:
                return revision.take_older()
            if nothing_given and heard and revision.known:
                return revision.unchanged()
        if skymap is None and alert.skymap is not None and (force or not revision.is_present):
            skymap = (INSIDE, alert.skymap)
        if old is not None and revision.is_present and revision.brings_nothing(skymap, neutrinos):
            return revision.unchanged()
        return revision.write(revision.info(), skymap, neutrinos, {**(flags or {}), "ROLE": role})


def _read_old(event_dir: Path, force: bool) -> dict[str, Any] | None:
    """Return the event's present skymap_info.json; `force` begins anew where it is broken."""
    try:
        return read_info(event_dir) if (event_dir / FILE_NAME).exists() else None
    except LlamaError:
        if force:
            return None
        raise
