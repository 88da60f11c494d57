"""The listener under systemd, in the background, twice, and not at all."""

import socket
import subprocess
import sys
from contextlib import suppress

import pytest
from listening import beating, kept, site, wait_for


def test_systemd_is_told_ready_and_fed_by_heartbeats_only(broker, tmp_path):
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
        site(tmp_path, broker, heartbeat_silence_s=2.0) as one,
    ):
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        one.start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        with beating(broker):
            told = {systemd.recv(100) for _ in range(4)}
        assert told == {b"READY=1", b"WATCHDOG=1"}
        wait_for(lambda: "ALARM: GCN's heartbeat" in one.log(), "silence")
        systemd.settimeout(0.1)
        with suppress(TimeoutError):
            while True:
                systemd.recv(100)
        systemd.settimeout(7)
        with pytest.raises(TimeoutError):
            systemd.recv(100)


def test_in_the_background_once_and_ended_by_k(broker, tmp_path):
    with site(tmp_path, broker) as one:
        server = ("--bootstrap-servers", broker.address)
        started = one.command("gcn", *server)
        assert started.returncode == 0, started.stderr
        try:
            for words in (["gcn", *server], ["gcn", "-F", *server]):
                second = one.command(*words)
                assert second.returncode == 1
                assert "llama listen gcn is running already with pid" in second.stderr
            wait_for(lambda: one.state().get("partitions"), "partitions")
            broker.send("igwn.gwalert", [b"in the background"])
            wait_for(lambda: kept(one)[-1:] == [b"in the background"], "the record")
            status = one.command("status")
            assert status.returncode == 0
            assert "the listener is well, pid" in status.stdout
        finally:
            ended = one.command("gcn", "-k")
        assert ended.returncode == 0, ended.stderr
        status = one.command("status")
        assert status.returncode == 1
        assert "no listener is running; start it with llama listen gcn" in status.stdout
        assert one.command("gcn", "-k").returncode == 1


def test_a_listener_that_cannot_start_says_why(broker, tmp_path):
    with site(tmp_path, broker) as one:
        environment = one.environment(KAFKA_NO_SUCH_PROPERTY="1")
        command = [sys.executable, "-m", "llama", "listen", "gcn", "-F"]
        command += ["--bootstrap-servers", broker.address]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 1
        assert "the Kafka client refuses its configuration" in done.stderr
        assert "no.such.property" in done.stderr
