"""Slurm's hook for nodes that have not come: whose fault it was, against the cloud's double.

Slurm's side is a command that writes down what it is told; test_fleet_cluster.py has the real one.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from do_double import Cloud as Double
from shell import TOKEN

from llama.errors import LlamaError
from llama.fleet.connection import CloudError
from llama.fleet.hooks import Hooks
from llama.fleet.token import VARIABLES
from llama.running.watch import Watch, Watcher, begin_watch, read_watch, words_of_fleet
from llama.settings import load

NAME, OTHER = "llama-worker-000", "llama-worker-001"


@pytest.fixture
def told(account: Double, settings_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What Slurm has been told, and a head's directory."""
    directory = load().output_dir / "fleet/slurm"
    directory.mkdir(parents=True)
    (directory / "token").touch(0o600)
    (directory / "token").write_text(TOKEN)
    (directory / "droplet.json").write_text(json.dumps({"patience_s": 0, "price_hourly_usd": 0.1}))
    log, programs = tmp_path / "scontrol.log", tmp_path / "programs"
    log.touch()
    programs.mkdir()
    for name in ("scontrol", "squeue"):
        (programs / name).write_text(
            f'#!/bin/sh\nif [ "$1" = update ]; then echo "$@" >>{log}; fi\n'
        )
        (programs / name).chmod(0o755)
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


@pytest.fixture
def keeper(told: Path, monkeypatch: pytest.MonkeyPatch):
    """The keeper, a process of its own that goes round all the time."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)  # it has the head's file only
    words = [sys.executable, "-m", "llama.fleet.hooks", "keeper", "0.05"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def watched(what) -> Watch:
    """Wait until the keeper has written what is wanted, and return it."""
    deadline = time.monotonic() + 120
    while not ((watch := read_watch(load().output_dir / "fleet/slurm")) and what(watch)):
        assert time.monotonic() < deadline, watch
        time.sleep(0.02)
    return watch


def test_a_keeper_without_a_valid_token_says_so_and_takes_the_new_one(account: Double, keeper):
    first = watched(lambda watch: watch.time)
    assert first.trouble(time.time()) == ""
    account.control({"droplets": [{"name": "llama-worker-000", "tags": ["llama"]}]})
    account.token = TOKEN[::-1]
    bad = watched(lambda watch: watch.problem)
    assert "does not know this token" in bad.trouble(time.time())
    assert bad.time >= first.time
    later = watched(lambda watch: watch.time == bad.time)
    assert later.since == bad.since
    # `llama fleet up` writes the new one into the same file
    (load().output_dir / "fleet/slurm/token").write_text(account.token)
    good = watched(lambda watch: not watch.problem)
    assert good.trouble(time.time()) == ""
    watched(lambda watch: not account.droplets)  # which had no node
    account.token = TOKEN


def test_a_defect_does_not_end_the_keeper(account: Double, keeper):
    watched(lambda watch: watch.time)
    about = load().output_dir / "fleet/slurm/droplet.json"
    content = about.read_text()
    about.write_text("[]")
    assert "a defect, TypeError" in watched(lambda watch: watch.problem).problem
    about.write_text(content)
    watched(lambda watch: not watch.problem)
    assert keeper.poll() is None


def test_what_lasts_is_an_alarm_once_and_so_is_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    said: list[str] = []
    watcher, clock = Watcher(said.append), [1.8e9]
    monkeypatch.setattr("time.time", lambda: clock[0])
    for problem in ("", "away", "", *5 * ["away"], ""):
        clock[0] += 60
        watcher.note(tmp_path, "waiting", problem)
    assert len(said) == 2
    assert said[0].startswith("ALARM: it cannot look after the droplets since 2027-01-15 08:04 UTC")
    assert "then llama fleet up; or destroy them" in said[0]
    assert said[1] == "over: away"
    watch = read_watch(tmp_path)
    assert watch == Watch("waiting", clock[0])
    assert watch.trouble(clock[0] + 299) == ""
    assert "has not looked after the droplets since" in watch.trouble(clock[0] + 301)


def test_how_the_fleet_is_is_known_outside_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock = [1.8e9]
    monkeypatch.setattr("time.time", lambda: clock[0])
    assert words_of_fleet(tmp_path) == (True, [])
    begin_watch(tmp_path)  # and its first round never ends
    clock[0] += 299
    assert words_of_fleet(tmp_path)[0]
    clock[0] += 2
    well, (words,) = words_of_fleet(tmp_path)
    assert not well
    assert "has not looked after the droplets since 2027-01-15 08:00 UTC" in words
    assert "droplets are billed meanwhile" in words
    Watcher().note(tmp_path, "the limit is reached", "")
    assert words_of_fleet(tmp_path) == (
        True,
        ["Droplets last looked after at 2027-01-15 08:05 UTC.", "Jobs wait: the limit is reached."],
    )
    Watcher().note(tmp_path, "", "token revoked")
    assert "since 2027-01-15 08:05 UTC: token revoked; droplets" in words_of_fleet(tmp_path)[1][0]
    for content in ("[]", '{"time": "x"}', '{"problem": 1, "since": []}', "{"):
        (tmp_path / "notice.json").write_text(content)
        with pytest.raises(LlamaError, match=r"notice\.json is not"):
            words_of_fleet(tmp_path)
