"""Who may be told what: every combination of every sign."""

import itertools
import json
from pathlib import Path
from typing import Any

import proofs
import pytest

from llama.event.flags import DEFAULTS, PRESETS, write_flags
from llama.event.skymap_info import unchecked_info
from llama.event.vetoes import Facts, Terms, not_real, read_facts, vetoes

HOME = Path("/srv/llama/current_run")
REAL: dict[str, Any] = {
    "graceid": "S240101ab", "alert_type": "igwn-alert", "role": "observation",
    "search": "AllSky", "gracedb_service_url": "https://gracedb.ligo.org/api/", "internal": False,
    "retracted": False, "far": 1e-9, "event_dir": HOME / "S240101ab", "current": True,
    "kinds": frozenset({"observation"}), "complete": True,
    "flags": {**DEFAULTS, **PRESETS["TRIGGERED_PUBLIC"]},
}  # fmt: skip
ALLOWED: dict[str, list[Any]] = {
    "graceid": ["S240101ab", "G268562"],
    "alert_type": ["igwn-alert", "gcn", "gracedb", "manual"],
    "search": ["AllSky", "", "BBH"],
    "gracedb_service_url": [
        "https://gracedb.ligo.org/api/",
        "https://gracedb-latest.ligo.org/api/",
        None,
    ],
    "far": [0.0, 1e-9, 10 / 86_400],
    "event_dir": [
        Path(path) / "current_run/S240101ab"
        for path in ("/data/latest", "/home/contest/llama", "/srv/attestation")
    ],
    "kinds": [frozenset(), frozenset({"observation"}), frozenset({"observation", "alert"})],
}
FORBIDDEN: dict[str, list[Any]] = {
    "graceid": ["MS240101ab", "TS240101ab", "M123", "T123", "E123", "", "S24"],
    "alert_type": ["gstlal-offline", "injection", "mock"],
    "role": ["test", ""],
    "search": ["MDC", "mdc"],
    "gracedb_service_url": [
        "https://gracedb-playground.ligo.org/api/", "https://gracedb-test.ligo.org/api/",
        "https://gracedb-dev1.ligo.org/api/",
    ],
    "internal": [True],
    "far": [None, 10.001 / 86_400, 1.0, float("nan"), float("inf")],
    "event_dir": [
        Path(path) / "S240101ab"
        for path in (
            "/scratch/llama/current_run", "/srv/TEST/current_run", "/srv/o3_tests/current_run",
            "/srv/injection-7/current_run", "/srv/scratchevents/current_run",
        )
    ],
    "current": [False],
    "kinds": [
        None, frozenset({"blinded"}), frozenset({"simulated", "observation"}), frozenset({"None"}),
    ],
    "complete": [False],
    "retracted": [True],
}  # fmt: skip
NEEDED = {"ROLE": "observation", "UPLOAD": True, "VETOED": False, "BLINDED_NEUTRINOS": False}
NEEDED["ONLINE"] = True


def facts(**changes: Any) -> Facts:
    words = REAL | changes
    fields = {
        name: words.pop(name) for name in ("flags", "event_dir", "current", "kinds", "complete")
    }
    return Facts(info=unchecked_info(words), **fields)


def test_what_is_clearly_real_may_go() -> None:
    names = list(ALLOWED)
    for values in itertools.product(*ALLOWED.values()):
        assert vetoes(facts(**dict(zip(names, values, strict=True))), Terms(), real=True) == []


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in FORBIDDEN.items() for value in values]
)
def test_each_sign_alone_is_enough_and_says_so(name: str, value: Any) -> None:
    reasons = vetoes(facts(**{name: value}), Terms(), real=True)
    assert len(reasons) == 1, reasons
    assert "\n" not in reasons[0]


@pytest.mark.proof
def test_all_signs_together_only_the_clearly_real_and_unblinded_reaches_a_real_destination() -> (
    None
):
    """Every sign good or bad, every flag at every value: 2^12 signs times 2^7 flags."""
    signs = list(FORBIDDEN)
    names = [name for name in DEFAULTS if name != "P_VALUE"]  # which permits nothing
    flag_sets = [
        dict(zip(names, values, strict=True))
        for values in itertools.product(
            *([["test", "observation"] if name == "ROLE" else [False, True] for name in names])
        )
    ]
    step = proofs.size(1, 13)  # of those with a bad sign; odd, so that every flag has both values
    number = sent = 0
    for bad in itertools.product([False, True], repeat=len(signs)):
        changes = {
            name: FORBIDDEN[name][0] for name, is_bad in zip(signs, bad, strict=True) if is_bad
        }
        for flags in flag_sets:
            number += 1
            if changes and number % step:
                continue
            may = not vetoes(facts(**changes, flags=flags), Terms(), real=True)
            clearly = not changes and all(flags[name] == value for name, value in NEEDED.items())
            assert may is clearly, (changes, flags)
            sent += may
    assert sent == 4  # MANUAL and ICECUBE_UPLOAD are free


