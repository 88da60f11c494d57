"""What every rule's script shares: where its errors go, and its inputs as plain text."""

import contextlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from llama.errors import LlamaError
from llama.locks import take_lock

PATIENCE_S = 600.0


def plain(paths: Sequence[str] | str) -> str | list[str]:
    """Return an input of a rule as a path, or several as a list."""
    return str(paths) if isinstance(paths, str) else [str(path) for path in paths]


@contextlib.contextmanager
def logged(log: str | Path) -> Iterator[None]:
    """Run the block of a rule's script; its errors end it with exit code 1.

    A `LlamaError` is printed as one sentence, its traceback goes to `log` only; the traceback
    of a defect goes to both. A job that a killed Snakemake has left running is waited for: it must
    not write over what this one makes.
    """
    path = Path(log)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")
        # a file of its own: Snakemake deletes the log before a job
        file = path.with_name(f".{path.name}.lock").open("a")
    except OSError as error:
        sys.stderr.write(
            f"cannot write {path} ({error.strerror}); free some space or correct the permissions, "
            "then run the same command again\n"
        )
        raise SystemExit(1) from None
    try:
        with file:
            take_lock(file, PATIENCE_S, lambda: f"another job writes {path}; wait for it or end it")
            yield
    except LlamaError as error:
        _write(path)
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
    except Exception:
        _write(path)
        raise


def _write(log: Path) -> None:
    """Write the present traceback; on a full disk the sentence on stderr must be enough."""
    with contextlib.suppress(OSError):
        log.write_text(traceback.format_exc(), encoding="utf-8", errors="backslashreplace")
