"""The background as events read it: exactly what was written, or a reason."""

import json

import h5py
import numpy as np
import pytest

from llama.errors import LlamaError
from llama.event.populations import class_versions, read_background
from llama.study.populations import ClassOdds, write_populations


def content(seed=0, n=50, **changes):
    rng = np.random.default_rng(seed)
    odds, single = np.sort(rng.exponential(size=n)), np.sort(rng.exponential(size=3 * n))
    content = ClassOdds(odds, single, 0.99, 5, "a" * 64, odds[::10], single[::10])
    return content._replace(**changes)


CLASSES = {
    "bns-o3-H1L1V1": content(1),
    "bbh-o3-H1L1V1": content(2),
    "bns-o3-H1L1": content(3, single=np.empty(0)),
    "bns-o4-H1L1": content(4),
}


@pytest.fixture
def path(tmp_path):
    write_populations(tmp_path / "populations.hdf5", CLASSES)
    return tmp_path / "populations.hdf5"


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_written_is_read(path, name):
    background = read_background(path, name)
    numbers = {"odds", "single", "odds_without_energy", "single_without_energy"}
    assert background.keys() == {"class", "p_astro", *numbers}
    assert background["class"] == name
    assert background["p_astro"] == 0.99
    for key in ("odds", "single"):
        assert background[key].dtype == np.float64
        np.testing.assert_array_equal(background[key], getattr(CLASSES[name], key))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("nsbh-o3-H1L1V1", ["bbh-o3-H1L1V1", "bns-o3-H1L1V1"]),
        ("bns-o4-H1L1V1", ["bns-o3-H1L1V1", "bns-o4-H1L1", "bns-o3-H1L1"]),
        *(("bns-o4-", ["bns-o4-H1L1", "bns-o3-H1L1", "bns-o3-H1L1V1"]), ("x", []), ("-", [])),
        *(("single-bns-o3", []), ("single", [])),
    ],
)
def test_a_class_that_is_not_there_has_a_reason_and_a_remedy(path, name, near):
    background = read_background(path, name)
    assert background.keys() == {"class", "reason", "near"}
    assert background["class"] == name
    offer = f" (nearest that exist: {', '.join(near)})" if near else ""
    assert background["reason"].startswith(f"no background for {name}{offer}; ")
    assert background["near"] == near
    assert background["reason"].endswith("run: snakemake populations.hdf5")


def test_without_a_file_every_class_has_a_reason(tmp_path):
    for path in (None, tmp_path / "populations.hdf5"):
        assert "no background for bns-o3-H1L1" in read_background(path, "bns-o3-H1L1")["reason"]


def test_a_broken_file_is_a_sentence(path):
    whole = path.read_bytes()
    for broken in (b"", b"not HDF5", whole[: len(whole) // 2]):
        path.write_bytes(broken)
        with pytest.raises(LlamaError, match="is broken; delete it and run: snakemake popul"):
            read_background(path, "bns-o3-H1L1")
    with h5py.File(path, "w") as file:
        file["bns/o3/H1L1"] = np.ones(3)
    with pytest.raises(LlamaError, match="is broken"):
        read_background(path, "bns-o3-H1L1")


def test_versions_are_of_the_classes_asked_for(path):
    assert class_versions(path, "-o3-H1L1V1").keys() == {"bns-o3-H1L1V1", "bbh-o3-H1L1V1"}
    assert class_versions(path, "-H1L1").keys() == {"bns-o3-H1L1", "bns-o4-H1L1"}
    assert class_versions(path, "-K1") == {}
    every = class_versions(path, "")
    assert len(set(every.values())) == len(CLASSES)
    assert all(len(version) == 64 for version in every.values())


def test_a_version_changes_when_a_number_does_and_only_then(path):
    before = class_versions(path, "")
    write_populations(path, dict(reversed(CLASSES.items())))
    assert class_versions(path, "") == before
    changed = content(1)
    changed.odds[-1] = np.nextafter(changed.odds[-1], np.inf)
    write_populations(path, CLASSES | {"bns-o3-H1L1V1": changed})
    after = class_versions(path, "")
    assert [name for name in before if after[name] != before[name]] == ["bns-o3-H1L1V1"]
    other = content(2)
    other = other._replace(single=other.single[1:])
    write_populations(path, CLASSES | {"bbh-o3-H1L1V1": other, "cbc-o3-H1L1": content(9)})
    after = class_versions(path, "")
    assert [name for name in before if after[name] != before[name]] == ["bbh-o3-H1L1V1"]
    assert after.keys() - before.keys() == {"cbc-o3-H1L1"}


def test_without_the_file_or_its_index_there_is_no_version(path):
    path.with_suffix(".json").rename(path.with_name("index"))
    assert class_versions(path, "") == {}
    path.with_name("index").rename(path.with_suffix(".json"))
    path.unlink()
    assert class_versions(path, "") == {}


def test_a_broken_index_is_a_sentence(path):
    path.with_suffix(".json").write_text("{")
    with pytest.raises(LlamaError, match="not valid JSON"):
        class_versions(path, "")


def test_the_index_tells_how_many(path):
    index = json.loads(path.with_suffix(".json").read_text())
    assert index["bns-o4-H1L1"]["n"] == 50
    assert index["bns-o4-H1L1"]["seed"] == 5
