"""What the event log of an HTCondor job says of it, and what is done about a hold."""

import stat
from pathlib import Path

import pytest

from llama.fleet import condor

SUBMITTED = "000 (7.000.000) 2026-01-01 00:00:00 Job submitted from host: <127.0.0.1>\n...\n"
RUNS = "001 (7.000.000) 2026-01-01 00:00:02 Job executing on host: <127.0.0.1>\n...\n"
EVICTED = "004 (7.000.000) 2026-01-01 00:00:03 Job was evicted.\n\t(0) not checkpointed\n...\n"
RELEASED = "013 (7.000.000) 2026-01-01 00:00:09 Job was released.\n\tby PeriodicRelease\n...\n"
REMOVED = "009 (7.000.000) 2026-01-01 00:00:09 Job was aborted.\n\tvia condor_rm (by user x)\n...\n"
ENDED = "005 (7.000.000) 2026-01-01 00:00:09 Job terminated.\n\t({}) {}\n...\n"
HELD = "012 (7.000.000) 2026-01-01 00:00:05 Job was held.\n\t{}\n\tCode {} Subcode 0\n...\n"
DONE = ENDED.format(1, "Normal termination (return value 0)")
FLAKY = HELD.format("Transfer input files failure: no route", 13)
MEMORY = HELD.format("Job has gone over cgroup memory limit", 34)


@pytest.fixture
def removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which a stand-in of condor_rm writes the job that it has removed."""
    monkeypatch.chdir(tmp_path)
    command = tmp_path / "condor_rm"
    command.write_text(f"#!/bin/sh\necho $1 > {tmp_path}/removed\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    (tmp_path / "logs").mkdir()
    return tmp_path / "removed"


@pytest.mark.parametrize(
    ("events", "state", "said"),
    [
        (SUBMITTED, "running", ""),
        (SUBMITTED + RUNS + EVICTED, "running", ""),
        (SUBMITTED + RUNS + DONE, "success", ""),
        (SUBMITTED + RUNS + DONE.removesuffix("...\n"), "running", ""),
        (SUBMITTED + ENDED.format(1, "Normal termination (return value 3)"), "failed", ""),
        (SUBMITTED + ENDED.format(0, "Abnormal termination (signal 9)"), "failed", ""),
        (SUBMITTED + REMOVED, "failed", "has been removed: via condor_rm (by user x)"),
        (SUBMITTED + FLAKY, "running", ""),
        ((FLAKY + RELEASED) * 3, "running", ""),
        (FLAKY * 4, "failed", "job 7 is held and given up: Transfer input files failure"),
        (SUBMITTED + RUNS + MEMORY, "failed", "given up: Job has gone over cgroup memory limit"),
    ],
)
def test_what_became_of_a_job(
    events: str, state: str, said: str, removed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("logs/htcondor-7.events").write_text(events)
    assert condor.job_state("7") == state
    told = capsys.readouterr().err
    assert (said in told) if said else not told
    assert removed.exists() == ("given up" in said)


def test_a_hold_by_hand_is_told_once_and_waits(
    removed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("logs/htcondor-7.events").write_text(HELD.format("via condor_hold (by user x)", 1))
    assert condor.job_state("7") == condor.job_state("7") == "running"
    assert capsys.readouterr().err == (
        "llama: job 7 is held: via condor_hold (by user x); condor_release 7 lets it go on\n"
    )
    assert not removed.exists()


def test_a_job_whose_events_are_gone_has_failed(
    removed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert condor.job_state("7") == "failed"
    assert "cannot read logs/htcondor-7.events" in capsys.readouterr().err
