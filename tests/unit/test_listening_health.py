"""How the listener is: silence is a problem, and whoever asks is told so."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time

import pytest
from msgspec.structs import asdict

from llama.files import write_json
from llama.listening import health
from llama.listening.health import Monitor, State, examine, find_problems, lock_path, notify, serve
from llama.locks import only_one
from llama.settings.model import Listen

NOW = 1_800_000_000.0
WELL = {"since": NOW - 9e5, "started_at": NOW - 9e4, "renewed_at": NOW - 3}


def problems(settings=None, **state):
    known = WELL | {"heartbeat_at": NOW - 1, "alert_at": NOW - 100} | state
    return find_problems(State(**known), settings or Listen(), NOW)


def test_a_listener_that_hears_is_well():
    assert problems() == []
    assert problems(heartbeat_at=NOW - 299, alert_at=NOW - 6 * 3600 + 1) == []


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"heartbeat_at": NOW - 301}, "GCN's heartbeat has been silent for 5 min: the network"),
        ({"heartbeat_at": None}, "GCN's heartbeat has been silent for 25 h"),
        ({"alert_at": NOW - 6 * 3600 - 1}, "igwn.gwalert has been silent for 6 h, not even mock"),
        ({"alert_at": None}, "igwn.gwalert has been silent for 10 d"),
        ({"renewed_at": NOW - 61}, "it has not told how it is for 61 s: it hangs or cannot write"),
        ({"blocked": "No space left"}, "it cannot write and hears nothing until it can: No space"),
    ],
)
def test_each_kind_of_silence_is_a_problem(state, sentence):
    (problem,) = problems(**state)
    assert problem.startswith(sentence)


def test_a_full_disk_is_not_taken_for_a_silent_broker():
    (problem,) = problems(blocked="No space left", heartbeat_at=NOW - 5000)
    assert "No space left" in problem


def test_a_listener_that_has_just_started_is_given_time():
    assert problems(started_at=NOW - 30, heartbeat_at=None, alert_at=NOW - 9e5) == []
    assert len(problems(started_at=NOW - 61, heartbeat_at=None, alert_at=NOW - 9e5)) == 1


def test_alerts_may_be_silent_where_that_is_set():
    assert problems(Listen(alert_silence_h=None), alert_at=None) == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (2e5, "2 d")],
)
def test_spans_in_words(seconds, words):
    assert health.span(seconds) == words


def test_no_process_no_state_and_a_broken_state_are_problems(tmp_path):
    assert examine(tmp_path, Listen()) == (
        None,
        ["no listener is running; start it with llama listen gcn"],
    )
    path = health.state_path(tmp_path)
    hung = State(since=1.0, started_at=time.time(), renewed_at=time.time() - 100)
    with only_one(lock_path(tmp_path), "llama listen gcn"):
        assert "has not yet told" in examine(tmp_path, Listen())[1][0]
        path.write_text("[1")
        assert "has not yet told" in examine(tmp_path, Listen())[1][0]
        write_json(path, asdict(hung) | {"of a later version": 1})
        assert "it has not told how it is" in examine(tmp_path, Listen())[1][0]
    state, (problem,) = examine(tmp_path, Listen())
    assert state == hung
    assert problem.startswith("no listener is running")


def test_what_was_heard_before_a_restart_is_remembered(tmp_path):
    before = State(**WELL, heartbeat_at=NOW, alert_at=NOW - 5, record="x", record_at=NOW, errors=7)
    write_json(health.state_path(tmp_path), asdict(before))
    state = Monitor(tmp_path, Listen()).state
    assert (state.since, state.alert_at, state.record) == (before.since, NOW - 5, "x")
    assert (state.errors, state.heard) == (0, {})
    assert state.started_at > NOW - 9e8


def test_each_problem_is_an_alarm_once_until_it_is_over(tmp_path, caplog):
    alarms = []
    monitor = Monitor(tmp_path, Listen(), alarms.append)
    for _ in range(3):
        monitor.state.blocked = "the disk is full"
        monitor.tick(now=True)
    assert alarms == ["ALARM: it cannot write and hears nothing until it can: the disk is full"]
    monitor.state.blocked = None
    monitor.tick(now=True)
    assert alarms[1:] == ["over: it cannot write and hears nothing until it can: the disk is full"]
    assert all(sentence in caplog.text for sentence in alarms)
    monitor.state.blocked = "again"
    monitor.tick(now=True)
    assert len(alarms) == 3
    told = monitor.told
    monitor.tick()
    assert monitor.told is told  # not more often than every five seconds


def test_a_state_that_cannot_be_written_ends_nothing(tmp_path):
    (tmp_path / "listener").write_text("a file where the directory should be")
    monitor = Monitor(tmp_path, Listen())
    monitor.tick(now=True)
    assert monitor.told["renewed_at"] == monitor.state.renewed_at > 0


@pytest.fixture
def server(tmp_path):
    monitor = Monitor(tmp_path, Listen())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = serve(port, monitor)
    yield monitor, port
    server.shutdown()
    server.server_close()


def ask(port, method="GET", path="/healthz"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def test_healthz_says_what_is_wrong_and_can_only_be_read(server):
    monitor, port = server
    monitor.tick(now=True)
    code, content = ask(port)
    assert (code, json.loads(content)["problems"]) == (200, [])
    monitor.state.blocked = "the disk is full"
    monitor.tick(now=True)
    code, content = ask(port)
    assert code == 503
    assert "the disk is full" in json.loads(content)["problems"][0]
    monitor.told["renewed_at"] = time.time() - 100  # a loop that hangs tells nothing new
    assert "it has not told how it is" in json.loads(ask(port)[1])["problems"][0]
    assert ask(port, path="/etc/passwd")[0] == 404
    assert ask(port, method="POST")[0] == 501


def test_a_taken_port_does_not_stop_the_hearing(server, tmp_path, caplog):
    monitor, port = server
    assert serve(port, monitor) is None
    assert "correct listen.health_port" in caplog.text


def test_systemd_is_told_over_its_socket_if_there_is_one(tmp_path, monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert notify("READY=1") is False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        for address, name in ((str(tmp_path / "s"), None), (f"\0llama-{os.getpid()}", "@")):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
                systemd.bind(address)
                monkeypatch.setenv("NOTIFY_SOCKET", f"@{address[1:]}" if name else address)
                assert notify("READY=1")
                assert systemd.recv(100) == b"READY=1"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert notify("READY=1") is False


def test_status_prints_words_or_json_and_fails_when_nobody_listens(tmp_path):
    from llama.settings.render import config_yaml, defaults

    config = tmp_path / "config.yaml"
    config.write_text(config_yaml(defaults() | {"output_dir": str(tmp_path)}))
    write_json(
        health.state_path(tmp_path),
        asdict(
            State(**WELL | {"heartbeat_at": time.time() - 400, "heard": {"igwn.gwalert": 1234}})
        ),
    )

    def status(*words):
        command = [sys.executable, "-m", "llama", "listen", "status", *words]
        environment = os.environ | {"LLAMA_CONFIG": str(config)}
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    words = status()
    assert (words.returncode, words.stderr) == (1, "")
    assert words.stdout.startswith("PROBLEM: no listener is running")
    for line in ("heartbeat     7 min ago", "LVK alert     never", "1,234 of igwn.gwalert"):
        assert line in words.stdout
    told = status("--json")
    assert told.returncode == 1
    assert json.loads(told.stdout)["state"]["heard"] == {"igwn.gwalert": 1234}
    assert json.loads(told.stdout)["pid"] is None
