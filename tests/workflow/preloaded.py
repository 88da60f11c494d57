"""Snakemake in a process of its own, forked from one that has imported Snakemake already.

Importing it takes a second of processor, most of what many tests would take. LLAMA itself is
imported anew by every run.
"""

import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

# what Snakemake imports at every start, some of it late
_IMPORTED = ["snakemake.cli", "snakemake.report.html_reporter", "pandas", "smart_open"]


def snakemake(
    words: tuple[str, ...], directory: Path, environment: Mapping[str, str], timeout_s: float
) -> tuple[int | None, str]:
    """Run Snakemake as typed in a directory; return its exit code and what it printed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    with tempfile.NamedTemporaryFile("r", errors="replace") as printed:
        process = context.Process(
            target=_main, args=(words, str(directory), dict(environment), printed.name)
        )
        process.start()
        assert process.pid
        process.join(timeout_s)
        code = process.exitcode
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with all that it has left
        process.join()
        process.close()
        return code, printed.read()


def _main(words: tuple[str, ...], directory: str, environment: dict[str, str], to: str) -> None:
    os.setsid()
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for stream, file in enumerate((nothing, *[os.open(to, os.O_WRONLY | os.O_APPEND)] * 2)):
        os.dup2(file, stream)
    sys.argv = [shutil.which("snakemake") or "snakemake", *words]
    from snakemake.cli import main

    sys.exit(main())
