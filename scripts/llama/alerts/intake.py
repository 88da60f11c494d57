"""From an alert to an event directory: a new event, or a new revision of one."""

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama.alerts.lock import locked
from llama.alerts.record import Alert
from llama.errors import LlamaError
from llama.event.flags import read_flags, write_flags
from llama.event.names import has_skymap, products
from llama.event.skymap_info import FILE_NAME, check_info, read_info
from llama.files import sha256_bytes, sha256_file, write_bytes, write_json

_GZIP = b"\x1f\x8b"
_INSIDE = ""  # the name of a map that came inside its alert
# What an alert says about the event itself; a bare retraction says none of it.
_EVENT_KEYS = ("event_time", "gps_time", "far", "pipeline", "group", "search", "instruments")
_SKYMAP_KEYS = ("skymap_file", "skymap_alert_file", "skymap_filename", "skymap_sha256")


@dataclass(frozen=True)
class IntakeResult:
    """Where the event is, its revision, whether this alert changed it, and what to tell."""

    event_dir: Path
    revision: int
    changed: bool
    notes: tuple[str, ...] = ()


def create_event(
    run_dir: Path,
    alert: Alert,
    *,
    alert_content: bytes,
    alert_suffix: str,
    skymap: tuple[str, bytes] | None = None,
    neutrinos: tuple[str, bytes] | None = None,
    role: str = "test",
    force: bool = False,
) -> IntakeResult:
    """Make `run_dir/<graceid>/`, or a new revision of it, from a checked alert.

    `alert_content` is archived as it is, with `alert_suffix` (json or xml); `skymap` and
    `neutrinos` are given files (name, content) and go before what the alert brings; `role`
    (test or observation) is that of a new event. An alert identical to the present one
    changes nothing; an older one is only archived unless `force`. Everything is checked
    before anything is written, skymap_info.json is written last, and on `LlamaError` the
    directory is as it was.
    """
    if role == "observation" and alert.test_reason:
        raise LlamaError(f"{alert.graceid} can only be a test: {alert.test_reason}; use role test")
    if skymap is not None:
        _check_skymap(skymap[1], skymap[0])
    elif alert.skymap is not None:
        _check_skymap(alert.skymap, f"the map in the alert of {alert.graceid}")
    if neutrinos is not None:
        from llama.neutrinos.given import read_given

        read_given(neutrinos[1], neutrinos[0])
    event_dir = run_dir / alert.graceid
    with locked(event_dir):
        old = _read_old(event_dir, force)
        if (event_dir / "flags.json").exists():
            read_flags(event_dir)
        intake = _Intake(event_dir, alert, alert_content, alert_suffix, old)
        if old is not None and not force:
            if intake.is_present and skymap is None and neutrinos is None:
                return IntakeResult(event_dir, old["revision"], False)
            if alert.alert_type != "gracedb" and alert.notice_time < old["notice_time"]:
                return intake.archive_older()
        if skymap is None and alert.skymap is not None and (force or not intake.is_present):
            skymap = (_INSIDE, alert.skymap)
        if old is not None and intake.is_present and intake.brings_nothing(skymap, neutrinos):
            return IntakeResult(event_dir, old["revision"], False)
        return intake.write(skymap, neutrinos, role)


def _read_old(event_dir: Path, force: bool) -> dict[str, Any] | None:
    """Return the event's present skymap_info.json; `force` begins anew where it is broken."""
    try:
        return read_info(event_dir) if (event_dir / FILE_NAME).exists() else None
    except LlamaError:
        if force:
            return None
        raise


