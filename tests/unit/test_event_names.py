"""Names of events, of their files and of runs."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from llama.errors import LlamaError
from llama.event.names import EVENT_DIR_PATTERN, products, run_name, significance_name, skymap_name
from llama.event.skymap_info import unchecked_info
from llama.graceid import GRACEID_PATTERN, check_event_name, check_graceid, is_mock
from llama.times import iso_to_gps

GOOD = ["S190425z", "S230518h", "MS181101ab", "TS240101abc", "G268562", "M252714", "T1", "E12345"]
BAD = [
    "",
    "../../x",
    "S190425",
    "S190425Z",
    "s190425z",
    "S19042z",
    "S190425z/..",
    "S190425z\n",
    "S１９０４２５z",
    "X1",
    "G",
    "S190425z" + "z" * 292,
    "GW170817",
    " G1",
]

INFO = unchecked_info(
    {
        "significant": True,
        "retracted": False,
        "skymap_file": None,
        "skymap_alert_file": "alerts/1-Initial.json",
        "event_alert_file": "alerts/1-Initial.json",
        "far": 1e-9,
    }
)


@pytest.mark.parametrize("graceid", GOOD)
def test_good_id(graceid: str) -> None:
    assert check_graceid(graceid) == graceid
    assert re.fullmatch(EVENT_DIR_PATTERN, f"events/{graceid}")


@pytest.mark.parametrize("graceid", BAD)
def test_bad_id_is_refused_in_one_short_sentence(graceid: str) -> None:
    with pytest.raises(LlamaError) as error:
        check_graceid(graceid)
    assert len(str(error.value)) < 150
    assert "\n" not in str(error.value)


def test_a_catalogues_name_is_legal_but_no_id() -> None:
    for name in ("GW150914", "GW200112_155838"):
        assert check_event_name(name) == name
        assert not is_mock(name)
        with pytest.raises(LlamaError, match="is not a GraceDB id"):
            check_graceid(name)


@given(st.text(max_size=60))
def test_an_accepted_id_is_a_plain_file_name(text: str) -> None:
    try:
        check_graceid(text)
    except LlamaError:
        return
    assert re.fullmatch("[A-Za-z0-9]{2,20}", text)


@given(st.from_regex(GRACEID_PATTERN, fullmatch=True))
def test_every_id_of_the_pattern_is_accepted(graceid: str) -> None:
    if graceid.isascii():
        assert check_graceid(graceid) == graceid


@pytest.mark.parametrize(
    ("graceid", "mock"),
    [("MS181101ab", True), ("TS240101a", True), ("M1", True), ("S190425z", False), ("G1", False)],
)
def test_mock_ids(graceid: str, mock: bool) -> None:
    assert is_mock(graceid) is mock


@pytest.mark.parametrize(
    ("path", "matches"),
    [
        ("events/S190425z", True),
        ("past_runs/o3/S190425z", True),
        ("past_runs/manual_2024.1/G268562", True),
        ("past_runs/GWTC-3/GW200112_155838", True),
        ("events/GW150914", True),
        ("events/GW200112_1558", False),
        ("studies/bns-o3-H1L1V1/shard-0007/injection-323", True),
        ("past_runs/../S190425z", False),
        ("past_runs/.hidden/S190425z", False),
        ("events/x", False),
        ("events/S190425z/all", False),
        ("studies/bns-o3-H1L1/shard-x/injection-1", False),
        ("/events/S190425z", False),
    ],
)
def test_event_directories(path: str, matches: bool) -> None:
    assert bool(re.fullmatch(EVENT_DIR_PATTERN, path)) is matches


def test_the_wildcard_pattern_has_no_groups_of_its_own() -> None:
    assert re.compile(EVENT_DIR_PATTERN).groups == 0


@pytest.mark.parametrize(
    ("time", "run"),
    [
        ("2010-01-01T00:00", "o1"),
        ("2015-09-14T09:50:45", "o1"),
        ("2017-08-17T12:41:04", "o2"),
        ("2018-11-01T22:22:46", "o2"),
        ("2019-04-25T08:18:05", "o3"),
        ("2020-03-02T01:58:11", "o3"),
        ("2023-05-18T12:59:08", "o4"),
        ("2025-12-01T00:00", "o4"),
        ("2026-11-22T00:00", "ir1"),
    ],
)
def test_runs(time: str, run: str) -> None:
    assert run_name(iso_to_gps(time)) == run


def test_names_follow_the_alert() -> None:
    assert significance_name(INFO) == "significance_lvc-i3.json"
    assert significance_name(replace(INFO, significant=False)) == (
        "significance_subthresh_lvc-i3.json"
    )
    assert skymap_name(INFO) == "lvc_skymap.fits"
    assert skymap_name(replace(INFO, skymap_file="alerts/1-Initial.fits")) == "lvc_skymap.fits"
    assert (
        skymap_name(replace(INFO, skymap_file="alerts/1-Initial.fits.gz")) == "lvc_skymap.fits.gz"
    )


def test_products() -> None:
    everything = products(INFO)
    assert everything[0] == "skymap_info.json"
    assert everything[-2:] == ["manifest.json", "index.html"]
    assert len(everything) == len(set(everything)) == 24
    assert "all" not in everything
    assert products(replace(INFO, retracted=True)) == everything


def test_a_retraction_without_map_needs_no_map() -> None:
    info = replace(INFO, retracted=True, skymap_alert_file=None)
    assert products(info) == [
        "skymap_info.json",
        "flags.json",
        "p_astro.json",
        "lvc_gracedb_event_data.json",
        "manifest.json",
        "index.html",
    ]
    assert "p_astro.json" not in products(replace(info, far_hz=None))
    waiting = products(replace(info, retracted=False))
    assert "lvc_skymap.fits" in waiting
