"""Fields without which an event can be made: what cannot be used is left out, and told."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from alert_samples import gwalert, gwalert_bytes, outcome, take, voevent

from llama.alerts.content import event_data
from llama.alerts.gwalert import parse_alert
from llama.event.skymap_info import read_info
from llama.figures.revisions import revisions_section

HUGE = 10**400
CLASSES = {"BNS": 0.9, "NSBH": 0.02, "BBH": 0.03, "Terrestrial": 0.05}
LONG = "x" * 100_000
# what a key of the event holds, the field of the alert, what that is then, what the note says
MINOR: list[tuple[dict[str, Any], str, Any, str]] = [
    *(
        ({"far": value}, "far_hz", None, says)
        for value, says in [
            (None, "the alert has no far"),
            (float("nan"), "far 'nan' is not a finite number"),
            (float("inf"), "far 'inf' is not a finite number"),
            (HUGE, "far 'inf' is not a finite number"),
            (True, "far 'True' is not"),
            (-1e-9, "far '-1e-09' is not a rate in Hz"),
            ("often", "far 'often' is not"),
            ([1e-9], "far '[1e-09]' is not"),
            ({}, "far '{}' is not"),
        ]
    ),
    *(
        ({key: value}, key, "", key)
        for key in ("group", "pipeline", "search")
        for value in (None, 5, ["CBC"], {}, LONG, "\ud800", "\x1b[31m", "a\u202eb", "x\ny")
    ),
    ({"instruments": None}, "instruments", (), "the alert has no instruments"),
    ({"instruments": 5}, "instruments", (), "instruments '5' is not a list"),
    ({"instruments": [1, "H1", None]}, "instruments", ("H1",), "instrument '1' is not"),
    ({"instruments": ["\ud800", "L1"]}, "instruments", ("L1",), "instrument '\\ud800' is not"),
    ({"significant": None}, "significant", True, "significant 'None' was taken as true"),
    ({"significant": "perhaps"}, "significant", True, "significant 'perhaps' was taken"),
    ({"significant": [False]}, "significant", True, "significant '[False]' was taken"),
    *(
        ({key: value}, key, {}, f"{key} ")
        for key in ("classification", "properties")
        for value in ([1], 5, "BNS", True)
    ),
    ({"classification": CLASSES | {"BNS": 0.8}}, "classification", {}, "sums to 0.9 instead of 1"),
    ({"classification": CLASSES | {"BNS": 1.9}}, "classification", {}, "BNS '1.9' is not"),
    *(
        (
            {"classification": CLASSES | {name: value}},
            "classification",
            CLASSES,
            "classification",
        )
        for name in ("MassGap", "\ud800", "\x1b[2J", "a\u202eb", LONG, "")
        for value in (None, "x", [0], {}, float("nan"), -1e-3, HUGE, True)
    ),
    *(
        ({"properties": {"HasNS": 1.0, "HasRemnant": value}}, "properties", {"HasNS": 1.0}, "Has")
        for value in (None, "yes", [1], {}, float("nan"), 1.001, -0.5, HUGE, True)
    ),
    ({"skymap_filename": 5}, "skymap_filename", None, "sky map name '5'"),
    ({"skymap_filename": "../x"}, "skymap_filename", None, "sky map name '../x'"),
    ({"comment": "\ud800", "duration": 1}, "extra", {"event": {"duration": 1}}, "comment"),
    ({"peak": float("nan"), "duration": 1}, "extra", {"event": {"duration": 1}}, "peak 'nan'"),
    ({LONG: 1, "duration": 1}, "extra", {"event": {"duration": 1}}, "is not a short name"),
]


def _id(case: Any) -> str:
    return str(case)[:40].encode("ascii", "backslashreplace").decode().replace("\n", " ")


@pytest.mark.parametrize(("event", "field", "expected", "says"), MINOR, ids=_id)
def test_a_minor_field_refuses_nothing(
    event: dict[str, Any], field: str, expected: Any, says: str
) -> None:
    alert = parse_alert(gwalert_bytes(event), "alert")
    assert getattr(alert, field) == expected
    assert any(says in note for note in alert.notes), alert.notes
    # whatever is quoted can be shown, stored and read on one line
    assert all(note.isprintable() and len(note) < 300 for note in alert.notes)


@pytest.mark.parametrize("value", [None, [], 5, "x", {"time_difference": float("nan")}])
def test_a_coincidence_that_cannot_be_used(value: Any) -> None:
    alert = parse_alert(gwalert_bytes(external_coinc=value), "alert")
    assert alert.external_coinc is None
    assert bool(alert.notes) == (value is not None)


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        (None, None),
        ([], None),
        ({"gracedb": 5}, None),
        ({"gracedb": "javascript:alert(1)"}, None),
        # a test server is known by its host
        ({"gracedb": "https://gracedb-test.ligo.org/<b>"}, "https://gracedb-test.ligo.org/"),
    ],
)
def test_an_address_that_cannot_be_used(urls: Any, expected: str | None) -> None:
    assert parse_alert(gwalert_bytes(urls=urls), "alert").gracedb_url == expected


@pytest.mark.parametrize("excess", [-1.0769163338864018e-16, -1e-6, 1e-9])
def test_probabilities_beyond_0_and_1_by_rounding(excess: float) -> None:
    value = excess if excess < 0 else 1 + excess
    alert = parse_alert(gwalert_bytes({"properties": {"HasNS": value}}), "alert")
    assert alert.properties == {"HasNS": float(excess > 0)}
    assert alert.notes == ()
    classes = {"BNS": 0.0249, "NSBH": min(excess, 0.0), "BBH": 0.9451, "Terrestrial": 0.03}
    found = parse_alert(gwalert_bytes({"classification": classes}), "alert").classification
    assert found == classes | {"NSBH": 0.0}


@pytest.mark.parametrize("search", ["MDC", "mdc", " MDC ", ["MDC"], {"a": 1}, LONG])
def test_what_may_be_a_mock_data_challenge_is_a_test(search: Any) -> None:
    assert parse_alert(gwalert_bytes({"search": search}), "alert").test_reason


@pytest.mark.parametrize(
    ("params", "groups", "field", "expected"),
    [
        ({"FAR": "nan"}, None, "far_hz", None),
        ({"FAR": ""}, None, "far_hz", None),
        ({"FAR": "-1e-9"}, None, "far_hz", None),
        ({"Significant": "perhaps"}, None, "significant", True),
        ({"Pkt_Ser_Num": "first"}, None, "serial", None),
        ({"Instruments": "H1,/etc"}, None, "instruments", ("H1",)),
        ({"Pipeline": "../x"}, None, "pipeline", ""),
        ({"EventPage": "javascript:alert(1)"}, None, "gracedb_url", None),
        # what may be an injection, or internal, is
        ({"HardwareInj": "perhaps"}, None, "hardware_injection", True),
        ({"Internal": "perhaps", "internal": None}, None, "internal", True),
        ({}, {"Classification": {"BNS": "1.2"}}, "classification", {}),
        ({}, {"Classification": {"BNS": "0.5", "Terrestrial": "0.4"}}, "classification", {}),
        ({}, {"Properties": {"HasNS": "", "HasRemnant": "1"}}, "properties", {"HasRemnant": 1.0}),
        ({}, {"GW_SKYMAP": {"skymap_fits": "https://x.org/a b.fits"}}, "skymap_filename", None),
    ],
)
def test_minor_fields_of_a_voevent(
    params: dict[str, str | None], groups: Any, field: str, expected: Any
) -> None:
    alert = parse_alert(voevent(params, groups), "alert")
    assert getattr(alert, field) == expected
    assert alert.notes


def test_many_notes_are_counted() -> None:
    alert = parse_alert(gwalert_bytes({"properties": dict.fromkeys(map(str, range(99)))}), "alert")
    assert len(alert.notes) == 21
    assert alert.notes[-1] == "and 79 more were left out"


def test_what_is_left_out_is_kept_with_the_event(tmp_path: Path) -> None:
    event_dir = take(tmp_path, gwalert_bytes({"far": "often"})).event_dir
    data = event_data(event_dir, read_info(event_dir))
    assert data["left_out"] == ["far 'often' is not a finite number and was left out"]
    assert data["far"] is None
    assert json.dumps(data)
    shown = dict(revisions_section(event_dir)["rows"])
    assert shown["Left out"] == [("far 'often' is not a finite number and was left out", False)]


ODD: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        1e308,
        HUGE,
        float("nan"),
        float("inf"),
        "",
        "x",
        "\ud800",
        "\x1b[2J",
        LONG,
    ),
    *([], [None], {}, {"a": None}, [[[]]], -1e-16),
]


def test_only_what_an_event_cannot_do_without_refuses_its_alert() -> None:
    refused = set()
    for key, value in itertools.product([*gwalert(), *gwalert()["event"]], ODD):
        record = gwalert()
        (record if key in record else record["event"])[key] = value
        said = outcome(parse_alert, json.dumps(record).encode(), "alert")
        if isinstance(said, str):
            refused.add(key)
            assert said.isprintable()
            assert len(said) < 400
    needed = {"superevent_id", "alert_type", "time_created", "event", "time"}
    assert refused == needed | {"skymap"}


def test_a_sound_alert_has_no_notes() -> None:
    assert parse_alert(json.dumps(gwalert()).encode(), "alert").notes == ()
    assert parse_alert(voevent(), "alert").notes == ()
