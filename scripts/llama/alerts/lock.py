"""One writer at a time in an event directory."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from llama.errors import LlamaError
from llama.files import take_lock, try_lock

TIMEOUT_S = 30.0


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Make `directory` and hold its lock; a directory that stays empty is removed again."""
    made = not directory.exists()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise LlamaError(
            f"cannot write {directory} ({error.strerror}); correct the permissions or choose "
            "another directory with --rundir DIR"
        ) from error
    try:
        take_lock(
            handle,
            TIMEOUT_S,
            lambda: f"another command is writing {directory}; try again when it has ended",
        )
        yield
    finally:
        if made:
            with contextlib.suppress(OSError):
                (directory / "alerts").rmdir()
            with contextlib.suppress(OSError):
                directory.rmdir()
        os.close(handle)


def is_processed(event_dir: Path) -> bool:
    """Tell whether a run of Snakemake has locked the event; see rules/common_locks.smk."""
    return is_held(event_dir / ".lock")


def is_held(lock: Path) -> bool:
    """Tell whether any process holds the file `lock`; `LlamaError` if locks do not work there."""
    try:
        file = lock.open(encoding="utf-8")
    except OSError:
        return False
    with file:
        return not try_lock(file, shared=True)
