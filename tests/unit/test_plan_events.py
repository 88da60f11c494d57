"""What an event's rules are given, and what outdates it."""

import json
from pathlib import Path

import pytest
from event_samples import INFO
from plan_samples import EVENT, events, looking, making, settings, write_event

from llama.errors import LlamaError
from llama.event.flags import write_flags
from llama.locks import is_processed
from llama.plan.engine import Locks
from llama.plan.events import Events

__all__ = ["making"]

ALERT = f"{EVENT}/alerts/1-Preliminary.json"


def test_products_end_with_manifest_and_page(tmp_path: Path) -> None:
    write_event(tmp_path)
    one = events(settings(tmp_path))
    products = one.products(EVENT)
    assert len(products) == 24
    assert products[-2:] == [f"{EVENT}/manifest.json", f"{EVENT}/index.html"]
    assert one.before_page(EVENT) == products[:-1]
    assert one.before_manifest(EVENT) == [*products[:-2], ALERT]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("skymap_info.json", None, "create the event with skymap_info"),
        ("skymap_info.json", "{", "is not valid JSON"),
        ("flags.json", None, "flags.json does not exist"),
        ("flags.json", '{"ROLE": "real"}', "use test or observation"),
    ],
)
def test_broken_files_of_an_event_are_a_sentence(
    tmp_path: Path, name: str, content: str | None, says: str
) -> None:
    path = write_event(tmp_path) / name
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(LlamaError, match=says):
        events(settings(tmp_path)).products(EVENT)


def test_an_event_is_locked_before_the_first_look(tmp_path: Path, making: Locks) -> None:
    directory = write_event(tmp_path)
    one = Events(settings(tmp_path), making, lambda directory: None)
    assert one.skymap(EVENT) == f"{EVENT}/lvc_skymap.fits"
    assert is_processed(directory)
    (directory / "skymap_info.json").write_text("{")
    assert one.significance(EVENT) == f"{EVENT}/significance_lvc-i3.json"  # read once


def test_an_event_that_is_not_there_is_not_made(tmp_path: Path, making: Locks) -> None:
    one = Events(settings(tmp_path), making, lambda directory: None)
    with pytest.raises(LlamaError, match="create the event with skymap_info"):
        one.products(EVENT)
    assert not (tmp_path / EVENT).exists()


def test_an_injection_is_opened_before_the_first_look(tmp_path: Path) -> None:
    injection = "studies/bns-o3-H1L1/shard-0000/injection-7"

    def open_it(directory: str) -> None:
        write_event(tmp_path, directory, graceid="M7")

    one = Events(settings(tmp_path), looking(tmp_path), open_it)
    assert one.given(injection, "flags.json") == f"{injection}/flags.json"
    assert (tmp_path / injection / "flags.json").exists()
    assert one.received(injection) == [f"{injection}/alerts/1-Preliminary.json"]


def test_where_map_alert_and_neutrinos_come_from(tmp_path: Path) -> None:
    write_event(tmp_path)
    one = events(settings(tmp_path))
    assert one.skymap_source(EVENT) == ALERT
    assert one.alert(EVENT) == [ALERT]
    assert one.neutrinos(EVENT) == []
    other = "events/S190404b"
    files = {
        "skymap_file": "alerts/1-Preliminary.fits.gz",
        "neutrino_file": "alerts/1-neutrinos.json",
        "event_alert_file": None,
    }
    write_event(tmp_path, other, significant=False, **files)
    assert one.skymap(other) == f"{other}/lvc_skymap.fits.gz"
    assert one.skymap_source(other) == f"{other}/alerts/1-Preliminary.fits.gz"
    assert one.significance(other) == f"{other}/significance_subthresh_lvc-i3.json"
    assert one.alert(other) == []
    assert one.neutrinos(other) == [f"{other}/alerts/1-neutrinos.json"]


def test_values_and_flags_are_those_of_the_files(tmp_path: Path) -> None:
    directory = write_event(tmp_path)
    one = events(settings(tmp_path))
    assert one.values(EVENT, ["graceid", "gps_time"]) == [INFO.graceid, INFO.gps_time]
    assert one.flag(EVENT, "UPLOAD") is False
    write_flags(directory, {"UPLOAD": True})
    assert one.flag(EVENT, "UPLOAD") is True


def test_a_receipt_changes_the_page_and_says_when_something_went_out(tmp_path: Path) -> None:
    directory = write_event(tmp_path)
    one = events(settings(tmp_path))
    assert one.receipt_versions(EVENT) == {}
    assert not one.is_published(EVENT)
    (directory / "receipts").mkdir()
    receipt = {"sent_at": "2019-04-04T08:05:00Z", "revision": 1}
    (directory / "receipts/slack.json").write_text(json.dumps(receipt))
    assert one.receipt_versions(EVENT).keys() == {"slack"}
    assert one.is_published(EVENT)


BURSTS = [{"gps_time": INFO.gps_time - 2, "ra": 60.0, "dec": 24.0, "sigma": 3.0}]


def test_bursts_count_where_there_is_a_list(tmp_path: Path) -> None:
    without = events(settings(tmp_path, grb__efficiency=0.6))
    directory = write_event(tmp_path)
    assert without.bursts(EVENT) == []
    assert without.burst_model(EVENT) is None
    (directory / "fermi_grbs.json").write_text(json.dumps(BURSTS))
    one = events(settings(tmp_path, grb__efficiency=0.6))
    assert one.bursts(EVENT) == [f"{EVENT}/fermi_grbs.json"]
    assert one.before_manifest(EVENT)[-1] == f"{EVENT}/fermi_grbs.json"
    model = one.burst_model(EVENT)
    assert model is not None
    assert model["efficiency"] == 0.6
    assert one.burst_sigma_deg(EVENT) == [3.0]
    assert without.burst_sigma_deg(EVENT) == []
    (version,) = one.burst_versions(EVENT)
    (directory / "fermi_grbs.json").write_text(json.dumps([*BURSTS, BURSTS[0] | {"ra": 70}]))
    assert one.burst_versions(EVENT) != [version]
    assert events(settings(tmp_path, grb__efficiency=0)).bursts(EVENT) == []


def test_a_broken_list_of_bursts_is_said_before_anything_starts(tmp_path: Path) -> None:
    (write_event(tmp_path) / "fermi_grbs.json").write_text('[{"ra": 400}]')
    with pytest.raises(LlamaError, match=r"fermi_grbs\.json, row 1"):
        events(settings(tmp_path, grb__efficiency=0.6)).bursts(EVENT)


def test_a_background_outdates_events_of_its_run_and_detectors(tmp_path: Path) -> None:
    write_event(tmp_path)
    index = {name: {"sha256": name} for name in ("bns-o3-H1L1", "bbh-o3-H1L1", "bns-o4-H1L1")}
    (tmp_path / "populations.json").write_text(json.dumps(index))
    (tmp_path / "populations.hdf5").touch()
    found = events(settings(tmp_path)).background_versions(EVENT)
    assert found.keys() == {"bbh-o3-H1L1", "bns-o3-H1L1"}
    assert events(settings(tmp_path, background__run="o4")).background_versions(EVENT).keys() == {
        "bns-o4-H1L1"
    }
