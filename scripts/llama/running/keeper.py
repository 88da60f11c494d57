"""`llama run`: takes the spool over, and has Snakemake make what is missing or outdated.

An event with a new revision is made at once, by a Snakemake of its own, whatever else is being
made: runs on different events do not disturb each other (llama.plan.engine). Once a minute
Snakemake is asked what is outdated among all events that are kept (a window has closed, late
neutrinos, other settings); those are made one after the other.
"""

import contextlib
import logging
import math
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from llama.errors import LlamaError, sentence
from llama.event.find import Choice
from llama.locks import LockedError, is_processed, only_one
from llama.running import decide
from llama.running.failing import Failing, Troubles, daemon_lock, ending, pass_lock
from llama.running.takeover import take_over
from llama.running.tidy import tidy
from llama.running.warm import compiling_ahead
from llama.running.workflow import Workflow, outdated
from llama.settings import Settings

COMMAND = "llama run"
_LOOK_S = 0.2
_TAKE_S = 2.0  # what has come so far is made before more is taken over

log = logging.getLogger("llama.run")


def run_daemon(
    settings: Settings, choice: Choice, stop: threading.Event, show: Callable[[], object]
) -> None:
    """Keep the events until `stop`; first wait for the end of a pass that runs.

    `show` is called when there is something new to see, such as for the page of all events.
    """
    output_dir = settings.output_dir
    with only_one(daemon_lock(output_dir), COMMAND), ending(output_dir, COMMAND), compiling_ahead():
        while not stop.is_set():
            with contextlib.suppress(LockedError), only_one(pass_lock(output_dir), COMMAND):
                log.info("keeping events, pid %d", os.getpid())
                Keeper(settings, choice, show).keep(stop)
        log.info("ended as asked")


def run_once(
    settings: Settings, choice: Choice, stop: threading.Event, show: Callable[[], object]
) -> int:
    """Bring the events up to date and return how many failed; 0 if somebody else is at it."""
    output_dir = settings.output_dir
    try:
        with only_one(pass_lock(output_dir), COMMAND), ending(output_dir, COMMAND):
            return Keeper(settings, choice, show).keep(stop, once=True)
    except LockedError:
        return 0


