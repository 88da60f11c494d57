"""Which topic may bring what, up to what a real destination receives."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alert_samples import RETRACTION, gwalert_bytes, voevent
from publish_samples import write_result
from receivers import webhook_server

from llama.event.flags import read_flags
from llama.event.skymap_info import read_info
from llama.listening.replay import replay
from llama.listening.spool import Record, Spool
from llama.publish.deliver import publish
from llama.running.takeover import Taken, take_over

EVENT = "S240101ab"
WRONG = [
    *("gcn.notices.icecube.lvk_nu_track_search", "gcn.notices.einstein_probe.wxt.alert"),
    *("gcn.classic.voevent.ICECUBE_CASCADE", "gcn.circulars", "gcn.heartbeat"),
    *("igwn.gwalert.test", "xigwn.gwalert", "igwn-gwalert", "replay", "poll"),
]


def hear(output: Path, content: bytes, topic: str) -> Taken:
    Spool(output).keep([Record(topic=topic, content=content, partition=0, offset=7)])
    (taken,) = take_over(output, "TRIGGERED_PUBLIC")
    return taken


@pytest.mark.parametrize("topic", WRONG)
@pytest.mark.parametrize("content", [gwalert_bytes(), voevent(), RETRACTION])
def test_on_another_topic_an_alert_is_kept_reported_and_not_believed(
    tmp_path: Path, content: bytes, topic: str
) -> None:
    taken = hear(tmp_path, content, topic)
    assert taken.quarantined
    assert "which carries none, and was not used; if LVK sent it, give it to" in taken.said
    assert not (tmp_path / "current_run").exists()
    (path,) = tmp_path.glob("gcn/*/*/*")
    assert path.read_bytes() == content


@pytest.mark.parametrize("topic", ["igwn.gwalert", "gcn.classic.voevent.LVC_PRELIMINARY"])
def test_where_lvk_publishes_it_is_believed(tmp_path: Path, topic: str) -> None:
    content = voevent() if "voevent" in topic else gwalert_bytes()
    assert hear(tmp_path, content, topic).changed
    assert read_flags(tmp_path / "current_run" / EVENT)["ROLE"] == "observation"


def test_a_forged_retraction_takes_nothing_back(tmp_path: Path) -> None:
    hear(tmp_path, gwalert_bytes(), "igwn.gwalert")
    assert hear(tmp_path, RETRACTION, WRONG[0]).quarantined
    assert not read_info(tmp_path / "current_run" / EVENT).retracted


def test_a_replay_believes_what_its_topic_may_bring(tmp_path: Path) -> None:
    heard, later = tmp_path / "heard", tmp_path / "later"
    hear(heard, gwalert_bytes(superevent_id="S240101cd"), "igwn.gwalert")
    hear(heard, gwalert_bytes(), WRONG[0])
    (heard / "gcn/of-an-operator.json").write_bytes(gwalert_bytes(superevent_id="S240101ef"))
    replay(heard / "gcn", later, lambda done, of: None)
    taken = list(take_over(later, "TRIGGERED_PUBLIC"))
    assert sorted(one.event or "" for one in taken) == ["", "S240101cd", "S240101ef"]
    assert sum(one.quarantined for one in taken) == 1
    for event in ("S240101cd", "S240101ef"):
        assert read_flags(later / "current_run" / event)["ROLE"] == "test"
        assert not read_flags(later / "current_run" / event)["UPLOAD"]


@pytest.fixture
def real_place() -> Iterator[Path]:
    """A directory without the word test in its path, which makes every event one."""
    with tempfile.TemporaryDirectory(prefix="llama-") as directory:
        yield Path(directory)


@pytest.mark.parametrize(("topic", "arrive"), [("igwn.gwalert", 1), (WRONG[0], 0), (None, 0)])
def test_what_reaches_the_real_webhook(
    tmp_path: Path,
    real_place: Path,
    monkeypatch: pytest.MonkeyPatch,
    topic: str | None,
    arrive: int,
) -> None:
    output = real_place
    if topic is None:
        (tmp_path / "a.json").write_bytes(gwalert_bytes())
        replay(tmp_path, output, lambda done, of: None)
        list(take_over(output, "TRIGGERED_PUBLIC"))
    else:
        hear(output, gwalert_bytes(), topic)
    event = output / "current_run" / EVENT
    monkeypatch.setenv("LLAMA_WEBHOOK_TOKEN", "canary-webhook")
    with webhook_server() as (server, double):
        places: dict[str, Any] = {"real": f"{server.url}/real", "test": f"{server.url}/test"}
        if event.exists():
            write_result(event, json.loads((event / "skymap_info.json").read_bytes()))
            publish(event, "webhook", places)
        assert [path for path in server.hits if path == "POST /real"] == ["POST /real"] * arrive
        assert len(double.posts) == arrive
