"""The crontab's line, run as cron runs it: it keeps the events up to date, and says nothing."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from workspace import EVENT, GRACEID, SUMMARY, Workspace, alert

from llama.listening.spool import Record, Spool


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


def start_as_cron(one: Workspace, table: Path) -> "subprocess.Popen[str]":
    """Run the line of a table with hardly any environment; what it prints, cron would mail."""
    command = table.read_text().split(" ", 5)[5].strip().replace("\\%", "%")
    environment = {
        "HOME": str(one.home),
        "LOGNAME": "llama",
        "SHELL": "/bin/sh",
        # where the package is, if it is not installed
        "PYTHONPATH": os.environ["PYTHONPATH"],
    }
    return subprocess.Popen(
        ["/usr/bin/env", "-i", *(f"{k}={v}" for k, v in environment.items()), "sh", "-c", command],
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def mail_of(one_pass: "subprocess.Popen[str]") -> str:
    """Return what cron would mail of a pass that has ended well, as far as cron can tell."""
    mail = one_pass.communicate(timeout=400)[0]
    assert one_pass.returncode == 0
    return mail


def as_cron(one: Workspace, table: Path) -> str:
    return mail_of(start_as_cron(one, table))


def finished_jobs(one: Workspace) -> list[list[str]]:
    """Return, for every run of Snakemake that did any, the jobs that it has done."""
    logs = sorted((one.output / ".snakemake" / "log").glob("*.log"))
    found = [
        re.findall(r"Finished jobid: \d+ \(Rule: ([a-z_]+)\)", log.read_text()) for log in logs
    ]
    return [jobs for jobs in found if jobs]


def test_the_line_makes_what_is_missing_and_mails_nothing(event: Workspace, crontab: Path) -> None:
    event.run("llama", "cron", "install")
    manifest = event.event / "manifest.json"
    manifest.unlink()
    for _ in range(2):
        mail = as_cron(event, crontab)
        log = (event.output / "logs" / "cron.log").read_text()
        assert mail == "", log
        assert manifest.exists(), log
    assert event.plan(f"{EVENT}/all") == []
    assert not (event.output / "logs" / "cron.failed").exists()


def test_a_pass_that_fails_is_mailed_with_its_reason(event: Workspace, crontab: Path) -> None:
    event.run("llama", "cron", "install")
    event.set("  tracked_newest: 40", "  tracked_newest: many")
    mail = as_cron(event, crontab)
    assert "llama run -o fails" in mail
    assert "tracked_newest" in mail
    assert as_cron(event, crontab) == ""


def test_minutes_of_cron_beside_the_daemon_mail_nothing_and_make_nothing_twice(
    event: Workspace, crontab: Path
) -> None:
    event.run("llama", "cron", "install")
    log = event.output / "logs" / "llamad.log"
    before = len(finished_jobs(event))
    passes: list[subprocess.Popen[str]] = []

    def minutes(number: int) -> None:
        for _ in range(number):  # the next one comes, whether or not the last one has ended
            passes.append(start_as_cron(event, crontab))
            time.sleep(0.5)

    def wait_for_line(text: str) -> None:
        end = time.monotonic() + 300
        while not log.exists() or text not in log.read_text():
            assert time.monotonic() < end, text
            time.sleep(0.1)

    Spool(event.output).keep([Record(topic="replay", content=alert("RETRACTION", minute=6))])
    minutes(2)
    with event.started("llama", "run", "-F") as daemon:
        minutes(2)
        wait_for_line(f"{GRACEID} is up to date")
        wait_for_line("keeping events")
        minutes(2)
        assert [mail_of(one_pass) for one_pass in passes] == [""] * 6
        daemon.terminate()
        assert daemon.wait(60) == 0
    told = re.findall(rf"{GRACEID}(?:: (\w+, revision \d)| is (up to date))", log.read_text())
    assert told == [("Retraction, revision 2", ""), ("", "up to date")]
    assert not re.search("WARNING|ERROR", log.read_text())
    (done,) = finished_jobs(event)[before:]
    assert len(done) == len(set(done))
    assert set(done) >= SUMMARY
    assert event.plan(f"{EVENT}/all") == []
