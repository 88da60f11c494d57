"""A broker that stands still or dies: silence is said, and all goes on when it is back."""

import json
import re
import signal
import socket
import time
import urllib.error
import urllib.request

from broker import Broker
from listening import beating, kept, site, wait_for
from receivers import TOKEN, slack_server


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_a_broker_that_is_away_is_an_alarm_and_then_goes_on(broker, tmp_path):
    """60 s, compressed: the broker stands still for 5 s and the alarm comes after 2 s."""
    port = free_port()

    def ask():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                return answer.status, json.load(answer)["problems"]
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["problems"]

    settings = {"heartbeat_silence_s": 2.0, "health_port": port, "alarm_slack": "C0123456789"}
    with slack_server() as (slack, told), site(tmp_path, broker, **settings) as one:
        slack.faults["chat.postMessage"] = ["drop"]  # posted the second time
        with beating(broker):
            one.start(SLACK_TOKEN=TOKEN, SLACK_API_URL=f"{slack.url}/api/")
            wait_for(lambda: one.state().get("heartbeat_at"), "a heartbeat")
            wait_for(lambda: ask()[0] == 200, "health")
            wait_for(lambda: one.command("status").returncode == 0, "a listener that is well")
        broker.process.send_signal(signal.SIGSTOP)
        try:
            _, (problem,) = wait_for(lambda: ask()[0] == 503 and ask(), "an alarm")
            assert "heartbeat has been silent for" in problem
            status = one.command("status")
            assert status.returncode == 1
            assert status.stdout.startswith("PROBLEM: GCN's heartbeat has been silent for")
            wait_for(lambda: one.log().count("ALARM: GCN's heartbeat"), "the alarm in the log")
            time.sleep(3)
        finally:
            broker.process.send_signal(signal.SIGCONT)
        with beating(broker):
            broker.send("igwn.gwalert", [b"after"])
            wait_for(lambda: kept(one)[-1:] == [b"after"], "the record after")
            wait_for(lambda: "over: GCN's heartbeat" in one.log(), "the end of the alarm")
            wait_for(lambda: ask()[0] == 200, "health")
            said = re.findall("(?:ALARM|over): .*", one.log())
            wait_for(lambda: len(told.messages) == len(said), "the same in Slack")
        assert one.end() == 0
        assert [message["text"].partition(": ")[2] for message in told.messages] == said
        assert "an alarm waits for Slack" in one.log()
        assert TOKEN not in one.log()


def test_a_killed_broker_ends_nothing_and_sigterm_works_without_it(tmp_path):
    with Broker() as short_lived, site(tmp_path, short_lived) as one:
        one.start()
        wait_for(lambda: one.state().get("partitions"), "partitions")
        short_lived.send("igwn.gwalert", [b"heard"])
        one.wait_for_pending(1)
        short_lived.close()
        wait_for(lambda: "_ALL_BROKERS_DOWN" in one.log(), "the loss")
        time.sleep(3)
        assert one.process.poll() is None
        assert one.log().count("_ALL_BROKERS_DOWN") == 1  # a line a minute
        assert one.end() == 0
        # a broker made anew counts from 0 again: its records are others
        with Broker() as another:
            one.broker = another
            one.start()
            another.send("igwn.gwalert", [b"heard", b"new at offset 1"])
            one.wait_for_pending(2)
            assert kept(one) == [b"heard", b"new at offset 1"]
