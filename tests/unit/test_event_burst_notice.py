"""Notices of bursts: what each instrument's say, what is refused, what is nobody's."""

import json
import math
from pathlib import Path
from typing import Any, get_args

import pytest
from burst_samples import GPS, TOPICS, classic, gbm, guano, raw, svom, wxt

from llama.event.burst_notice import instrument_of, read_burst
from llama.settings.search import InstrumentName
from llama.times import iso_to_gps
from llama.topics import INSTRUMENTS, brought_by


def read(notice: Any, instrument: str = "fermi_gbm") -> Any:
    return read_burst(raw(notice), "x", TOPICS.get(instrument, instrument))


def test_every_instrument_has_a_setting_and_a_topic() -> None:
    assert get_args(InstrumentName) == (*INSTRUMENTS,) == (*TOPICS,)
    for instrument, topic in TOPICS.items():
        assert brought_by(topic) == (instrument,)
    assert brought_by("gcn.notices.svom.voevent.mxt") == brought_by("xigwn.gwalert") == ()


@pytest.mark.parametrize(
    ("notice", "instrument", "ids", "time", "sigma"),
    [
        # 68 % of a 2D Gaussian, and 3.7 deg that it does not include
        (
            *(gbm(), "fermi_gbm", ("123", "bn261120417"), 2.25),
            math.hypot(3.0, 3.7) / math.sqrt(-2 * math.log(0.32)),
        ),
        (gbm(systematic_included=True), "fermi_gbm", ("123", "bn261120417"), 2.25, 1.98727),
        (gbm(ra_dec_error=[4.0, 1.0], systematic_included=True), "fermi_gbm", None, 2.25, 1.32485),
        (gbm(containment_probability=0.95), "fermi_gbm", None, 2.25, 2.74036),
        (guano(), "swift_guano", ("888",), 3.0, 0.5 / 2.145966),
        # flight software's error has its systematic one in it, those from the ground have not
        (classic(), "fermi_gbm", ("123",), 2.25, 3.0 / 1.50959),
        (classic("112"), "fermi_gbm", ("123",), 2.25, math.hypot(3.0, 3.7) / 1.50959),
        (classic("115"), "fermi_gbm", ("123",), 2.25, math.hypot(3.0, 3.7) / 1.50959),
        (classic("61", radius="0.05"), "swift_bat", ("123",), 2.25, 0.05 / 2.145966),
        (wxt(), "einstein_probe_wxt", ("017",), 2.25, 0.05 / 2.145966),
        (svom(), "svom", ("sb26112001",), 2.25, 0.15 / 2.145966),
        (
            guano(instrument="ECLAIRs", mission="SVOM", **{"$schema": "svom/trigger.schema.json"}),
            *("svom", ("888",), 3.0, 0.5 / 2.145966),
        ),
        # an offset from UTC
        (guano(trigger_time="2026-11-20T12:00:04+02:00"), "swift_guano", None, 3.0, 0.232995),
    ],
)
def test_a_notice_becomes_a_burst(
    notice: Any, instrument: str, ids: Any, time: float, sigma: float
) -> None:
    found = read(notice, instrument)
    assert (found.instrument, found.problem, found.retracted) == (instrument, None, False)
    assert ids is None or found.ids == ids
    assert found.gps == pytest.approx(GPS + time, abs=1e-6)
    assert found.place[2] == pytest.approx(sigma, rel=1e-4)
    assert read(notice, "replay") == found  # by what it says
    assert instrument_of(raw(notice)) == instrument


