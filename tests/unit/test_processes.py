"""One process at a time, found and ended by the lock that it holds."""

import logging
import os
import signal
import subprocess
import sys

import psutil
import pytest

from llama.errors import LlamaError
from llama.locks import holder, only_one
from llama.processes import kill, log_to, start_in_background, stop

HOLD = """
import signal, subprocess, sys, threading
from pathlib import Path
from llama.locks import only_one
end = threading.Event()
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: end.set())
if "forking" in sys.argv:
    loop = "for i in $(seq 3000); do sleep 600 & done"
    subprocess.Popen(["sh", "-c", loop], start_new_session=True)
if "parent" in sys.argv:
    subprocess.Popen(["sleep", "600"], start_new_session=True)
with only_one(Path(sys.argv[1]), "llama x"):
    print("held", flush=True)
    end.wait()
"""


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "x" / "lock"


@pytest.fixture
def start(lock):
    started = []

    def start(*words):
        command = [sys.executable, "-c", HOLD, lock, *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_lock_is_held_by_one_process_and_says_its_pid(lock):
    assert holder(lock) is None
    with only_one(lock, "llama x"):
        assert holder(lock) == os.getpid()
        with (
            pytest.raises(LlamaError, match=f"running already with pid {os.getpid()}"),
            only_one(lock, "llama x"),
        ):
            raise AssertionError("held twice")
        assert holder(lock) == os.getpid()
    assert holder(lock) is None


def test_a_process_is_asked_to_end(lock, start):
    process = start()
    assert holder(lock) == process.pid
    assert stop(lock, "llama x") == process.pid
    assert process.wait() == 0
    with pytest.raises(LlamaError, match="llama x is not running"):
        stop(lock, "llama x")


def test_a_killed_process_leaves_no_lock(lock, start):
    process = start()
    process.kill()
    process.wait()
    assert holder(lock) is None
    with only_one(lock, "llama x"):
        assert holder(lock) == os.getpid()


def test_a_process_that_does_not_end_is_told_about(lock, start):
    process = start("deaf")
    with pytest.raises(LlamaError, match=f"kill -9 {process.pid}"):
        stop(lock, "llama x", timeout_s=0.3)


def test_a_background_process_that_ends_at_once_is_told_about(lock, tmp_path):
    log = tmp_path / "logs" / "x.log"
    with pytest.raises(LlamaError, match=r"llama x did not start: .*invalid choice: 'no'"):
        start_in_background(["no", "such", "command"], lock, "llama x", log)
    assert "invalid choice" in log.read_text()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "x").write_text("a file where the directory should be")
    with (
        pytest.raises(LlamaError, match="correct the permissions or output_dir"),
        only_one(tmp_path / "x" / "lock", "llama x"),
    ):
        raise AssertionError("held")


def test_a_process_is_killed_with_all_that_it_started(lock, start):
    process = start("deaf", "parent")
    (child,) = psutil.Process(process.pid).children()
    assert kill(lock, "llama x") == process.pid
    assert not psutil.pid_exists(process.pid)
    assert not child.is_running()
    with pytest.raises(LlamaError, match="llama x is not running"):
        kill(lock, "llama x")


def test_what_is_started_while_it_is_killed_dies_too(lock, start):
    process = start("deaf", "forking")
    (shell,) = psutil.Process(process.pid).children()
    while len(shell.children()) < 20:
        pass
    kill(lock, "llama x")
    left = [one.pid for one in psutil.process_iter() if is_in_group(one, shell.pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


def is_in_group(process, group):
    try:
        dead = process.status() == psutil.STATUS_ZOMBIE
        return not dead and os.getpgid(process.pid) == group
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False


def test_the_log_and_stderr_have_levels_of_their_own(tmp_path, capsys):
    logger = logging.getLogger("llama")
    before, level = logger.handlers[:], logger.level
    try:
        log_to(tmp_path / "logs" / "x.log", logging.INFO, logging.WARNING)
        logger.debug("a detail")
        logger.info("as expected")
        logger.warning("a problem")
    finally:
        logger.setLevel(level)
        for handler in set(logger.handlers) - set(before):
            logger.removeHandler(handler)
            handler.close()
    lines = (tmp_path / "logs" / "x.log").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["INFO as expected", "WARNING a problem"]
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "file").touch()
    with pytest.raises(LlamaError, match="cannot write the log"):
        log_to(tmp_path / "file" / "x.log")
