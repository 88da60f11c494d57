"""Bursts of an event from the archive of notices: what counts, what supersedes what, once each."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from burst_samples import GPS, GRB, TOPICS, bursts_of, classic, gbm, guano, hear, svom, wxt
from stats_samples import parameters

from llama.errors import LlamaError
from llama.event.bursts import Bursts, grb_model, marks_of, read_bursts
from llama.event.bursts import bursts_of as checked
from llama.event.heard_bursts import heard_bursts
from llama.event.names import HEARD_NAME

LATER = {"alert_datetime": "2026-11-20T11:00:00", "record_number": 7}
RETRACTED = {"alert_type": "retraction", "ra": None, "dec": None}


def heard(output: Path, *notices: Any) -> list[tuple[str, float]]:
    hear(output, *notices)
    found = bursts_of(output)
    assert found is not None
    return [(row["graceid"], row["ra"]) for row in found["events"]]


@pytest.mark.parametrize(
    ("notices", "ra"),
    [
        ([gbm(), gbm(ra=50.0, **LATER)], 50.0),
        ([gbm(ra=50.0, **LATER), gbm()], 50.0),
        ([gbm(ra=50.0, record_number=9), gbm()], 50.0),  # of the same time
        ([gbm(), gbm(**LATER, **RETRACTED)], None),
        ([gbm(**RETRACTED), gbm(**LATER)], None),  # before its notice, and as new as can be
        ([gbm(id="123", **RETRACTED), gbm()], None),  # one of its names is enough
        ([gbm(), gbm(**(LATER | {"ra": None, "dec": None}))], 40.0),  # no new position
        ([gbm(), gbm(ra=400.0, **LATER)], 40.0),
        ([gbm(), gbm(classification={"GRB": 0.01}, **LATER)], None),
        ([gbm(), gbm(alert_tense="test", **(LATER | RETRACTED))], 40.0),
        ([gbm(), gbm(id=["999"], **RETRACTED)], 40.0),  # of another trigger
        # flight < ground < final, whenever they came
        ([classic("112", ra="50"), classic(date="2026-11-20T10:05:00")], 50.0),
        ([classic("115", ra="60"), classic("112", date="2026-11-20T10:40:00")], 60.0),
        ([classic("115", ra="60"), gbm(**LATER)], 60.0),
        ([classic("115"), classic("115", ra="60", date="2026-11-20T13:40:45")], 60.0),
        # flight software changes its mind: trigger 798077410, and 798474165
        ([classic(**{"class": "3"}), classic(ra="50", date="2026-11-20T10:01:00")], 50.0),
        ([classic("112"), classic(**{"class": "3"}, date="2026-11-20T10:01:00")], None),
        ([classic(**{"class": "3"}, date="2026-11-20T10:01:00"), classic("115", ra="60")], 60.0),
        ([classic("112"), classic("115", "Def_NOT_a_GRB")], None),
    ],
)
def test_the_newest_notice_counts_and_a_retraction_ends_it(
    tmp_path: Path, notices: list[Any], ra: float | None
) -> None:
    found = heard(tmp_path, *(("fermi_gbm", notice) for notice in notices))
    assert found == ([] if ra is None else [("fermi_gbm:123", ra)])


def test_a_burst_that_several_saw_counts_once_where_it_is_known_best(tmp_path: Path) -> None:
    hear(tmp_path, ("fermi_gbm", gbm()), ("swift_guano", guano()), ("svom", svom()))
    hear(tmp_path, ("einstein_probe_wxt", wxt()))  # who is not asked for does not count
    found = bursts_of(tmp_path)
    assert found is not None
    (row,) = found["events"]
    assert (row["graceid"], row["also"]) == (
        "svom:sb26112001",
        ["swift_guano:888", "fermi_gbm:123"],
    )
    assert found["instruments"] == sorted(GRB["instruments"])
    # another place, or another time, is another burst
    early = gbm(id=["6"], trigger_time="2026-11-20T09:00:00")
    names = [
        name
        for name, _ in heard(tmp_path, ("fermi_gbm", gbm(id=["5"], ra=140.0)), ("fermi_gbm", early))
    ]
    assert names == ["fermi_gbm:6", "fermi_gbm:5", "svom:sb26112001"]


def test_of_the_week_before_for_the_errors_and_nothing_after(tmp_path: Path) -> None:
    early = gbm(id=["1"], trigger_time="2026-11-15T10:00:00", alert_datetime="2026-11-15T10:01:00")
    late = gbm(id=["2"], trigger_time="2026-11-20T11:00:00", alert_datetime="2026-11-20T11:01:00")
    hear(tmp_path, ("fermi_gbm", early), gps=GPS - 5 * 86400)
    assert heard(tmp_path, ("fermi_gbm", late)) == [("fermi_gbm:1", 40.0)]
    # a revision days later counts
    hear(tmp_path, ("fermi_gbm", gbm()), gps=GPS + 2 * 86400)
    assert heard(tmp_path) == [("fermi_gbm:1", 40.0), ("fermi_gbm:123", 40.0)]


def test_what_cannot_be_used_is_named_where_it_matters(tmp_path: Path) -> None:
    hear(tmp_path, ("fermi_gbm", gbm(ra="x")), ("swift_guano", guano(ra=None, dec=None)))
    hear(tmp_path, ("fermi_gbm", gbm(id=["7"], ra="x", trigger_time="2026-11-20T09:00:00")))
    found = bursts_of(tmp_path)
    assert found is not None
    assert found["events"] == []
    first, second = found["unusable"]
    assert "of Fermi GBM cannot be used: its ra 'x' is not from 0 to 360 deg" in first
    assert second == "trigger 888 of Swift BAT-GUANO has no position yet"


def test_nobody_listened(tmp_path: Path) -> None:
    assert bursts_of(tmp_path) is None
    hear(tmp_path, ("igwn.gwalert", b"{}"))
    assert bursts_of(tmp_path) == {
        "instruments": sorted(GRB["instruments"]),
        "events": [],
        "unusable": [],
    }
    assert bursts_of(tmp_path, GRB | {"instruments": {}}) is None
    assert bursts_of(tmp_path, gps=GPS + 86400) is None


def listed(tmp_path: Path) -> Bursts:
    hear(tmp_path, ("fermi_gbm", gbm()), ("swift_guano", guano(ra=200.0)))
    path = tmp_path / HEARD_NAME
    path.write_text(json.dumps(bursts_of(tmp_path)))
    return read_bursts(path, GRB)


def test_each_instrument_has_its_efficiency_and_rate(tmp_path: Path) -> None:
    bursts = listed(tmp_path)
    assert (bursts.model.efficiency, bursts.model.rate_hz) == pytest.approx((0.6, 1.25e-5))
    assert bursts.sigma_deg == {
        "fermi_gbm": [pytest.approx(3.155, abs=0.01)],
        "svom": [],
        "swift_guano": [pytest.approx(0.233, abs=0.001)],
    }
    messenger = bursts.messenger(GPS, parameters(), 21)
    # efficiency times signal over background is that of each instrument alone
    of_each = bursts.model.efficiency * messenger.intensity[:, 0, 0] / (4 * np.pi)
    np.testing.assert_allclose(of_each, [0.4 / 7.5e-6, 0.1 / 1e-6])
    marks = marks_of(GRB, bursts.sigma_deg)
    np.testing.assert_allclose(marks.share, [0.6, 0.32, 0.08])
    np.testing.assert_allclose(marks.gain * 0.6 / 1.25e-5, [0.4 / 7.5e-6, 0.1 / 4e-6, 0.1 / 1e-6])
    assert grb_model(GRB, bursts.sigma_deg) == bursts.model


def test_a_list_of_others_is_refused(tmp_path: Path) -> None:
    path, row = tmp_path / HEARD_NAME, {"gps_time": GPS, "ra": 1, "dec": 1, "sigma": 1}
    for content, what in (
        ([], "names no instruments"),
        ({"events": [], "instruments": ["swift_bat"]}, "or some that do not count"),
        ({"events": [row], "instruments": ["svom"]}, "row 1 is of none of the instruments"),
    ):
        with pytest.raises(LlamaError, match=f"{what}.*run snakemake once more"):
            checked(content, GRB, path)


def test_topics_that_are_not_heard_make_no_list(tmp_path: Path) -> None:
    hear(tmp_path, ("fermi_gbm", gbm()))
    assert heard_bursts(tmp_path, GPS, GRB, ["igwn.gwalert"]) is None
    found = heard_bursts(tmp_path, GPS, GRB, [TOPICS["svom"]])
    assert found is not None
    assert (found["instruments"], found["events"]) == (["svom"], [])
