"""Bad input, full disks and busy directories: one sentence, and everything as it was."""

import fcntl
import os
import resource
from pathlib import Path
from typing import Any

import pytest
from alert_samples import UPDATE, gwalert_bytes, skymap_fits, take, tree, voevent

from llama import locks
from llama.child import in_child
from llama.errors import LlamaError

BAD_INPUT: list[dict[str, Any]] = [
    {"skymap": ("map.fits", b"<html></html>")},
    {"skymap": ("map.fits", skymap_fits()[:4000])},
    {"neutrinos": ("n.csv", b"mjd,ra,dec,sigma,energy\n60310.0,10,95,0.5,1000\n")},
    {"neutrinos": ("n.json", b"[")},
]


@pytest.mark.parametrize("options", BAD_INPUT, ids=lambda options: str(options)[:40])
def test_bad_maps_and_neutrinos_leave_no_trace(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(LlamaError):
        take(tmp_path, gwalert_bytes(), **options)
    assert list(tmp_path.iterdir()) == []
    take(tmp_path, gwalert_bytes())
    before = tree(tmp_path)
    with pytest.raises(LlamaError):
        take(tmp_path, UPDATE, **options)
    assert tree(tmp_path) == before


def test_a_bad_map_inside_an_alert_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(LlamaError):
        take(tmp_path, gwalert_bytes({"skymap": "PGh0bWw+"}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["/proc/llama", "/dev/null/x", "file"])
def test_a_directory_that_cannot_be_written_is_one_sentence(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LlamaError, match=r"cannot write .* --rundir DIR") as error:
        take(tmp_path / where, gwalert_bytes())
    assert "\n" not in str(error.value)


def _take_on_a_full_disk(run_dir: Path, limit: int) -> None:
    """Take an alert where a file has no room for more than `limit` bytes."""
    # a limit of the process is the same to the code as a full disk: write() fails; what a child
    # imports first might fail, too, but conftest.py has imported llama.sky
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    notice = voevent(date="2024-01-01T03:00:00Z")
    take(run_dir, notice, skymap=("map.fits", skymap_fits(7)))


# The notice has 2 kB, the map 9 kB: with 5000 the notice is written before the map fails.
@pytest.mark.parametrize("limit", [0, 300, 5000])
@pytest.mark.parametrize("there_before", [False, True])
def test_a_full_disk_leaves_no_trace(tmp_path: Path, limit: int, there_before: bool) -> None:
    assert 300 < len(voevent()) < 5000 < len(skymap_fits())
    run_dir = tmp_path / "run"
    if there_before:
        take(run_dir, gwalert_bytes())
    before = tree(tmp_path)
    with pytest.raises(LlamaError, match=r"^cannot write") as error:
        in_child(lambda: _take_on_a_full_disk(run_dir, limit), "an alert", "take less")
    assert "\n" not in str(error.value)
    assert tree(tmp_path) == before
    assert there_before or not (run_dir / "S240101ab").exists()


def test_two_writers_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    event = take(tmp_path, gwalert_bytes()).event_dir
    monkeypatch.setattr(locks, "TIMEOUT_S", 0.2)
    handle = os.open(event / ".lock", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    before = tree(tmp_path)
    with pytest.raises(LlamaError, match="another command is writing"):
        take(tmp_path, UPDATE)
    assert tree(tmp_path) == before
    os.close(handle)
    assert take(tmp_path, UPDATE).changed
