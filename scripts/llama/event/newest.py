"""Which event directories a run keeps up to date: the newest, and of them those asked for."""

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.event.flags import DEFAULTS, read_flags
from llama.event.messages import owed, published_events
from llama.event.skymap_info import FILE_NAME, KEYS, read_info
from llama.graceid import GRACEID_PATTERN

# seconds since the event's first alert came, as in the original LLAMA
_AGE = "sec_since_v0"
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "_gt": lambda value, limit: value > limit,
    "_lt": lambda value, limit: value < limit,
}


def newest_events(run_dir: Path, count: int, pattern: str = "*") -> list[str]:
    """Return the ids of the `count` newest events of `run_dir` that match the shell's `pattern`.

    The newest is the one whose skymap_info.json was written last.
    """
    written: dict[str, float] = {}
    try:
        with os.scandir(run_dir) as entries:
            names = [entry.name for entry in entries if re.fullmatch(GRACEID_PATTERN, entry.name)]
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
            number = isinstance(found, int | float) and not isinstance(found, bool)
            return number and _COMPARISONS[self.comparison](found, float(self.value))
        return _text(found).lower() == self.value.lower()

    def _find(self, event_dir: Path, now: float) -> Any:
        if self.key == _AGE:
            came = (path.stat().st_mtime for path in event_dir.glob("alerts/[0-9]*"))
            return now - min(came, default=now)
        source = read_info(event_dir).as_json()
        return source[self.key] if self.key in source else read_flags(event_dir)[self.key]


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
        if comparison and not _is_number(value):
            raise LlamaError(f"--downselect has {part[:60]!r}; {name} needs a number")
        conditions.append(Condition(key, comparison, value))
    return conditions


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "".join(map(str, value))  # instruments=H1L1
    return "" if value is None else str(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
