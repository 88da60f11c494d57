"""Who holds which lock while a run of Snakemake looks at events and makes them."""

from pathlib import Path

import pytest
from plan_samples import looking, making

from llama.errors import LlamaError
from llama.locks import NoLocksError, is_processed
from llama.plan import engine as plan_locks
from llama.plan.engine import Job, Locks, written_directories

__all__ = ["making"]


def test_a_run_that_makes_something_keeps_others_away(
    tmp_path: Path, making: Locks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_locks, "_PATIENCE_S", 0.0)
    making.take("events/S240101ab")
    making.take("events/S240101ab")  # its own lock is no obstacle
    assert is_processed(tmp_path / "events/S240101ab")
    with pytest.raises(LlamaError, match=r"S240101ab is being processed by another run of snakem"):
        Locks(tmp_path, lambda: True).take("events/S240101ab")


def test_a_run_that_only_looks_locks_and_makes_nothing(tmp_path: Path) -> None:
    looking(tmp_path).take("events/S240101ab")
    assert not (tmp_path / "events").exists()


def test_what_was_only_looked_at_is_let_go(tmp_path: Path, making: Locks) -> None:
    for directory in ("events/S240101ab", "events/S240101cd"):
        making.take(directory)
    making.settle(["events/S240101cd", "studies/bns-o4-H1L1"])
    held = ["events/S240101cd", "studies/bns-o4-H1L1"]
    assert not is_processed(tmp_path / "events/S240101ab")
    assert all(is_processed(tmp_path / directory) for directory in held)


def test_without_locks_the_reason_is_said(making: Locks, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise NoLocksError("this file system has no locks")

    monkeypatch.setattr(plan_locks, "lock_event", refuse)
    with pytest.raises(NoLocksError):
        making.take("events/S240101ab")


def test_jobs_write_to_their_event_or_study() -> None:
    jobs = [
        Job("draw_skymap", {"event": "events/S240101ab"}, ["events/S240101ab/x.png"]),
        Job("draw_scatter", {"event": "events/S240101ab"}, ["events/S240101ab/y.png"]),
        Job("inject", {"study": "bns-o4-H1L1", "kind": "signal"}, ["z.hdf5"]),
        Job("collate_populations", {}, ["populations.hdf5", "populations.json"]),
        Job("all", {}, []),
    ]
    assert written_directories(jobs, "populations.hdf5") == {
        *("events/S240101ab", "studies/bns-o4-H1L1", "studies"),
    }
