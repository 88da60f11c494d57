"""flags.json."""

import json
from pathlib import Path
from typing import Any

import pytest

from llama.errors import LlamaError
from llama.event.flags import DEFAULTS, read_flags, write_flags


def test_a_new_event_may_publish_nothing(tmp_path: Path) -> None:
    write_flags(tmp_path, {})
    assert read_flags(tmp_path) == {
        "VETOED": False,
        "ROLE": "test",
        "UPLOAD": False,
        "BLINDED_NEUTRINOS": False,
        "MANUAL": False,
        "ONLINE": True,
        "ICECUBE_UPLOAD": False,
        "P_VALUE": "auto",
    }


def test_written_flags_are_read_and_defaults_added(tmp_path: Path) -> None:
    write_flags(tmp_path, {"ROLE": "observation", "UPLOAD": True})
    assert read_flags(tmp_path) == {**DEFAULTS, "ROLE": "observation", "UPLOAD": True}
    (tmp_path / "flags.json").write_text('{"VETOED": true}')
    assert read_flags(tmp_path) == {**DEFAULTS, "VETOED": True}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"UPLAOD": True}, "UPLAOD"),
        ({"ROLE": "real"}, "test or observation"),
        ({"ROLE": ["test"]}, "test or observation"),
        ({"UPLOAD": "true"}, "true or false"),
        ({"UPLOAD": 1}, "true or false"),
        (["ROLE"], "JSON object"),
    ],
)
def test_a_wrong_flag_is_named(tmp_path: Path, content: Any, says: str) -> None:
    (tmp_path / "flags.json").write_text(json.dumps(content))
    with pytest.raises(LlamaError, match=says):
        read_flags(tmp_path)


def test_wrong_flags_are_not_written(tmp_path: Path) -> None:
    write_flags(tmp_path, {"ROLE": "observation"})
    with pytest.raises(LlamaError, match="test or observation"):
        write_flags(tmp_path, {"ROLE": "real"})
    assert read_flags(tmp_path)["ROLE"] == "observation"


def test_missing_flags_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(LlamaError, match="does not exist"):
        read_flags(tmp_path)
