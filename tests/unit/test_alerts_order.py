"""Which notice is the newest: by second and kind, whatever the order in which they were heard."""

import base64
import itertools
import json
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alert_samples import RETRACTION, UPDATE, gwalert, gwalert_bytes, skymap_fits, take, voevent
from hypothesis import given, settings
from hypothesis import strategies as st

from llama.event.skymap_info import KINDS, read_info
from llama.files import sha256_bytes

pytestmark = pytest.mark.usefixtures("maps_checked_once")
SECOND = "2024-01-01T01:00:00"
# numbers that tell in which order alerts came, and what is called after them; a map that comes
# twice is where it was found first
_OF_ARRIVAL = ("revision", "notice", "skymap_filename", "skymap_alert_file", "skymap_file")


def notice(kind: str, **event: Any) -> bytes:
    """A notice of that second; `time` and `url` are those of the notice, the rest its event's."""
    top = {
        "alert_type": kind.upper(),
        "time_created": event.pop("time_created", f"{SECOND}Z"),
        "urls": event.pop("urls", {"gracedb": "https://gracedb.ligo.org/superevents/x/view/"}),
    }
    if kind == "Retraction" and event.pop("is_bare", True):
        return json.dumps(gwalert(**top) | {"event": None}).encode()
    event.pop("is_bare", None)
    seed = event.pop("seed", None)
    skymap = None if seed is None else base64.b64encode(skymap_fits(seed)).decode()
    return gwalert_bytes(event | {"skymap": skymap}, **top)


def end(run_dir: Path, contents: tuple[bytes, ...]) -> dict[str, Any]:
    """Take alerts in this order; return what the event then says."""
    for content in contents:
        event = take(run_dir, content).event_dir
    info = read_info(event).as_json()
    for key in ("alert_file", "event_alert_file"):
        info[key] = info[key] and (event / info[key]).read_bytes()
    return {key: value for key, value in info.items() if key not in _OF_ARRIVAL}


def assert_any_order(tmp_path: Path, *contents: bytes) -> dict[str, Any]:
    ends = [
        end(tmp_path / f"order-{number}", order)
        for number, order in enumerate(itertools.permutations(contents))
    ]
    assert all(found == ends[0] for found in ends)
    return ends[0]


def test_kinds_of_one_second_have_an_order(tmp_path: Path) -> None:
    alerts = [notice(kind, seed=n, far=10.0 ** (-9 - n)) for n, kind in enumerate(KINDS[:4])]
    for number, expected in enumerate(alerts, 1):
        found = assert_any_order(tmp_path / str(number), *alerts[:number])
        assert found["alert_file"] == expected
        assert found["skymap_sha256"] == sha256_bytes(skymap_fits(number - 1))


@pytest.mark.parametrize("date", [f"{SECOND}Z", f"{SECOND}.900Z"])
def test_a_retraction_comes_after_everything_of_its_second(tmp_path: Path, date: str) -> None:
    alerts = [notice("Preliminary", seed=1, time_created=date), notice("Update", time_created=date)]
    found = assert_any_order(tmp_path, *alerts, notice("Retraction"))
    assert found["retracted"]
    assert found["event_alert_file"] == alerts[1]
    assert found["skymap_sha256"] == sha256_bytes(skymap_fits(1))


def test_what_is_equal_but_for_its_content_has_an_order(tmp_path: Path) -> None:
    assert_any_order(tmp_path, *(notice("Update", far=far) for far in (1e-9, 1e-10, 1e-11)))
    xml = voevent({"AlertType": "Update"}, date=f"{SECOND}Z")
    assert_any_order(tmp_path / "xml", xml, notice("Update", seed=2), notice("Retraction"))


def _alerts(kinds: Sequence[str], times: Sequence[str]) -> st.SearchStrategy[bytes]:
    return st.builds(
        notice,
        st.sampled_from(kinds),
        seed=st.sampled_from([None, 1, 2]),
        far=st.sampled_from([1e-9, 1e-10]),
        significant=st.booleans(),
        search=st.sampled_from(["AllSky", "MDC"]),
        is_bare=st.booleans(),
        urls=st.sampled_from(
            [{}, {"gracedb": "https://gracedb.ligo.org/s/"}, {"gracedb": "https://x.y/"}]
        ),
        time_created=st.sampled_from(times),
    )


TIMES = [f"{SECOND}Z", f"{SECOND}.5Z", "2024-01-01T01:00:01Z"]
# a retraction from the future holds from when it came
ALERTS = _alerts(KINDS, TIMES) | _alerts(KINDS[:4], ["2099-01-01T00:00:00Z"])


@settings(max_examples=25)
@given(st.lists(ALERTS, min_size=2, max_size=3, unique=True))
def test_in_whichever_order_they_come_the_event_ends_the_same(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]
) -> None:
    assert_any_order(tmp_path_factory.mktemp("orders"), *contents)


def ahead(seconds: float) -> str:
    return f"{datetime.fromtimestamp(time.time() + seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def test_a_notice_from_the_future_is_kept_told_and_makes_no_other_older(tmp_path: Path) -> None:
    future = notice("Update", seed=3, time_created=ahead(3600))
    first = take(tmp_path, future)
    assert first.changed
    assert "this machine's clock has not reached" in first.notes[0]
    for content in (gwalert_bytes(), UPDATE):
        assert take(tmp_path, content).changed
        assert (first.event_dir / read_info(first.event_dir).alert_file).read_bytes() == content
    again = notice("Update", seed=4, time_created=ahead(7200))
    later = take(tmp_path, again)
    assert (later.changed, (first.event_dir / later.alert_file).read_bytes()) == (False, again)
    assert "clock" in later.notes[0]
    assert "kept as alerts/4-Update.json, not used" in later.notes[1]
    assert take(tmp_path, RETRACTION).changed
    assert read_info(first.event_dir).retracted


def test_clocks_may_differ_by_some_minutes(tmp_path: Path) -> None:
    take(tmp_path, UPDATE)
    soon = notice("Update", seed=3, time_created=ahead(540))
    assert take(tmp_path, soon).notes == ()
    assert (take(tmp_path, UPDATE).changed, take(tmp_path, soon).changed) == (False, False)


def test_a_retraction_from_the_future_holds_from_when_it_was_received(tmp_path: Path) -> None:
    now = time.time()
    retraction = notice("Retraction", time_created=ahead(86_400))
    event = take(tmp_path, gwalert_bytes()).event_dir
    result = take(tmp_path, retraction)
    assert result.changed
    assert read_info(event).retracted
    take(tmp_path, notice("Update", time_created=ahead(-60)))  # on its way meanwhile
    assert read_info(event).retracted
    os.utime(event / result.alert_file, (now - 3600, now - 3600))  # an hour later
    assert take(tmp_path, notice("Update", time_created=ahead(-30))).changed
    assert not read_info(event).retracted
