"""skymap_info.json."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from alert_samples import outcome
from hypothesis import given
from hypothesis import strategies as st

from llama.errors import LlamaError
from llama.event.skymap_info import check_info, read_info

INFO: dict[str, Any] = {
    "alert_type": "igwn-alert",
    "graceid": "S230518h",
    "event_time": "2023-05-18T12:59:08.167000Z",
    "gps_time": 1368449966.167,
    "far": 3.2e-10,
    "pipeline": "PYCBC",
    "group": "CBC",
    "search": "AllSky",
    "instruments": ["H1", "L1"],
    "significant": True,
    "role": "observation",
    "retracted": False,
    "internal": False,
    "skymap_filename": "bayestar.multiorder.fits,1",
    "skymap_sha256": "0" * 64,
    "skymap_file": None,
    "skymap_alert_file": "alerts/2-Initial.json",
    "alert_file": "alerts/2-Initial.json",
    "event_alert_file": "alerts/2-Initial.json",
    "neutrino_file": None,
    "gracedb_service_url": "https://gracedb.ligo.org/api/",
    "notice_time": "2023-05-18T16:07:18.000000Z",
    "notice": "S230518h-2-Initial",
    "revision": 2,
}


def test_a_complete_file_is_read_with_its_unknown_keys(tmp_path: Path) -> None:
    (tmp_path / "skymap_info.json").write_text(json.dumps(INFO | {"comment": "by hand"}))
    assert read_info(tmp_path).as_json() == INFO | {"comment": "by hand"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("alert_type", "fermi"),
        ("graceid", "../../x"),
        ("event_time", "yesterday"),
        ("gps_time", math.inf),
        ("gps_time", True),
        ("far", -1.0),
        ("far", "1e-9"),
        ("instruments", "H1,L1"),
        ("instruments", ["h1"]),
        ("significant", 1),
        ("role", "real"),
        ("skymap_file", "/etc/passwd"),
        ("skymap_file", "alerts/../../x.fits"),
        ("neutrino_file", "alerts/1-neutrinos.exe"),
        ("alert_file", None),
        ("skymap_sha256", "abc"),
        ("gracedb_service_url", "file:///etc"),
        ("revision", 0),
        ("revision", 1.5),
        ("notice", "x"),
        ("event_time", None),
    ],
)
def test_a_wrong_value_is_named(key: str, value: Any) -> None:
    with pytest.raises(LlamaError, match=key.replace("_", "[_ ]")):
        check_info(INFO | {key: value}, "skymap_info.json")


def test_a_retraction_may_know_no_time() -> None:
    unseen = {"event_time": None, "gps_time": None, "far": None, "retracted": True}
    assert check_info(INFO | unseen, "skymap_info.json").gps_time is None


@pytest.mark.parametrize("key", sorted(INFO))
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(LlamaError, match=f"lacks {key};"):
        check_info({name: value for name, value in INFO.items() if name != key}, "it")


def test_missing_broken_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(LlamaError, match="create the event with skymap_info"):
        read_info(tmp_path)
    for text, says in (("{", "not valid JSON"), ("[]", "not a JSON object")):
        (tmp_path / "skymap_info.json").write_text(text)
        with pytest.raises(LlamaError, match=says):
            read_info(tmp_path)


@given(
    st.sampled_from(sorted(INFO)),
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.lists(st.text()),
)
def test_any_value_gives_a_checked_structure_or_a_sentence(key: str, value: Any) -> None:
    info = outcome(check_info, INFO | {key: value}, "skymap_info.json")
    if isinstance(info, str):
        assert len(info) < 300
    else:
        info = info.as_json()
        json.dumps(info, allow_nan=False)
        paths = [info[k] for k in info if k.endswith("_file") and info[k]]
        assert all(path.startswith("alerts/") and ".." not in path for path in paths)
