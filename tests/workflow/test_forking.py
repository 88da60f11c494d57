"""The process that commands are forked from: no one waits for another, and nothing is left."""

import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# a job does as it is told, or tells who it and its child are and stays
_SERVER = """
import os, socket, sys, time
import forking

def job(client):
    os.setsid()
    if word := client.recv(99):
        exec(word)
    child = os.fork()
    if child:
        client.sendall(f"{os.getpid()} {child}".encode())
    time.sleep(1e6)

listener, run = map(int, sys.argv[1:])
forking.serve(socket.socket(fileno=listener), job, until=os.pidfd_open(run))
"""
PATIENCE_S = 100


@pytest.fixture
def run() -> Iterator["subprocess.Popen[bytes]"]:
    """Stands for the run of pytest that all end with."""
    with subprocess.Popen(["sleep", "1000000"]) as process:
        yield process
        process.kill()


@pytest.fixture
def server(run: "subprocess.Popen[bytes]") -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        listener.listen()
        number = listener.fileno()
        path = os.pathsep.join([str(Path(__file__).parent), os.environ["PYTHONPATH"]])
        with subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(number), str(run.pid)],
            pass_fds=[number],
            env=os.environ | {"PYTHONPATH": path},
        ) as process:
            yield listener.getsockname(), process
            run.kill()


@pytest.fixture
def connect(
    server: tuple[str, "subprocess.Popen[bytes]"],
) -> Iterator[Callable[[], socket.socket]]:
    clients: list[socket.socket] = []

    def connected() -> socket.socket:
        clients.append(socket.socket(socket.AF_UNIX))
        clients[-1].settimeout(PATIENCE_S)
        clients[-1].connect(server[0])
        while clients[-1].recv(1) != b"\n":
            pass  # the number of its process
        return clients[-1]

    yield connected
    for client in clients:
        client.close()


def ends(client: socket.socket) -> list[int]:
    """Ask for a job that stays; return what is readable when it and its child have ended."""
    client.shutdown(socket.SHUT_WR)
    return [os.pidfd_open(int(pid)) for pid in client.recv(99).split()]


def assert_over(processes: list[int]) -> None:
    assert len(processes) == 2
    for process in processes:
        assert select.select([process], [], [], PATIENCE_S)[0]
        os.close(process)


def test_who_asks_is_told_the_end_and_waits_for_nobody(
    connect: Callable[[], socket.socket],
) -> None:
    silent, client, other = connect(), connect(), connect()
    other.sendall(b"os.abort()")
    client.sendall(b"os._exit(3)")
    assert client.recv(9) == b"3\n"
    assert other.recv(9) == b"-6\n"
    silent.sendall(b"sys.exit()")
    assert silent.recv(9) == b"0\n"


def test_who_hangs_up_has_the_job_killed_with_its_children(
    connect: Callable[[], socket.socket],
) -> None:
    client = connect()
    processes = ends(client)
    client.close()
    assert_over(processes)


def test_all_ends_with_the_run(
    connect: Callable[[], socket.socket],
    run: "subprocess.Popen[bytes]",
    server: tuple[str, "subprocess.Popen[bytes]"],
) -> None:
    processes = ends(connect())
    run.kill()
    assert server[1].wait(PATIENCE_S) == 0
    assert_over(processes)
