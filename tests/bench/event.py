"""One event from skymap_info.json on: wall time and peak memory of the whole workflow.

To its significance with both readings of the detector, best of three in turn; the archive is a mock
one with tables of the public matrix.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from measure import CLONE, Run, environment, row, snakemake
from msgspec.structs import replace

sys.path.insert(0, str(CLONE / "tests" / "unit"))

from smearing_samples import add_detector

from llama.cli import demo
from llama.event.names import products
from llama.event.skymap_info import read_info

TRACKED, REPEATS = 40, 3


def rows() -> Iterator[dict[str, Any]]:
    """Yield the rows of the event, from a mock alert with a map of some thousand tiles."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory)
        config = demo._write_inputs(output, 20_000)
        if not (output / "archive" / "mock" / "detector.hdf5").exists():
            add_detector(output / "archive" / "mock")
        event = _intake(output)
        target = f"events/{demo.GRACEID}"
        published = output / "published.yaml"
        search = {"search": {"response": "published"}}
        published.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | search))
        both: dict[Path, list[Run]] = {config: [], published: []}
        for _ in range(REPEATS + 1):
            for settings, runs in both.items():
                shutil.rmtree(event)
                _intake(output)
                runs.append(snakemake(settings, f"{target}/significance_lvc-i3.json"))
        # the first one compiles, once per version
        run, other = (min(runs[1:], key=lambda run: run.seconds) for runs in both.values())
        yield row("event_significance_s", run.seconds, "s", 10)
        yield row("event_significance_mib", run.memory_mib, "MiB", 1024)
        yield row("event_significance_published_s", other.seconds, "s", None)
        yield row("event_significance_ratio", run.seconds / other.seconds, "", None)
        # another list for the same map, as when the window closes
        product = f"{target}/significance_lvc-i3.json"
        snakemake(config, product)
        run = snakemake(config, product, "--forcerun", "list_neutrinos")
        yield row("event_revision_s", run.seconds, "s", 6)
        shutil.rmtree(event)
        _intake(output)
        run = snakemake(config, f"{target}/all")
        yield row("event_all_s", run.seconds, "s", 15)
        yield row("event_all_mib", run.memory_mib, "MiB", 1024)
        _copies(event)
        snakemake(config, "--touch")
        run = snakemake(config)
        if "Nothing to be done" not in run.messages:
            raise SystemExit(f"there was something to do:\n{run.messages}")
        yield row(f"noop_{TRACKED}_events_s", run.seconds, "s", 4)
        yield row(f"noop_{TRACKED}_events_mib", run.memory_mib, "MiB", 1024)


def _intake(output: Path) -> Path:
    alert, neutrinos = output / "alert.json", output / "neutrinos.json"
    alert.write_bytes(demo._alert(demo.EVENTS[0]))
    neutrinos.write_bytes(demo._neutrinos(demo.EVENTS[0]))
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
