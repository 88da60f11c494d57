"""Records of igwn.gwalert, real and made here, and those that must be refused."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from alert_samples import (
    RETRACTION,
    gwalert,
    gwalert_bytes,
    outcome,
    skymap_fits,
    take,
    voevent,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from llama.alerts.gwalert import MAX_BYTES, parse_alert
from llama.errors import LlamaError
from llama.event.skymap_info import read_info

REAL = {
    "events/S230518h/S230518h-Preliminary_alert.json": ("S230518h", "Preliminary", 777600),
    "events/S230518h/S230518h-Initial_alert.json": ("S230518h", "Initial", 685440),
    "events/S230518h/S230518h-Update_alert.json": ("S230518h", "Update", 685440),
    "alerts/gwalert/MS230425k-preliminary.json": ("MS230425k", "Preliminary", 777600),
    "alerts/gwalert/MS230425k-retraction.json": ("MS230425k", "Retraction", None),
    "alerts/gwalert/gwtm_cron_MS181101ab-ext-update.json": ("MS181101ab", "Update", 777600),
    "alerts/gwalert/userguide_MS181101ab-earlywarning.json": ("MS181101ab", "EarlyWarning", 777600),
}


@pytest.mark.parametrize("name", sorted(REAL))
def test_real_records(shared_data: Path, name: str) -> None:
    alert = parse_alert((shared_data / name).read_bytes(), "alert")
    assert (alert.graceid, alert.kind, alert.skymap and len(alert.skymap)) == REAL[name]
    assert bool(alert.test_reason) == alert.graceid.startswith("M")
    assert alert.skymap is None or alert.skymap.startswith(b"SIMPLE")


def test_the_real_coincidence_is_kept_without_its_combined_map(shared_data: Path) -> None:
    path = shared_data / "alerts/gwalert/gwtm_cron_MS181101ab-ext-update.json"
    alert = parse_alert(path.read_bytes(), "alert")
    assert alert.external_coinc is not None
    assert alert.external_coinc["time_difference"] == 2.02
    assert "combined_skymap" not in alert.external_coinc


def test_a_broken_combined_map_refuses_nothing() -> None:
    alert = parse_alert(
        gwalert_bytes(external_coinc={"observatory": "Fermi", "combined_skymap": "%%%"}), "alert"
    )
    assert alert.external_coinc == {"observatory": "Fermi"}


def test_other_real_notices_are_not_ours(shared_data: Path) -> None:
    paths = sorted((shared_data / "alerts/other").glob("*.json"))
    assert paths
    for path in paths:
        with pytest.raises(LlamaError, match="not an LVK gravitational-wave alert"):
            parse_alert(path.read_bytes(), path.name)


def test_the_form_is_taken_from_the_content_not_the_name(shared_data: Path) -> None:
    record = (shared_data / "bad/gwcelery_MS220722v.xml").read_bytes()
    assert parse_alert(record, "x.xml").alert_type == "gracedb"
    html = (shared_data / "bad/html_page_named_bayestar.fits.gz").read_bytes()
    with pytest.raises(LlamaError, match=r"^page\.json: this is not"):
        parse_alert(html, "page.json")


def test_fields() -> None:
    alert = parse_alert(gwalert_bytes(), "alert")
    assert (alert.graceid, alert.kind, alert.alert_type) == (
        "S240101ab",
        "Preliminary",
        "igwn-alert",
    )
    assert alert.gps_time == 1388102418.125
    assert alert.notice_time == "2024-01-01T00:05:00.000000Z"
    assert (alert.far_hz, alert.pipeline, alert.instruments) == (1e-10, "GSTLAL", ("H1", "L1"))
    assert alert.skymap == skymap_fits()
    assert alert.role == "observation"
    assert alert.serial is None


@pytest.mark.parametrize("name", ["EARLYWARNING", "EARLY_WARNING", "EarlyWarning"])
def test_early_warning_is_spelt_in_several_ways(name: str) -> None:
    assert parse_alert(gwalert_bytes(alert_type=name), "alert").kind == "EarlyWarning"


def test_retraction_has_no_event() -> None:
    alert = parse_alert(RETRACTION, "alert")
    assert (alert.kind, alert.event_time_iso, alert.gps_time) == ("Retraction", None, None)


RETRACTED = {"alert_type": "RETRACTION"}
NO_TIME = {key: value for key, value in gwalert()["event"].items() if key != "time"}


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (None, ""),
        ({}, ""),
        ("", ""),
        ("gone", "event 'gone' is not an event with a time"),
        ([1], "event '[1]' is not"),
        (NO_TIME, "is not an event with a time"),
        ({**NO_TIME, "time": None}, ""),
        ({**NO_TIME, "time": "yesterday"}, "event time 'yesterday' is not a UTC time"),
        ({**NO_TIME, "time": ["\ud800"]}, "event time '['\\ud800']' is not a UTC time"),
    ],
)
def test_a_retraction_needs_no_event_that_can_be_used(event: Any, says: str) -> None:
    notice = gwalert(**RETRACTED) | {"event": event}
    alert = parse_alert(json.dumps(notice).encode(), "alert")
    assert (alert.kind, alert.event_time_iso, alert.far_hz) == ("Retraction", None, None)
    assert says in "; ".join(alert.notes)
    assert bool(alert.notes) == bool(says)


def test_a_retraction_needs_neither_the_key_of_an_event_nor_a_map_that_can_be_read() -> None:
    notice = gwalert({"skymap": "no base64"}, **RETRACTED)
    whole = parse_alert(json.dumps(notice).encode(), "alert")
    assert (whole.kind, whole.gps_time, whole.skymap) == ("Retraction", 1388102418.125, None)
    for key in ("event", "urls", "external_coinc"):
        del notice[key]
    assert parse_alert(json.dumps(notice).encode(), "alert").kind == "Retraction"


@pytest.mark.parametrize("event", [{}, "gone", {"far": 1e-9}, {"time": "yesterday", "far": 1e-9}])
def test_a_retraction_that_says_nothing_of_the_event_takes_it_back(
    tmp_path: Path, event: Any
) -> None:
    retraction = json.dumps(gwalert(**RETRACTED) | {"event": event}).encode()
    ends = []
    for name, contents in (
        ("a", [gwalert_bytes(), retraction]),
        ("b", [retraction, gwalert_bytes()]),
    ):
        for content in contents:
            take(tmp_path / name, content)
        info = read_info(tmp_path / name / "S240101ab").as_json()
        ends.append({key: info[key] for key in ("retracted", "gps_time", "far", "skymap_sha256")})
    assert ends[0] == ends[1]
    assert ends[0]["retracted"]
    assert (ends[0]["gps_time"], ends[0]["far"]) == (1388102418.125, 1e-10)


def test_a_map_in_lines_is_read() -> None:
    text = gwalert()["event"]["skymap"]
    lines = "\n".join(text[start : start + 76] for start in range(0, len(text), 76))
    assert parse_alert(gwalert_bytes({"skymap": lines}), "alert").skymap == skymap_fits()


def test_what_may_be_missing() -> None:
    record = gwalert({"skymap": None, "group": "Burst", "pipeline": "CWB"})
    for key in ("significant", "classification", "properties"):
        del record["event"][key]
    del record["external_coinc"], record["urls"]
    alert = parse_alert(json.dumps(record).encode(), "alert")
    assert alert.significant
    assert alert.skymap is None
    assert alert.classification == {}
    assert alert.gracedb_url is None


def test_unknown_keys_are_kept() -> None:
    content = gwalert_bytes(
        {"mchirp_source": {"bin_edges": [1, 2]}, "skymap_filename": "bayestar.multiorder.fits,1"},
        schema="1.4",
        urls={"gracedb": "https://gracedb.ligo.org/superevents/S240101ab/view/", "gcn": "x"},
    )
    alert = parse_alert(content, "alert")
    assert alert.skymap_filename == "bayestar.multiorder.fits,1"
    assert alert.extra == {
        "schema": "1.4",
        "urls": {"gcn": "x"},
        "event": {"mchirp_source": {"bin_edges": [1, 2]}},
    }


def _without(*path: str) -> bytes:
    record = gwalert()
    inside: dict[str, Any] = record
    for key in path[:-1]:
        inside = inside[key]
    del inside[path[-1]]
    return json.dumps(record).encode()


BAD = [
    (json.dumps(gwalert() | {"event": None}).encode(), "RETRACTION may leave out"),
    (json.dumps(gwalert() | {"event": [1]}).encode(), "RETRACTION may leave out"),
    (_without("event", "time"), "lacks time"),
    (gwalert_bytes(time_created=float("nan")), "not a UTC time"),
    (gwalert_bytes({"time": 10**400}), "not a UTC time"),
    (_without("superevent_id"), "not an LVK"),
    (_without("time_created"), "lacks time_created"),
    (gwalert_bytes({"skymap": "not base64!"}), "not base64"),
    (gwalert_bytes({"skymap": "AAA"}), "not base64"),
    (gwalert_bytes({"skymap": "ΑΒΓΔ"}), "not base64"),
    (gwalert_bytes({"skymap": 12}), "not base64"),
    (gwalert_bytes(superevent_id="../../x"), "not a GraceDB id"),
    (gwalert_bytes(superevent_id="S" * 300), "not a GraceDB id"),
    (gwalert_bytes(superevent_id=["S240101ab"]), "not a GraceDB id"),
    (gwalert_bytes(alert_type="EXTERNAL"), "must be one of"),
    (gwalert_bytes(time_created="soon"), "not a UTC time"),
    (gwalert_bytes({"time": None}), "no event time"),
    (b"[]", "neither a VOEvent"),
    (b"", "neither a VOEvent"),
    (b"{" * 100_000, "not valid JSON"),
    (b'{"a":' * 100_000, "not valid JSON"),
    (b'{"a": "\xff"}', "not valid JSON"),
    (b"{}", "not an LVK"),
    (b'{"a": "' + b"x" * MAX_BYTES + b'"}', "bytes"),
    (gwalert_bytes()[:-5], "not valid JSON"),
]


@pytest.mark.parametrize(("content", "says"), BAD, ids=[f"{k}-{b[1]}" for k, b in enumerate(BAD)])
def test_bad_records_are_refused_in_one_sentence(content: bytes, says: str) -> None:
    with pytest.raises(LlamaError) as error:
        parse_alert(content, "alert.json")
    assert says in str(error.value)
    assert str(error.value).startswith("alert.json: ")
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


def test_probabilities_may_be_off_by_rounding() -> None:
    classes = {"BNS": 0.5, "Terrestrial": 0.4995}
    assert (
        parse_alert(gwalert_bytes({"classification": classes}), "alert").classification == classes
    )


def test_a_voevent_is_known_by_its_content() -> None:
    assert parse_alert(b"\n  " + voevent()[38:], "x.json").alert_type == "gcn"


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside),
    max_leaves=5,
)


@settings(max_examples=300)
@given(
    st.dictionaries(st.sampled_from(sorted(gwalert()["event"])), _JSON, max_size=3),
    st.dictionaries(st.sampled_from(sorted(gwalert())), _JSON, max_size=2),
)
def test_any_json_gives_an_alert_or_a_sentence(event: dict[str, Any], top: dict[str, Any]) -> None:
    content = json.dumps({**gwalert(event), **top}).encode()
    result = outcome(parse_alert, content, "alert.json")
    assert len(result) < 400 if isinstance(result, str) else result.graceid == "S240101ab"


@settings(max_examples=50)
@given(st.binary(min_size=1, max_size=300))
def test_the_map_arrives_byte_for_byte(content: bytes) -> None:
    record = gwalert_bytes({"skymap": base64.b64encode(content).decode()})
    assert parse_alert(record, "alert").skymap == content
