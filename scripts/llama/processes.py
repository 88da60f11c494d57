"""Long-running commands: started in the background, ended by their lock's pid, their logs."""

import contextlib
import logging
import logging.handlers
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from llama.errors import LlamaError, printable, system_errors
from llama.locks import clear, holder, try_lock, wait_until

_START_S = 60.0
_LINE = 4000  # letters of a line in a log


class TooSlowError(LlamaError):
    """A process has not ended in time."""


def start_in_background(arguments: Sequence[str], lock: Path, what: str, log: Path) -> int:
    """Start `llama ARGUMENTS`, detached from the terminal, and return its pid once it has `lock`.

    `LlamaError` when it ends before, or another one runs already.
    """
    other = holder(lock)
    if other is not None:
        raise LlamaError(f"{what} is running already with pid {other}; end it first with {what} -k")
    with _open_log(log) as stderr:
        begin = stderr.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "llama", *arguments],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    if not wait_until(lambda: process.poll() is not None or holder(lock) == process.pid, _START_S):
        raise LlamaError(f"{what} did not start within {_START_S:.0f} s; see {log}")
    if process.poll() is not None:
        raise LlamaError(f"{what} did not start: {_last_words(log, begin, what)}")
    return process.pid


def _open_log(path: Path) -> BinaryIO:
    with system_errors(f"cannot write the log {path}", "correct the permissions or the path"):
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")


def _last_words(log: Path, begin: int, what: str) -> str:
    lines = log.read_bytes()[begin:].decode(errors="replace").split("\n")
    said = [line.removeprefix("llama: ") for line in lines if line.strip()]
    return said[-1] if said else f"{log} does not say why (a full disk?); try {what} -F"


def stop(
    lock: Path, what: str, timeout_s: float = 30.0, by: signal.Signals = signal.SIGTERM
) -> int:
    """Ask the process that holds `lock` to end, wait until it has, and return its pid."""
    pid = holder(lock)
    if pid is None:
        raise LlamaError(f"{what} is not running; there is nothing to end")
    try:
        os.kill(pid, by)
    except ProcessLookupError:
        return pid
    except PermissionError as error:
        raise LlamaError(f"{what} with pid {pid} is another user's; ask them to end it") from error
    if not wait_until(lambda: holder(lock) != pid, timeout_s):
        raise TooSlowError(
            f"{what} with pid {pid} has not ended within {timeout_s:.0f} s; "
            f"see its log, then kill -9 {pid}: nothing that it has committed is lost"
        )
    return pid


def kill(lock: Path, what: str) -> int:
    """Kill the process that holds `lock` and all that it has started; return its pid."""
    import psutil

    pid = holder(lock)
    if pid is None:
        raise LlamaError(f"{what} is not running; there is nothing to end")
    try:
        process = psutil.Process(pid)
        # it first: it would start others
        processes = [process, *process.children(recursive=True)]
        for one in processes:
            # who leads a group may have started others since we looked
            with contextlib.suppress(ProcessLookupError):
                if one is not process:
                    os.killpg(one.pid, signal.SIGKILL)
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(processes, timeout=10)
        with lock.open("r+", encoding="utf-8") as file:
            if try_lock(file):  # nobody has started it since
                clear(file.fileno())
    except psutil.NoSuchProcess:
        pass
    except psutil.AccessDenied as error:
        raise LlamaError(f"{what} with pid {pid} is another user's; ask them to end it") from error
    return pid


@contextlib.contextmanager
def last_words(log: logging.Logger) -> Iterator[None]:
    """Have the log say why the process ends, if an exception ends it."""
    try:
        yield
    except LlamaError as error:
        # the command itself says it on stderr
        log.error("ended: %s", error, extra={"only_in_file": True})
        raise
    except Exception:
        log.exception("ended by a defect of LLAMA")
        raise


class _OneLine(logging.Filter):
    """A message is one line that can be shown, whatever it quotes; so is each of a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = printable(record.getMessage(), _LINE), ()
        if record.exc_info:
            lines = "".join(traceback.format_exception(*record.exc_info)).rstrip().split("\n")
            record.exc_text = "\n".join(printable(line, _LINE) for line in lines)
        return True


def log_to(path: Path, level: int = logging.INFO, stderr: int = logging.INFO) -> None:
    """Send the log to `path`, which may be moved away by logrotate, and to stderr.

    `level` and `stderr` are the least levels for the one and the other.
    """
    form = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    logger = logging.getLogger("llama")
    logger.setLevel(min(level, stderr))
    with _open_log(path) as opened:
        # started in the background, all that this process says on stderr is in the log already
        is_stderr = os.path.samestat(os.fstat(2), os.fstat(opened.fileno()))
    file = logging.handlers.WatchedFileHandler(path, errors="backslashreplace")
    handlers: list[tuple[logging.Handler, int]] = [(file, level)]
    if not is_stderr:
        shown = logging.StreamHandler(sys.stderr)
        shown.addFilter(lambda record: not hasattr(record, "only_in_file"))
        handlers.append((shown, stderr))
    for handler, least in handlers:
        handler.setFormatter(form)
        handler.setLevel(least)
        handler.addFilter(_OneLine())
        logger.addHandler(handler)
    logging.raiseExceptions = False  # a full disk must not flood stderr
