"""`llama run`: takes the spool over, and has Snakemake make what is missing or outdated.

An event with a new revision is made at once, by a Snakemake of its own, whatever else is being
made: runs on different events do not disturb each other (rules/common_locks.smk). Once a minute
Snakemake is asked what is outdated among all events that are kept (a window has closed, late
neutrinos, other settings); those are made one after the other.
"""

import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from llama.alerts.choice import Choice
from llama.alerts.daemon import RunningError, only_one
from llama.alerts.failing import Failing
from llama.alerts.lock import is_processed
from llama.alerts.spool import Spool
from llama.alerts.takeover import take_over
from llama.alerts.workflow import Workflow, outdated
from llama.errors import LlamaError
from llama.settings import Settings

COMMAND = "llama run"
_LOOK_S = 0.2
_SWEEP_S = 60.0
_TAKE_S = 2.0  # what has come so far is made before more is taken over
_RETRY_S = 5.0  # what could not be written, or is in another run's hands
_AT_ONCE = 2  # new revisions that are made at the same time

log = logging.getLogger("llama.run")


def daemon_lock(output_dir: Path) -> Path:
    """Return the file whose lock the daemon holds."""
    return output_dir / "runner" / "daemon.lock"


def pass_lock(output_dir: Path) -> Path:
    """Return the file whose lock everybody holds who takes over and makes."""
    return output_dir / "runner" / "lock"


def failing_path(output_dir: Path) -> Path:
    """Return the file that names the events that fail."""
    return output_dir / "runner" / "failing.json"


def run_daemon(
    settings: Settings, choice: Choice, stop: threading.Event, show: Callable[[], object]
) -> None:
    """Keep the events until `stop`; first wait for the end of a pass that runs.

    `show` is called when there is something new to see, such as for the page of all events.
    """
    output_dir = settings.output_dir
    with only_one(daemon_lock(output_dir), COMMAND), _compiling_ahead():
        while not stop.is_set():
            with contextlib.suppress(RunningError), only_one(pass_lock(output_dir), COMMAND):
                log.info("keeping events, pid %d", os.getpid())
                from llama.sky.check import import_reader

                import_reader()  # the first alert shall not wait for it
                Keeper(settings, choice, show).keep(stop)
        log.info("ended as asked")


@contextlib.contextmanager
def _compiling_ahead() -> Iterator[None]:
    """Compile the statistic in the background; without neutrino archive that fails, in silence."""
    command = [sys.executable, "-m", "llama.alerts.warm"]
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=silent, stdout=silent, stderr=silent) as process:
        try:
            yield
        finally:
            process.terminate()


def run_once(
    settings: Settings, choice: Choice, stop: threading.Event, show: Callable[[], object]
) -> int:
    """Bring the events up to date and return how many failed; 0 if somebody else is at it."""
    try:
        with only_one(pass_lock(settings.output_dir), COMMAND):
            return Keeper(settings, choice, show).keep(stop, once=True)
    except RunningError:
        return 0


