"""Jobs that fail, runs that are killed, two runs at once."""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from workspace import EVENT, SIGNIFICANCE, Workspace, alert, sentence

TARGET = f"{EVENT}/all"
# Equal inputs give equal bytes; the others hold a time or a figure's date.
REPEATABLE = (
    *("lvc_skymap.fits", "p_astro.json", "lvc_skymap_distances.json", "significance_lvc-i3.json"),
    *("coinc_skymap_lvc-i3.png", "coinc_scatter_lvc-i3.png"),
    *("coinc_skymap_lvc-i3.pdf", "coinc_scatter_lvc-i3.pdf"),
    *("coinc_summary_i3_lvc.html", "gcn_circular_draft.txt", "gcn_notice.json"),
)


def test_a_broken_map_fails_in_one_sentence_until_it_is_deleted(event: Workspace) -> None:
    skymap, tiles = event.event / "lvc_skymap.fits", event.event / "lvc_skymap.hdf5"
    skymap.write_bytes(skymap.read_bytes()[:5000])
    printed = event.snakemake(TARGET, code=1)
    assert re.search(r"lvc_skymap.fits is a broken or truncated FITS file .* again", printed)
    assert "Traceback" not in printed
    assert "Traceback" in (event.output / "logs" / EVENT / "convert_skymap.log").read_text()
    assert not tiles.exists()
    assert "convert_skymap" in event.plan(TARGET)
    skymap.unlink()
    event.snakemake(f"{EVENT}/lvc_skymap.hdf5")
    assert event.plan(TARGET) == []  # the map is the same again, byte for byte


def test_a_failed_job_does_not_count_as_done(event: Workspace) -> None:
    response = event.output / "archive/icecube_10year_ps/response.hdf5"
    good = event.root / "response.hdf5"
    shutil.copy2(response, good)
    response.write_bytes(b"broken")
    event.snakemake(TARGET, code=1)
    # Snakemake has recorded the broken input as seen; only the missing product gives it away
    remade = ["build_map_background", *sorted(SIGNIFICANCE)]
    assert event.plan(TARGET) == remade
    shutil.copy2(good, response)
    assert event.plan(TARGET) == remade


def test_a_killed_run_leaves_nothing_that_the_next_one_takes_for_good(
    event: Workspace, finished: Workspace
) -> None:
    (event.event / "significance_lvc-i3.json").unlink()
    _kill_during(event, "compute_significance.py")
    _kill_during(event, "draw_skymap.py")
    # one that the killed run has finished is good, but has more pixels than those of tests
    for figure in event.event.glob("coinc_scatter_lvc-i3.*"):
        figure.unlink()
    # as if it had written in place: what lies there after a killed job is not trusted
    (event.event / "coinc_skymap_lvc-i3.png").write_bytes(b"half")
    (event.event / "coinc_skymap_lvc-i3.pdf").write_bytes(b"half")
    event.snakemake(TARGET)
    assert event.plan(TARGET) == []
    assert event.digests(REPEATABLE) == finished.digests(REPEATABLE)


def test_a_second_run_of_an_event_is_refused_and_of_another_is_not(event: Workspace) -> None:
    event.take(alert(graceid="S240101cd"))
    (event.event / "gcn_notice.json").unlink()
    with event.started("snakemake", TARGET) as run:
        _wait_for(lambda: _is_locked(event.event / ".lock"), "the lock")
        os.killpg(run.pid, signal.SIGSTOP)  # it stands still until the others have been tried
        refused = event.snakemake(TARGET, code=1)
        assert f"{EVENT} is being processed by another run of snakemake" in sentence(refused)
        assert event.plan(TARGET) == ["write_manifest", "write_notice", "write_page"]
        event.snakemake("events/S240101cd/p_astro.json")
        assert f"{EVENT} is left alone" in event.snakemake()
        os.killpg(run.pid, signal.SIGCONT)
        printed = run.communicate(timeout=60)[0]
        assert run.returncode == 0, printed
    assert event.plan(TARGET) == []


def _kill_during(event: Workspace, script: str) -> None:
    """Run snakemake until the job of `script` is at work, and kill all its processes."""
    with event.started("snakemake", TARGET) as run:
        _wait_for(lambda: any(script in command for command in _commands(event.root)), script)
        time.sleep(0.2)
        os.killpg(run.pid, signal.SIGKILL)
        assert run.wait(10) == -signal.SIGKILL
        _wait_for(lambda: not _commands(event.root), "the end of all jobs")


def _commands(directory: Path) -> list[str]:
    """Return the command lines of all processes that name a file in `directory`."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            commands.append(path.read_bytes().decode(errors="replace"))
    return [command for command in commands if str(directory) in command]


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
