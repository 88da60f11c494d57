"""A full disk: nothing more is heard, it is said, and all goes on when there is room."""

import ctypes
import os
import resource
import time
from contextlib import contextmanager

import pytest
from listening import kept, site, wait_for


@contextmanager
def small_disk(directory, size="1m"):
    """Mount a disk of so many bytes on `directory`; skip where that is not allowed."""
    directory.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    path = os.fsencode(directory)
    if libc.mount(b"tmpfs", path, b"tmpfs", 0, f"size={size}".encode()):
        pytest.skip("needs the right to mount")
    try:
        yield directory
    finally:
        libc.umount2(path, 2)


def fill(path):
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def test_a_full_disk_stops_the_hearing_until_there_is_room(broker, tmp_path):
    with small_disk(tmp_path / "disk") as disk, site(disk, broker) as one:
        one.start()
        broker.send("igwn.gwalert", [b"before"])
        one.wait_for_pending(1)
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space"):
            fill(filler)
        records = [b"%d" % n * 5000 for n in range(30)]
        broker.send("igwn.gwalert", records)
        time.sleep(3)
        assert one.process.poll() is None
        assert kept(one) == [b"before"]
        filler.unlink()
        one.wait_for_pending(31)
        assert kept(one) == [b"before", *records]
        assert set(one.archived().values()) == {1}
        assert one.end() == 0


def test_a_disk_that_is_full_only_for_the_listener_is_an_alarm(broker, tmp_path):
    with site(tmp_path, broker) as one:
        one.start()
        wait_for(lambda: one.state().get("partitions"), "partitions")
        # no file may grow beyond 20 kB: logs and state can be written, this record cannot
        limits = resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (20_000, -1))
        broker.send("igwn.gwalert", [b"large" * 10_000])
        wait_for(lambda: "ALARM: it cannot write" in one.log(), "an alarm")
        wait_for(lambda: one.state().get("blocked"), "a full disk")
        status = one.command("status")
        assert status.returncode == 1
        assert "PROBLEM: it cannot write and hears nothing until it can" in status.stdout
        broker.send("igwn.gwalert", [b"small enough"])
        time.sleep(1)
        assert kept(one) == []  # the order is kept
        resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, limits)
        one.wait_for_pending(2)
        assert kept(one) == [b"large" * 10_000, b"small enough"]
        wait_for(lambda: "over: it cannot write" in one.log(), "the end of the alarm")
        assert one.end() == 0


def test_a_listener_asked_to_end_while_the_disk_is_full_commits_nothing(broker, tmp_path):
    with site(tmp_path, broker) as one:
        one.start()
        wait_for(lambda: one.state().get("partitions"), "partitions")
        resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (20_000, -1))
        broker.send("igwn.gwalert", [b"too large" * 10_000])
        wait_for(lambda: one.state().get("blocked"), "a full disk")
        assert one.end() == 0
        one.start()
        one.wait_for_pending(1)
        assert kept(one) == [b"too large" * 10_000]
