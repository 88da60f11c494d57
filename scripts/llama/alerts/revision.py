"""One alert meeting one event directory: what it changes there, and how that is written."""

import contextlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from llama.alerts.content import archived_alert, is_from_the_future, order, role_and_site
from llama.alerts.record import Alert
from llama.event.flags import write_flags
from llama.event.names import products
from llama.event.skymap_info import FILE_NAME, KINDS, EventInfo, check_info, neutrino_map_file
from llama.files import first_sign, has_content, sha256_bytes, write_bytes, write_json

_GZIP = b"\x1f\x8b"
_KIND = re.compile(rf"-(?:{'|'.join(KINDS)})\.")
INSIDE = ""  # the name of a map that came inside its alert
# What skymap_info.json has as its alert has it.
_OF_ALERT = (
    *("alert_type", "graceid", "gps_time", "far_hz", "pipeline", "group", "search", "internal"),
    *("notice_time", "skymap_filename"),
)
# What an alert says about the event itself; a bare retraction says none of it.
_EVENT_KEYS = (
    *("event_time", "gps_time", "far_hz", "pipeline", "group", "search", "instruments"),
    *("significant", "event_alert_file"),
)
# What belongs to the newest notice.
_NOTICE_KEYS = ("alert_type", "internal", "retracted", "alert_file", "notice_time", "notice")
_SKYMAP_KEYS = ("skymap_file", "skymap_alert_file", "skymap_filename", "skymap_sha256")


@dataclass(frozen=True)
class IntakeResult:
    """Where the event and, in it, the alert are, whether it changed the event, what to tell."""

    event_dir: Path
    revision: int
    changed: bool
    notes: tuple[str, ...] = ()
    alert_file: str = field(default="", compare=False)


