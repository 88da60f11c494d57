"""Foreign bytes are parsed in a child with limits: a bomb costs one record, not the process."""

import contextlib
import errno
import json
import os
import resource
import select
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llama.errors import LlamaError

MEMORY_BYTES = 1 << 29  # in addition to what the parent has
CPU_S = 20
_WAIT_S = 300.0  # a stopped or overloaded machine; nothing in a child waits for anything
_LONGEST = 4096  # bytes of an answer
_TIMES = 3  # a child may be killed for what others do: memory that is short, a person


def in_child(parse: Callable[[], object], what: str, remedy: str) -> Any:
    """Parse in a fork of this process; return what `parse` returns, as JSON knows it, or raise.

    `what` and `remedy` are words of the sentence when it takes more than `MEMORY_BYTES` of memory
    or `CPU_S` of processor, or dies. What every `parse` needs is imported before: a fork
    costs a few ms, an import in each child may cost a second. Only a short answer comes back.
    """
    for _ in range(_TIMES):
        answer, died = _once(parse, what)
        if answer or died != signal.SIGKILL:
            break
    kind, _, text = answer.partition(" ")
    if kind == "good":
        return json.loads(text)
    if kind == "refused":
        raise LlamaError(text)
    if kind == "memory":
        raise LlamaError(f"{what} needs more than {MEMORY_BYTES >> 20} MiB to be read; {remedy}")
    if kind == "defect":
        raise RuntimeError(text)
    if died == signal.SIGXCPU:
        raise LlamaError(f"{what} takes more than {CPU_S} s to be read; {remedy}")
    end = signal.Signals(died).name if died > 0 else f"exit code {-died}"
    raise LlamaError(f"{what} cannot be read (its process ended with {end}); {remedy}")


def _once(parse: Callable[[], object], what: str) -> tuple[str, int]:
    reading, writing = os.pipe()
    try:
        pid = _fork()
    except OSError as error:
        os.close(reading)
        os.close(writing)
        raise LlamaError(f"cannot start a process to read {what}: {error.strerror}") from error
    if pid == 0:
        _be_child(parse, writing)  # never returns
    os.close(writing)
    try:
        answer, status = _wait(pid, reading)
    finally:
        os.close(reading)
    return answer, -os.waitstatus_to_exitcode(status)


def _fork() -> int:
    with warnings.catch_warnings():
        # idle threads of NumPy's library; a child calls nothing that waits for them
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _be_child(parse: Callable[[], object], writing: int) -> None:
    answer = ""
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        # a lock of the parent's is not held longer than the parent lives
        os.closerange(3, writing)
        os.closerange(writing + 1, os.sysconf("SC_OPEN_MAX"))
        _limit()
        answer = f"good {json.dumps(parse())}"
    except LlamaError as error:
        answer = f"refused {error}"
    except MemoryError:
        answer = "memory"
    finally:
        try:
            # a text of others may hold half a character
            answer = answer or f"defect {sys.exc_info()[1]!r}"
            os.write(writing, answer.encode(errors="backslashreplace")[:_LONGEST])
        finally:
            # even if the answer cannot be written: a child must not continue as its parent
            os._exit(0)


def _limit() -> None:
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, CPU_S)
    with contextlib.suppress(FileNotFoundError):  # Linux tells what it counts
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[5])
        _lower(resource.RLIMIT_DATA, pages * resource.getpagesize() + MEMORY_BYTES)


def _lower(kind: int, most: int) -> None:
    """Set a limit, unless the one that we were started with is lower."""
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _wait(pid: int, reading: int) -> tuple[str, int]:
    poll, answer = select.poll(), b""
    poll.register(reading)
    try:
        if not poll.poll(1000 * _WAIT_S):
            raise LlamaError(
                f"a process that reads a file has not ended in {_WAIT_S:g} s; the machine may be "
                "overloaded, try again"
            ) from TimeoutError(errno.ETIMEDOUT, "no answer")
        while part := os.read(reading, _LONGEST):
            answer += part
    finally:
        os.kill(pid, signal.SIGKILL)  # one that has ended keeps its status
        status = os.waitpid(pid, 0)[1]
    return answer.decode(errors="replace"), status
