"""A clock that can be moved: what this Python takes for the time, and for the dates of files.

$LLAMA_TEST_CLOCK is a file of lines `UNIX_NS AHEAD_NS`: from that moment of the machine's clock on,
the simulated one is ahead by so much. Files have the date that it showed when they were written, as
on a machine whose clock was moved; `time.monotonic` goes on, as it does there. First in PYTHONPATH;
production code knows nothing of this.
"""

import os
import runpy
import time
from pathlib import Path

runpy.run_path(str(Path(__file__).parents[2] / "guard" / "sitecustomize.py"))

CLOCK = os.environ.get("LLAMA_TEST_CLOCK")
real_ns, looked_at, moves = time.time_ns, 0.0, []


def ahead_ns(moment_ns):
    """Return by how much the clock was ahead at a moment of the machine's."""
    global looked_at, moves
    if time.monotonic() - looked_at > 0.02:
        looked_at = time.monotonic()
        with open(CLOCK) as file:  # noqa: PTH123
            moves = [tuple(map(int, line.split())) for line in file]
    return next((ahead for since, ahead in reversed(moves) if since <= moment_ns), 0)


def time_ns():
    now = real_ns()
    return now + ahead_ns(now)


def dated(function):
    """Wrap one of the functions that return an `os.stat_result`."""

    def call(*arguments, **options):
        result = function(*arguments, **options)
        if not ahead_ns(result.st_mtime_ns):
            return result
        kind, (numbers, names) = result.__reduce__()
        numbers = list(numbers)
        for place, name in enumerate(("st_atime", "st_mtime", "st_ctime"), 7):
            moment = names[f"{name}_ns"]
            moment += ahead_ns(moment)
            names |= {f"{name}_ns": moment, name: moment / 1e9}
            numbers[place] = moment // 10**9
        return kind(numbers, names)

    for supported in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
        if function in supported:
            supported.add(call)
    return call


if CLOCK:
    time.time_ns, time.time = time_ns, lambda: time_ns() / 1e9
    os.stat, os.lstat, os.fstat = map(dated, (os.stat, os.lstat, os.fstat))
