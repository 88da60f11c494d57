"""How the keeper is: what keeps it from looking after the droplets, told to `status` and in Slack.

Droplets are billed while nobody looks after them, so that a keeper that cannot is an alarm.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec

from llama.errors import LlamaError
from llama.files import read_json, write_json
from llama.typed import convert

_ALARM_AFTER_S = 120.0  # an API that is away for a moment wakes nobody
_SILENT_AFTER_S = 300.0
_Moment = Annotated[float, msgspec.Meta(ge=0, lt=250e9)]  # Unix seconds of what has a date
REMEDY = (
    "droplets are billed meanwhile: export a token that is valid as DIGITALOCEAN, then "
    "llama fleet up; or destroy them on DigitalOcean's web page"
)


class Watch(msgspec.Struct, frozen=True):
    """What the keeper has written.

    notice: why jobs wait; time: of its last good round, or of its start; problem: why rounds fail
    since `since`, or "".
    """

    notice: str = ""
    time: _Moment = 0.0
    problem: str = ""
    since: _Moment = 0.0

    def trouble(self, now: float) -> str:
        """Return a sentence about a keeper that does not look after the droplets, "" if it does."""
        if self.problem:
            return f"it cannot look after the droplets since {_clock(self.since)}: {self.problem}"
        if now - self.time > _SILENT_AFTER_S:
            return (
                f"it has not looked after the droplets since {_clock(self.time)}; see log/fleet.log"
            )
        return ""


def watch_path(directory: Path) -> Path:
    """Return where the keeper of a head writes how it is; the file goes with `llama fleet down`."""
    return directory / "notice.json"


def begin_watch(directory: Path) -> None:
    """Write that a keeper starts now, so that one whose first round never ends is noticed."""
    write_json(watch_path(directory), msgspec.to_builtins(Watch(time=time.time())))


def read_watch(directory: Path) -> Watch | None:
    """Return what the keeper last wrote, None when there is no fleet."""
    path = watch_path(directory)
    if not path.exists():
        return None
    try:
        return convert(read_json(path), Watch)
    except msgspec.ValidationError as error:
        raise LlamaError(f"{path} is not what the keeper writes; run llama fleet up") from error


def words_of_fleet(directory: Path) -> tuple[bool, list[str]]:
    """Return whether the droplets are looked after, and words; nothing where there is no fleet."""
    watch = read_watch(directory)
    if watch is None:
        return True, []
    if trouble := watch.trouble(time.time()):
        return False, [f"The keeper of the droplets: {trouble}; {REMEDY}."]
    notice = [f"Jobs wait: {watch.notice}."] if watch.notice else []
    return True, [f"Droplets last looked after at {_clock(watch.time)}.", *notice]


class Watcher:
    """Writes down how each round of the keeper was; `alarm` hears of what lasts, and of its end."""

    def __init__(self, alarm: Callable[[str], object] = lambda sentence: None) -> None:
        self._alarm, self._watch, self._alarmed = alarm, Watch(), False

    def note(self, directory: Path, notice: str, problem: str) -> None:
        """Write down a round that has ended, badly if there is a `problem`."""
        now, before = time.time(), self._watch
        self._watch = Watch(notice, now)
        if problem:
            since = before.since if before.problem else now
            self._watch = Watch(before.notice, before.time, problem, since)
        if problem and now - self._watch.since >= _ALARM_AFTER_S and not self._alarmed:
            self._alarmed = True
            self._alarm(f"ALARM: {self._watch.trouble(now)}; {REMEDY}")
        elif self._alarmed and not problem:
            self._alarmed = False
            self._alarm(f"over: {before.problem}")
        write_json(watch_path(directory), msgspec.to_builtins(self._watch))


def _clock(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC" if moment else "its start"
