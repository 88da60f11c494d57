"""What killed processes leave behind, and what goes after a while."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llama.running.tidy import tidy

DAY_S = 86_400.0

WRITE = """
import sys, time
from llama.files import atomic_path
with atomic_path(sys.argv[1]) as path:
    path.write_text("half")
    print("half", flush=True)
    time.sleep(600)
"""


def _age(path: Path, days: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))
    return path


def _killed_while_writing(path: Path) -> Path:
    """Return what is left of a file whose writer was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITE, path], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    (left,) = (p for p in path.parent.iterdir() if p.name.startswith(f".{path.name}."))
    return left


def test_what_a_killed_process_has_left_goes_after_a_day(tmp_path: Path) -> None:
    names = ("current_run/S240101ab/manifest.json", "studies/bns-o4-H1/background/a.hdf5", "x.html")
    left = [_killed_while_writing(tmp_path / name) for name in names]
    tidy(tmp_path)
    assert all(path.exists() for path in left)  # its writer may be at work
    mine = _age(tmp_path / "current_run/S240101ab/.notes.markdown", 90)
    lock = _age(tmp_path / "current_run/S240101ab/.lock", 90)
    for path in left:
        _age(path, 1.1)
    tidy(tmp_path)
    assert all(path.exists() for path in left)  # once a day is enough
    _age(tmp_path / "runner" / "tidied", 1.1)
    tidy(tmp_path)
    assert not any(path.exists() for path in left)
    assert mine.exists()
    assert lock.exists()


def test_logs_of_snakemake_are_kept_for_a_week(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone, output = tmp_path / "clone", tmp_path / "data"
    for name in ("Snakefile", "config.yaml"):
        _age(clone / name, 400).write_text("llama")
    monkeypatch.chdir(clone)
    old, new = [], []
    for place in (clone, output):
        for kind in ("log", "scripts"):
            old.append(_age(place / ".snakemake" / kind / "a.old", 7.1))
            new.append(_age(place / ".snakemake" / kind / "a.new", 6.9))
        new.append(_age(place / ".snakemake" / "metadata" / "kept", 400))
    tidy(output)
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in new)


def test_a_clock_that_was_put_back_keeps_nothing_from_being_tidied(tmp_path: Path) -> None:
    left = _age(tmp_path / ".a.12345678_unfinished", 2)
    _age(tmp_path / "runner" / "tidied", -400)
    tidy(tmp_path)
    assert not left.exists()
