"""The crontab's line, run as cron runs it: it keeps the events up to date, and says nothing."""

import os
import subprocess
from pathlib import Path

import pytest
from workspace import EVENT, Workspace


@pytest.fixture
def crontab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table that `crontab` writes; this machine's own is left alone."""
    program, table = tmp_path / "bin" / "crontab", tmp_path / "table"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncase $1 in -l) cat "{table}" ;; -) cat >"{table}" ;; esac\n',
    )
    program.chmod(0o755)
    table.write_text("")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return table


def as_cron(one: Workspace, table: Path) -> "subprocess.CompletedProcess[str]":
    """Run the line of a table with hardly any environment; what it prints, cron would mail."""
    command = table.read_text().split(" ", 5)[5].strip().replace("\\%", "%")
    environment = {
        "HOME": str(one.home),
        "LOGNAME": "llama",
        "SHELL": "/bin/sh",
        # where the package is, if it is not installed
        "PYTHONPATH": os.environ["PYTHONPATH"],
    }
    return subprocess.run(
        ["/usr/bin/env", "-i", *(f"{k}={v}" for k, v in environment.items()), "sh", "-c", command],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_line_makes_what_is_missing_and_mails_nothing(event: Workspace, crontab: Path) -> None:
    event.run("llama", "cron", "install")
    manifest = event.event / "manifest.json"
    manifest.unlink()
    for _ in range(2):
        done = as_cron(event, crontab)
        log = (event.output / "logs" / "cron.log").read_text()
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), log
        assert manifest.exists(), log
    assert event.plan(f"{EVENT}/all") == []
    assert not (event.output / "logs" / "cron.failed").exists()


def test_a_pass_that_fails_is_mailed_with_its_reason(event: Workspace, crontab: Path) -> None:
    event.run("llama", "cron", "install")
    event.set("  tracked_newest: 40", "  tracked_newest: many")
    done = as_cron(event, crontab)
    assert "llama run -o fails" in done.stdout
    assert "tracked_newest" in done.stdout
    assert as_cron(event, crontab).stdout == ""
