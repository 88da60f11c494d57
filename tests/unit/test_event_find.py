"""Which events are kept: the newest, a glob of them, and those with the values asked for."""

import os
import time
from pathlib import Path

import pytest
from alert_samples import gwalert_bytes, take

from llama.errors import LlamaError
from llama.event.find import newest_events, parse_downselect


def test_the_newest_come_first_and_others_are_no_events(tmp_path: Path) -> None:
    assert newest_events(tmp_path / "none", 40) == []
    names = ["S240101a", "S240102b", "MS240103c", "S240101d"]
    for age, name in enumerate(names):
        path = take(tmp_path, gwalert_bytes(superevent_id=name)).event_dir / "skymap_info.json"
        os.utime(path, (1e9 - age, 1e9 - age))
    (tmp_path / "S240101e").mkdir()  # without alert
    (tmp_path / "scratch").mkdir()
    (tmp_path / "S240101f").write_text("a file")
    assert newest_events(tmp_path, 40) == names
    assert newest_events(tmp_path, 2) == names[:2]
    assert newest_events(tmp_path, 2, "S240101*") == ["S240101a", "S240101d"]
    assert newest_events(tmp_path, 0) == []


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("group=CBC", True),
        ("group=cbc,significant=true", True),
        ("group=Burst", False),
        ("instruments=H1L1", True),
        ("far_lt=1e-9", True),
        ("far_gt=1e-9", False),
        ("group=CBC,far_gt=1e-9", False),
        ("ROLE=test,UPLOAD=false", True),
        ("ROLE=observation", False),
        ("sec_since_v0_gt=86400", True),
        ("sec_since_v0_lt=86400", False),
        ("group_lt=3", False),
    ],
)
def test_conditions(tmp_path: Path, text: str, holds: bool) -> None:
    event = take(tmp_path, gwalert_bytes()).event_dir
    later = time.time() + 90_000
    assert all(condition.holds(event, later) for condition in parse_downselect(text)) is holds


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("colour=red", "colour=red"),
        ("group", "write KEY=VALUE"),
        ("far<1e-6", "write KEY=VALUE"),
        ("far_lt=small", "far_lt needs a number"),
    ],
)
def test_wrong_conditions_are_named(text: str, problem: str) -> None:
    with pytest.raises(LlamaError, match=problem) as error:
        parse_downselect(text)
    assert "\n" not in str(error.value)
