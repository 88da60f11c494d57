"""Slurm's hook for nodes that have not come: whose fault it was, against the cloud's double.

Slurm's side is a command that writes down what it is told; test_fleet_cluster.py has the real one.
"""

import json
import os
from pathlib import Path

import pytest
from conftest import TOKEN
from do_double import Cloud as Double

from llama.fleet.connection import CloudError
from llama.fleet.hooks import Hooks
from llama.settings import load

NAME, OTHER = "llama-worker-000", "llama-worker-001"


@pytest.fixture
def told(account: Double, settings_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What Slurm has been told, and a head's directory."""
    directory = load().output_dir / "fleet/slurm"
    directory.mkdir(parents=True)
    (directory / "token").touch(0o600)
    (directory / "token").write_text(TOKEN)
    (directory / "droplet.json").write_text(json.dumps({"patience_s": 0}))
    log, programs = tmp_path / "scontrol.log", tmp_path / "programs"
    log.touch()
    programs.mkdir()
    (programs / "scontrol").write_text(f'#!/bin/sh\necho "$@" >>{log}\n')
    (programs / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return log


def test_three_droplets_that_do_not_boot_are_enough(account: Double, told: Path):
    for attempt in (1, 2, 3):
        account.control({"droplets": [{"name": NAME, "tags": ["llama"]}]})
        Hooks(load()).failed([NAME, OTHER])  # the other one has got none
        assert account.deleted == attempt
    lines = told.read_text().splitlines()
    assert lines[:2] == 2 * [f"update nodename={NAME} state=power_down_force"]
    assert lines[2].startswith(f"update nodename={NAME} state=down reason=llama: did not boot 3")
    assert len(lines) == 3


def test_a_node_is_not_blamed_for_the_cloud(account: Double, told: Path):
    for _ in range(4):
        Hooks(load()).failed([NAME])
    account.control({"droplets": [{"name": NAME, "tags": ["llama"]}]})
    account.control({"faults": [{"match": "GET droplets", "status": 503, "times": 4}]})
    for _ in range(4):
        with pytest.raises(CloudError):
            Hooks(load()).failed([NAME])
    assert told.read_text() == ""
    Hooks(load()).failed([NAME])
    assert told.read_text() == f"update nodename={NAME} state=power_down_force\n"
