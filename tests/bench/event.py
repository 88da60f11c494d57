"""One event from skymap_info.json on: wall time and peak memory of the whole workflow."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import environment, row, snakemake
from msgspec.structs import replace

from llama.cli import demo
from llama.event.names import products
from llama.event.skymap_info import read_info

TRACKED = 40


def rows() -> Iterator[dict[str, Any]]:
    """Yield the rows of the event, from a mock alert with a map of some thousand tiles."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory)
        config = demo._write_inputs(output, 20_000)
        event = _intake(output)
        target = f"events/{demo.GRACEID}"
        snakemake(config, f"{target}/significance_lvc-i3.json")  # compiles, once per version
        for name, goal_s, product in (
            ("event_significance", 6, "significance_lvc-i3.json"),
            ("event_all", 15, "all"),
        ):
            shutil.rmtree(event)
            _intake(output)
            run = snakemake(config, f"{target}/{product}")
            yield row(f"{name}_s", run.seconds, "s", goal_s)
            yield row(f"{name}_mib", run.memory_mib, "MiB", 1024)
        _copies(event)
        snakemake(config, "--touch")
        run = snakemake(config)
        if "Nothing to be done" not in run.messages:
            raise SystemExit(f"there was something to do:\n{run.messages}")
        yield row(f"noop_{TRACKED}_events_s", run.seconds, "s", 4)
        yield row(f"noop_{TRACKED}_events_mib", run.memory_mib, "MiB", 1024)


def _intake(output: Path) -> Path:
    alert, neutrinos = output / "alert.json", output / "neutrinos.json"
    alert.write_bytes(demo._alert())
    neutrinos.write_bytes(demo._neutrinos())
    command = ["skymap_info", "--alert", alert, "--neutrinos", neutrinos, "--role", "test"]
    command += ["--rundir", output / "current_run"]
    subprocess.run(command, check=True, capture_output=True, env=environment())
    return output / "current_run" / demo.GRACEID


def _copies(event: Path) -> None:
    """Make the event 40 events, by content, so that only their being up to date is measured."""
    for index in range(1, TRACKED):
        graceid = f"MS2306{index % 28 + 1:02d}{'bc'[index // 28]}"
        copy = shutil.copytree(event, event.parent / graceid)
        info = replace(read_info(copy), graceid=graceid, notice=f"{graceid}-1-Preliminary")
        (copy / "skymap_info.json").write_text(json.dumps(info.as_json()))
        for name in products(info):  # in the order they were made
            os.utime(copy / name)
