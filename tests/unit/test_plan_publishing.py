"""Receipts of an event, and which events are tracked."""

import json
import os
from pathlib import Path

import pytest
from plan_samples import EVENT, events, looking, settings, write_event

from llama.event.flags import write_flags
from llama.locks import NoLocksError
from llama.plan.engine import Locks
from llama.plan.publishing import Publishing
from llama.settings import Settings


def publishing(
    wanted: Settings, said: list[str] | None = None, locks: Locks | None = None
) -> Publishing:
    warn = (said if said is not None else []).append
    return Publishing(wanted, events(wanted), locks or looking(wanted.output_dir), warn)


def with_slack(output_dir: Path) -> Settings:
    return settings(output_dir, publish__test__slack="C0123456789")


def test_a_receipt_for_each_channel_with_a_destination(tmp_path: Path) -> None:
    write_event(tmp_path)
    assert publishing(settings(tmp_path)).receipts(EVENT) == []
    one = publishing(with_slack(tmp_path))
    assert one.receipts(EVENT) == [f"{EVENT}/receipts/slack.json"]
    assert len(one.everything(EVENT)) == 25
    assert one.destinations("slack") == {"real": None, "test": "C0123456789"}


def test_only_the_current_run_is_published(tmp_path: Path) -> None:
    past = "past_runs/o3/S190404a"
    write_event(tmp_path, past)
    assert publishing(with_slack(tmp_path)).receipts(past) == []


def test_a_retracted_event_is_withdrawn_wherever_it_has_gone_out(tmp_path: Path) -> None:
    directory = write_event(tmp_path, retracted=True, skymap_alert_file=None)
    (directory / "outbox/webhook").mkdir(parents=True)
    (tmp_path / "events").rename(tmp_path / "current_run")
    (tmp_path / "events").symlink_to("current_run")
    (tmp_path / "past_runs/o3/S190404a/outbox/gcn").mkdir(parents=True)
    receipts = publishing(with_slack(tmp_path)).receipts(EVENT)
    assert receipts == [f"{EVENT}/receipts/{channel}.json" for channel in ("gcn", "webhook")]


def test_a_receipt_waits_for_what_its_channel_sends(tmp_path: Path) -> None:
    write_event(tmp_path)
    one = publishing(settings(tmp_path))
    plain = ["skymap_info.json", "icecube_neutrino_list.json", "significance_lvc-i3.json"]
    assert one.published(EVENT, "webhook") == [f"{EVENT}/{name}" for name in plain]
    assert one.published(EVENT, "gcn")[3:] == [f"{EVENT}/gcn_notice.json"]
    assert any(path.endswith(".png") for path in one.published(EVENT, "slack"))
    assert f"{EVENT}/combined_skymap.multiorder.fits" in one.published(EVENT, "gracedb")
    write_event(tmp_path, "events/S190404b", retracted=True)
    assert one.published("events/S190404b", "gcn") == ["events/S190404b/skymap_info.json"]


def test_flags_of_a_channel(tmp_path: Path) -> None:
    write_flags(write_event(tmp_path), {"UPLOAD": True})
    one = publishing(settings(tmp_path))
    assert one.flags(EVENT, "gcn") == {
        "VETOED": False,
        "ROLE": "test",
        "BLINDED_NEUTRINOS": False,
        "UPLOAD": True,
        "ONLINE": True,
    }
    assert one.flags(EVENT, "icecube").keys() >= {"ICECUBE_UPLOAD"}
    assert "ONLINE" not in one.flags(EVENT, "icecube")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """An output directory with three events, the newest first."""
    (tmp_path / "current_run").mkdir()
    (tmp_path / "events").symlink_to("current_run")
    for age, graceid in enumerate(("S190404a", "S190404b", "S190404c")):
        path = write_event(tmp_path, f"events/{graceid}") / "skymap_info.json"
        os.utime(path, (path.stat().st_mtime - 3600 * age,) * 2)
    return tmp_path


def tracked(wanted: Settings, said: list[str] | None = None) -> set[str]:
    return {path.split("/")[1] for path in publishing(wanted, said).tracked()}


def test_the_newest_events_are_tracked(run: Path) -> None:
    assert tracked(settings(run)) == {"S190404a", "S190404b", "S190404c"}
    assert tracked(settings(run, events__tracked_newest=2)) == {"S190404a", "S190404b"}
    assert tracked(settings(run, events__tracked_newest=0)) == set()


def test_an_event_without_a_map_waits_for_one_unless_it_was_retracted(run: Path) -> None:
    for graceid, retracted in (("S190404b", False), ("S190404c", True)):
        path = run / "events" / graceid / "skymap_info.json"
        content = json.loads(path.read_text()) | {"skymap_alert_file": None}
        path.write_text(json.dumps(content | {"retracted": retracted}))
    assert tracked(settings(run)) == {"S190404a", "S190404c"}


def test_a_broken_event_is_named_and_does_not_stop_the_others(run: Path) -> None:
    (run / "events/S190404a/skymap_info.json").write_text("{")
    (run / "events/S190404b/flags.json").write_text("{")
    (run / "events/S190404c/fermi_grbs.json").write_text("{")
    said: list[str] = []
    assert tracked(settings(run, grb__efficiency=0.6), said) == set()
    assert sorted(line.partition(" is left alone: ")[0] for line in said) == [
        f"events/S190404{letter}" for letter in "abc"
    ]


def test_a_file_system_without_locks_is_not_one_events_trouble(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise NoLocksError("this file system has no locks")

    monkeypatch.setattr("llama.plan.engine.lock_event", refuse)
    with pytest.raises(NoLocksError):
        publishing(settings(run), locks=Locks(run, lambda: True)).tracked()
