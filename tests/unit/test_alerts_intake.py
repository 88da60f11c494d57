"""From alerts to event directories: new events, revisions, and what must leave no trace."""

import json
import os
from pathlib import Path

import pytest
from alert_samples import (
    NEUTRINOS,
    RETRACTION,
    UPDATE,
    gwalert_bytes,
    skymap_fits,
    skymap_gz,
    take,
    tree,
    voevent,
)

from llama.alerts.content import skymap_bytes
from llama.alerts.intake import IntakeResult
from llama.errors import LlamaError
from llama.event.flags import read_flags, write_flags
from llama.event.names import skymap_name
from llama.event.skymap_info import read_info
from llama.files import sha256_bytes


def test_a_new_event(tmp_path: Path) -> None:
    result = take(tmp_path, gwalert_bytes(), neutrinos=("n.csv", NEUTRINOS))
    assert result == IntakeResult(tmp_path / "S240101ab", 1, True)
    assert sorted(tree(result.event_dir)) == [
        "alerts/1-Preliminary.json",
        "alerts/1-neutrinos.csv",
        "flags.json",
        "skymap_info.json",
    ]
    info = read_info(result.event_dir)
    assert info.as_json() == {
        "alert_type": "igwn-alert",
        "graceid": "S240101ab",
        "event_time": "2024-01-01T00:00:00.125000Z",
        "gps_time": 1388102418.125,
        "far": 1e-10,
        "pipeline": "GSTLAL",
        "group": "CBC",
        "search": "AllSky",
        "instruments": ["H1", "L1"],
        "significant": True,
        "role": "observation",
        "retracted": False,
        "internal": False,
        "skymap_filename": "S240101ab-1-Preliminary.multiorder.fits",
        "skymap_sha256": sha256_bytes(skymap_fits()),
        "skymap_file": None,
        "skymap_alert_file": "alerts/1-Preliminary.json",
        "alert_file": "alerts/1-Preliminary.json",
        "event_alert_file": "alerts/1-Preliminary.json",
        "neutrino_file": "alerts/1-neutrinos.csv",
        "gracedb_service_url": "https://gracedb.ligo.org/api/",
        "notice_time": "2024-01-01T00:05:00.000000Z",
        "notice": "S240101ab-1-Preliminary",
        "revision": 1,
    }
    assert read_flags(result.event_dir)["ROLE"] == "test"
    assert (result.event_dir / info.alert_file).read_bytes() == gwalert_bytes()


def test_the_same_alert_again_changes_nothing(tmp_path: Path) -> None:
    take(tmp_path, gwalert_bytes())
    before = tree(tmp_path)
    stamp = (tmp_path / "S240101ab/skymap_info.json").stat().st_mtime_ns
    for options in ({}, {"force": True}, {"skymap": ("same.fits", skymap_fits())}):
        result = take(tmp_path, gwalert_bytes(), **options)
        assert result == IntakeResult(tmp_path / "S240101ab", 1, False)
    assert tree(tmp_path) == before
    assert (tmp_path / "S240101ab/skymap_info.json").stat().st_mtime_ns == stamp


def test_an_update_is_a_new_revision(tmp_path: Path) -> None:
    take(tmp_path, gwalert_bytes(), neutrinos=("n.csv", NEUTRINOS), role="observation")
    first = tree(tmp_path / "S240101ab/alerts")
    result = take(tmp_path, UPDATE)
    info = read_info(result.event_dir)
    assert (result.revision, result.changed) == (2, True)
    assert info.skymap_alert_file == info.alert_file == "alerts/2-Update.json"
    assert info.neutrino_file == "alerts/1-neutrinos.csv"
    assert info.notice == "S240101ab-2-Update"
    assert skymap_bytes(result.event_dir, info) == skymap_fits(1)
    assert read_flags(result.event_dir)["ROLE"] == "observation"
    assert first.items() <= tree(tmp_path / "S240101ab/alerts").items()


def test_an_update_without_map_keeps_the_map(tmp_path: Path) -> None:
    take(tmp_path, gwalert_bytes(), skymap=("mine.fits.gz", skymap_gz(2)))
    content = voevent({"AlertType": "Update"}, date="2024-01-01T03:00:00Z")
    result = take(tmp_path, content)
    info = read_info(result.event_dir)
    assert info.skymap_file == "alerts/1-Preliminary.fits.gz"
    assert info.skymap_filename == "mine.fits.gz"
    assert info.notice == "S240101ab-2-Update"
    assert skymap_bytes(result.event_dir, info) == skymap_gz(2)
    assert "bayestar.multiorder.fits,1" in result.notes[0]


