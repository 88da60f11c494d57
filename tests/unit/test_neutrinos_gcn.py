"""Gold and bronze alerts in the archive of notices: what counts, and what supersedes what."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama.neutrinos import gcn_notice
from llama.neutrinos.gcn import GcnSource
from llama.neutrinos.lists import make_list
from llama.times import gps_to_iso, iso_to_gps

TRIGGER = "2023-04-16T05:22:26.150574Z"
GPS = iso_to_gps(TRIGGER)
WINDOW = (GPS - 400.0, GPS + 600.0)


def notice(**changes: Any) -> dict[str, Any]:
    """A notice in the form of GCN's own example."""
    return {
        "$schema": "https://gcn.nasa.gov/schema/main/gcn/notices/icecube/"
        "single_neutrino_alerts.schema.json",
        "mission": "IceCube",
        "pipeline": "Bronze Track Alert",
        "record_number": 0,
        "id": ["137840_57034692"],
        "alert_datetime": "2023-04-16T05:23:00.0Z",
        "alert_type": "initial",
        "alert_tense": "current",
        "ra": 345.82,
        "dec": 9.01,
        "ra_dec_error": 0.858386,
        "containment_probability": 0.9,
        "trigger_time": TRIGGER,
        "nu_energy": 127.29,
        "p_astro": 0.34064,
        "far": 8.029e-8,
        **changes,
    }


REVISED = notice(record_number=1, alert_datetime="2023-04-16T07:00:00Z", ra=345.0, dec=9.5)
RETRACTED = notice(
    alert_type="retraction", alert_datetime="2023-04-16T09:00:00Z", ra=None, ra_dec_error=None
)


def voevent(**changes: str) -> bytes:
    """A classic notice of the same event, in AMON's form."""
    values = {
        "role": "observation",
        "packet": "173",
        "retraction": "false",
        "test": "false",
        "date": "2023-04-16T05:23:10",
        "rev": "0",
    } | changes
    return f"""<?xml version = '1.0' encoding = 'UTF-8'?>
<voe:VOEvent ivorn="ivo://nasa.gsfc.gcn/AMON#ICECUBE_GOLD_Event" role="{values["role"]}"
  version="1.1" xmlns:voe="http://www.ivoa.net/xml/VOEvent/v1.1">
  <Who><Date>{values["date"]}</Date></Who>
  <What>
    <Param name="Packet_Type" value="{values["packet"]}"/>
    <Param name="run_id" value="137840"/>
    <Param name="event_id" value="57034692"/>
    <Param name="Rev" value="{values["rev"]}"/>
    <Param name="signalness" value="0.5"/>
    <Param name="FAR" value="2.0" unit="yr^-1"/>
    <Param name="energy" value="150.0" unit="TeV"/>
    <Param name="src_error_90" value="1.0" unit="deg"/>
    <Group name="Trigger_ID">
      <Param name="Test" value="{values["test"]}"/>
      <Param name="Retraction" value="{values["retraction"]}"/>
      <Param name="InternalTest" value="false"/>
    </Group>
  </What>
  <WhereWhen><ObsDataLocation><ObservationLocation><AstroCoords>
    <Time><TimeInstant><ISOTime>{TRIGGER[:22]}</ISOTime></TimeInstant></Time>
    <Position2D><Value2><C1>346.1</C1><C2>9.2</C2></Value2></Position2D>
  </AstroCoords></ObservationLocation></ObsDataLocation></WhereWhen>
</voe:VOEvent>""".encode()


@pytest.fixture
def archive(tmp_path: Path) -> Any:
    (tmp_path / "gcn/2023-04/16").mkdir(parents=True)

    def put(*contents: Any, day: str = "2023-04/16") -> GcnSource:
        directory = tmp_path / "gcn" / day
        directory.mkdir(parents=True, exist_ok=True)
        for content in contents:
            number = len(list(directory.iterdir()))
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            # the name says nothing, as that of a replayed record
            (directory / f"replay-{number:03d}.bin").write_bytes(raw)
        return GcnSource("gcn", {}, tmp_path)

    return put


def test_a_notice_becomes_a_neutrino(archive: Any) -> None:
    found = archive(notice()).fetch(*WINDOW)
    (row,) = found.rows
    assert row["sigma"] == pytest.approx(0.858386 / 2.145966, rel=1e-6)
    assert row["energy"] == pytest.approx(127290.0)
    assert (row["ra"], row["dec"], row["run"], row["event"]) == (345.82, 9.01, 137840, 57034692)
    assert row["gps"] == GPS
    assert (row["type"], row["stream"], row["far_hz"]) == ("alert", "bronze", 8.029e-8)
    assert found.covers
    assert not found.complete


def test_a_classic_notice_becomes_a_neutrino(archive: Any) -> None:
    (row,) = archive(voevent()).fetch(*WINDOW).rows
    assert row["sigma"] == pytest.approx(1.0 / 2.145966, rel=1e-6)
    assert (row["energy"], row["ra"], row["stream"]) == (150_000.0, 346.1, "gold")
    assert row["far_hz"] == pytest.approx(2.0 / 31557600.0)
    assert row["gps"] == pytest.approx(GPS, abs=0.01)


