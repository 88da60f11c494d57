"""One writer at a time: in a directory, and in an event whether by an alert or by Snakemake."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from llama.errors import LlamaError
from llama.files import take_lock, try_lock

TIMEOUT_S = 30.0
EVENT_LOCK = ".lock"


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
        handle = _open(path)
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
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(directory, error) from error
    return made


def _open(path: Path) -> int:
    try:
        # not for reading alone: NFS locks only what may be written
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    except OSError as error:
        raise _cannot_write(path.parent, error) from error


def _cannot_write(directory: Path, error: OSError) -> LlamaError:
    return LlamaError(
        f"cannot write {directory} ({error.strerror}); correct the permissions or choose "
        "another directory with --rundir DIR"
    )


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
    """Tell whether a run of Snakemake, or a command that takes an alert, has locked the event."""
    return is_held(event_dir / EVENT_LOCK)


def is_held(lock: Path) -> bool:
    """Tell whether any process holds the file `lock`; `LlamaError` if locks do not work there."""
    try:
        file = lock.open(encoding="utf-8")
    except OSError:
        return False
    with file:
        return not try_lock(file, shared=True)
