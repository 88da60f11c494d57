"""From an alert to an event directory: a new event, or a new revision of one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from llama.alerts.foreign import foreign_signs
from llama.alerts.record import Alert
from llama.alerts.revision import INSIDE, IntakeResult, Revision
from llama.errors import LlamaError
from llama.event.flags import read_flags
from llama.event.latency import Heard
from llama.event.skymap_info import FILE_NAME, EventInfo, read_info
from llama.files import write_json
from llama.locks import locked_event

__all__ = ["IntakeResult", "create_event"]


def create_event(
    run_dir: Path,
    alert: Alert,
    *,
    alert_content: bytes,
    alert_suffix: str,
    skymap: tuple[str, bytes] | None = None,
    neutrinos: tuple[str, bytes] | None = None,
    neutrino_maps: Mapping[str, bytes] | None = None,
    role: str = "test",
    flags: Mapping[str, object] | None = None,
    force: bool = False,
    by_hand: bool = False,
    wait_s: float | None = None,
    unless: Callable[[], bool] | None = None,
    heard: Heard | None = None,
) -> IntakeResult:
    """Make `run_dir/<graceid>/`, or a new revision of it, from a checked alert.

    `alert_content` is archived as it is, with `alert_suffix` (json or xml); `skymap` and
    `neutrinos` are given files (name, content) and go before what the alert brings;
    `neutrino_maps` are the files, by name, that the list names as maps of neutrinos; `role`
    (test or observation) and `flags` are those of a new event. An alert that the event has had
    changes nothing. One that is older than the present one is archived, and used only for what
    no later one has told, or by `force`: in whichever order alerts come, the event ends the
    same. A map whose header names another event is noted; `by_hand` it is refused without `force`.

    All of this happens under the event's lock (`LockedError` after `wait_s`), and there `unless` is
    asked whether an event that exists shall stay as it is, and `heard`, when and where the alert
    was heard, is written beside it, once. Everything is checked before anything is written,
    skymap_info.json is written last, and on `LlamaError` the directory is as it was; whoever was
    killed may do it again.
    """
    if role == "observation" and alert.test_reason:
        raise LlamaError(f"{alert.graceid} can only be a test: {alert.test_reason}; use role test")
    note = _check_skymap(alert, skymap)
    if note and by_hand and not force:
        raise LlamaError(f"{note}; give the right map, or use this one with --force")
    if neutrinos is not None:
        from llama.neutrinos.given import read_given

        # a bare retraction has no time: then only the form of the list is checked
        read_given(neutrinos[1], neutrinos[0], alert.gps_time or 0.0, whole=True)
    event_dir = run_dir / alert.graceid
    with locked_event(event_dir, wait_s):
        old = _read_old(event_dir, force)
        if (event_dir / "flags.json").exists():
            read_flags(event_dir)
        revision = Revision(
            event_dir, alert, alert_content, alert_suffix, old, force, neutrino_maps
        )
        if old is not None and unless is not None and unless():
            return revision.unchanged()
        result = _revise(revision, old, skymap, neutrinos, {**(flags or {}), "ROLE": role})
        path = (event_dir / result.alert_file).with_suffix(".heard.json")
        if heard is not None and not path.exists():
            write_json(path, msgspec.to_builtins(heard))
    return replace(result, notes=(*result.notes, note)) if note else result


def _revise(
    revision: Revision,
    old: EventInfo | None,
    skymap: tuple[str, bytes] | None,
    neutrinos: tuple[str, bytes] | None,
    flags: Mapping[str, object],
) -> IntakeResult:
    alert, force = revision.alert, revision.force
    if old is not None and not force:
        # GraceDB says what stands now, perhaps more about a notice that the event has had; but
        # what it says of a candidate does not bring it back after its retraction
        heard = alert.alert_type != "gracedb" or old.retracted
        nothing_given = skymap is neutrinos is None
        if nothing_given and revision.is_present:
            return revision.unchanged()
        if heard and revision.is_older:
            return revision.take_older()
        if nothing_given and heard and revision.known:
            return revision.unchanged()
    if skymap is None and alert.skymap is not None and (force or not revision.is_present):
        skymap = (INSIDE, alert.skymap)
    if old is not None and revision.is_present and revision.brings_nothing(skymap, neutrinos):
        return revision.unchanged()
    return revision.write(revision.info(), skymap, neutrinos, flags)


def _read_old(event_dir: Path, force: bool) -> EventInfo | None:
    """Return the event's present skymap_info.json; `force` begins anew where it is broken."""
    try:
        return read_info(event_dir) if (event_dir / FILE_NAME).exists() else None
    except LlamaError:
        if force:
            return None
        raise


def _check_skymap(alert: Alert, given: tuple[str, bytes] | None) -> str | None:
    """Check the map that would be used; return in a sentence why it looks like another event's."""
    from llama.sky import check_skymap  # imports slowly

    name, content = given or (f"the map in the alert of {alert.graceid}", alert.skymap)
    if content is None:
        return None
    meta = check_skymap(content, name)
    signs = foreign_signs(meta, alert.graceid, alert.gps_time, alert.instruments)
    if not signs:
        return None
    return f"{name} belongs to another event than {alert.graceid}: {'; '.join(signs)}"
