"""Commands and jobs in processes of their own, forked from one that has imported all they need.

Importing Snakemake, NumPy, Astropy, LLAMA, ... takes a second of processor and more, most of what
many tests would take. One process does it for all workers of a run of pytest: the first that needs
it starts it, and it ends with the run. What a test starts with other limits or another environment
is started as typed (`Workspace.started`). What is killed can be forked by `typed`, whose end kills
all of it.
"""

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

import forking
import psutil

from llama.locks import wait_until

# libraries have read these when they were imported
_READ_EARLY = ("LANG", "LC_", "MPL", "NUMBA_", "PYTHON")
# the same for all workers of a run; a test may change its own
_ENVIRONMENT = dict(os.environ)
# the run's address, which on Linux needs no file, and the process that the run ends with
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
_CONTROLLER = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
COMMANDS = ("llama", "skymap_info", "snakemake")
# hands its streams, words, directory and environment to a fork, and then a Ctrl-C
_TYPED = """#!{python} -IS
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"-"], [0, 1, 2])
    command = [{program!r}, sys.argv[1:], os.getcwd(), dict(os.environ), {alive!r}]
    server.sendall(json.dumps(command).encode())
    server.shutdown(socket.SHUT_WR)
    answers = server.makefile()
    pid = int(answers.readline())
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os.kill(pid, signal.SIGINT))
    sys.exit(int(answers.readline() or 137))
"""
_ALIVE = ".alive"  # locked by what was typed


def can_run(command: str, environment: Mapping[str, str]) -> bool:
    """Return whether a command is one of ours, in an environment that libraries would not see."""
    early = [
        {name: value for name, value in variables.items() if name.startswith(_READ_EARLY)}
        for variables in (environment, _ENVIRONMENT)
    ]
    return command in COMMANDS and early[0] == early[1]


def run(
    words: tuple[str, ...], directory: Path, environment: Mapping[str, str], timeout_s: float
) -> tuple[int | None, str]:
    """Run a command as typed in a directory; return its exit code and what it printed."""
    program = shutil.which(words[0], path=environment.get("PATH")) or words[0]
    with (
        tempfile.TemporaryFile("a+", errors="replace") as printed,
        Path(os.devnull).open() as nothing,
        _connected() as server,
    ):
        server.settimeout(timeout_s)
        socket.send_fds(server, [b"-"], [nothing.fileno(), *[printed.fileno()] * 2])
        code = None
        with contextlib.suppress(TimeoutError):
            code = forking.ask(server, program, words[1:], str(directory), dict(environment), "")
        printed.seek(0)
        return code, printed.read()


def write_commands(directory: Path, python: str = sys.executable) -> None:
    """Write our commands into a directory of a shell: what is typed there is forked, too.

    `python` is that of the environment that they are of.
    """
    _start_server(python)
    for name in COMMANDS:
        program, alive = str(Path(python).with_name(name)), str(directory / _ALIVE)
        text = _TYPED.format(python=python, address=_address(python), program=program, alive=alive)
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)


@contextlib.contextmanager
def typed(directory: Path) -> Iterator[None]:
    """Make a directory with our commands; at its end what was typed there is killed."""
    directory.mkdir()
    write_commands(directory)
    try:
        yield
    finally:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess):
                if any(word.startswith(f"{directory}/") for word in process.cmdline()[:3]):
                    process.kill()  # and the server what it has typed
        with (directory / _ALIVE).open("a") as alive:
            assert wait_until(lambda: _is_free(alive), timeout_s=300)
        shutil.rmtree(directory)


def _is_free(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _connected() -> socket.socket:
    """Return a connection to the run's server; it answers when it has imported all."""
    client = socket.socket(socket.AF_UNIX)
    while client.connect_ex(_address(sys.executable)):
        _start_server(sys.executable)
    return client


def _address(python: str) -> str:
    return f"\0llama-test-{_RUN}-{zlib.crc32(python.encode())}"


def _start_server(python: str) -> None:
    """Start the process that is forked, unless this run has it."""
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(_address(python))
        except OSError:  # its address is in use
            return
        listener.listen()
        subprocess.run(
            [python, forking.__file__, str(listener.fileno()), str(_CONTROLLER)],
            pass_fds=[listener.fileno()],
            cwd="/",
            # libraries read the numbers of threads when they are imported
            env=_ENVIRONMENT | dict.fromkeys(forking.THREADS, "1"),
            check=True,
        )
