"""From the spool to event directories: what is whose, in which order, once, and what must wait."""

import base64
import fcntl
import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from alert_samples import (
    MALFORMED,
    NOT_OURS,
    RETRACTION,
    UPDATE,
    gwalert_bytes,
    skymap_fits,
    tree,
    voevent,
)

from llama.errors import LlamaError
from llama.event.flags import read_flags, write_flags
from llama.event.skymap_info import read_info
from llama.listening.spool import Record, Spool
from llama.running import takeover
from llama.running.takeover import Taken, take_over

pytestmark = pytest.mark.usefixtures("maps_checked_once")
EVENT = "S240101ab"


def hear(output: Path, *contents: bytes, topic: str = "igwn.gwalert", offset: int = 0) -> None:
    Spool(output).keep(
        Record(topic=topic, content=content)
        if topic == "replay"
        else Record(
            topic=topic, content=content, partition=0, offset=offset + n, kafka_time_ms=1000
        )
        for n, content in enumerate(contents)
    )


def taken(output: Path, preset: str = "TRIGGERED_TEST", **options: Any) -> list[Taken]:
    return list(take_over(output, preset, **options))


def info(output: Path, event: str = EVENT) -> dict[str, Any]:
    return read_info(output / "current_run" / event).as_json()


def reasons(output: Path) -> list[str]:
    paths = sorted((output / "spool" / "quarantine").glob("*.json"))
    return [json.loads(path.read_bytes())["reason"] for path in paths]


def state(output: Path) -> dict[str, Any]:
    """What an event says, without what only tells in which order its alerts came."""
    event = output / "current_run" / EVENT
    found = info(output)
    for key in ("alert_file", "event_alert_file", "skymap_alert_file", "skymap_file"):
        name = found[key]
        found[key] = name and (event / name).read_bytes()
    kept = {k: v for k, v in found.items() if k not in ("revision", "notice", "skymap_filename")}
    alerts = [p for p in (event / "alerts").glob("*.*") if not p.name.endswith(".heard.json")]
    return kept | {"alerts": sorted(path.read_bytes() for path in alerts)}


def test_an_alert_becomes_an_event_with_its_record(tmp_path: Path) -> None:
    hear(tmp_path, gwalert_bytes())
    (entry,) = Spool(tmp_path).pending()
    (result,) = taken(tmp_path)
    assert (result.event, result.changed, result.stays) == (EVENT, True, False)
    assert Spool(tmp_path).count() == {"pending": 0, "quarantine": 0}
    event = tmp_path / "current_run" / EVENT
    assert sorted(tree(event)) == [
        "alerts/1-Preliminary.heard.json",
        "alerts/1-Preliminary.json",
        "flags.json",
        "skymap_info.json",
    ]
    heard = json.loads((event / "alerts/1-Preliminary.heard.json").read_bytes())
    assert heard.pop("taken_over_at") > entry.received_at
    assert heard == {
        "record": entry.name,
        "topic": "igwn.gwalert",
        "kafka_time_ms": 1000,
        "heard_at": entry.received_at,
        "archive": entry.archive,
    }


def test_notices_of_others_are_left_alone(tmp_path: Path) -> None:
    hear(tmp_path, *NOT_OURS, topic="gcn.notices.icecube.lvk_nu_track_search")
    assert [result.event for result in taken(tmp_path)] == [None] * len(NOT_OURS)
    assert Spool(tmp_path).count() == {"pending": 0, "quarantine": 0}
    assert not (tmp_path / "current_run").exists()


@pytest.mark.parametrize("content", MALFORMED, ids=lambda content: repr(content[:20]))
def test_what_is_malformed_is_set_aside_with_its_reason(tmp_path: Path, content: bytes) -> None:
    hear(tmp_path, content, gwalert_bytes())
    bad, good = taken(tmp_path)
    assert bad.quarantined
    assert MALFORMED[content] in bad.said
    assert good.changed
    (reason,) = reasons(tmp_path)
    assert reason in bad.said
    assert not list((tmp_path / "current_run" / EVENT / "alerts").glob("2-*"))


