"""`llama run`: takes the spool over, and has Snakemake make what is missing or outdated.

An event with a new revision is made at once, by a Snakemake of its own, whatever else is being
made: runs on different events do not disturb each other (llama.plan.locks). Once a minute
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
from collections.abc import Callable, Iterator
from pathlib import Path

from llama.errors import LlamaError, sentence
from llama.locks import LockedError, is_processed, only_one
from llama.running.choice import Choice
from llama.running.failing import Failing, Troubles, daemon_lock, ending, pass_lock
from llama.running.takeover import take_over
from llama.running.tidy import tidy
from llama.running.warm import compiling_ahead
from llama.running.workflow import Workflow, outdated
from llama.settings import Settings

COMMAND = "llama run"
_LOOK_S = 0.2
_SWEEP_S = 60.0
_TAKE_S = 2.0  # what has come so far is made before more is taken over
_RETRY_S = 5.0  # what could not be written, or is in another run's hands
_AT_ONCE = 2  # new revisions that are made at the same time

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
    """What is being made, what waits for it, and what the spool said last."""

    def __init__(self, settings: Settings, choice: Choice, show: Callable[[], object]) -> None:
        self._show = show
        self._output_dir = settings.output_dir
        self._preset = settings.events.new_event_flags
        self._choice = choice
        self._workflow = Workflow(settings.output_dir)
        self._failing = Failing(settings.output_dir)
        self._troubles = Troubles(settings.output_dir)
        self._again: dict[str, float] = {}  # when a part that failed is tried again
        self._failed = 0
        self._made: dict[str, subprocess.Popen[bytes]] = {}
        self._new: list[str] = []  # directories with a new revision
        self._old: list[str] = []  # those that were found outdated
        self._summary: tuple[subprocess.Popen[bytes], list[str]] | None = None
        self._meanwhile: set[str] = set()  # what was being made since Snakemake was asked
        self._sweep_at = time.monotonic()
        self._swept = False
        self._left: set[str] = set()  # entries of the spool that have to wait
        self._look_at = 0.0
        self._is_seen = True  # whether what is shown is what there is

    def keep(self, stop: threading.Event, once: bool = False) -> int:
        """Take over and make until `stop`, or `once` until all is done that can be done.

        Return how many failures there were, or how much failed before and still does.
        """
        try:
            while not stop.is_set():
                self._step(math.inf if once else _RETRY_S)
                if once and self._is_done():
                    break
                stop.wait(_LOOK_S)
        finally:
            self._end()
        return self._failed or len(self._failing.events) + len(self._troubles.now)

    def _step(self, retry_s: float) -> None:
        """Do every part of a step; one that fails is left out for a while and stops no other."""
        for part in (self._reap, self._take_over, self._sweep, self._start, self._show_news):
            about = part.__name__.strip("_").replace("_", " ")
            if self._again.get(about, 0.0) > time.monotonic():
                continue
            with self._going_on(about):
                part()
            if about in self._troubles.now:  # the disk is full, no process can start
                self._again[about] = time.monotonic() + retry_s
            else:
                self._again.pop(about, None)
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

    def _show_news(self) -> None:
        """Have what is new shown, once the machine is free."""
        if self._is_seen or self._made or self._new:
            return
        self._show()
        self._is_seen = True

    def _is_done(self) -> bool:
        """Tell whether nothing is left but what parts that have failed had to do."""
        done = self._swept or "sweep" in self._again
        done &= not (self._made or self._summary) or "reap" in self._again
        done &= not (self._new or self._old) or "start" in self._again
        return done and (not self._news() or "take over" in self._again)

    def _news(self) -> bool:
        """Tell whether the spool has what has not been looked at, or may be tried again."""
        names = {path.name for path in self._spool_files()}
        if names <= self._left:
            return bool(names) and time.monotonic() >= self._look_at
        return True

    def _spool_files(self) -> Iterator[Path]:
        return (self._output_dir / "spool").glob("[!.]*.json")

    def _take_over(self) -> None:
        for gone in self._left - {path.name for path in self._spool_files()}:
            self._troubles.remove(gone.removesuffix(".json"))  # somebody moved it away
        if not self._news():
            return
        self._left, self._look_at = set(), time.monotonic() + _RETRY_S
        end = time.monotonic() + _TAKE_S
        running = [Path(directory).name for directory in self._made]
        with contextlib.closing(take_over(self._output_dir, self._preset, running)) as records:
            for taken in records:
                if taken.stays:
                    self._left.add(f"{taken.entry.name}.json")
                    self._tell_once(taken.entry.name, taken.said)
                    continue
                self._troubles.remove(taken.entry.name)
                self._failed += taken.quarantined
                if taken.said:
                    log.log(logging.WARNING if taken.quarantined else logging.INFO, taken.said)
                if taken.changed:
                    self._changed(f"current_run/{taken.event}")
                if time.monotonic() > end:
                    break

    def _changed(self, directory: str) -> None:
        self._failing.remove(directory)
        if directory not in self._new:
            self._new.append(directory)

    def _tell_once(self, about: str, said: str) -> bool:
        """Log what is wrong, not again while it is the same; return whether it is new."""
        said = said.removeprefix(f"{about} ")
        if is_new := bool(said) and self._troubles.add(about, said):
            log.warning("%s: %s", about, said)
        return is_new

    def _sweep(self) -> None:
        """Ask, once a minute, what is outdated; not while new revisions need the machine."""
        late_s = time.monotonic() - self._sweep_at
        if self._summary or self._old or late_s < 0:
            return
        if (self._made or self._new) and late_s < _SWEEP_S:
            return
        tidy(self._output_dir)
        self._is_seen = False  # ages and silence change by themselves
        self._meanwhile = set(self._made)
        kept, broken = self._choice.survey(self._output_dir)
        for about in [a for a in self._troubles.now if a.startswith(f"{self._choice.run}/")]:
            if about not in broken:
                self._troubles.remove(about)
        for directory, reason in broken.items():
            self._tell_once(directory, reason)
        for directory in self._failing.events.keys() - set(kept):
            self._failing.remove(directory)
        asked = [d for d in kept if not self._failing.waits(d)]
        if asked:
            out, messages = self._log("summary.tsv"), self._log("summary.log")
            self._summary = self._workflow.summarise(asked, out, messages), asked
        self._sweep_at = time.monotonic() + _SWEEP_S
        self._swept = True

    def _read_summary(self, code: int, asked: list[str]) -> None:
        out, messages = self._log("summary.tsv"), self._log("summary.log")
        if code == 0:
            found = outdated(out.read_text(errors="replace"))
            for directory in set(asked) - found - self._meanwhile:  # others are as they should be
                self._failing.remove(directory)
            self._old = [d for d in asked if d in found - self._meanwhile]
            return
        reason = self._workflow.reason(messages)
        text = messages.read_text(errors="replace")
        named = {d for d in asked if re.search(rf"\b{Path(d).name}\b", text)}
        for directory in sorted(named - self._meanwhile):  # others were changing when it looked
            self._fail(directory, reason)
        if named:
            self._sweep_at = time.monotonic()  # the others at once
        else:
            raise LlamaError(reason)

    def _start(self) -> None:
        kept: set[str] | None = None
        for waiting, most in ((self._new, _AT_ONCE), (self._old, 1)):
            for directory in list(waiting):
                if len(self._made) >= most:
                    return
                if directory in self._made or is_processed(self._output_dir / directory):
                    continue
                for queue in (self._new, self._old):  # it may wait in both: once is enough
                    if directory in queue:
                        queue.remove(directory)
                if kept is None:
                    kept = set(self._choice.directories(self._output_dir))
                if directory in kept:
                    self._meanwhile.add(directory)
                    with self._going_on(directory):
                        self._made[directory] = self._workflow.make(directory)

    def _reap(self) -> None:
        if self._summary and (code := self._summary[0].poll()) is not None:
            asked, self._summary = self._summary[1], None
            self._is_seen = False
            with self._going_on("summary"):
                self._read_summary(code, asked)
        for directory, process in list(self._made.items()):
            if (code := process.poll()) is None:
                continue
            del self._made[directory]
            self._is_seen, self._left = False, set()  # alerts of this event may have waited
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
