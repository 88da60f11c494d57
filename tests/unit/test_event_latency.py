"""latency.json: what counts as reached, when, and what a later remake does not change."""

import json
import os
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from llama.errors import LlamaError
from llama.event.latency import STEPS, build_latency, published_at, remember_steps
from llama.event.skymap_info import unchecked_info
from llama.files import read_json, write_json

EVENT_TIME = "2024-01-01T00:00:00.125000Z"
NOTICE = "2024-01-01T00:00:30Z"
MADE = ("map", "neutrinos", "significance")


def unix(second):
    """Return the Unix time of 2024-01-01 and so many seconds."""
    return datetime(2024, 1, 1, tzinfo=UTC).timestamp() + second


def iso(second):
    return f"{datetime.fromtimestamp(unix(second), UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


class Event:
    """An event directory whose files have the times that a test gives them."""

    def __init__(self, directory):
        self.directory = directory
        self.info = unchecked_info({"graceid": "S240101ab", "event_time": EVENT_TIME})

    def take(self, number, kind, at, heard=True):
        """Take an alert over, `at` s after midnight; one that was heard was sent 2 s before."""
        name = f"alerts/{number}-{kind}.json"
        self.write(name, at)
        if heard:
            write_json(
                self.directory / f"alerts/{number}-{kind}.heard.json",
                {
                    "record": "igwn.gwalert-0-0-ab",
                    "topic": "igwn.gwalert",
                    "kafka_time_ms": round(1000 * unix(at - 2)),
                    "heard_at": iso(at - 1.5),
                    "taken_over_at": iso(at),
                    "archive": "gcn/2024-01/01/x",
                },
            )
        self.info = replace(self.info, revision=number, alert_file=name)

    def write(self, name, at):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        os.utime(path, (unix(at), unix(at)))
        return path

    def make(self, at):
        """Make map, neutrinos and significance, one second apart, and remember it."""
        made = {step: self.write(step, at + k) for k, step in enumerate(MADE)}
        remember_steps(self.directory, self.info, made)

    def publish(self, at, channel="slack"):
        sent = {"sent_at": iso(at), "revision": self.info.revision}
        receipt = {"channel": channel, "status": "sent", **sent}
        write_json(self.directory / "receipts" / f"{channel}.json", receipt)

    def latency(self):
        content = build_latency(self.directory, self.info, lambda path: NOTICE)
        assert json.loads(json.dumps(content, allow_nan=False)) == content
        return content

    def seconds(self, revision):
        """Return step -> seconds after midnight of a revision, None for what is null."""
        steps = self.latency()["revisions"][revision - 1]["steps"]
        return {
            name: step and round(step["after_event_s"] + 0.125, 3) for name, step in steps.items()
        }


@pytest.fixture
def event(tmp_path):
    return Event(tmp_path / "S240101ab")


def test_every_step_is_told_from_event_and_notice(event):
    event.take(1, "Preliminary", 33)
    event.make(35.5)
    entry = event.latency()["revisions"][0]
    assert (entry["revision"], entry["kind"]) == (1, "Preliminary")
    assert entry["notice_time"] == NOTICE
    assert list(entry["steps"]) == list(STEPS)
    assert entry["steps"]["heard"] == {
        "time": iso(31.5),
        "after_event_s": 31.375,
        "after_notice_s": 1.5,
    }
    assert event.seconds(1) == {
        "sent": 31,
        "heard": 31.5,
        "taken_over": 33,
        "map": 35.5,
        "neutrinos": 36.5,
        "significance": 37.5,
        "published": None,
    }


def test_a_leap_second_is_a_second(event):
    event.info = replace(event.info, event_time="2016-12-31T23:59:59Z")
    event.take(1, "Initial", 0)
    before = datetime(2017, 1, 1, tzinfo=UTC).timestamp() + 1
    os.utime(event.directory / "alerts/1-Initial.json", (before, before))
    (event.directory / "alerts/1-Initial.heard.json").unlink()
    step = event.latency()["revisions"][0]["steps"]["taken_over"]
    assert step["after_event_s"] == 3.0


def test_an_alert_given_by_hand_was_never_sent_nor_heard(event):
    event.take(1, "Initial", 40, heard=False)
    event.make(50)
    seconds = event.seconds(1)
    assert (seconds["sent"], seconds["heard"], seconds["taken_over"]) == (None, None, 40)
    assert seconds["significance"] == 52


def test_what_is_made_again_later_does_not_change_when_it_was_first_made(event):
    event.take(1, "Preliminary", 33)
    event.make(35)
    first = event.latency()
    event.make(600)  # the window has closed
    assert event.latency() == first


