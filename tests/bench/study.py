"""A background study: a million injections on 24 maps, from the list to table and p-values.

Real maps and the real neutrino archive where the shared data are, mock ones of like size else.
"""

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml

from llama.files import write_bytes
from llama.neutrinos.archive import import_release
from llama.neutrinos.mock import write_mock_release
from llama.settings.load import read_config
from llama.sky.mock import mock_skymap, to_fits

CLONE = Path(__file__).parents[2]
SHARED = CLONE.parent / "shared" / "data"
STUDY = "bns-o3-H1L1V1"
INJECTIONS, SHARD_SIZE = 1_000_000, 50_000
MAPS = 24


def rows() -> Iterator[dict[str, Any]]:
    """Yield the rows of a study; takes some minutes."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory)
        _inputs(output)
        _snakemake(_config(output, 2_000, 1_000))  # compiles, once per version; makes the bank
        config = _config(output, INJECTIONS, SHARD_SIZE)
        before = _cpu_s()
        start = time.perf_counter()
        memory = _snakemake(config)
        seconds = time.perf_counter() - start
        yield _row("study_1e6_s", seconds, "s", 360)
        yield _row("study_1e6_mib", memory, "MiB", 1536)
        yield _row("injection_ms", 1e3 * (_cpu_s() - before) / INJECTIONS, "ms", None)
        start = time.perf_counter()
        _snakemake(config)
        yield _row("study_noop_s", time.perf_counter() - start, "s", None)


def _row(name: str, value: float, unit: str, goal: float | None) -> dict[str, Any]:
    return {
        "name": name, "value": value, "unit": unit, "goal": goal, "peer": None, "peer_value": None
    }  # fmt: skip


def _inputs(output: Path) -> None:
    release = SHARED / "icecube" / "icecube_10year_ps"
    if not release.is_dir():
        release = output / "release"
        write_mock_release(release, n_events=40_000)
    import_release(release, output / "archive", "bench")
    if not (SHARED / "skymaps").is_dir():
        for k in range(MAPS):
            sigma = (3.0 + k, 1.5 + 0.25 * k)
            tiles = mock_skymap(15.0 * k, 70 * (2 * (k + 0.5) / MAPS - 1), sigma, (100.0, 30.0))
            write_bytes(output / "maps" / f"{k}.fits", to_fits(tiles, "2019-07-01T00:00:00"))


def _config(output: Path, injections: int, shard_size: int) -> Path:
    raw = read_config(CLONE / "config.yaml")
    raw["output_dir"] = str(output)
    raw["neutrinos"]["archive"] = "bench"
    maps = SHARED / "skymaps" if (SHARED / "skymaps").is_dir() else output / "maps"
    raw["background"] |= {"injections": injections, "shard_size": shard_size}
    raw["background"]["studies"] = {STUDY: {"skymaps": str(maps)}}
    path = output / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def _snakemake(config: Path) -> float:
    """Make table and populations on two cores; return the peak memory of all processes [MiB]."""
    command = [sys.executable, "-m", "snakemake", "populations.hdf5", f"studies/{STUDY}.txt"]
    command += ["--quiet", "all", "--cores", "2", "--configfile", str(config)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        command, cwd=CLONE, env=os.environ | {"PATH": path}, stderr=subprocess.PIPE
    )
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peak))
    watcher.start()
    _, errors = process.communicate()
    watcher.join()
    if process.returncode:
        raise SystemExit(errors.decode())
    return peak[0]


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
        time.sleep(0.1)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