class Keeper:
    """Does what `step` decides, and tells it what came of that."""

    def __init__(self, settings: Settings, choice: Choice, show: Callable[[], object]) -> None:
        self._show = show
        self._output_dir = settings.output_dir
        self._preset = settings.events.new_event_flags
        self._choice = choice
        self._workflow = Workflow(settings.output_dir)
        self._failing = Failing(settings.output_dir)
        self._troubles = Troubles(settings.output_dir)
        self._failed = 0
        self._made: dict[str, subprocess.Popen[bytes]] = {}
        self._summary: tuple[subprocess.Popen[bytes], Sequence[str]] | None = None
        self.state = decide.State(sweep_at=time.monotonic())

    def keep(self, stop: threading.Event, once: bool = False) -> int:
        """Take over and make until `stop`, or `once` until all is done that can be done.

        Return how many failures there were, or how much failed before and still does.
        """
        try:
            while not stop.is_set():
                self._round(math.inf if once else decide.RETRY_S)
                if once and self._is_done():
                    break
                stop.wait(_LOOK_S)
        finally:
            self._end()
        return self._failed or len(self._failing.events) + len(self._troubles.now)

    def _round(self, retry_s: float) -> None:
        parts: dict[decide.Part, Callable[[], object]] = {
            "reap": self._reap,
            "take over": self._take_over,
            "sweep": self._sweep,
            "start": self._start,
            "show news": lambda: self._turn("show news"),
        }
        for part, act in parts.items():
            if self.state.rests(part, time.monotonic()):
                continue
            with self._going_on(part):
                act()
            # the disk is full, no process can start
            failed = part in self._troubles.now
            self._tell(decide.Did(part, time.monotonic() + retry_s if failed else None))
        self._troubles.settle()

    @contextlib.contextmanager
    def _going_on(self, about: str) -> Iterator[None]:
        """Have what goes wrong named in the log, in status and alarm; the rest goes on."""
        try:
            yield
        except (LlamaError, OSError) as error:
            self._failed += 1
            self._tell_once(about, sentence(error))
        except Exception as error:
            self._failed += 1
            if self._tell_once(about, sentence(error)):
                log.exception("%s met a defect of LLAMA", about)
        else:
            self._troubles.remove(about)

    def _take_over(self) -> None:
        self._turn("take over")

    def _sweep(self) -> None:
        self._turn("sweep")

    def _start(self) -> None:
        self._turn("start")

    def _turn(self, part: decide.Part) -> None:
        self._tell(decide.Turn(part, time.monotonic(), self._spool()))

    def _is_done(self) -> bool:
        return self.state.is_done(self._spool(), time.monotonic())

    def _spool(self) -> set[str]:
        return {path.stem for path in (self._output_dir / "spool").glob("[!.]*.json")}

    def _tell(self, event: decide.Event) -> None:
        self.state, actions = decide.step(self.state, [event])
        for action in actions:
            self._do(action)

    def _do(self, action: decide.Do) -> None:
        what, about, reason = action
        with_each: dict[str, Callable[[str], object]] = {
            "forget": self._troubles.remove,  # somebody moved it away
            "clear": self._failing.remove,
            "fail": lambda directory: self._fail(directory, reason),
            "make": self._make,
        }
        with_all: dict[str, Callable[[Sequence[str]], object]] = {
            "take over": self._take_records,
            "survey": lambda _: self._survey(),
            "ask": self._ask,
            "look": self._look,
            "show": lambda _: self._show(),
        }
        if what in with_all:
            with_all[what](about)
        else:
            for name in about:
                with_each[what](name)

    def _take_records(self, made: Sequence[str]) -> None:
        running = [Path(directory).name for directory in made]
        end = time.monotonic() + _TAKE_S
        with contextlib.closing(take_over(self._output_dir, self._preset, running)) as records:
            for taken in records:
                if taken.stays:
                    self._tell(decide.Happened("stays", taken.entry.name))
                    self._tell_once(taken.entry.name, taken.said)
                    continue
                self._troubles.remove(taken.entry.name)
                self._failed += taken.quarantined
                if taken.said:
                    log.log(logging.WARNING if taken.quarantined else logging.INFO, taken.said)
                if taken.changed:
                    self._tell(decide.Happened("changed", f"current_run/{taken.event}"))
                if time.monotonic() > end:
                    break

    def _look(self, waiting: Sequence[str]) -> None:
        free = {d for d in waiting if not is_processed(self._output_dir / d)}
        if free:
            self._tell(decide.Free(free, {*self._choice.directories(self._output_dir)}))

    def _make(self, directory: str) -> None:
        with self._going_on(directory):
            self._made[directory] = self._workflow.make(directory)
            self._tell(decide.Happened("started", directory))

    def _tell_once(self, about: str, said: str) -> bool:
        """Log what is wrong, not again while it is the same; return whether it is new."""
        said = said.removeprefix(f"{about} ")
        if is_new := bool(said) and self._troubles.add(about, said):
            log.warning("%s: %s", about, said)
        return is_new

    def _survey(self) -> None:
        tidy(self._output_dir)
        kept, broken = self._choice.survey(self._output_dir)
        for about in [a for a in self._troubles.now if a.startswith(f"{self._choice.run}/")]:
            if about not in broken:
                self._troubles.remove(about)
        for directory, reason in broken.items():
            self._tell_once(directory, reason)
        waiting = {directory for directory in kept if self._failing.waits(directory)}
        self._tell(decide.Surveyed(kept, {*self._failing.events}, waiting))

    def _ask(self, directories: Sequence[str]) -> None:
        if directories:
            out, messages = self._log("summary.tsv"), self._log("summary.log")
            self._summary = self._workflow.summarise(directories, out, messages), directories
        self._tell(decide.Asked(directories, time.monotonic()))

    def _read_summary(self, code: int, asked: Sequence[str]) -> None:
        out, messages = self._log("summary.tsv"), self._log("summary.log")
        if code == 0:
            found = outdated(out.read_text(errors="replace"))
            self._tell(decide.Answered(asked, found, time.monotonic()))
            return
        reason = self._workflow.reason(messages)
        text = messages.read_text(errors="replace")
        named = {d for d in asked if re.search(rf"\b{Path(d).name}\b", text)}
        self._tell(decide.Answered(asked, named, time.monotonic(), reason))
        if not named:
            raise LlamaError(reason)

    def _reap(self) -> None:
        if self._summary and (code := self._summary[0].poll()) is not None:
            asked, self._summary = self._summary[1], None
            self._tell(decide.Happened("replied"))
            with self._going_on("summary"):
                self._read_summary(code, asked)
        for directory, process in list(self._made.items()):
            if (code := process.poll()) is None:
                continue
            del self._made[directory]
            self._tell(decide.Happened("ended", directory))
            with self._going_on(directory):
                self._ended(directory, code)

    def _ended(self, directory: str, code: int) -> None:
        if code == 0:
            self._failing.remove(directory)
            log.info("%s is up to date", directory)
        elif code < 0:
            self._fail(directory, f"snakemake was ended by {signal.Signals(-code).name}")
        else:
            self._fail(directory, self._workflow.reason(self._workflow.log(directory)))

    def _fail(self, directory: str, reason: str) -> None:
        self._failed += 1
        log.error("%s: %s", directory, reason)
        self._failing.add(directory, reason)

    def _log(self, name: str) -> Path:
        return self._output_dir / "runner" / name

    def _end(self) -> None:
        """End Snakemake after the jobs that run; what is left is made the next time."""
        processes = [*self._made.values(), *([self._summary[0]] if self._summary else [])]
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