def test_the_same_map_again_stays_where_it_is(tmp_path: Path) -> None:
    take(tmp_path, gwalert_bytes())
    again = gwalert_bytes(alert_type="UPDATE", time_created="2024-01-01T01:00:00Z")
    event = take(tmp_path, again).event_dir
    info = read_info(event)
    assert (info.alert_file, info.revision) == ("alerts/2-Update.json", 2)
    assert info.skymap_alert_file == "alerts/1-Preliminary.json"
    (
        event / "alerts/1-Preliminary.json"
    ).unlink()  # lost: then it is taken from where it came again
    last = gwalert_bytes(alert_type="UPDATE", time_created="2024-01-01T02:00:00Z")
    assert read_info(take(tmp_path, last).event_dir).skymap_alert_file == "alerts/3-Update.json"


def test_a_notice_without_map_is_completed_later(tmp_path: Path) -> None:
    result = take(tmp_path, voevent())
    info = read_info(result.event_dir)
    assert info.skymap_file is info.skymap_alert_file is info.skymap_sha256 is None
    assert info.skymap_filename == "bayestar.multiorder.fits,1"
    assert "no sky map yet" in result.notes[0]
    with pytest.raises(LlamaError, match="no sky map yet"):
        skymap_bytes(result.event_dir, info)
    result = take(tmp_path, voevent(), skymap=("bayestar.multiorder.fits,1", skymap_fits()))
    assert (result.revision, result.changed, result.notes) == (2, True, ())
    info = read_info(result.event_dir)
    assert info.skymap_file == "alerts/2-Initial.fits"
    assert skymap_bytes(result.event_dir, info) == skymap_fits()


def test_a_map_given_by_hand_outlives_the_same_alert_sent_again(tmp_path: Path) -> None:
    take(tmp_path, gwalert_bytes())
    take(tmp_path, gwalert_bytes(), skymap=("better map.fits", skymap_fits(5)))
    assert not take(tmp_path, gwalert_bytes()).changed
    info = read_info(tmp_path / "S240101ab")
    assert info.skymap_filename == "better_map.fits"
    assert take(tmp_path, gwalert_bytes(), force=True).changed
    event = tmp_path / "S240101ab"
    assert skymap_bytes(event, read_info(event)) == skymap_fits()


def test_the_derived_copy_of_a_map_of_the_other_suffix_goes(tmp_path: Path) -> None:
    event = take(tmp_path, gwalert_bytes(), skymap=("m.fits.gz", skymap_gz())).event_dir
    old = event / skymap_name(read_info(event))
    assert old.name == "lvc_skymap.fits.gz"
    old.write_bytes(b"derived")
    take(tmp_path, UPDATE)
    assert not old.exists()
    assert (event / "alerts/1-Preliminary.fits.gz").exists()
    new = event / skymap_name(read_info(event))
    new.write_bytes(b"derived")
    take(tmp_path, UPDATE, neutrinos=("n.csv", NEUTRINOS))
    assert new.exists()


def test_a_retraction_marks_the_event_and_deletes_nothing(tmp_path: Path) -> None:
    take(tmp_path, gwalert_bytes(), neutrinos=("n.csv", NEUTRINOS))
    (tmp_path / "S240101ab/significance_lvc-i3.json").write_text("{}")
    before, old = tree(tmp_path), read_info(tmp_path / "S240101ab").as_json()
    result = take(tmp_path, RETRACTION)
    info = read_info(result.event_dir)
    changed = {key for key, value in info.as_json().items() if value != old[key]}
    assert changed == {"retracted", "alert_file", "notice", "notice_time", "revision"}
    assert info.retracted
    assert info.event_alert_file == "alerts/1-Preliminary.json"
    assert set(before) < set(tree(tmp_path))