def test_every_pair_of_values_keeps_a_bad_sign_bad() -> None:
    """No good or bad value of one sign undoes a bad value of another."""
    for (one, bad), (other, values) in itertools.product(FORBIDDEN.items(), FORBIDDEN.items()):
        if one == other:
            continue
        for value, second in itertools.product(bad, [*values, *ALLOWED.get(other, [])]):
            assert vetoes(facts(**{one: value, other: second}), Terms(), real=True)


def test_flags_that_are_not_what_they_should_be_permit_nothing() -> None:
    for name in NEEDED:
        for value in (None, "true", "yes", 1, "", []):
            flags = {**REAL["flags"], name: value}
            assert vetoes(facts(flags=flags), Terms(), real=True), (name, value)
    assert vetoes(facts(flags={}), Terms(), real=True)
    assert vetoes(facts(flags={}), Terms(), real=False)


def test_a_test_goes_to_its_destination_and_only_with_the_flag() -> None:
    flags = {**DEFAULTS, "UPLOAD": True}
    mock = facts(graceid="MS240101ab", flags=flags, kinds=frozenset({"blinded"}), far=1.0)
    assert vetoes(mock, Terms(), real=False) == []
    for name, value in (("UPLOAD", False), ("VETOED", True), ("ONLINE", False)):
        assert vetoes(facts(flags={**flags, name: value}), Terms(), real=False) == [
            f"the flag {name} is {str(value).lower()}"
        ]


def test_terms_of_a_channel() -> None:
    files = Terms(flag="ICECUBE_UPLOAD", online=False)
    internal = {**DEFAULTS, **PRESETS["TRIGGERED_INTERNAL"]}
    assert vetoes(facts(flags={**internal, "ONLINE": False}), files, real=True) == []
    assert vetoes(facts(flags=internal), Terms(), real=True) == ["the flag UPLOAD is false"]
    assert vetoes(facts(complete=False), Terms(final=False), real=True) == []


def test_a_retracted_event_sends_no_result() -> None:
    for real in (True, False):
        assert vetoes(facts(retracted=True), Terms(), real) == ["the alert was retracted"]


def test_facts_are_read_from_the_directory(tmp_path: Path, info: dict[str, Any]) -> None:
    event_dir = tmp_path / "current_run" / info["graceid"]
    event_dir.mkdir(parents=True)
    (event_dir / "skymap_info.json").write_text(json.dumps(info))
    write_flags(event_dir, {"ROLE": "observation"})
    read = read_facts(event_dir)
    assert read.kinds is None
    assert "there is no list of neutrinos" in not_real(read)
    events = [{"type": "observation"}, {"type": "blinded"}, {}]
    neutrinos = {"events": events, "complete": True}
    (event_dir / "icecube_neutrino_list.json").write_text(json.dumps(neutrinos))
    (tmp_path / "link").symlink_to(event_dir)
    read = read_facts(tmp_path / "link")
    assert read.kinds == {"observation", "blinded", "None"}
    assert read.complete
    assert read.event_dir == event_dir.resolve()
    assert "its neutrinos are None and blinded" in not_real(read)


def test_a_run_that_is_a_link_is_current_by_its_name(tmp_path: Path, info: dict[str, Any]) -> None:
    disk = tmp_path / "disk" / "o4b"
    for name in ("S240101ab", "S240101cd"):
        (disk / name).mkdir(parents=True)
        (disk / name / "skymap_info.json").write_text(json.dumps(info | {"graceid": name}))
        write_flags(disk / name, DEFAULTS)
    output = tmp_path / "llama"
    (output / "past_runs").mkdir(parents=True)
    (output / "current_run").symlink_to(disk)
    (output / "events").symlink_to("current_run")
    (output / "past_runs" / "o4").symlink_to(disk)
    (output / "copy").symlink_to("past_runs/o4/S240101ab")
    reason = "it is not in current_run"
    for run in ("current_run", "events"):
        facts_there = read_facts(output / run / "S240101ab")
        assert reason not in not_real(facts_there)
        assert facts_there.event_dir == (disk / "S240101ab").resolve()
    for place in (output / "past_runs" / "o4" / "S240101ab", output / "copy", disk / "S240101ab"):
        assert reason in not_real(read_facts(place))
    # a link beside the events leads out of the run
    (disk / "S240101ef").symlink_to(output / "past_runs" / "o4" / "S240101ab")
    assert reason in not_real(read_facts(output / "current_run" / "S240101ef"))


@pytest.fixture
def info() -> dict[str, Any]:
    return {
        "alert_type": "igwn-alert", "graceid": "S240101ab", "gps_time": 1388102418.125,
        "event_time": "2024-01-01T00:00:00.125000Z", "far": 1e-9, "pipeline": "GSTLAL",
        "group": "CBC", "search": "AllSky", "instruments": ["H1", "L1"], "significant": True,
        "role": "observation", "retracted": False, "internal": False, "skymap_filename": None,
        "skymap_sha256": None, "skymap_file": None, "skymap_alert_file": None,
        "alert_file": "alerts/1-Initial.json", "event_alert_file": "alerts/1-Initial.json",
        "neutrino_file": None, "gracedb_service_url": "https://gracedb.ligo.org/api/",
        "notice_time": "2024-01-01T00:05:00Z", "notice": "S240101ab-1-Initial", "revision": 1,
    }  # fmt: skip
