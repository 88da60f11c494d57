"""The layout of the operators' guide: read, and each thing that is missing or wrong named."""

import json
import re

import numpy as np
import pytest
from artifact_samples import GPS, GRACEIDS, TEMPLATE, compress, write_artifacts

from llama.errors import LlamaError
from llama.study.artifacts import check_missing, read_artifacts
from llama.study.store import open_store


@pytest.fixture
def root(tmp_path):
    return write_artifacts(tmp_path / "artifacts")


def read(root):
    return read_artifacts(open_store(str(root), root / "unused"))


def template(root, **keys):
    (root / "skymap_info.json.template").write_text(json.dumps(TEMPLATE | keys))


def test_the_layout_of_the_guide(root):
    found = read(root)
    assert list(found.superevents) == GRACEIDS  # in the order of the file, without S190930zz
    assert list(found.lists) == [f"{k}.json" for k in range(5)]
    assert (found.gps, found.pairs, found.missing) == (GPS, 15, ())
    assert found.superevents["S190412m"].path == "superevents/S190412m/bayestar.multiorder.fits"
    assert check_missing(found, "fail", root / "log") == ""


def test_lists_may_be_directories(root):
    content = (root / "bklist" / "3.json").read_bytes()
    (root / "bklist" / "3.json").unlink()
    (root / "bklist" / "3.json").mkdir()
    (root / "bklist" / "3.json" / "icecube_neutrino_list.json").write_bytes(content)
    assert read(root).lists["3.json"].path == "bklist/3.json/icecube_neutrino_list.json"


def test_the_only_map_is_the_map(root):
    compress(root / "superevents" / "S190412m" / "bayestar.multiorder.fits")
    assert read(root).superevents["S190412m"].path.endswith("/bayestar.multiorder.fits.gz")


@pytest.mark.parametrize(
    "name", ["{graceid}", "{{ graceid }}", "$graceid", "${GRACEID}", "GRACEID"]
)
def test_the_template_names_the_map(root, name):
    template(root, skymap_filename=f"{name}.fits.gz,1")
    for graceid in GRACEIDS:
        directory = root / "superevents" / graceid
        (directory / f"{graceid}.fits.gz").write_bytes(b"")
    assert read(root).superevents["S190408an"].path == "superevents/S190408an/S190408an.fits.gz"


def test_what_file_managers_leave_is_not_a_second_map(root):
    before = read(root)
    for path in list(root.rglob("*")):
        if path.is_file():
            path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7Mac OS X")
    (root / "__MACOSX").mkdir()
    for name in ("superevents.txt", "bklist_names.txt"):
        content = (root / name).read_text()
        (root / name).write_text(f"\ufeff# those of O3b\r\n{content}", "utf-8")
    assert read(root) == before


def test_of_several_maps_one_must_be_named(root):
    (root / "superevents" / "S190412m" / "other.fits.gz").write_bytes(b"")
    assert read(root).pairs == 15
    template(root, skymap_filename=None)
    with pytest.raises(
        LlamaError, match=r"S190412m has several .*other\.fits\.gz.*skymap_filename"
    ):
        read(root)


@pytest.mark.parametrize(
    "time",
    [
        {"gps_time": GPS},
        {"event_time": "2019-09-01 00:00:00"},
        {"event_time_str": "2019-09-01T00:00"},
    ],
)
def test_the_time_of_the_triggers(root, time):
    template(root, **{"event_time": None} | time)
    assert read(root).gps == GPS


@pytest.mark.parametrize(
    ("ids", "left"),
    [
        (np.array([["S190412m", "S190930zz"]]), ["S190408an", "S190421ar"]),
        (np.array([b"S190930zz"]), GRACEIDS),
        (np.array([1, 2]), [*GRACEIDS]),
    ],
)
def test_events_without_a_map(root, ids, left):
    np.save(root / "missing_event_ids_cwb.npy", ids)
    if ids.dtype.kind == "i":
        (root / "superevents.txt").write_text("".join(f"{g}\n" for g in [*GRACEIDS, "G1", "G2"]))
    found = read(root)
    assert (list(found.superevents), found.missing) == (left, ())


def test_everything_missing_is_named(root):
    for path in (
        "bklist/2.json",
        "superevents/S190421ar/bayestar.multiorder.fits",
        "placeholder.json",
        "missing_event_ids_cwb.npy",
    ):
        (root / path).unlink()
    found = read(root)
    names = (
        "placeholder.json, missing_event_ids_cwb.npy, "
        "superevents/S190421ar/bayestar.multiorder.fits, "
        "superevents/S190930zz/bayestar.multiorder.fits, bklist/2.json"
    )
    sentence = f"5 pieces are missing in {root}: {names}"
    with pytest.raises(LlamaError, match=f"^{re.escape(sentence)}; add what is missing"):
        check_missing(found, "fail", root / "log")
    assert check_missing(found, "skip", root / "log") == sentence
    assert (found.pairs, (root / "log").exists()) == (8, False)


def test_many_missing_names_are_in_the_log(root):
    (root / "bklist_names.txt").write_text("".join(f"{k}.json\n" for k in range(30)))
    with pytest.raises(LlamaError, match=r"25 pieces .*14\.json, \.\.\. \(all in .*missing\.txt\)"):
        check_missing(read(root), "fail", root / "missing.txt")
    assert (root / "missing.txt").read_text() == "".join(f"bklist/{k}.json\n" for k in range(5, 30))


@pytest.mark.parametrize(
    ("path", "content", "says"),
    [
        ("superevents.txt", None, "lacks superevents.txt; add it"),
        ("bklist_names.txt", None, "lacks bklist_names.txt; add it"),
        ("skymap_info.json.template", None, "lacks skymap_info.json.template; add it"),
        ("superevents.txt", b"\n", "superevents.txt is empty"),
        ("superevents.txt", b"S190412m\n../S1\n", "'../S1' is not a GraceDB id"),
        ("superevents.txt", b"S190412m\nS190412m\n", "has S190412m twice"),
        ("superevents.txt", b"S190101a\n", "has 0 superevents with a sky map and 5 neutrino lists"),
        ("bklist_names.txt", b"../../secret\n", r"has the line '../../secret'"),
        ("bklist_names.txt", b"\xff\n", "is not UTF-8 text"),
        ("skymap_info.json.template", b"{", "is not valid JSON"),
        ("skymap_info.json.template", b"[]", "is not a JSON object"),
        ("skymap_info.json.template", b"{}", "has no event_time; add the UTC time"),
        ("skymap_info.json.template", b'{"event_time": "noon"}', "'noon' is not a UTC time"),
        ("placeholder.json", b"<html>", "placeholder.json is not valid JSON"),
        ("missing_event_ids_cwb.npy", b"no", "is no array of ids"),
    ],
)
def test_what_is_wrong_is_a_sentence(root, path, content, says):
    (root / path).unlink()
    if content is not None:
        (root / path).write_bytes(content)
    with pytest.raises(LlamaError, match=says):
        read(root)


def test_a_directory_that_holds_none_of_it(tmp_path):
    with pytest.raises(LlamaError, match=r"holds neither superevents\.txt nor bklist_names\.txt"):
        read(tmp_path)


def test_ids_are_never_unpickled(root):
    np.save(root / "missing_event_ids_cwb.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(LlamaError, match="is no array of ids"):
        read(root)