def test_each_revision_keeps_its_own_times(event):
    event.take(1, "Preliminary", 33)
    event.make(35)
    first = event.seconds(1)
    event.take(2, "Initial", 300)
    event.make(303)
    event.take(10, "Update", 900)
    event.make(905)
    assert [entry["revision"] for entry in event.latency()["revisions"]] == [1, 2, 10]
    assert event.seconds(1) == first
    assert event.seconds(2)["map"] == 303
    assert event.seconds(3)["significance"] == 907


def test_a_product_from_before_the_alert_was_not_made_for_it(event):
    event.take(1, "Preliminary", 33)
    event.make(35)
    event.take(2, "Update", 300)
    made = {"map": event.directory / "map", "significance": event.write("significance", 305)}
    remember_steps(event.directory, event.info, made)
    seconds = event.seconds(2)
    assert (seconds["map"], seconds["significance"]) == (None, 305)


def test_an_alert_that_was_overtaken_by_the_next_has_only_what_it_reached(event):
    event.take(1, "EarlyWarning", 20)
    event.take(2, "Preliminary", 33)
    event.make(35)
    assert event.seconds(1) == {
        "sent": 18,
        "heard": 18.5,
        "taken_over": 20,
        **dict.fromkeys(("map", "neutrinos", "significance", "published")),
    }


def test_the_first_receipt_counts_even_if_it_is_overwritten(event):
    event.take(1, "Preliminary", 33)
    event.make(35)
    assert published_at(event.directory, event.info) is None
    event.publish(45)
    event.publish(41, "gracedb")
    assert published_at(event.directory, event.info) == iso(41)
    event.make(35)
    event.publish(700, "gracedb")
    event.publish(701)
    event.make(600)
    assert event.seconds(1)["published"] == 41
    event.take(2, "Update", 800)
    assert published_at(event.directory, event.info) is None
    event.publish(810)
    event.make(805)
    assert event.seconds(1)["published"] == 41
    assert event.seconds(2)["published"] == 810


def test_what_was_refused_is_not_published_and_older_messages_count_too(event):
    event.take(1, "Preliminary", 33)
    event.make(35)
    refused = {"channel": "slack", "status": "refused", "sent_at": None, "revision": None}
    write_json(event.directory / "receipts/slack.json", refused | {"history": []})
    assert published_at(event.directory, event.info) is None
    history = [
        {"n": 1, "revision": 1, "given_up": "no"},
        {"n": 2, "revision": 1, "sent_at": iso(44)},
        {"n": 3, "revision": 2, "sent_at": iso(310)},
    ]
    event.take(2, "Update", 300)
    last = {"channel": "slack", "status": "updated", "sent_at": iso(310), "revision": 2}
    write_json(event.directory / "receipts/slack.json", last | {"history": history})
    event.make(305)
    assert [event.seconds(n)["published"] for n in (1, 2)] == [44, 310]


def test_times_with_an_offset_are_the_same_times(event):
    event.take(1, "Preliminary", 33)
    event.make(35)
    write_json(
        event.directory / "receipts/a.json", {"sent_at": "2024-01-01T01:00:41+01:00", "revision": 1}
    )
    assert published_at(event.directory, event.info) == iso(41)


def test_files_beside_the_alerts_are_no_alerts(event):
    event.take(1, "Preliminary", 33)
    event.make(35)
    for name in ("1-neutrinos.csv", "1-Preliminary.fits.gz", "1-neutrinos.json", ".hidden"):
        event.write(f"alerts/{name}", 33)
    assert len(event.latency()["revisions"]) == 1


def test_a_retraction_without_event_has_only_its_notice_to_count_from(event):
    event.take(1, "Retraction", 33)
    event.info = replace(event.info, event_time=None)
    step = event.latency()["revisions"][0]["steps"]["taken_over"]
    assert step == {"time": iso(33), "after_event_s": None, "after_notice_s": 3.0}


def test_a_broken_receipt_is_named(event):
    event.take(1, "Preliminary", 33)
    write_json(event.directory / "receipts/slack.json", {"sent_at": "yesterday", "revision": 1})
    with pytest.raises(LlamaError, match=r"slack\.json has the time 'yesterday'"):
        published_at(event.directory, event.info)


def test_nothing_new_writes_nothing(event):
    event.take(1, "Preliminary", 33)
    event.make(35)
    history = event.directory / "alerts/made.json"
    before = history.stat().st_mtime_ns
    event.make(600)
    assert history.stat().st_mtime_ns == before
    assert set(read_json(history)) == {"1"}
