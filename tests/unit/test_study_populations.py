"""populations.hdf5: shards in, ascending odds of every class out, and nothing twice."""

import json

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama.errors import LlamaError
from llama.event.populations import read_background
from llama.study.injections import DTYPE, write_shard
from llama.study.populations import collate, write_populations

SETTINGS = {"fb": 10.0}
NAME = "bns-o3-H1L1"


def shard(path, first=0, n=20, seed=7, p_astro=0.99, search=SETTINGS, maps=("a.fits",), broken=0):
    rng = np.random.default_rng(first)
    rows = np.zeros(n, dtype=DTYPE)
    rows["odds"] = rng.choice([0.0, 1.0], n) * rng.lognormal(-8, 4, n)
    rows["neutrinos"] = rng.poisson(6.4, n)
    single = rng.lognormal(-9, 4, rows["neutrinos"].sum())
    hidden = rows[::10].copy(), single[::10] / 2
    hidden[0]["odds"] /= 2
    arguments = rows, single, list(maps), first, seed, p_astro, search
    write_shard(path, *arguments, without_energy=hidden, broken_maps=broken)
    return rows["odds"], single, hidden[0]["odds"], hidden[1]


def test_shards_become_a_class_that_events_can_read(tmp_path):
    paths = [tmp_path / f"shard-{k}.hdf5" for k in range(3)]
    made = [shard(path, first=20 * k) for k, path in enumerate(paths)]
    write_populations(tmp_path / "populations.hdf5", {NAME: collate(paths)})
    background = read_background(tmp_path / "populations.hdf5", NAME)
    assert background["p_astro"] == 0.99
    names = "odds", "single", "odds_without_energy", "single_without_energy"
    for column, name in enumerate(names):
        expected = np.sort(np.concatenate([part[column] for part in made]))
        np.testing.assert_array_equal(background[name], expected)
    with h5py.File(tmp_path / "populations.hdf5") as file:
        attributes = dict(file["bns/o3/H1L1"].attrs)
        assert attributes.keys() == {"n", "seed", "p_astro", "settings_sha256", "n_maps"}
        assert file.keys() == {"bns", "single", "without_energy"}
        assert (attributes["n"], attributes["seed"]) == (60, 7)
    index = json.loads((tmp_path / "populations.json").read_text())
    assert index[NAME]["n"] == 60
    assert index[NAME].keys() == attributes.keys() | {"sha256"}


def test_a_class_tells_how_many_maps_are_behind_it(tmp_path):
    paths, five = [tmp_path / f"shard-{k}.hdf5" for k in range(3)], "abcde"
    for k, path in enumerate(paths):
        shard(path, first=20 * k, maps=five, broken=2)
    populations = tmp_path / "populations.hdf5"
    write_populations(populations, {NAME: collate(paths)})
    assert read_background(populations, NAME)["n_maps"] == 3
    assert json.loads((tmp_path / "populations.json").read_text())[NAME]["n_maps"] == 3
    # shards that were made before do not say it; none of them is read as another number
    with h5py.File(paths[1], "r+") as file:
        del file.attrs["n_maps"]
    write_populations(populations, {NAME: collate(paths)})
    assert "n_maps" not in read_background(populations, NAME)


@settings(max_examples=20)
@given(st.permutations(range(5)))
def test_the_order_of_shards_changes_no_byte(tmp_path_factory, order):
    directory = tmp_path_factory.getbasetemp()
    paths = [directory / f"order-{k}.hdf5" for k in range(5)]
    for k, path in enumerate(paths):
        if not path.exists():
            shard(path, first=20 * k)
    written = []
    for name, some in (("one", paths), ("two", [paths[k] for k in order])):
        write_populations(directory / f"{name}.hdf5", {NAME: collate(some)})
        written.append([(directory / f"{name}.{kind}").read_bytes() for kind in ("hdf5", "json")])
    assert written[0] == written[1]


@pytest.mark.parametrize(
    "other",
    [{"seed": 8}, {"p_astro": 0.5}, {"search": {"fb": 5.0}}, {"first": 0}, {"first": 19}],
    ids=["seed", "p_astro", "settings", "the same shard", "overlap"],
)
def test_shards_that_do_not_belong_together_are_refused(tmp_path, other):
    shard(tmp_path / "a.hdf5")
    shard(tmp_path / "b.hdf5", **({"first": 20} | other))
    with pytest.raises(LlamaError, match="different settings or twice; delete them and run snake"):
        collate([tmp_path / "a.hdf5", tmp_path / "b.hdf5"])


def test_shards_of_different_size_are_one_study(tmp_path):
    odds = [
        shard(tmp_path / f"{first}.hdf5", first, n)[0] for first, n in ((30, 10), (0, 30), (40, 5))
    ]
    collated = collate([tmp_path / f"{first}.hdf5" for first in (30, 0, 40)])
    np.testing.assert_array_equal(np.concatenate(list(collated.odds)), np.concatenate(odds))
    assert collated.odds.size == 45
    assert collated.seed == 7


def test_a_broken_shard_is_named(tmp_path):
    shard(tmp_path / "a.hdf5")
    broken = tmp_path / "b.hdf5"
    for content in (None, b"", (tmp_path / "a.hdf5").read_bytes()[:1000]):
        if content is not None:
            broken.write_bytes(content)
        with pytest.raises(LlamaError, match=rf"{broken} is broken; delete it and run snakemake"):
            collate([tmp_path / "a.hdf5", broken])
    with h5py.File(broken, "w") as file:
        file["injections"], file["single"] = np.zeros(3, dtype=DTYPE), np.zeros(9)
    with pytest.raises(LlamaError, match="is broken"):
        collate([broken])


def test_a_failure_leaves_the_old_populations(tmp_path):
    path = tmp_path / "populations.hdf5"
    shard(tmp_path / "a.hdf5")
    content = collate([tmp_path / "a.hdf5"])
    write_populations(path, {NAME: content})
    before = path.read_bytes(), path.with_suffix(".json").read_bytes()
    (tmp_path / "gone.hdf5").write_bytes((tmp_path / "a.hdf5").read_bytes())
    other = collate([tmp_path / "gone.hdf5"])
    (tmp_path / "gone.hdf5").unlink()
    with pytest.raises(LlamaError, match=r"gone\.hdf5 is broken"):
        write_populations(path, {NAME: content, "bns-o4-H1L1": other})
    assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == before


def test_no_studies_are_an_empty_file(tmp_path):
    write_populations(tmp_path / "populations.hdf5", {})
    assert read_background(tmp_path / "populations.hdf5", NAME).keys() == {
        "class",
        "reason",
        "near",
    }
    assert json.loads((tmp_path / "populations.json").read_text()) == {}