def test_a_malformed_alert_is_known_by_its_content_after_a_replay(tmp_path: Path) -> None:
    cut = [gwalert_bytes()[:500], voevent()[:800]]
    Spool(tmp_path).keep(Record(topic="replay", content=content) for content in cut)
    assert all(result.quarantined for result in taken(tmp_path))


def test_a_defect_of_ours_stops_no_other_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recognise(topic: str, content: bytes) -> Any:
        if content == b"odd":
            raise ZeroDivisionError("not foreseen")
        return original(topic, content)

    original = takeover.recognise
    monkeypatch.setattr(takeover, "recognise", recognise)
    hear(tmp_path, b"odd", gwalert_bytes())
    odd, good = taken(tmp_path)
    assert odd.quarantined
    assert good.changed
    assert "ZeroDivisionError('not foreseen')" in reasons(tmp_path)[0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (gwalert_bytes(alert_type="EARLYWARNING"), {"notice": f"{EVENT}-1-EarlyWarning"}),
        (gwalert_bytes(alert_type="EARLY_WARNING"), {"notice": f"{EVENT}-1-EarlyWarning"}),
        (gwalert_bytes({"significant": False}), {"significant": False}),
        (gwalert_bytes({"group": "Burst", "search": "AllSky"}), {"group": "Burst"}),
        (gwalert_bytes({"skymap": None}), {"skymap_alert_file": None, "skymap_file": None}),
        (RETRACTION, {"retracted": True, "gps_time": None}),
        (voevent(), {"alert_type": "gcn", "skymap_filename": "bayestar.multiorder.fits,1"}),
        (
            gwalert_bytes({"skymap": base64.b64encode(gzip.compress(skymap_fits())).decode()}),
            {"skymap_file": "alerts/1-Preliminary.fits.gz"},
        ),
        (
            gwalert_bytes(
                external_coinc={
                    "observatory": "Fermi",
                    "combined_skymap": base64.b64encode(skymap_fits(3)).decode(),
                }
            ),
            {"skymap_alert_file": "alerts/1-Preliminary.json"},
        ),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("topic", ["igwn.gwalert", "replay"])
def test_kinds_of_alerts(tmp_path: Path, topic: str, content: bytes, expected: Any) -> None:
    hear(tmp_path, content, topic=topic)
    (result,) = taken(tmp_path)
    assert result.changed, result
    found = info(tmp_path)
    assert {key: found[key] for key in expected} == expected


def test_new_events_get_the_preset_flags(tmp_path: Path) -> None:
    hear(tmp_path, gwalert_bytes())
    taken(tmp_path, "TRIGGERED_PUBLIC")
    flags = read_flags(tmp_path / "current_run" / EVENT)
    assert flags["ROLE"] == "observation"
    assert flags["UPLOAD"]
    write_flags(tmp_path / "current_run" / EVENT, {"VETOED": True})
    hear(tmp_path, UPDATE, offset=1)
    assert taken(tmp_path, "TRIGGERED_PUBLIC")[0].changed
    assert read_flags(tmp_path / "current_run" / EVENT)["VETOED"]


@pytest.mark.parametrize(
    "content",
    [
        gwalert_bytes(superevent_id="MS240101ab"),
        gwalert_bytes(superevent_id="TS240101ab"),
        gwalert_bytes({"search": "MDC"}),
        voevent(role="test"),
        voevent({"HardwareInj": "1"}),
    ],
)
def test_mock_and_test_events_are_never_observations(tmp_path: Path, content: bytes) -> None:
    hear(tmp_path, content)
    (result,) = taken(tmp_path, "TRIGGERED_PUBLIC")
    flags = read_flags(tmp_path / "current_run" / str(result.event))
    assert (flags["ROLE"], flags["UPLOAD"], flags["ICECUBE_UPLOAD"]) == ("test", False, False)
    assert info(tmp_path, str(result.event))["role"] == "test"


LATER = gwalert_bytes({"skymap": None}, alert_type="UPDATE", time_created="2024-01-01T01:30:00Z")
ALERTS = [gwalert_bytes(), UPDATE, LATER, RETRACTION]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_order_of_arrival_does_not_matter(tmp_path: Path, order: tuple[int, ...]) -> None:
    hear(tmp_path / "in order", *ALERTS)
    taken(tmp_path / "in order")
    hear(tmp_path / "any", *(ALERTS[n] for n in order))
    taken(tmp_path / "any")
    expected = state(tmp_path / "in order")
    assert expected["retracted"]
    assert expected["event_alert_file"] == LATER
    assert expected["skymap_alert_file"] == UPDATE
    assert state(tmp_path / "any") == expected


def test_what_was_heard_before_changes_nothing(tmp_path: Path) -> None:
    same_time = gwalert_bytes({"far": 1e-11})
    alerts = [*ALERTS[:1], same_time, *ALERTS[1:]]
    hear(tmp_path, *alerts)
    taken(tmp_path)
    before = tree(tmp_path / "current_run")
    hear(tmp_path, *alerts, offset=100)
    Spool(tmp_path).keep(Record(topic="replay", content=content) for content in alerts)
    results = taken(tmp_path)
    assert len(results) == 2 * len(alerts)
    assert not any(result.changed or result.stays for result in results)
    assert tree(tmp_path / "current_run") == before


def test_an_event_in_another_runs_hands_waits(tmp_path: Path) -> None:
    hear(tmp_path, gwalert_bytes())
    (result,) = taken(tmp_path, running=[EVENT])
    assert (result.stays, result.said) == (True, "")
    assert taken(tmp_path)[0].changed
    hear(tmp_path, UPDATE, gwalert_bytes(superevent_id="S240102c"), offset=1)
    with (tmp_path / "current_run" / EVENT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert [result.stays for result in taken(tmp_path)] == [True, False]
    assert taken(tmp_path)[0].changed


@pytest.mark.parametrize("name", ["flags.json", "skymap_info.json"])
def test_a_broken_event_is_not_the_records_fault(tmp_path: Path, name: str) -> None:
    hear(tmp_path, gwalert_bytes())
    taken(tmp_path)
    path = tmp_path / "current_run" / EVENT / name
    good = path.read_bytes()
    path.write_text("{")
    hear(tmp_path, UPDATE, offset=1)
    (result,) = taken(tmp_path)
    assert result.stays
    assert f"{path} is not valid JSON" in result.said
    path.write_bytes(good)
    assert taken(tmp_path)[0].changed


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hear(tmp_path, gwalert_bytes())
    before = tree(tmp_path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        (result,) = taken(tmp_path)
    assert result.stays
    assert "No space left on device; free some space" in result.said
    assert "\n" not in result.said
    assert tree(tmp_path) == before
    assert taken(tmp_path)[0].changed


def test_a_record_that_the_archive_has_lost_is_set_aside(tmp_path: Path) -> None:
    hear(tmp_path, gwalert_bytes())
    (entry,) = Spool(tmp_path).pending()
    (tmp_path / entry.archive).unlink()
    assert taken(tmp_path)[0].quarantined
    assert "put it back" in reasons(tmp_path)[0]


def test_only_one_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llama.locks.TIMEOUT_S", 0.1)
    hear(tmp_path, gwalert_bytes())
    with (
        takeover.locked(tmp_path / "spool"),
        pytest.raises(LlamaError, match="another command is writing"),
    ):
        taken(tmp_path)


def test_real_alerts_and_notices(tmp_path: Path, shared_data: Path) -> None:
    alerts = sorted((shared_data / "alerts").glob("*/*.*"))
    Spool(tmp_path).keep(Record(topic="replay", content=path.read_bytes()) for path in alerts)
    results = taken(tmp_path)
    assert [result.said for result in results if result.quarantined or result.stays] == []
    events = {result.event for result in results}
    assert events == {None, "MS230425k", "MS181101ab", "S190814bv", "S200302c"}
