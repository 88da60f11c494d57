"""A release of sky maps becomes the events of a run: what each is made from, what is left out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from llama.alerts.by_hand import MapFacts, Unalerted, map_facts, misnamed
from llama.alerts.foreign import SAME_EVENT_S
from llama.alerts.gwalert import parse_alert
from llama.alerts.intake import create_event
from llama.catalogue.release import (
    MAX_MAP_BYTES,
    Chosen,
    Directory,
    Tarball,
    about_choice,
    choose,
    release_name,
)
from llama.catalogue.table import Facts
from llama.errors import LlamaError, printable
from llama.event.provenance import software
from llama.event.skymap_info import FILE_NAME, read_info
from llama.files import read_json, sha256_bytes, write_json
from llama.graceid import is_of_catalogue
from llama.locks import only_one
from llama.neutrinos.archive import Archive
from llama.neutrinos.given import given_scrambled
from llama.neutrinos.moved import Mover
from llama.stats.window import Window

RECORD = "import.json"  # in the directory of the run
Say = Callable[[str], None]


@dataclass(frozen=True)
class Table:
    """A table of events: name and content of its file, and what it says."""

    name: str
    content: bytes
    events: Mapping[str, Facts]

    def find(self, event: str, gps: float | None) -> Facts | None:
        """Return what is said of an event; a name without time of day is that of its date.

        `LlamaError` if the event of that time has another name.
        """
        if exact := self.events.get(event):
            return exact
        near = [
            facts
            for facts in self.events.values()
            if gps is not None and facts.gps is not None and abs(facts.gps - gps) <= SAME_EVENT_S
        ]
        for facts in near:
            if facts.name.startswith(event) or event.startswith(facts.name):
                return facts
        if near:
            raise LlamaError(
                f"{self.name} calls the event of its time {near[0].name}; rename the map, or "
                "correct the table"
            )
        return None


@dataclass
class Imported:
    """What became of the events: their state (new, revised, unchanged), and sentences."""

    run_dir: Path
    events: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    unobserved: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Importer:
    """Makes the events of a release in the directory of a run.

    table: of events, None without; p_astro: of events that have none there; mover: makes their
    neutrinos, None for those of the settings' sources; archives, window: which tell whether a
    detector observed.
    """

    run_dir: Path
    table: Table | None = None
    p_astro: float | None = None
    mover: Mover | None = None
    archives: tuple[Archive, ...] = ()
    window: Window
    say: Say = print

    def run(self, release: Directory | Tarball, source: str) -> Imported:
        """Make or revise what is new; an event that is as it was is not touched.

        All of the release is looked at before anything is written. `LlamaError` if it is broken,
        if no event can be made of it, or if the run has neutrinos of the other kind.
        """
        names = release.names()
        chosen, left_out = choose(names)
        if not chosen:
            raise LlamaError(
                f"{source} has no sky map of a catalogue's event; its files must be called like "
                "IGWN-GWTC3p0-v2-GW200112_155838_PEDataRelease_cosmo_reweight_C01:Mixed.fits"
            )
        lock = self.run_dir.with_name(f".{self.run_dir.name}.import.lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        with only_one(lock, "llama catalogue import", "wait for it"):
            self._check_kind()
            done = Imported(self.run_dir, left_out=left_out)
            named = release_name(one.file.path for one in chosen.values())
            by_path = {one.file.path: one for one in chosen.values()}
            for path, content in release.read(list(by_path)):
                self._take(by_path[path], content, named, done)
            if not done.events:
                of_events = {n: done.left_out[n] for n in chosen.keys() & done.left_out.keys()}
                event, reason = min(of_events.items())
                raise LlamaError(f"no event of {source} can be used: {event}: {reason}")
            self._write(done, named, source)
        return done

    def _check_kind(self) -> None:
        """Raise if real and scrambled neutrinos would be mixed in the run."""
        for event_dir in self.run_dir.glob("*"):
            if not (event_dir / FILE_NAME).exists():
                continue
            given = read_info(event_dir).neutrino_file
            content = (event_dir / given).read_bytes() if given else b""
            scrambled = given_scrambled(content) is not None
            if scrambled != (self.mover is not None) and is_of_catalogue(event_dir.name):
                there, here = ("scrambled", "real") if scrambled else ("real", "scrambled")
                raise LlamaError(
                    f"{event_dir} has {there} neutrinos, and those of this import would be {here}; "
                    "name another run with --run"
                )

    def _take(self, chosen: Chosen, content: bytes, release: str | None, done: Imported) -> None:
        event = chosen.file.event
        try:
            state, gps = self._make(chosen, content, release)
        except LlamaError as error:
            if isinstance(error.__cause__, OSError):
                raise  # a full disk is no fault of the event's
            done.left_out[event] = str(error)
            return
        done.events[event] = state
        if state != "unchanged":
            self.say(f"{event}: {state}, from {PurePosixPath(chosen.file.path).name}")
        if self.mover is None and self.archives and not self._is_observed(gps):
            done.unobserved.append(event)

    def _make(self, chosen: Chosen, content: bytes, release: str | None) -> tuple[str, float]:
        """Return what became of an event, and its time [GPS s]."""
        event, name = chosen.file.event, PurePosixPath(chosen.file.path).name
        if len(content) > MAX_MAP_BYTES:
            raise LlamaError(f"{name} is larger than {MAX_MAP_BYTES / 1e6:.0f} MB")
        told = map_facts(content, name)
        _check_time(event, told.gps)
        unalerted = self._facts(event, told, about_choice(chosen, content, release))
        _check_time(event, unalerted.gps)
        event_dir = self.run_dir / event
        is_there = (event_dir / FILE_NAME).exists()
        record = unalerted.record(event_dir)
        neutrinos = None
        if self.mover is not None:
            neutrinos = ("scrambled.json", self.mover.neutrinos(event, unalerted.gps))
        result = create_event(
            self.run_dir,
            parse_alert(record, name),
            alert_content=record,
            alert_suffix="json",
            skymap=(name, content),
            neutrinos=neutrinos,
            by_hand=True,
        )
        state = ("revised" if is_there else "new") if result.changed else "unchanged"
        return state, unalerted.gps

    def _facts(self, event: str, told: MapFacts, choice: Mapping[str, object]) -> Unalerted:
        row = self.table.find(event, told.gps) if self.table else None
        gps = row.gps if row and row.gps is not None else told.gps
        if gps is None:
            raise LlamaError("neither its map nor the table of events has its time")
        p_astro = row.p_astro if row and row.p_astro is not None else self.p_astro
        far_hz = row.far_hz if row else None
        if p_astro is None and far_hz is None:
            where, what = "there is no table of events", "give GWOSC's with --table"
            if self.table:
                where = f"{self.table.name} has {'neither' if row else 'no such event'}"
                what = "correct it"
            raise LlamaError(
                f"neither its p_astro nor its false-alarm rate is known, {where}; {what}, or give "
                "one value for all such events with --p-astro"
            )
        extra: dict[str, object] = {"catalogue": dict(choice)}
        if p_astro is not None and p_astro != (row and row.p_astro):
            extra["p_astro"] = "as given for all events without one"
        if row:  # not the file, whose other rows are of other events
            extra["table_row"] = row.written
        return Unalerted(
            name=event,
            gps=gps,
            far_hz=far_hz,
            p_astro=p_astro,
            source_class=row.source_class if row else "CBC",
            instruments=(row.instruments if row else ()) or told.instruments,
            made_gps=told.made_gps,
            extra=extra,
        )

    def _is_observed(self, gps: float) -> bool:
        start, stop = (gps + end_s for end_s in self.window)
        return any(one.at(gps).livetime_s(start, stop) > 0 for one in self.archives)

    def _write(self, done: Imported, release: str | None, source: str) -> None:
        """Write what was imported beside the events; those of earlier imports stay named."""
        path = self.run_dir / RECORD
        before: Any = read_json(path) if path.exists() else {}
        names = sorted({*before.get("events", ()), *done.events})
        content = {
            "events": [name for name in names if (self.run_dir / name / FILE_NAME).exists()],
            "left_out": {printable(key): text for key, text in done.left_out.items()},
            "unobserved": done.unobserved,
            "release": release,
            "source": source,
            "table": self.table
            and {
                "name": self.table.name,
                "sha256": sha256_bytes(self.table.content),
            },
            "scrambled": self.mover is not None,
            "software": software(),
        }
        if content != before:
            write_json(path, content)


def _check_time(event: str, gps: float | None) -> None:
    if gps is not None and (problem := misnamed(event, gps)):
        raise LlamaError(f"{problem}; correct the name of its map, or the time")
