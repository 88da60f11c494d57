"""Parsing in a child: whatever ends child or parent, nothing else happens."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llama.child import in_child
from llama.errors import LlamaError

# The parent is killed while its child parses; what stands after `in_child` is the parent's work.
_ORPHAN = """
import os, sys, time
from pathlib import Path
from llama.child import in_child
there = Path(sys.argv[1])
parent = os.getpid()
def parse():
    (there / "child").write_text(str(os.getpid()))
    while os.getppid() == parent:
        time.sleep(0.01)
try:
    in_child(parse, "a map", "give another")
finally:
    (there / "went on").touch()
"""


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def until(condition, what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_child_whose_parent_is_killed_does_not_go_on_as_its_parent(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", _ORPHAN, str(tmp_path)])
    told = tmp_path / "child"
    until(lambda: told.exists() and told.read_text(), "no child")
    parent.kill()
    parent.wait()
    until(lambda: not alive(int(told.read_text())), "the child lives")
    assert not (tmp_path / "went on").exists()


@pytest.mark.parametrize("kills", [1, 2, 3])
def test_a_child_that_is_killed_by_others_is_started_again(tmp_path, kills):
    def parse() -> str:
        begun = len(list(tmp_path.iterdir()))
        (tmp_path / f"{begun}").touch()
        if begun < kills:
            os.kill(os.getpid(), signal.SIGKILL)
        return "read"

    if kills < 3:
        assert in_child(parse, "a map", "give another") == "read"
        return
    with pytest.raises(
        LlamaError, match=r"a map cannot be read \(its process ended with SIGKILL\)"
    ):
        in_child(parse, "a map", "give another")


def test_a_process_with_lower_limits_of_its_own_reads_too():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (9, 9));"
        "from llama.child import in_child;"
        "print(in_child(lambda: resource.getrlimit(resource.RLIMIT_CPU), 'a map', 'x'))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, text=True) == "[9, 9]\n"
    assert in_child(lambda: resource.getrlimit(resource.RLIMIT_CPU)[0], "a map", "x") == 20
