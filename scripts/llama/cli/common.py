"""What every command shares: how it ends, where its tracebacks go, how it reads a file."""

import codecs
import contextlib
import errno
import io
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from llama.errors import LlamaError, printable

_SPELLED = str.maketrans(
    {"–": "-", "−": "-", "×": "x", "±": "+-", "²": "2", "σ": "sigma", "…": "..."}
)


def run_command(func: Callable[[], int | None], prog: str) -> int:
    """Call `func` and return the exit code of the command `prog`.

    A `LlamaError`, and a file that the system refuses, are printed as one sentence (exit 1), Ctrl-C
    is quiet (130), and so is a reader of stdout that has gone away (1). Every other exception is
    a defect and goes on to Python. Tracebacks are appended to `logs/<prog>.log` in the output
    directory.
    """
    _print_anything()
    try:
        code = func() or 0
        sys.stdout.flush()
    except LlamaError as error:
        _log_traceback(prog)
        print(f"{prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Python flushes stdout once more at exit; there it must not meet the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        _log_traceback(prog)
        if not (isinstance(error, OSError) and error.strerror and error.filename is not None):
            raise
        print(f"{prog}: {_refused(error)}", file=sys.stderr)
        return 1
    return code


def _refused(error: OSError) -> str:
    """Return in one sentence why the system refused a file that was not checked before."""
    named = error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)
    remedy = "correct the path" if named else "free some space or correct the permissions"
    return f"cannot use {printable(error.filename, 300)}: {error.strerror}; {remedy}"


def _print_anything() -> None:
    """Let every text be printed, spelled in ASCII where the encoding lacks it, and be typed.

    Line by line: in a pipe or a log, what stderr says stands where it was said.
    """
    codecs.register_error("llama.spell", _spell)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="llama.spell", line_buffering=True)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wanted = error.object[error.start : error.end].translate(_SPELLED)
    return wanted.encode("ascii", "backslashreplace").decode(), error.end


def read_file(path: Path, max_bytes: int, option: str) -> bytes:
    """Return the content of a file given as `option`, of at most `max_bytes`; else `LlamaError`."""
    try:
        with path.open("rb") as stream:
            content = stream.read(max_bytes + 1)
    except OSError as error:
        raise LlamaError(f"cannot read {path} ({error.strerror}); correct {option}") from error
    if len(content) > max_bytes:
        raise LlamaError(
            f"{path} is larger than {max_bytes / 1e6:,.0f} MB, more than any file of its kind; "
            f"correct {option}"
        )
    return content


def ask(question: str) -> str:
    """Ask on stderr, and return the line typed without its ends, "" when there is nobody."""
    sys.stdout.flush()
    sys.stderr.write(f"{question} ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not sys.stdin.isatty():
        sys.stderr.write("\n")
    return answer.strip()


def say(text: str) -> None:
    """Print one line on stderr, where it does not mix with data."""
    sys.stderr.write(f"{text}\n")


def print_table(
    lines: Sequence[Sequence[str]], right: Collection[int] = (), header_apart: bool = False
) -> None:
    """Print aligned columns, those of `right` flush right.

    header_apart: the first line goes to stderr: it is not data.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, cells in enumerate(lines):
        padded = (
            cell.rjust(width) if k in right else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        stream = sys.stderr if header_apart and not number else sys.stdout
        print("  ".join(padded).rstrip(), file=stream)


def plural(count: int, what: str) -> str:
    """Return `1 droplet`, `2 droplets`."""
    return f"{count:,} {what}" + "s" * (count != 1)


def counter(what: str, total: int, unit: int = 1, name: str = "") -> Callable[[int], None]:
    """Return what hears, from any thread, how many more of `total` are done, and shows them.

    From two seconds on and on a terminal only, in multiples of `unit`, which is called `name`. The
    line is wiped when the last is done.
    """
    start, shown, done, alone = time.monotonic(), 0.0, 0, threading.Lock()

    def show(more: int) -> None:
        nonlocal shown, done
        with alone:
            done, now = done + more, time.monotonic()
            if sys.stderr.isatty() and now - start > 2 and (now - shown > 0.1 or done == total):
                shown = now
                share = f"{done / total:4.0%} " if total else ""
                line = f"{what} {share}{done // unit:,} of {total // unit:,}{name}"
                sys.stderr.write(f"\r{line}\x1b[K" + "\r\x1b[K" * (done == total))
                sys.stderr.flush()

    return show


def _log_traceback(prog: str) -> None:
    """Append the present traceback to the log; a log that cannot be written is no new error."""
    with contextlib.suppress(OSError, LlamaError):
        from llama.settings import load

        path = load().output_dir / "logs" / f"{prog.replace(' ', '_')}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {' '.join(sys.argv)}\n")
            log.write(traceback.format_exc() + "\n")
