"""The guard of conftest.py: nothing but this machine can be reached from a test."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ELSEWHERE = ("192.0.2.1", 80)  # TEST-NET-1: belongs to nobody
REACH: dict[str, Callable[[socket.socket], object]] = {
    "connect": lambda sock: sock.connect(ELSEWHERE),
    "connect_ex": lambda sock: sock.connect_ex(ELSEWHERE),
    "datagram": lambda sock: sock.sendto(b"x", ELSEWHERE),
    "name": lambda _: socket.getaddrinfo("example.org", 80),
    "old name": lambda _: socket.gethostbyname("example.org"),
}


@pytest.mark.parametrize("way", REACH)
def test_other_machines_are_refused(way):
    kind = socket.SOCK_DGRAM if way == "datagram" else socket.SOCK_STREAM
    with socket.socket(type=kind) as sock:
        sock.settimeout(1)
        with pytest.raises(RuntimeError, match="this machine only"):
            REACH[way](sock)


def test_the_home_is_the_tests_own() -> None:
    clone = Path(__file__).parents[2]
    command = 'echo ~ "$XDG_CONFIG_HOME"'
    found = subprocess.check_output(["bash", "-c", command], text=True)
    assert found.split() == [str(clone / ".pytest_cache/home")]
    assert Path.home() == Path(found.strip())


def test_this_machine_is_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            with socket.create_connection((host, port), timeout=5) as client:
                assert client.getpeername()[1] == port


def test_pythons_started_by_tests_are_guarded_too():
    reach = f"import socket; socket.create_connection({ELSEWHERE!r}, timeout=1)"
    nested = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {reach!r}]))"
    for program in (reach, nested):
        child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert child.returncode == 1
        assert "this machine only" in child.stderr