class _Intake:
    """One alert meeting one event directory, which is locked."""

    def __init__(
        self,
        event_dir: Path,
        alert: Alert,
        content: bytes,
        suffix: str,
        old: dict[str, Any] | None,
    ) -> None:
        self.event_dir, self.alert, self.content, self.old = event_dir, alert, content, old
        archived = (event_dir / "alerts").glob("*")
        numbers = [int(m[0]) for path in archived if (m := re.match("[0-9]+", path.name))]
        self.revision = max([*numbers, old["revision"] if old else 0]) + 1
        self.stem = f"alerts/{self.revision}-{alert.kind}"
        self.alert_file = f"{self.stem}.{suffix}"
        # whether the event's present alert is this one, byte for byte
        self.is_present = old is not None and self._same(old["alert_file"], content)

    def _same(self, name: str | None, content: bytes) -> bool:
        path = self.event_dir / name if name else None
        return bool(path and path.exists() and sha256_file(path) == sha256_bytes(content))

    def brings_nothing(
        self, skymap: tuple[str, bytes] | None, neutrinos: tuple[str, bytes] | None
    ) -> bool:
        """Tell whether map and neutrinos, where given, are those the event has."""
        old = self.old or {}
        same_map = skymap is None or sha256_bytes(skymap[1]) == old["skymap_sha256"]
        same_list = neutrinos is None or self._same(old["neutrino_file"], neutrinos[1])
        return same_map and same_list

    def archive_older(self) -> IntakeResult:
        """Keep an alert that is older than the present one; change nothing else."""
        old = self.old or {}
        known = (self.event_dir / "alerts").glob(f"*-{self.alert.kind}.*")
        same = [path for path in known if self._same(f"alerts/{path.name}", self.content)]
        name = f"alerts/{same[0].name}" if same else self.alert_file
        if not same:
            write_bytes(self.event_dir / name, self.content)
        note = (
            f"this notice of {self.alert.notice_time} is older than the present one of "
            f"{old['notice_time']}: kept as {name}, not used; use it with --force"
        )
        return IntakeResult(self.event_dir, old["revision"], False, (note,))

    def write(
        self,
        skymap: tuple[str, bytes] | None,
        neutrinos: tuple[str, bytes] | None,
        role: str,
    ) -> IntakeResult:
        """Write the new revision: archived files first, skymap_info.json last."""
        files = {self.alert_file: self.content}
        info = self._info()
        if skymap is not None:
            info.update(self._skymap_keys(skymap, files))
        if neutrinos is not None:
            suffix = (
                "json" if neutrinos[1].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{") else "csv"
            )
            info["neutrino_file"] = f"alerts/{self.revision}-neutrinos.{suffix}"
            files[info["neutrino_file"]] = neutrinos[1]
        check_info(info, FILE_NAME)
        written: list[Path] = []
        try:
            for name, content in files.items():
                written.append(self.event_dir / name)
                write_bytes(written[-1], content)
            if not (self.event_dir / "flags.json").exists():
                written.append(self.event_dir / "flags.json")
                write_flags(self.event_dir, {"ROLE": role})
            write_json(self.event_dir / FILE_NAME, info)
        except BaseException:
            for path in written:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            raise
        # What no rule will renew any more must not lie about: another form of map or search.
        for name in set(products(self.old or info)) - set(products(info)):
            (self.event_dir / name).unlink(missing_ok=True)
        return IntakeResult(self.event_dir, self.revision, True, self._notes(info, skymap))

    def _info(self) -> dict[str, Any]:
        alert, old = self.alert, self.old or {}
        bare = alert.kind == "Retraction" and alert.far_hz is None
        event = {
            "event_time": alert.event_time_iso,
            "gps_time": alert.gps_time,
            "far": alert.far_hz,
            "pipeline": alert.pipeline,
            "group": alert.group,
            "search": alert.search,
            "instruments": list(alert.instruments),
        }
        if bare and old:
            event = {key: old[key] for key in _EVENT_KEYS}
        site = re.match(r"https?://[^/]+", alert.gracedb_url or "")
        present = {
            "alert_type": alert.alert_type,
            "graceid": alert.graceid,
            "significant": old.get("significant", True) if bare else alert.significant,
            # The role is that of the event: a retraction of a test does not make it real.
            "role": "test"
            if alert.test_reason or (bare and old.get("role") == "test")
            else "observation",
            "internal": alert.internal,
            "retracted": alert.kind == "Retraction",
            "alert_file": self.alert_file,
            "event_alert_file": old.get("event_alert_file") if bare else self.alert_file,
            "gracedb_service_url": f"{site[0]}/api/" if site else old.get("gracedb_service_url"),
            "notice_time": alert.notice_time,
            "notice": f"{alert.graceid}-{alert.serial or self.revision}-{alert.kind}",
            "revision": self.revision,
        }
        kept = {key: old.get(key) for key in (*_SKYMAP_KEYS, "neutrino_file")}
        if not has_skymap(kept):
            kept["skymap_filename"] = alert.skymap_filename
        return {**old, **event, **present, **kept}

    def _skymap_keys(self, skymap: tuple[str, bytes], files: dict[str, bytes]) -> dict[str, Any]:
        """Return the keys of a new map; a map that is not inside the JSON alert joins `files`."""
        name, content = skymap
        compressed = content.startswith(_GZIP)
        inside = name == _INSIDE and not compressed and self.alert_file.endswith(".json")
        if not inside:
            path = f"{self.stem}.fits{'.gz' if compressed else ''}"
            files[path] = content
        default = f"{self.alert.graceid}-{self.revision}-{self.alert.kind}.multiorder.fits"
        return {
            "skymap_file": None if inside else path,
            "skymap_alert_file": self.alert_file if inside else None,
            "skymap_filename": _safe(name) or self.alert.skymap_filename or default,
            "skymap_sha256": sha256_bytes(content),
        }

    def _notes(self, info: dict[str, Any], skymap: tuple[str, bytes] | None) -> tuple[str, ...]:
        named = self.alert.skymap_filename
        if skymap is not None or self.alert.kind == "Retraction":
            return ()
        if not has_skymap(info):
            what = f"the notice names {named} but does not hold it" if named else "none came"
            return (f"no sky map yet: {what}; give one with --skymap FILE or --graceid",)
        if named and named != info["skymap_filename"]:
            return (
                f"the notice names the map {named}, the event keeps {info['skymap_filename']}; "
                "give the new one with --skymap FILE or --graceid",
            )
        return ()


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.:,+-]", "_", Path(name).name)[-150:]


def _check_skymap(content: bytes, name: str) -> None:
    from llama.sky import read_skymap

    read_skymap(content, name)
