"""What the benchmarks share: a row, and a run of the workflow with its time and memory."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

CLONE = Path(__file__).parents[2]


class Run(NamedTuple):
    """Wall time, peak memory of all processes together, and what Snakemake said."""

    seconds: float
    memory_mib: float
    messages: str


def row(name: str, value: float, unit: str, goal: float | None) -> dict[str, Any]:
    """Return one row of the table."""
    row = {"name": name, "value": value, "unit": unit, "goal": goal}
    return row | {"peer": None, "peer_value": None}


def environment() -> dict[str, str]:
    """Return the environment with the commands of this Python's environment first."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def snakemake(config: Path, *targets: str) -> Run:
    """Run the workflow on two cores; a run that fails ends the benchmark with its messages."""
    command = [sys.executable, "-m", "snakemake", *targets, "--cores", "2"]
    command += ["--quiet", "rules", "reason", "host", "--configfile", str(config)]
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=CLONE, env=environment(), stderr=subprocess.PIPE, text=True
    )
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peak))
    watcher.start()
    _, messages = process.communicate()
    seconds = time.perf_counter() - start
    watcher.join()
    if process.returncode:
        raise SystemExit(messages)
    return Run(seconds, peak[0], messages)


def _watch(pid: int, peak: list[float]) -> None:
    while psutil.pid_exists(pid):
        total = 0
        try:
            parent = psutil.Process(pid)
            for process in [parent, *parent.children(recursive=True)]:
                total += process.memory_info().rss
        except psutil.NoSuchProcess:
            pass
        peak[0] = max(peak[0], total / 2**20)
        time.sleep(0.05)
