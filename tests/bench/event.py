"""One event from skymap_info.json on: wall time and peak memory of the whole workflow."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from llama.cli import demo
from llama.event.names import products
from llama.event.skymap_info import read_info

CLONE = Path(__file__).parents[2]
TRACKED = 40


def rows() -> Iterator[dict[str, Any]]:
    """Yield the rows of the event, from a mock alert with a map of 19,200 tiles or so."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory)
        config = demo._write_inputs(output, CLONE, 20_000)
        event = _intake(output)
        target = f"events/{demo.GRACEID}"
        _snakemake(config, f"{target}/significance_lvc-i3.json")  # compiles, once per version
        shutil.rmtree(event)
        _intake(output)
        seconds, memory = _snakemake(config, f"{target}/significance_lvc-i3.json")
        yield _row("event_significance_s", seconds, "s", 6)
        yield _row("event_significance_mib", memory, "MiB", 1024)
        shutil.rmtree(event)
        _intake(output)
        seconds, memory = _snakemake(config, f"{target}/all")
        yield _row("event_all_s", seconds, "s", 15)
        yield _row("event_all_mib", memory, "MiB", 1024)
        _copies(event)
        _snakemake(config, "--touch")
        seconds, memory = _snakemake(config)
        yield _row("noop_40_events_s", seconds, "s", 4)
        yield _row("noop_40_events_mib", memory, "MiB", 1024)


def _row(name: str, value: float, unit: str, goal: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "goal": goal,
        "peer": None,
        "peer_value": None,
    }


def _intake(output: Path) -> Path:
    alert, neutrinos = output / "alert.json", output / "neutrinos.json"
    alert.write_text(json.dumps(demo._alert()))
    neutrinos.write_text(json.dumps(demo._neutrinos()))
    command = ["skymap_info", "--alert", alert, "--neutrinos", neutrinos, "--role", "test"]
    command += ["--rundir", output / "current_run"]
    subprocess.run(command, check=True, capture_output=True, env=_environment())
    return output / "current_run" / demo.GRACEID


def _copies(event: Path) -> None:
    """Make the event 40 events, by content, so that only their being up to date is measured."""
    for index in range(1, TRACKED):
        graceid = f"MS2306{index % 28 + 1:02d}{'bc'[index // 28]}"
        copy = shutil.copytree(event, event.parent / graceid)
        info = read_info(copy) | {"graceid": graceid, "notice": f"{graceid}-1-Preliminary"}
        (copy / "skymap_info.json").write_text(json.dumps(info))
        for name in products(info):  # in the order they were made
            os.utime(copy / name)


def _snakemake(config: Path, *arguments: str) -> tuple[float, float]:
    """Return wall time [s] and peak memory [MiB] of a run and all its children."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        *arguments,
        "--quiet",
        "all",
        "--configfile",
        str(config),
    ]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=CLONE, env=_environment(), stderr=subprocess.PIPE)
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peak))
    watcher.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - start
    watcher.join()
    if process.returncode:
        raise SystemExit(errors.decode())
    return seconds, peak[0]


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
        time.sleep(0.02)


def _environment() -> dict[str, str]:
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
