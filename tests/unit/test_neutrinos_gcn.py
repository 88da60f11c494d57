"""Gold and bronze alerts in the archive of notices: what counts, and what supersedes what."""

import json
from pathlib import Path
from typing import Any

import pytest
from gcn_samples import GPS, RETRACTED, REVISED, WINDOW, archive_of, notice, voevent
from hypothesis import given, settings
from hypothesis import strategies as st

from llama.neutrinos import gcn_notice
from llama.neutrinos.gcn import GcnSource
from llama.times import gps_to_iso, iso_to_gps


@pytest.fixture
def archive(tmp_path: Path) -> Any:
    return archive_of(tmp_path)


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


def test_a_notice_brings_its_map(archive: Any) -> None:
    url = "https://roc.icecube.wisc.edu/public/run00140078.probability.fits.gz"
    source = archive(notice(healpix_url=url), notice(id=["1_2"], healpix_url="http://a.b/c.fits"))
    with_map, without = source.fetch(*WINDOW).rows
    assert (with_map["map"], "map" in without) == (url, False)
    assert "is not an HTTPS address: not used" in source.fetch(*WINDOW).unusable[0]


def test_cascades_count_where_they_are_wanted(archive: Any, tmp_path: Path) -> None:
    source = archive(notice(pipeline="Cascade Alert", ra_dec_error=12.0))
    assert source.fetch(*WINDOW).rows == []
    wanted = GcnSource("gcn", {"cascades": True}, tmp_path)
    (row,) = wanted.fetch(*WINDOW).rows
    assert row["stream"] == "cascade"


def test_a_classic_cascade_brings_its_map(archive: Any, tmp_path: Path) -> None:
    url = "https://roc.icecube.wisc.edu/public/hese_cascades/hese_60050.fits"
    source = archive(voevent(packet="176", map=url))
    assert source.fetch(*WINDOW).rows == []
    wanted = GcnSource("gcn", {"cascades": True}, tmp_path)
    (row,) = wanted.fetch(*WINDOW).rows
    assert (row["stream"], row["map"], row["run"], row["energy"]) == ("cascade", url, 137840, 1.5e5)
    archive(voevent(packet="176", map="http://a.b/c.fits", rev="1", date="2023-04-16T06:00:00"))
    assert "skymap_fits 'http://a.b/c.fits' is not an HTTPS" in wanted.fetch(*WINDOW).unusable[0]
    archive(voevent(packet="176", retraction="true", date="2023-04-16T07:00:00"))
    assert wanted.fetch(*WINDOW).rows == []


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
        assert made.row["sigma"] > 0
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