def test_a_retraction_may_come_first(tmp_path: Path) -> None:
    event = take(tmp_path, RETRACTION).event_dir
    info = read_info(event)
    assert info.retracted
    assert info.event_time is info.far_hz is info.event_alert_file is None
    # the alert it retracts, late: it tells what the event was
    assert take(tmp_path, gwalert_bytes()).changed
    assert (event / "alerts/2-Preliminary.json").read_bytes() == gwalert_bytes()
    late = read_info(event).as_json()
    take(tmp_path / "in order", gwalert_bytes())
    in_order = read_info(take(tmp_path / "in order", RETRACTION).event_dir).as_json()
    for name in ("alert_file", "event_alert_file", "skymap_alert_file", "skymap_filename"):
        late.pop(name), in_order.pop(name)  # their numbers are those of the arrival
    assert late == in_order | {"notice": "S240101ab-1-Retraction"}
    assert not take(tmp_path, gwalert_bytes()).changed


def test_an_older_notice_is_archived_once_and_used_only_by_force(tmp_path: Path) -> None:
    event = take(tmp_path, UPDATE).event_dir
    info = read_info(event)
    for _ in range(2):
        result = take(tmp_path, gwalert_bytes())
        assert (result.changed, result.revision) == (False, 1)
        assert "older" in result.notes[0]
    assert read_info(event) == info
    assert sorted(os.listdir(event / "alerts")) == ["1-Update.json", "2-Preliminary.json"]
    result = take(tmp_path, gwalert_bytes(), force=True)
    assert (result.changed, result.revision) == (True, 3)
    assert skymap_bytes(event, read_info(event)) == skymap_fits()


def test_a_newer_alert_after_a_retraction_brings_the_event_back(tmp_path: Path) -> None:
    take(tmp_path, RETRACTION)
    again = gwalert_bytes(alert_type="UPDATE", time_created="2024-01-02T00:00:00Z")
    assert not read_info(take(tmp_path, again).event_dir).retracted


@pytest.mark.parametrize(
    "content",
    [
        gwalert_bytes(superevent_id="MS240101ab"),
        gwalert_bytes({"search": "MDC"}),
        voevent(role="test"),
        voevent({"HardwareInj": "1"}),
    ],
)
def test_a_test_is_never_an_observation(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(LlamaError, match="can only be a test"):
        take(tmp_path, content, role="observation")
    assert tree(tmp_path) == {}
    assert read_info(take(tmp_path, content).event_dir).role == "test"


def test_flags_that_are_there_stay(tmp_path: Path) -> None:
    (tmp_path / "S240101ab").mkdir()
    write_flags(tmp_path / "S240101ab", {"ROLE": "observation", "UPLOAD": True})
    before = tree(tmp_path)
    take(tmp_path, gwalert_bytes())
    assert before.items() <= tree(tmp_path).items()


def test_a_broken_skymap_info_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = take(tmp_path, gwalert_bytes()).event_dir / "skymap_info.json"
    path.write_text("{")
    with pytest.raises(LlamaError, match="not valid JSON"):
        take(tmp_path, gwalert_bytes())
    assert path.read_text() == "{"
    assert take(tmp_path, gwalert_bytes(), force=True).revision == 2
    assert json.loads(path.read_text())["revision"] == 2


def test_real_alerts_as_revisions(tmp_path: Path, shared_data: Path) -> None:
    directory = shared_data / "events/S230518h"
    for kind in ("Preliminary", "Initial", "Update"):
        take(tmp_path, (directory / f"S230518h-{kind}_alert.json").read_bytes())
    event = tmp_path / "S230518h"
    info = read_info(event)
    assert (info.revision, info.notice) == (3, "S230518h-3-Update")
    assert len(skymap_bytes(event, info)) == 685440
    assert sorted(os.listdir(event / "alerts")) == [
        "1-Preliminary.json",
        "2-Initial.json",
        "3-Update.json",
    ]


@pytest.mark.parametrize(
    ("name", "copy"),
    [
        ("bayestar.fits.gz", "lvc_skymap.fits.gz"),
        ("LALInference.fits.gz", "lvc_skymap.fits.gz"),
        ("bayestar.multiorder.fits", "lvc_skymap.fits"),
    ],
)
def test_real_maps(tmp_path: Path, shared_data: Path, name: str, copy: str) -> None:
    directory = shared_data / "events/S190425z"
    content = (directory / name).read_bytes()
    notice = (directory / "S190425z-2-Initial.xml").read_bytes()
    event = take(tmp_path, notice, skymap=(name, content)).event_dir
    info = read_info(event)
    assert (info.skymap_filename, skymap_name(info)) == (name, copy)
    assert skymap_bytes(event, info) == content