class Revision:
    """One alert in an event directory, which the caller has locked; see `create_event`."""

    def __init__(
        self,
        event_dir: Path,
        alert: Alert,
        content: bytes,
        suffix: str,
        old: EventInfo | None,
        force: bool,
        neutrino_maps: Mapping[str, bytes] | None = None,
    ) -> None:
        self.event_dir, self.alert, self.content, self.old = event_dir, alert, content, old
        self._neutrino_maps = neutrino_maps or {}
        self.force = force
        present = old.revision if old else 0
        self.is_bare = alert.kind == "Retraction" and alert.far_hz is None
        self._order = order(alert, content, time.time())
        # whether the event's present alert is this one, byte for byte
        self.is_present = old is not None and self._same(old.alert_file, content)
        archived = [path.name for path in (event_dir / "alerts").glob("[0-9]*")]
        self._stems = {
            f"alerts/{name.partition('.')[0]}" for name in archived if _KIND.search(name)
        }
        numbers = [int(re.findall("[0-9]+", name)[0]) for name in archived]
        self.revision = max([*numbers, present]) + 1
        same = (n for n in numbers if self._same(f"alerts/{n}-{alert.kind}.{suffix}", content))
        first = min(same, default=None)
        # where this very alert lies if the event has had it
        self.known = f"alerts/{first}-{alert.kind}.{suffix}" if first else None
        if first and first > present:
            # archived but not used, perhaps by a process that was killed in between
            self.known = None
            self.revision = self.revision if force else first
        self.stem = f"alerts/{self.revision}-{alert.kind}"
        self.alert_file = f"{self.stem}.{suffix}"

    def _same(self, name: str | None, content: bytes) -> bool:
        return name is not None and has_content(self.event_dir / name, content)

    def _has_map(self, old: EventInfo, content: bytes) -> bool:
        there = old.skymap_source and (self.event_dir / old.skymap_source).exists()
        return bool(there) and not self.force and old.skymap_sha256 == sha256_bytes(content)

    @property
    def _present(self) -> EventInfo:
        """The event as it is; whoever asks knows that there is one."""
        if self.old is None:
            raise ValueError(f"there is no event {self.event_dir} yet")
        return self.old

    @property
    def is_older(self) -> bool:
        """Whether the event's present alert is a newer one than this."""
        return not (self.is_present or self._is_newer_than(self._present.alert_file))

    def unchanged(self, *notes: str) -> IntakeResult:
        """Return that the event stays as it is."""
        old = self._present
        name = old.alert_file if self.is_present else self.known or self.alert_file
        return IntakeResult(self.event_dir, old.revision, False, (*self._clock(), *notes), name)

    def brings_nothing(
        self, skymap: tuple[str, bytes] | None, neutrinos: tuple[str, bytes] | None
    ) -> bool:
        """Tell whether map and neutrinos, where given, are those the event has."""
        old = self._present
        return (skymap is None or sha256_bytes(skymap[1]) == old.skymap_sha256) and (
            neutrinos is None
            or (
                self._same(old.neutrino_file, neutrinos[1])
                and all(
                    self._same(neutrino_map_file(str(old.neutrino_file), name), content)
                    for name, content in self._neutrino_maps.items()
                )
            )
        )

    def take_older(self) -> IntakeResult:
        """Keep an alert that is older than the present one, and use what no later one has told.

        That is the event itself where only a bare retraction came, and the map where none came
        or none with a newer alert.
        """
        old, alert = self._present, self.alert
        info = old
        if not self.is_bare and self._is_newer_than(old.event_alert_file):
            present = archived_alert(self.event_dir, old.alert_file)
            role, site = role_and_site(present[0] if present else None, alert)
            info = self.info().taking(old, _NOTICE_KEYS)
            info = replace(info, role=role, gracedb_service_url=site)
        skymap = None
        if alert.skymap is not None and not any(map(self._has_newer_map, self._stems)):
            skymap = (INSIDE, alert.skymap)
        if skymap is not None or info != old:
            return self.write(replace(info, revision=self.revision), skymap, None, {})
        name = self.known or self.alert_file
        if not (self.event_dir / name).exists():
            write_bytes(self.event_dir / name, self.content)
        return self.unchanged(
            f"this {alert.kind} of {alert.notice_time} is older than the present one, the "
            f"{old.notice.rpartition('-')[2]} of {old.notice_time}: kept as {name}, not "
            "used; use it with --force"
        )

    def _is_newer_than(self, name: str | None) -> bool:
        """Tell whether this alert is newer than an archived one, or there is none."""
        if name is None:
            return True
        archived = archived_alert(self.event_dir, name)
        if archived is None:
            return self.alert.notice_time >= self._present.notice_time
        return self._order > order(*archived)

    def _has_newer_map(self, stem: str) -> bool:
        """Tell whether a newer alert came with a map, which may be the event's by another name."""
        archived = archived_alert(self.event_dir, stem)
        if archived is None or order(*archived) < self._order:
            return False
        if order(*archived) == self._order and self.known is None:
            return False  # this very alert, archived by a process that was killed before it used it
        return archived[0].skymap is not None or any(self.event_dir.glob(f"{stem}.fits*"))

    def _clock(self) -> tuple[str, ...]:
        if not is_from_the_future(self.alert):
            return ()
        return (
            f"this notice is dated {self.alert.notice_time}, which this machine's clock has not "
            "reached; check the clock. Other notices count as newer",
        )

    def write(
        self,
        info: EventInfo,
        skymap: tuple[str, bytes] | None,
        neutrinos: tuple[str, bytes] | None,
        flags: Mapping[str, object],
    ) -> IntakeResult:
        """Write the new revision: archived files first, skymap_info.json last."""
        notes = (*self._clock(), *self._notes(info, skymap))
        if skymap is not None and self.old is not None and self._has_map(self.old, skymap[1]):
            skymap = None  # the same map again: what was made from it stays
            info = info.taking(self.old, _SKYMAP_KEYS)
        for pattern in ("alerts/.*", f".{FILE_NAME}.*"):  # of processes that were killed
            for path in self.event_dir.glob(pattern):
                path.unlink(missing_ok=True)
        files = {self.alert_file: self.content}
        if skymap is not None:
            info = self._with_skymap(info, skymap, files)
        if neutrinos is not None:
            suffix = "json" if first_sign(neutrinos[1]) in (b"[", b"{") else "csv"
            name = f"alerts/{self.revision}-neutrinos.{suffix}"
            info = replace(info, neutrino_file=name)
            files[name] = neutrinos[1]
            files |= {neutrino_map_file(name, m): c for m, c in self._neutrino_maps.items()}
        content = check_info(info.as_json(), FILE_NAME).as_json()
        written: list[Path] = []
        try:
            for name, file in files.items():
                if self._same(name, file):
                    continue
                written.append(self.event_dir / name)
                write_bytes(written[-1], file)
            if not (self.event_dir / "flags.json").exists():
                written.append(self.event_dir / "flags.json")
                write_flags(self.event_dir, flags)
            write_json(self.event_dir / FILE_NAME, content)
        except BaseException:
            for path in written:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            raise
        # What no rule will renew any more must not lie about: another form of map or search.
        for name in set(products(self.old or info)) - set(products(info)):
            (self.event_dir / name).unlink(missing_ok=True)
        return IntakeResult(self.event_dir, self.revision, True, notes, self.alert_file)

    def info(self) -> EventInfo:
        """Return skymap_info.json as this alert has it, without a map that it brings."""
        alert, old, bare = self.alert, self.old, self.is_bare
        described = archived_alert(self.event_dir, old.event_alert_file) if bare and old else None
        role, site = role_and_site(alert, described[0] if described else None)
        info = EventInfo(
            **{name: getattr(alert, name) for name in _OF_ALERT},
            event_time=alert.event_time_iso,
            instruments=list(alert.instruments),
            significant=True if bare else alert.significant,
            role=role,
            gracedb_service_url=site,
            retracted=alert.kind == "Retraction",
            alert_file=self.alert_file,
            event_alert_file=None if bare else self.alert_file,
            notice=f"{alert.graceid}-{alert.serial or self.revision}-{alert.kind}",
            revision=self.revision,
            skymap_file=None,
            skymap_alert_file=None,
            skymap_sha256=None,
            neutrino_file=None,
        )
        if old is None:
            return info
        keys = ("neutrino_file", "others", *(_EVENT_KEYS if bare else ()))
        return info.taking(old, keys + (_SKYMAP_KEYS if bare or old.has_skymap else ()))

    def _with_skymap(
        self, info: EventInfo, skymap: tuple[str, bytes], files: dict[str, bytes]
    ) -> EventInfo:
        """Return `info` with a new map; one that is not inside the JSON alert joins `files`."""
        name, content = skymap
        compressed = content.startswith(_GZIP)
        inside = name == INSIDE and not compressed and self.alert_file.endswith(".json")
        path = f"{self.stem}.fits{'.gz' if compressed else ''}"
        files |= {} if inside else {path: content}
        safe = re.sub(r"[^A-Za-z0-9_.:,+-]", "_", Path(name).name)[-150:]
        default = f"{self.alert.graceid}-{self.revision}-{self.alert.kind}.multiorder.fits"
        return replace(
            info,
            skymap_file=None if inside else path,
            skymap_alert_file=self.alert_file if inside else None,
            skymap_filename=safe or self.alert.skymap_filename or default,
            skymap_sha256=sha256_bytes(content),
        )

    def _notes(self, info: EventInfo, skymap: tuple[str, bytes] | None) -> tuple[str, ...]:
        named = self.alert.skymap_filename
        if skymap is not None or self.alert.kind == "Retraction":
            return ()
        if not info.has_skymap:
            what = f"the notice names {named} but does not hold it" if named else "none came"
            return (f"no sky map yet: {what}; give one with --skymap FILE or --graceid",)
        if named and named != info.skymap_filename:
            return (
                f"the notice names the map {named}, the event keeps {info.skymap_filename}; "
                "give the new one with --skymap FILE or --graceid",
            )
        return ()
