"""What an event's p-value is to be from, and what its own background is made for."""

import json
import os
from pathlib import Path

import pytest
from event_samples import GPS
from plan_samples import EVENT, events, settings, write_event

from llama.event.flags import write_flags
from llama.files import sha256_bytes, write_json
from llama.neutrinos.archive import Archive
from llama.plan.events import Neutrinos

CLASS = "bns-o3-H1L1"


def write_result(directory: Path, method: str | None) -> None:
    write_json(directory / "p_astro.json", {"p_astro": 0.9, "population": "bns"})
    write_json(directory / "significance_lvc-i3.json", {"p_value_method": method})


def write_receipt(directory: Path) -> None:
    (directory / "receipts").mkdir()
    receipt = {"sent_at": "2019-04-04T08:05:00Z", "revision": 1}
    (directory / "receipts/slack.json").write_text(json.dumps(receipt))


def write_classes(output_dir: Path, *names: str) -> None:
    (output_dir / "populations.hdf5").touch()
    write_json(output_dir / "populations.json", {name: {"n": 9, "sha256": "a"} for name in names})


@pytest.mark.parametrize(
    ("made", "classes", "settled"),
    [
        ("map", [], None),
        ("map", [CLASS], "map"),  # its class has got a background since
        ("map", ["bbh-o3-H1L1"], None),
        ("class", [CLASS], None),
        ("class", [], None),  # the background has gone: then it is that of the map
        (None, [CLASS], None),
    ],
)
def test_what_has_gone_out_keeps_its_method(
    tmp_path: Path, made: str | None, classes: list[str], settled: str | None
) -> None:
    directory = write_event(tmp_path)
    write_result(directory, made)
    write_classes(tmp_path, *classes)
    assert events(settings(tmp_path)).p_value_method(EVENT) is None
    write_receipt(directory)
    assert events(settings(tmp_path)).p_value_method(EVENT) == settled
    # and in later alerts, of which nothing has gone out yet
    info = json.loads((directory / "skymap_info.json").read_text())
    write_json(directory / "skymap_info.json", info | {"revision": 2})
    write_result(directory, made)
    assert events(settings(tmp_path)).p_value_method(EVENT) == settled
    # a flag is a command
    write_flags(directory, {"P_VALUE": "class"})
    assert events(settings(tmp_path)).p_value_method(EVENT) is None
    write_flags(directory, {"P_VALUE": "map"})
    assert events(settings(tmp_path)).p_value_method(EVENT) == "map"


def test_a_result_that_is_lost_is_known_from_the_last_manifest(tmp_path: Path) -> None:
    directory = write_event(tmp_path)
    write_result(directory, "map")
    write_classes(tmp_path, CLASS)
    write_receipt(directory)
    name = "significance_lvc-i3.json"
    content = (directory / name).read_bytes()
    digest = sha256_bytes(content)
    (directory / "history").mkdir()
    (directory / f"history/{digest}.json").write_bytes(content)
    write_json(directory / "history/manifest-1.json", {"products": {name: {"sha256": digest}}})
    (directory / name).unlink()
    assert events(settings(tmp_path)).p_value_method(EVENT) == "map"


def test_the_population_is_that_of_the_present_alert(tmp_path: Path) -> None:
    directory = write_event(tmp_path)
    one = events(settings(tmp_path))
    assert one.population(EVENT) == "cbc"  # of an alert that cannot be read, its own job says so
    write_json(directory / "p_astro.json", {"p_astro": 0.9, "population": "nsbh"})
    assert one.population(EVENT) == "nsbh"
    # an alert that came later is looked into
    alert = directory / "alerts/1-Preliminary.json"
    later = (directory / "p_astro.json").stat().st_mtime + 5
    os.utime(alert, (later, later))
    assert one.population(EVENT) == "cbc"


@pytest.fixture
def site(tmp_path: Path, archive: Archive) -> Path:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/toy").symlink_to(archive.directory)
    return tmp_path


def test_the_rate_is_that_of_the_stream_that_the_list_is_from(site: Path) -> None:
    wanted = settings(site, neutrinos__archive="toy")
    for event, changes, expected in (
        ("events/S190404a", {}, True),
        ("events/S190404b", {"gps_time": GPS + 9e7}, False),  # after the archive's end
        ("events/S190404c", {"neutrino_file": "alerts/1-neutrinos.json"}, False),
        ("events/MS190404a", {}, False),
    ):
        directory = write_event(site, event, **changes)
        one = Neutrinos(wanted, events(wanted))
        assert one.is_from_archive(event) == expected
        # a list that is there says it itself
        for kinds, said in ((["archive"], True), (["archive", "gcn"], False)):
            source = {"parts": [{"kind": kind} for kind in kinds]}
            write_json(directory / "icecube_neutrino_list.json", {"source": source})
            assert one.is_from_archive(event) == said