class Keeper:
    """What is being made, what waits for it, and what the spool said last."""

    def __init__(self, settings: Settings, choice: Choice, show: Callable[[], object]) -> None:
        self._show = show
        self._output_dir = settings.output_dir
        self._preset = settings.events.new_event_flags
        self._choice = choice
        self._workflow = Workflow(settings.output_dir)
        self._failing = Failing(failing_path(settings.output_dir))
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
        self._told: dict[str, str] = {}
        self._tidied = False
        self._is_seen = True  # whether what is shown is what there is

    def keep(self, stop: threading.Event, once: bool = False) -> int:
        """Take over and make until `stop`, or `once` until all is done.

        Return how many failures there were, or events that failed before and are not yet well.
        """
        try:
            while not stop.is_set():
                try:
                    self._step()
                except (LlamaError, OSError) as error:  # the disk is full, no process can start
                    self._tell_once("step", str(error))
                    self._failed += 1
                    if once:
                        break
                    stop.wait(_RETRY_S)
                if once and self._is_done():
                    break
                stop.wait(_LOOK_S)
        finally:
            self._end()
        return self._failed or len(self._failing.events)

    def _step(self) -> None:
        self._reap()
        self._take_over()
        self._sweep()
        self._start()
        self._told.pop("step", None)
        self._show_news()

    def _show_news(self) -> None:
        """Have what is new shown, once the machine is free; a failure of that stops nothing."""
        if self._is_seen or self._made or self._new:
            return
        self._is_seen = True
        try:
            self._show()
        except (LlamaError, OSError) as error:
            self._tell_once("page", str(error))

    def _is_done(self) -> bool:
        busy = self._made or self._new or self._old or self._summary
        return self._swept and not busy and not self._news()

    def _news(self) -> bool:
        """Tell whether the spool has what has not been looked at, or may be tried again."""
        names = {path.name for path in self._spool_files()}
        if names <= self._left:
            return bool(names) and time.monotonic() >= self._look_at
        return True

    def _spool_files(self) -> Iterator[Path]:
        return (self._output_dir / "spool").glob("[!.]*.json")

    def _take_over(self) -> None:
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
                elif taken.said:
                    self._told.pop(taken.entry.name, None)
                    log.log(logging.WARNING if taken.quarantined else logging.INFO, taken.said)
                if taken.changed:
                    self._changed(f"current_run/{taken.event}")
                if time.monotonic() > end:
                    break
        if not self._tidied:
            self._tidied = True
            Spool(self._output_dir).tidy()

    def _changed(self, directory: str) -> None:
        self._failing.remove(directory)
        if directory not in self._new:
            self._new.append(directory)

    def _tell_once(self, about: str, said: str) -> None:
        """Log what is wrong, not again while it is the same."""
        if said and self._told.get(about) != said:
            self._told[about] = said
            log.warning("%s", said)

    def _sweep(self) -> None:
        """Ask, once a minute, what is outdated; not while new revisions need the machine."""
        late_s = time.monotonic() - self._sweep_at
        if self._summary or self._old or late_s < 0:
            return
        if (self._made or self._new) and late_s < _SWEEP_S:
            return
        self._sweep_at = time.monotonic() + _SWEEP_S
        self._swept = True
        self._is_seen = False  # ages and silence change by themselves
        self._meanwhile = set(self._made)
        kept = self._choice.directories(self._output_dir)
        for directory in self._failing.events.keys() - set(kept):
            self._failing.remove(directory)
        asked = [d for d in kept if not self._failing.waits(d)]
        if asked:
            out, messages = self._log("summary.tsv"), self._log("summary.log")
            self._summary = self._workflow.summarise(asked, out, messages), asked

    def _read_summary(self, code: int, asked: list[str]) -> None:
        out, messages = self._log("summary.tsv"), self._log("summary.log")
        if code == 0:
            self._told.pop("summary", None)
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
            self._tell_once("summary", reason)
            self._failed += 1

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
                    self._made[directory] = self._workflow.make(directory, self._log_of(directory))

    def _reap(self) -> None:
        if self._summary and (code := self._summary[0].poll()) is not None:
            asked, self._summary = self._summary[1], None
            self._read_summary(code, asked)
            self._is_seen = False
        for directory, process in list(self._made.items()):
            if (code := process.poll()) is None:
                continue
            del self._made[directory]
            self._is_seen = False
            self._left = set()  # alerts of this event may have waited
            if code == 0:
                self._failing.remove(directory)
                log.info("%s is up to date", directory)
            elif code < 0:
                self._fail(directory, f"snakemake was ended by {signal.Signals(-code).name}")
            else:
                self._fail(directory, self._workflow.reason(self._log_of(directory)))

    def _fail(self, directory: str, reason: str) -> None:
        self._failed += 1
        log.error("%s: %s", directory, reason)
        self._failing.add(directory, reason)

    def _log(self, name: str) -> Path:
        return self._output_dir / "runner" / name

    def _log_of(self, directory: str) -> Path:
        return self._workflow.logs(directory) / "llamad-snakemake.log"

    def _end(self) -> None:
        """End Snakemake after the jobs that run; what is left is made the next time."""
        processes = [*self._made.values(), *([self._summary[0]] if self._summary else [])]
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