@pytest.mark.parametrize(
    ("heard", "ra"),
    [
        ([notice(), REVISED], 345.0),
        ([REVISED, notice()], 345.0),
        ([notice(), notice()], 345.82),
        ([notice(), RETRACTED], None),
        ([RETRACTED, notice(), REVISED], None),
        ([notice(), voevent()], 346.1),
        ([notice(), voevent(), REVISED], 345.0),
        ([notice(), voevent(date="2023-04-16T10:00:00", retraction="true")], None),
        ([notice(), voevent(date="2023-04-16T10:00:00", rev="1")], 346.1),
        ([notice(id="137840_57034692_2"), REVISED], 345.0),
        # what is no alert of ours, or broken, takes nothing away
        ([notice(), notice(alert_tense="test", ra=1.0, record_number=5)], 345.82),
        ([notice(), notice(pipeline="Cascade Alert", record_number=5)], 345.82),
        ([notice(), voevent(date="2023-04-16T10:00:00", role="test")], 345.82),
        ([notice(), voevent(date="2023-04-16T10:00:00", test="true")], 345.82),
        ([notice(), voevent(date="2023-04-16T10:00:00", packet="176")], 345.82),
        (
            [notice(), b'{"pipeline": "Gold Track Alert"', b"", b"AMON<", b"\xff Track Alert"],
            345.82,
        ),
        ([notice(), notice(ra="west", record_number=5)], 345.82),
        ([notice(), notice(ra=float("nan"), record_number=5)], 345.82),
        ([notice(), notice(ra_dec_error=-1, record_number=5)], 345.82),
        ([notice(), notice(id=[], record_number=5)], 345.82),
        ([notice(), b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + voevent()], 345.82),
        ([notice(), b" " * 300_000 + json.dumps(REVISED).encode()], 345.0),
    ],
)
def test_the_newest_notice_counts(archive: Any, heard: list[Any], ra: float | None) -> None:
    rows = archive(*heard).fetch(*WINDOW).rows
    assert [row["ra"] for row in rows] == ([] if ra is None else [ra])


def test_an_ellipse_is_circularised(archive: Any) -> None:
    (row,) = archive(notice(ra_dec_error=[4.0, 1.0, 30.0])).fetch(*WINDOW).rows
    assert row["sigma"] == pytest.approx(2.0 / 2.145966, rel=1e-6)


def test_a_revision_days_later_counts_and_outside_the_window_nothing(archive: Any) -> None:
    source = archive(notice())
    before = source.state(*WINDOW)
    source = archive(REVISED, day="2023-04/22")
    assert source.state(*WINDOW) != before
    assert [row["ra"] for row in source.fetch(*WINDOW).rows] == [345.0]
    assert source.fetch(GPS + 1, GPS + 1001).rows == []


def test_complete_when_a_later_alert_has_been_heard(archive: Any) -> None:
    source = archive(notice())
    state = source.state(*WINDOW)
    later = notice(id=["137841_1"], trigger_time=gps_to_iso(GPS + 9e4))
    source = archive(later, day="2023-04/17")
    found = source.fetch(*WINDOW)
    assert (len(found.rows), found.complete) == (1, True)
    assert source.state(*WINDOW) != state


def test_nobody_listened(archive: Any) -> None:
    found = archive(notice()).fetch(GPS - 9e6, GPS - 9e6 + 1000)
    assert (found.rows, found.covers, found.complete) == ([], False, False)


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from(sorted(notice())),
        st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.lists(st.floats()),
        max_size=3,
    )
)
def test_any_notice_is_a_neutrino_or_nothing(changes: dict[str, Any]) -> None:
    made = gcn_notice.read_notice(json.dumps(notice(**changes)).encode(), "x")
    if made and made.row:
        assert made.row["sigma"] >= 0.2
        assert 0 <= made.row["ra"] <= 360
        json.dumps(made.row, allow_nan=False)


def test_the_real_notices(shared_data: Path, archive: Any) -> None:
    example = "schemas/gcn-schema_single_neutrino_alerts.gold_bronze_track_alerts.example.json"
    source = archive((shared_data / example).read_bytes())
    (row,) = source.fetch(*WINDOW).rows
    assert (row["run"], row["event"]) == (137840, 57034692)
    voevents = shared_data / "alerts/voevent"
    others = [path.read_bytes() for path in (shared_data / "alerts").glob("*/*")]
    source = archive(*others, day="2019-08/01")
    gps = iso_to_gps("2019-07-30T20:50:41.31")
    (row,) = source.fetch(gps - 500, gps + 500).rows
    assert (row["run"], row["event"], row["stream"]) == (132910, 57145925, "gold")
    assert row["sigma"] == pytest.approx(1.1850 / 2.145966, rel=1e-5)
    assert row["energy"] == pytest.approx(298813.4)
    assert list(voevents.glob("*BRONZE*"))


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
        (b'{"pipeline": "Gold Track Alert"', ""),
        (b"TITLE: GCN/AMON NOTICE\nTrack Alert", "neither JSON nor XML"),
        (voevent().replace(b"src_error_90", b"radius"), "src_error_90"),
        (voevent().replace(b"event_id", b"number"), "event_id"),
        (voevent()[:900] + b"ICECUBE_GOLD", ""),
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


def test_other_notices_of_icecube_are_left_aside(archive: Any) -> None:
    search = {"mission": "IceCube", "pipeline": "LVK neutrino track search", "ref_ID": "S1"}
    cascade = notice(pipeline="Cascade Alert", ra=None)
    found = archive(search, cascade, b'{"superevent_id": "S1", "with": "IceCube"').fetch(*WINDOW)
    assert (found.rows, list(found.unusable)) == ([], [])
