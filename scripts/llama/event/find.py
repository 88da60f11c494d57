"""Which events are meant, by their names, as the newest, by what they hold; which are kept."""

import contextlib
import logging
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from llama.errors import LlamaError, sentence
from llama.event.flags import DEFAULTS, read_flags
from llama.event.messages import owed, published_events
from llama.event.skymap_info import FILE_NAME, KEYS, read_info
from llama.graceid import EVENT_PATTERN, check_event_name

CURRENT = "current_run"
_RUN = re.compile(rf"{CURRENT}|past_runs/[^/]+")
_IS_ID = re.compile(EVENT_PATTERN).fullmatch
# seconds since the event's first alert came, as in the original LLAMA
_AGE = "sec_since_v0"
_COMPARISONS = ("_gt", "_lt")

log = logging.getLogger("llama.run")


class EventRef(NamedTuple):
    """An event of a run below the output directory: `current_run`, or `past_runs/NAME`.

    Snakemake and the logs call the current run `events`, a link to it.
    """

    run: str
    graceid: str

    @classmethod
    def parse(cls, text: str) -> "EventRef":
        """Return what RUN/GRACEID names; `LlamaError` if it does not name an event."""
        run, _, graceid = text.rpartition("/")
        if not is_run(run := run_named(run)):
            raise LlamaError(
                f"{text[:80]!r} names no event of a run; give events/ID or past_runs/NAME/ID"
            )
        return cls(run, check_event_name(graceid))

    @property
    def directory(self) -> str:
        """Where it lies in the output directory: current_run/S190425z."""
        return f"{self.run}/{self.graceid}"

    @property
    def named(self) -> str:
        """The directory as rules name it: events/S190425z."""
        return f"{'events' if self.run == CURRENT else self.run}/{self.graceid}"

    @property
    def target(self) -> str:
        """What makes all of it, after `snakemake`."""
        return f"{self.named}/all"

    @property
    def logs(self) -> str:
        """Where the logs of its rules are in the output directory."""
        return f"logs/{self.named}"


def run_named(text: str) -> str:
    """Return the directory of a run as a user names it; `events` or nothing: the current one."""
    return CURRENT if text.removeprefix("./") in ("", "events", CURRENT) else text


def is_run(run: str) -> bool:
    """Tell whether that is the directory of a run, relative to the output directory."""
    return _RUN.fullmatch(run) is not None


def find_events(output_dir: Path, pattern: str | None) -> list[Path]:
    """Return the event directories that `RUN/GLOB` names, in the order of their names.

    Either part may be left out: `MS*` is of the current run, `past_runs/o3/` all of that run, None
    all of the current one. A relative RUN is below the output directory, and `events` is the
    current run. `LlamaError` when there is none.
    """
    given = (pattern or "*").rstrip("/")
    run, _, name = given.rpartition("/")
    run_dir, whole = output_dir / run_named(run), output_dir / run_named(given)
    if not _IS_ID(name) and whole.is_dir():
        run_dir, name = whole, "*"
    found = sorted(
        path
        for path in (run_dir.glob(name) if name not in ("", ".", "..") else ())
        if _IS_ID(path.name) and (path / FILE_NAME).exists()
    )
    if not found:
        what = f"no event {name}" if pattern else "no event"
        raise LlamaError(f"there is {what} in {run_dir}; make one with skymap_info")
    return found


def newest_events(run_dir: Path, count: int, pattern: str = "*") -> list[str]:
    """Return the ids of the `count` newest events of `run_dir` that match the shell's `pattern`.

    The newest is the one whose skymap_info.json was written last.
    """
    written: dict[str, float] = {}
    try:
        with os.scandir(run_dir) as entries:
            names = [entry.name for entry in entries if _IS_ID(entry.name)]
    except FileNotFoundError:
        return []
    for name in names:
        path = run_dir / name / FILE_NAME
        if fnmatchcase(name, pattern):
            with contextlib.suppress(OSError):  # not there, or just moved away
                written[name] = path.stat().st_mtime
    return sorted(written, key=lambda name: -written[name])[:count]


