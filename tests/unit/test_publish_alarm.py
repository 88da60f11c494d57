"""Alarms in Slack: in order, again until they are taken, and never at the expense of hearing."""

import time

import pytest
import receivers

from llama.publish import alarm
from llama.publish.alarm import SlackAlarm

CHANNEL = "C0123456789"


@pytest.fixture
def slack(monkeypatch):
    monkeypatch.setattr(alarm, "_PAUSE_S", 0.01)
    monkeypatch.setenv("SLACK_TOKEN", receivers.TOKEN)
    with receivers.slack_server() as (server, double):
        monkeypatch.setenv("SLACK_API_URL", f"{server.url}/api/")
        yield server, double


def wait_for_messages(double, number):
    end = time.monotonic() + 20
    while len(double.messages) < number and time.monotonic() < end:
        time.sleep(0.01)
    return [message["text"].partition(": ")[2] for message in double.messages]


def test_they_come_in_order_when_slack_is_back(slack, caplog):
    server, double = slack
    server.faults["chat.postMessage"] = ["drop", 503, (429, 0), "short"]
    tell = SlackAlarm(CHANNEL)
    sentences = ["ALARM: silence", "over: silence", "ALARM: again"]
    start = time.monotonic()
    for sentence in sentences:
        tell(sentence)
    assert time.monotonic() - start < 1  # nobody waits
    # an answer that is cut off may have been carried out: rather twice than never
    assert wait_for_messages(double, 4)[-3:] == sentences
    assert {message["channel"] for message in double.messages} == {CHANNEL}
    assert "an alarm waits for Slack" in caplog.text
    assert receivers.TOKEN not in caplog.text


def test_one_that_is_never_taken_is_given_up_and_the_next_one_comes(slack, caplog, monkeypatch):
    server, double = slack
    monkeypatch.setattr(alarm, "_PATIENCE_S", 0.0)
    server.faults["chat.postMessage"] = [503]
    tell = SlackAlarm(CHANNEL)
    tell("first")
    tell("second")
    assert wait_for_messages(double, 1) == ["second"]
    assert "this alarm was not posted in Slack: LLAMA's listener on" in caplog.text


def test_a_defect_ends_no_alarms_that_come_after_it(slack, caplog, monkeypatch):
    _, double = slack
    say = alarm.Slack.say

    def say_or_fail(self, text):
        if "first" in text:
            raise KeyError("ts")
        say(self, text)

    monkeypatch.setattr(alarm.Slack, "say", say_or_fail)
    tell = SlackAlarm(CHANNEL)
    tell("first")
    tell("second")
    assert wait_for_messages(double, 1) == ["second"]
    assert "this alarm was not posted in Slack: LLAMA's listener on" in caplog.text


def test_without_token_there_is_an_error_in_the_log_and_no_more(slack, caplog, monkeypatch):
    monkeypatch.delenv("SLACK_TOKEN")
    SlackAlarm(CHANNEL)("ALARM: silence")
    assert "no alarms in Slack: SLACK_TOKEN is not set" in caplog.text
    assert slack[0].hits == []
