"""Locks: one writer of a directory or an event at a time, one process of a kind, who holds what."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from llama.errors import LlamaError, system_errors

TIMEOUT_S = 30.0
EVENT_LOCK = ".lock"
_REMEDY = "correct the permissions or choose another directory with --rundir DIR"
_START_AGAIN = "free some space, or correct the permissions or output_dir, and start it again"


class LockedError(LlamaError):
    """Another process holds the lock."""


class NoLocksError(LlamaError):
    """The file system has no locks."""


def try_lock(file: int | IO[Any], *, shared: bool = False) -> bool:
    """Lock an open file, for this process alone or `shared`; False while another one holds it.

    `NoLocksError` where the file system has no locks.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        name = getattr(file, "name", file)
        if isinstance(name, int):
            name = os.readlink(f"/proc/self/fd/{name}")
        raise NoLocksError(
            f"cannot lock {name} ({error.strerror}): this file system has no locks; set output_dir "
            "in config.yaml to a directory on another one, or have it mounted with locks "
            "(Lustre: -o flock, NFS: with lockd)"
        ) from error
    return True


def wait_until(done: Callable[[], bool], timeout_s: float) -> bool:
    """Return whether something came to pass, asked again and again until `timeout_s` are over."""
    deadline = time.monotonic() + timeout_s
    while not (is_done := done()) and time.monotonic() <= deadline:
        time.sleep(0.05)
    return is_done


def take_lock(file: int | IO[Any], timeout_s: float, refusal: Callable[[], str]) -> None:
    """Lock an open file for this process alone; `LockedError(refusal())` after `timeout_s`."""
    if not wait_until(lambda: try_lock(file), timeout_s):
        raise LockedError(refusal())


@contextlib.contextmanager
def locked_file(path: Path, timeout_s: float, refusal: Callable[[], str]) -> Iterator[None]:
    """Hold the lock of the file `path`, made if needed; `LockedError(refusal())` after a while."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        take_lock(file, timeout_s, refusal)
        yield


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Make `directory` and hold its lock; a directory that stays empty is removed again."""
    made = _make(directory)
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _take(handle, TIMEOUT_S, directory)
        yield
    finally:
        if made:
            with contextlib.suppress(OSError):
                directory.rmdir()
        os.close(handle)


@contextlib.contextmanager
def locked_event(event_dir: Path, wait_s: float | None = None) -> Iterator[None]:
    """Make `event_dir` and be the only one who looks at its alerts and changes them.

    A run of Snakemake holds the same lock from its first look at the event until it ends.
    `LockedError` after `wait_s` (default: `TIMEOUT_S`). A directory that stays empty is removed.
    """
    made = _make(event_dir)
    handle = lock_event(event_dir, TIMEOUT_S if wait_s is None else wait_s)
    try:
        yield
    finally:
        if made:
            _remove_if_empty(event_dir)
        os.close(handle)


def lock_event(event_dir: Path, wait_s: float) -> int:
    """Lock an event that exists and return the open file: closing it, or ending, unlocks.

    `LockedError` after `wait_s`.
    """
    path = event_dir / EVENT_LOCK
    while True:
        with system_errors(f"cannot write {event_dir}", _REMEDY):
            # not for reading alone: NFS locks only what may be written
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
        try:
            _take(handle, wait_s, event_dir)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # a new event was given up meanwhile, and its lock removed
        _make(event_dir)


def _make(directory: Path) -> bool:
    made = not directory.exists()
    with system_errors(f"cannot write {directory}", _REMEDY):
        directory.mkdir(parents=True, exist_ok=True)
    return made


def _take(handle: int, wait_s: float, directory: Path) -> None:
    take_lock(
        handle,
        wait_s,
        lambda: f"another command is writing {directory}; try again when it has ended",
    )


def _remove_if_empty(event_dir: Path) -> None:
    with contextlib.suppress(OSError):
        (event_dir / "alerts").rmdir()
    if [path.name for path in event_dir.iterdir()] == [EVENT_LOCK]:
        (event_dir / EVENT_LOCK).unlink()
        event_dir.rmdir()


def is_processed(event_dir: Path) -> bool:
    """Tell whether a run of Snakemake, or a command that takes an alert, has locked the event.

    `NoLocksError` if locks do not work there.
    """
    try:
        file = (event_dir / EVENT_LOCK).open(encoding="utf-8")
    except OSError:
        return False
    with file:
        return not try_lock(file, shared=True)


@contextlib.contextmanager
def only_one(lock: Path, what: str, remedy: str = "") -> Iterator[IO[str]]:
    """Hold `lock`, a file that then says our pid; `LockedError` if another process holds it.

    Whoever ends, by an exception too, empties it again: see `killed`. `remedy` is what to do
    then, if it is not to end the other one with `what` -k.
    """
    with system_errors(f"cannot write {lock}", _START_AGAIN):
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT, 0o666), "r+")
    with file:
        # a question of `holder` keeps it for an instant
        take_lock(
            file,
            1.0,
            lambda: (
                f"{what} is running already with pid {file.read().strip()}; "
                f"{remedy or f'end it first with {what} -k'}"
            ),
        )
        with system_errors(f"cannot write {lock}", _START_AGAIN):
            # over the last one's: that needs no room on a full disk
            os.pwrite(file.fileno(), f"{os.getpid():<10}\n".encode(), 0)
        try:
            yield file
        finally:
            clear(file.fileno())


def holder(lock: Path) -> int | None:
    """Return the pid of the process that holds `lock`, None if nobody does."""
    with system_errors(f"cannot read {lock}", "correct the permissions"):
        try:
            file = lock.open(encoding="utf-8")
        except FileNotFoundError:
            return None
    with file:
        if try_lock(file, shared=True):
            return None
        text = file.read().strip()
        return int(text) if text.isdecimal() else None


def killed(lock: Path) -> int | None:
    """Return the pid of the process that was killed while it held `lock`, None if none was."""
    with contextlib.suppress(OSError):
        text = lock.read_text(encoding="utf-8").strip()
        if text.isdecimal() and holder(lock) is None:
            return int(text)
    return None


def clear(lock: int) -> None:
    """Blank our pid in an open lock file, whose time stays that of the start."""
    with contextlib.suppress(OSError):
        before = os.fstat(lock)
        os.pwrite(lock, b" " * 10, 0)
        os.utime(lock, ns=(before.st_atime_ns, before.st_mtime_ns))