def tracked_events(run_dir: Path, count: int, pattern: str = "*") -> list[str]:
    """Return the `newest_events`, and those of whatever age that still have to be withdrawn."""
    newest = newest_events(run_dir, count, pattern)
    others = [name for name in published_events(run_dir) if name not in newest]
    return newest + [n for n in others if fnmatchcase(n, pattern) and _is_owed(run_dir / n)]


def _is_owed(event_dir: Path) -> bool:
    try:
        return bool(owed(event_dir))
    except LlamaError:  # whoever keeps the event says what is wrong
        return True


@dataclass(frozen=True)
class Condition:
    """One `KEY=VALUE`, `KEY_gt=NUMBER` or `KEY_lt=NUMBER` of `--downselect`."""

    key: str
    comparison: str  # "", _gt or _lt
    value: str

    def holds(self, event_dir: Path, now: float) -> bool:
        """Tell whether an event has it; an event without the value has not."""
        found = self._find(event_dir, now)
        if self.comparison:
            if isinstance(found, bool) or not isinstance(found, int | float):
                return False
            limit = float(self.value)
            return found > limit if self.comparison == "_gt" else found < limit
        if isinstance(found, list):
            found = "".join(found)  # instruments=H1L1
        return ("" if found is None else str(found)).lower() == self.value.lower()

    def _find(self, event_dir: Path, now: float) -> object:
        if self.key == _AGE:
            came = (path.stat().st_mtime for path in event_dir.glob("alerts/[0-9]*"))
            return now - min(came, default=now)
        source = read_info(event_dir).as_json()
        return source[self.key] if self.key in source else read_flags(event_dir).get(self.key)


def parse_downselect(text: str) -> list[Condition]:
    """Return the conditions in `KEY=VALUE,..`, all of which an event must have.

    A KEY is one of skymap_info.json, a flag, or sec_since_v0; with numbers, KEY_gt and KEY_lt
    compare. `LlamaError` names what is unknown.
    """
    conditions = []
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        comparison = name[-3:] if name[-3:] in _COMPARISONS else ""
        key = name.removesuffix(comparison)
        if not equals or key not in {*KEYS, *DEFAULTS, _AGE}:
            raise LlamaError(
                f"--downselect has {part[:60]!r}; write KEY=VALUE, KEY_gt=NUMBER or KEY_lt=NUMBER "
                f"with a KEY of {', '.join([*KEYS, *DEFAULTS, _AGE])}"
            )
        try:
            float(value if comparison else 0)
        except ValueError as error:
            raise LlamaError(f"--downselect has {part[:60]!r}; {name} needs a number") from error
        conditions.append(Condition(key, comparison, value))
    return conditions


@dataclass(frozen=True)
class Choice:
    """Which events are kept: the newest `count` of `run` that match, with all `conditions`.

    An older one is kept, too, while a withdrawal of it is due.
    """

    count: int
    run: str = "current_run"  # or past_runs/NAME
    pattern: str = "*"
    conditions: Sequence[Condition] = field(default_factory=tuple)

    def directories(self, output_dir: Path) -> list[str]:
        """Return the directories of the events, such as current_run/S190425z, the newest first."""
        return self.survey(output_dir)[0]

    def survey(self, output_dir: Path) -> tuple[list[str], dict[str, str]]:
        """Return the directories, and why others are left alone that cannot be read."""
        found, broken = [], {}
        for name in tracked_events(output_dir / self.run, self.count, self.pattern):
            directory = f"{self.run}/{name}"
            try:
                if self._is_wanted(output_dir / directory):
                    found.append(directory)
            except Exception as error:  # its files may hold anything, and others are kept
                log.debug("%s is left alone", directory, exc_info=True)
                broken[directory] = f"left alone: {sentence(error)}"
        return found, broken

    def _is_wanted(self, event_dir: Path) -> bool:
        info = read_info(event_dir)
        if not (info.has_skymap or info.retracted):
            return False
        # a veto stops results, not the withdrawal of what went out before it
        if read_flags(event_dir)["VETOED"] and not owed(event_dir):
            return False
        return all(condition.holds(event_dir, time.time()) for condition in self.conditions)
