"""IceCube's notice in every form that the schema permits; what is of no use is named, not lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from gcn_samples import GPS, REVISED, WINDOW, archive_of, notice, voevent

from llama.neutrinos.event_list import make_list
from llama.neutrinos.gcn_notice import read_notice
from llama.times import gps_to_iso


@pytest.fixture
def archive(tmp_path: Path) -> Any:
    return archive_of(tmp_path)


def without(*keys: str, **changes: Any) -> dict[str, Any]:
    return {key: value for key, value in notice(**changes).items() if key not in keys}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (notice(ra_dec_error=[0.858386]), {}),
        (notice(ra_dec_error=[0.858386, None, None]), {}),
        (notice(ra_dec_error=[0.858386, 0.858386]), {}),
        (notice(ra_dec_error=1), {"sigma": 1 / 2.145966}),
        (without("nu_energy"), {"energy": None}),
        (notice(nu_energy=None), {"energy": None}),
        (notice(nu_energy=127), {"energy": 127_000.0}),
        (without("alert_tense"), {}),
        (notice(alert_tense=None), {}),
        (notice(alert_tense="archival"), {}),
        (without("alert_type"), {}),
        (notice(alert_type="update"), {}),
        (without("record_number"), {}),
        (notice(record_number=1.0), {}),
        (without("containment_probability"), {}),
        (notice(containment_probability=None), {}),
        (notice(containment_probability=0.5), {"sigma": 0.858386 / 1.17741}),
        (without("p_astro", "far"), {"p_astro": None}),
        (notice(p_astro=None, far=None), {"far_hz": None}),
        (notice(id="137840_57034692"), {}),
        (notice(id=["137840_57034692", "other"]), {}),
        (notice(id=["other"]), {"run": None, "id": "other"}),
        (without("id", event_name=["IceCube-230416A"]), {"id": "IceCube-230416A"}),
        (without("id"), {"run": None}),
        (without("alert_datetime"), {}),
        (notice(trigger_time="2023-04-16T07:22:26.150574+02:00"), {}),
        (notice(trigger_time="2023-04-16T02:52:26.150574-0230"), {}),
        (notice(trigger_time="2023-04-16 05:22:26.150574"), {}),
        (notice(trigger_time="2023-04-16t05:22:26.150574z"), {}),
        (notice(ra=-14.18), {}),
        (notice(ra=346, dec=9), {"ra": 346.0}),
        (without("pipeline"), {"stream": "track"}),
        (notice(healpix_file="A" * 1_400_000), {}),
    ],
)
def test_whatever_the_schema_permits_is_read(archive: Any, form: Any, expected: Any) -> None:
    found = archive(form, notice(id=["137841_1"], trigger_time=gps_to_iso(GPS + 9e4))).fetch(
        *WINDOW
    )
    (row,) = found.rows
    standard = {"ra": 345.82, "dec": 9.01, "sigma": 0.4, "energy": 127_290.0, "gps": GPS}
    for key, value in (standard | expected).items():
        if value is None or isinstance(value, str):
            assert row.get(key) == value
        elif not (key == "dec" and form["dec"] == 9):
            assert row[key] == pytest.approx(value, rel=1e-6)
    assert (found.complete, list(found.unusable)) == (True, [])


@pytest.mark.parametrize(
    "gone",
    [
        {"id": ["137840_57034692"], "alert_type": "retraction", "pipeline": "Gold Track Alert"},
        {"id": "137840_57034692", "alert_type": "Retraction", "$schema": notice()["$schema"]},
        without("ra", "dec", "ra_dec_error", "nu_energy", "p_astro", "far", "alert_tense")
        | {"alert_type": "retraction", "alert_datetime": "2023-04-16T09:00:00Z"},
        without("id", alert_type="retraction", alert_datetime="2023-04-16T09:00:00Z"),
    ],
)
def test_a_retraction_needs_no_more_than_id_and_type(archive: Any, gone: Any) -> None:
    for heard in ([notice(), gone], [gone, notice()]):
        found = archive(*heard).fetch(*WINDOW)
        assert (found.rows, list(found.unusable)) == ([], [])


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (without("ra_dec_error"), "ra_dec_error"),
        (notice(ra_dec_error=[]), "ra_dec_error"),
        (notice(ra_dec_error=0), "its ra_dec_error 0 is not a radius above 0"),
        (notice(containment_probability=1), "containment_probability"),
        (without("ra"), "has no ra"),
        (notice(ra="west"), "ra 'west' is not a finite number"),
        (notice(dec=95), "dec 95 is out of range"),
        (without("trigger_time"), "its trigger_time None is not a UTC time"),
        (notice(alert_tense="maybe"), "alert_tense 'maybe'"),
        (notice(alert_tense="\ud800\n"), r"alert_tense '\ud800\n'"),
        (notice(id="\ud800"), "no valid JSON"),
        (b'{"pipeline": "Gold Track Alert"', ""),
        (b"TITLE: GCN/AMON NOTICE\nTrack Alert", "neither JSON nor XML"),
        (voevent().replace(b"src_error_90", b"radius"), "src_error_90"),
        (voevent().replace(b"event_id", b"number"), "event_id"),
        (voevent()[:900] + b"ICECUBE_GOLD", ""),
        (b'{"$schema": "x/icecube/single_neutrino_alerts.schema.json", "id": ["1_', ""),
    ],
)
def test_what_cannot_be_used_is_named_and_the_list_not_complete(
    archive: Any, broken: Any, said: str
) -> None:
    later = notice(id=["137841_1"], trigger_time=gps_to_iso(GPS + 9e4))
    assert archive(later).fetch(*WINDOW).complete
    source = archive(broken)
    found = source.fetch(*WINDOW)
    (problem,) = found.unusable
    assert problem.startswith("notice replay-001.bin of IceCube cannot be used: ")
    assert said in problem
    assert (found.rows, found.complete) == ([], False)
    made = make_list("S230416a", GPS, now_gps=GPS + 9e5, sources=[source])
    assert (made["unusable"], made["complete"]) == ([problem], False)
    hidden = make_list("S230416a", GPS, now_gps=GPS + 9e5, sources=[source], blinded=True)
    assert hidden["complete"] is False
    assert "replay" not in str(hidden["unusable"])


def test_what_a_later_notice_puts_right_is_no_problem(archive: Any) -> None:
    later = notice(id=["137841_1"], trigger_time=gps_to_iso(GPS + 9e4))
    found = archive(notice(ra=None), REVISED, later).fetch(*WINDOW)
    assert ([row["ra"] for row in found.rows], found.complete) == ([345.0], True)
    found = archive(notice(nu_energy=-5, alert_datetime="2023-04-17T00:00:00Z")).fetch(*WINDOW)
    assert [row["energy"] for row in found.rows] == [None]  # not lost for a minor field
    assert "nu_energy -5 is taken as not known" in found.unusable[0]


JSON_TOPIC = "gcn.notices.icecube.gold_bronze_track_alerts"
CLASSIC_TOPIC = "gcn.classic.voevent.ICECUBE_ASTROTRACK_GOLD"


@pytest.mark.parametrize("pipeline", ["GOLD", "Gold alert", "HESE", ["Track"]])
def test_whatever_the_pipeline_is_called_a_topic_of_tracks_has_tracks(pipeline: object) -> None:
    content = json.dumps(notice(pipeline=pipeline)).encode()
    found = read_notice(content, f"{JSON_TOPIC}-0-000000001-0123456789abcdef.json")
    assert found is not None
    assert found.row is not None


@pytest.mark.parametrize(
    ("topic", "content", "said"),
    [
        (JSON_TOPIC, json.dumps(notice()).encode("utf-16"), "neither JSON nor XML"),
        (CLASSIC_TOPIC, voevent().decode().encode("utf-16"), "neither JSON nor XML"),
        (CLASSIC_TOPIC, voevent(packet="173.0"), "its Packet_Type '173.0' is not 173, 174 or 176"),
        (CLASSIC_TOPIC, voevent(packet=""), "its Packet_Type '' is not 173, 174 or 176"),
        (CLASSIC_TOPIC, voevent(role="observed"), "its role 'observed' is not known"),
    ],
)
def test_what_cannot_be_told_on_a_topic_of_tracks_is_named(
    topic: str, content: bytes, said: str
) -> None:
    found = read_notice(content, f"{topic}-0-000000001-0123456789abcdef.bin")
    assert found is not None
    assert said in str(found.problem)
    assert read_notice(b"", f"{topic}-0-000000001-0123456789abcdef.bin") is None
    cascades = topic.replace("ASTROTRACK_GOLD", "CASCADE")  # whose notices nobody asked for
    if cascades != topic:
        assert read_notice(content, f"{cascades}-0-000000001-0123456789abcdef.bin") is None


@pytest.mark.parametrize(
    ("gone", "rows"),
    [
        (notice(alert_type=["retraction"], alert_datetime="2023-04-16T09:00:00Z"), 0),
        (voevent(date="2023-04-16T10:00:00", retraction="True"), 0),
        (voevent(date="2023-04-16T10:00:00", retraction="1"), 0),
        (voevent(date="2023-04-16T10:00:00", test="True", retraction="true"), 1),
        (voevent(date="2023-04-16T10:00:00", role="TEST", retraction="true"), 1),
        (voevent(date="2023-04-16T10:00:00", role="Observation", retraction="true"), 0),
    ],
)
def test_a_retraction_is_understood_however_it_is_spelled(
    archive: Any, gone: Any, rows: int
) -> None:
    found = archive(notice(), gone).fetch(*WINDOW)
    assert (len(found.rows), list(found.unusable)) == (rows, [])


def test_an_unknown_type_of_alert_is_named_and_loses_nothing(archive: Any) -> None:
    found = archive(notice(alert_type="withdrawn")).fetch(*WINDOW)
    assert [row["ra"] for row in found.rows] == [345.82]
    assert "alert_type 'withdrawn' is taken as an alert" in found.unusable[0]


def test_other_notices_of_icecube_are_left_aside(archive: Any) -> None:
    search = {"mission": "IceCube", "pipeline": "LVK neutrino track search", "ref_ID": "S1"}
    cascade = notice(pipeline="Cascade Alert", ra=None)
    found = archive(search, cascade, b'{"superevent_id": "S1", "with": "IceCube"').fetch(*WINDOW)
    assert (found.rows, list(found.unusable)) == ([], [])
