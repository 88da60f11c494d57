"""KM3NeT's alerts in the archive of notices: GeV, cos zenith 1 is up-going, several events."""

import json
from pathlib import Path
from typing import Any

import pytest
from gcn_samples import GPS, TRIGGER, WINDOW, archive_of, notice
from gcn_samples import km3net_alert as alert

from llama.errors import LlamaError
from llama.neutrinos.gcn import GcnSource
from llama.neutrinos.km3net_notice import read_km3net
from llama.times import gps_to_iso


def of_event(**changes: Any) -> dict[str, Any]:
    return alert(event_details=[alert()["event_details"][0] | changes])


@pytest.fixture
def archive(tmp_path: Path) -> Any:
    return archive_of(tmp_path, alerts=["icecube", "arca"])


def test_an_alert_becomes_a_neutrino_beside_icecubes(archive: Any, tmp_path: Path) -> None:
    source = archive(notice(), alert())
    of_icecube, row = source.fetch(*WINDOW).rows
    assert row["sigma"] == pytest.approx(0.9 / 2.145966, rel=1e-6)
    assert (row["ra"], row["dec"], row["gps"]) == (10.82, 20.01, pytest.approx(GPS, abs=1e-6))
    assert (row["energy"], of_icecube["energy"]) == (120000.0, pytest.approx(127290.0))
    assert (row["instrument"], row["stream"]) == ("arca", "arca_HE")
    assert row["id"] == "KM3NeT KM3-230416A"
    assert row["zenith_at_site"] == pytest.approx(120.0)  # it goes up, from a source below
    assert (row["type"], row["far_hz"]) == ("alert", 8e-8)
    for names, rows in ((["orca"], []), (["icecube"], [of_icecube]), (["orca", "arca"], [row])):
        assert GcnSource("gcn", {"alerts": names}, tmp_path).fetch(*WINDOW).rows == rows
    assert GcnSource("gcn", {}, tmp_path).fetch(*WINDOW).rows == [of_icecube]
    with pytest.raises(LlamaError, match=r"neutrinos\.source\.gcn\.alerts.* is wrong"):
        GcnSource("gcn", {"alerts": ["antares"]}, tmp_path)
    # KM3NeT's alerts are too rare to tell that no more of IceCube's come
    later = {"trigger_time": gps_to_iso(GPS + 9e4)}
    assert not archive(alert(event_name="KM3-230417A", **later)).fetch(*WINDOW).complete
    assert archive(notice(id=["1_2"], **later)).fetch(*WINDOW).complete


@pytest.mark.parametrize(
    ("later", "ra"),
    [
        ({"ra": 11.0, "record_number": 2}, 11.0),
        ({"alert_type": "retraction", "ra": None, "alert_datetime": "2023-04-16T06:00:00Z"}, None),
        ({"alert_type": "retraction", "alert_datetime": None, "event_details": []}, None),
        ({"alert_tense": "test", "ra": 11.0, "record_number": 2}, 10.82),
        ({"ra": "west", "record_number": 2}, 10.82),
    ],
)
def test_the_newest_notice_counts(archive: Any, later: dict[str, Any], ra: float | None) -> None:
    for order in ([alert(), alert(**later)], [alert(**later), alert()]):
        rows = archive(*order).fetch(*WINDOW).rows
        assert [row["ra"] for row in rows] == ([] if ra is None else [ra])


def test_each_event_of_a_multiplet_is_a_neutrino(archive: Any) -> None:
    first = {"id": "a", "trigger_time": TRIGGER, "ra": 10.0, "dec": 1.0, "ra_dec_error": 1.0}
    other = first | {"id": "b", "ra": 11.0, "trigger_time": gps_to_iso(GPS + 9000)}
    third = first | {"id": "c", "trigger_time": gps_to_iso(GPS + 20), "energy_measured": 50}
    many = alert(number_of_events=3, event_details=[first, other, third])
    rows = archive(many).fetch(*WINDOW).rows  # the second is outside of the window
    assert [(row["id"], row["energy"]) for row in rows] == [("a", None), ("c", 50.0)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (alert(trigger_time="soon"), "its trigger_time 'soon' is not a UTC time"),
        (alert(ra_dec_error=None, src_error_50=None), "its ra_dec_error None is not a radius"),
        (alert(containment_probability=90), "containment_probability is not between 0 and 1"),
        (of_event(energy_units="TeV"), "it states energies in 'TeV', its schema in GeV"),
        (of_event(energy_measured="high"), "its energy_measured 'high' is not above 0 GeV"),
        (of_event(cos_zenith=2), "its cos_zenith 2 is not from -1 to 1"),
        (alert(number_of_events=2), "it is of several events and does not tell each"),
        (alert(event_details=3), "its event_details are no list of events"),
        (alert(instrument="ANTARES"), "its instrument 'ANTARES' is not ARCA or ORCA"),
        (alert(alert_tense="never"), "its alert_tense 'never' is not known"),
        (alert(alert_type="retraction", id="", event_name="", trigger_time=None), "which alert"),
    ],
)
def test_what_cannot_be_used_says_why(content: Any, problem: str) -> None:
    found = read_km3net(json.dumps(content).encode(), "x")
    assert found is not None
    assert found.row is None
    assert problem in str(found.problem)
    assert "of KM3NeT cannot be used" in str(found.problem)


def test_icecubes_energies_in_another_unit_are_refused(archive: Any) -> None:
    found = archive(notice(nu_energy_unit="GeV")).fetch(*WINDOW)
    assert found.rows == []
    assert "it states energies in 'GeV', its schema in TeV" in found.unusable[0]


def test_the_published_example(shared_data: Path) -> None:
    content = (shared_data / "notices/km3net_alert.example.json").read_bytes()
    found = read_km3net(content, "x")
    assert found is not None
    assert found.row is not None
    assert (found.key, found.row["energy"]) == ("KM3NeT KM3-240901A", 120000)
    # its radius of 50 % is that of 90 %
    assert found.row["sigma"] == pytest.approx(0.49 / 1.1774, rel=0.01)