@pytest.mark.parametrize(
    ("notice", "problem"),
    [
        (gbm(trigger_time="MJD 61000"), "its trigger_time 'MJD 61000' is not a UTC time"),
        (gbm(ra=400), "its ra 400 is not from 0 to 360 deg"),
        (gbm(dec="north"), "its dec 'north' is not from -90 to 90 deg"),
        (gbm(ra_dec_error=0), "its ra_dec_error 0 is not a radius above 0"),
        (gbm(ra_dec_error=None), "its ra_dec_error None is not a radius above 0"),
        (gbm(containment_probability=68), "its containment_probability is not between 0 and 1"),
        (gbm(ra_dec_error=1e9), "is not from 0.0001 to 180 deg"),
        (gbm(alert_tense="soon"), "its alert_tense 'soon' is not known"),
        (gbm(alert_type="retraction", id=[]), "it does not say which trigger it retracts"),
        (classic(radius="0.0000"), "its ra_dec_error 0.0 is not a radius above 0"),
        (classic("112", ra="nan"), "its ra nan is not from 0 to 360 deg"),
        (classic(time="noon"), "it has no UTC time"),
        (b"{", "Expecting property name"),
        (b"GRB 261120A", "it is neither JSON nor XML"),
        (b"<a/>", "not a VOEvent"),
    ],
)
def test_what_cannot_be_used_says_why(notice: Any, problem: str) -> None:
    found = read(notice)
    assert found.place is None
    assert problem in found.problem
    assert "\n" not in found.problem


def test_what_is_no_burst_or_has_no_position() -> None:
    for notice in (gbm(classification={"GRB": 0.1}), guano(star_tracker_locked=False)):
        instrument = "fermi_gbm" if "GBM" in notice.values() else "swift_guano"
        assert read(notice, instrument).other
    # GBM names its two most probable classes, which may lack this one
    assert read(gbm(classification={"SOLAR_FLARE": 0.97, "CYG_X1": 0.02})).other
    for number in ("1", "2", "3", "8", "19"):  # no location, particles, horizon, flare, TGF
        assert read(classic(**{"class": number})).other
    assert read(classic("115", "Def_NOT_a_GRB")).other
    for flag in ("Def_NOT_a_GRB", "Target_in_Gnd_Catalog", "StarTrack_Lost_Lock"):
        assert read(classic("61", flag), "swift_bat").other
    assert read(classic("112", cite="retraction")).retracted
    assert read(svom("201"), "svom").place is None
    assert "position is in 'rad', not in deg" in read(svom(unit="rad"), "svom").problem
    bare = read(gbm(ra=None, dec=None))
    assert (bare.place, bare.problem, bare.retracted) == (None, None, False)
    assert read(svom("219"), "svom").retracted


@pytest.mark.parametrize(
    ("notice", "topic"),
    [
        (gbm(alert_tense="test"), "fermi_gbm"),
        (gbm(alert_tense="mock"), "fermi_gbm"),
        (gbm(reliability="LOW"), "fermi_gbm"),  # below the threshold: another rate
        (svom(role="test"), "svom"),
        (classic(role="test"), "fermi_gbm"),
        (classic("112", "Test_Submission"), "fermi_gbm"),
        (classic("110"), "fermi_gbm"),  # has no position
        (classic("131"), "gcn.classic.voevent.FERMI_GBM_SUBTHRESH"),
        (classic("61"), "fermi_gbm"),
        (svom("203"), "svom"),  # a known source
        (svom("209"), "svom"),  # of MXT
        # who sent it must publish there
        (gbm(), "swift_guano"),
        (guano(), "gcn.notices.icecube.lvk_nu_track_search"),
        (gbm(instrument="LAT"), "fermi_gbm"),
        (b'{"instrument": "GBM", "mission": ["x"]', "replay"),
        (b"", "fermi_gbm"),
    ],
)
def test_what_is_nobodys(notice: Any, topic: str) -> None:
    assert read(notice, topic) is None


def test_the_published_examples(shared_data: Path) -> None:
    directory = shared_data / "notices"
    fermi = read((directory / "fermi_gbm_trigger.final.example.json").read_bytes())
    assert (fermi.ids, fermi.place[:2]) == (("745121685", "bn240812094"), (29.24, -63.62))
    assert fermi.gps == iso_to_gps("2024-08-24T02:14:40.43Z")
    assert fermi.place[2] == pytest.approx(math.hypot(1, 3.7) / 1.50959, rel=1e-5)
    content = (directory / "einstein_probe_wxt_alert.example.json").read_bytes()
    probe = read(content, "einstein_probe_wxt")
    assert probe.place == (120.0, 40.0, pytest.approx(0.02 / 2.145966, rel=1e-6))
    assert probe.ids == (json.loads(content)["id"][0],)
