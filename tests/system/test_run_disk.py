"""A daemon that is started while the disk is full: it says so, or starts, and then recovers."""

import subprocess
import sys
from pathlib import Path

import pytest
from listening import Site, wait_for
from test_listen_disk import fill, small_disk

from llama.listening.spool import Record, Spool
from llama.locks import holder
from llama.running.keeper import daemon_lock

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from alert_samples import RETRACTION

CLONE = Path(__file__).parents[2]


def llama_run(site: Site, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "llama", "run", *words],
        env=site.environment(),
        cwd=CLONE,
        capture_output=True,
        text=True,
    )


def test_a_daemon_that_has_run_before_starts_on_a_full_disk_and_goes_on(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        site = Site(disk, None)
        assert llama_run(site).returncode == 0
        assert llama_run(site, "-k").returncode == 0
        Spool(site.output).keep([Record(topic="replay", content=RETRACTION)])
        with pytest.raises(OSError, match="No space"):
            fill(disk / "filler")
        try:
            started = llama_run(site)
            assert started.returncode == 0, started.stderr
            assert llama_run(site, "-r").stdout.startswith("llama run is running, pid ")
            (disk / "filler").unlink()
            info = site.output / "current_run" / "S240101ab" / "skymap_info.json"
            wait_for(info.exists, "the event")
        finally:
            llama_run(site, "-K")


def test_a_first_start_on_a_full_disk_says_so_and_the_next_one_is_good(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        site = Site(disk, None)
        with pytest.raises(OSError, match="No space"):
            fill(disk / "filler")
        for words in ((), ("-F",), ("-o",)):
            refused = llama_run(site, *words)
            assert refused.returncode == 1, refused.stderr
            assert "Traceback" not in refused.stderr
            assert len(refused.stderr.splitlines()) == 1, refused.stderr
            reason = "(a full disk?)" if words == () else "No space left on device"
            assert reason in refused.stderr
        assert holder(daemon_lock(site.output)) is None
        command = [sys.executable, "-m", "llama", "status"]
        status = subprocess.run(command, env=site.environment(), capture_output=True, text=True)
        assert status.stdout.startswith("listener  NOT WELL: No listener is running")
        assert "status.html: No space left on device" in status.stderr
        (disk / "filler").unlink()
        try:
            assert llama_run(site).returncode == 0
        finally:
            llama_run(site, "-K")


def test_a_listener_that_is_started_on_a_full_disk_hears_when_there_is_room(
    broker, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        site = Site(disk, broker)
        site.start()
        wait_for(lambda: site.state().get("partitions"), "partitions")
        assert site.end() == 0
        with pytest.raises(OSError, match="No space"):
            fill(disk / "filler")
        process = site.start()
        try:
            broker.send("igwn.gwalert", [b"x" * 5000])
            wait_for(lambda: holder(site.output / "listener" / "lock") == process.pid, "the lock")
            (disk / "filler").unlink()
            site.wait_for_pending(1)
            assert site.end() == 0
        finally:
            process.kill()
            process.wait()
