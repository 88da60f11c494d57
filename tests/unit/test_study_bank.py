"""The bank of a study: which maps it takes, what it refuses, and that nothing changes in it."""

import h5py
import numpy as np
import pytest
from sky_samples import flat, multiorder, random_tiles
from stats_samples import parameters, steep_response

from llama.errors import LlamaError
from llama.event.prepared import prepare_skymap
from llama.sky import read_skymap
from llama.study.bank import Bank, build_bank, link_banks
from llama.study.skymaps import list_skymaps

CONTENTS = {
    "a.fits": multiorder(random_tiles(1)),
    "b.fits.gz": flat(random_tiles(2, distance=False), ring=True),
    "c.fits": multiorder(random_tiles(3)),
}


@pytest.fixture
def maps(tmp_path):
    (tmp_path / "maps").mkdir()
    for name, content in CONTENTS.items():
        (tmp_path / "maps" / name).write_bytes(content)
    return tmp_path / "maps"


def test_a_directory_is_listed_in_order(maps):
    (maps / "readme.txt").write_text("")
    (maps / "posterior.hdf5").write_text("")
    assert list_skymaps(maps) == [maps / name for name in CONTENTS]


def test_a_list_keeps_its_order_and_starts_where_it_is(maps, tmp_path):
    listed = tmp_path / "maps.csv"
    listed.write_text(f"# class: bns\nmaps/c.fits\n\n  {maps}/a.fits  \r\nmaps/b.fits.gz")
    assert list_skymaps(listed) == [maps / "c.fits", maps / "a.fits", maps / "b.fits.gz"]


def test_missing_maps_are_named(maps, tmp_path):
    listed = tmp_path / "maps.csv"
    listed.write_text("maps/a.fits\nmaps/x.fits\nmaps/y.fits\n")
    with pytest.raises(LlamaError) as caught:
        list_skymaps(listed)
    assert str(caught.value) == (
        f"2 of 3 sky maps of {listed} do not exist: {maps}/x.fits, {maps}/y.fits; correct the list"
    )
    listed.write_text("".join(f"{k}.fits\n" for k in range(10_000)))
    with pytest.raises(LlamaError, match=r"10000 of 10000 .*/4\.fits, \.\.\.; correct") as caught:
        list_skymaps(listed)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "lists no sky maps; put one path per line"),
        (b"# only a comment\n\n", "lists no sky maps"),
        (CONTENTS["a.fits"], "cannot be read as a list of sky maps|do not exist"),
        (bytes(range(128, 256)), "cannot be read as a list of sky maps; put one path per line"),
        (b"x" * 100_000, "1 of 1 sky maps of .* do not exist"),
    ],
    ids=["empty", "comment", "a sky map", "binary", "one long line"],
)
def test_what_is_no_list_is_a_sentence(tmp_path, content, says):
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(LlamaError, match=says) as caught:
        list_skymaps(tmp_path / "list")
    assert len(str(caught.value)) < 700


def test_neither_list_nor_directory(tmp_path):
    with pytest.raises(LlamaError, match="neither a list of sky maps nor a directory; correct b"):
        list_skymaps(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LlamaError, match="lists no sky maps"):
        list_skymaps(tmp_path / "empty")


def test_the_bank_returns_the_tiles_of_every_map(maps, tmp_path):
    listed = list_skymaps(maps)
    build_bank(listed, tmp_path / "skymaps.hdf5")
    with Bank(tmp_path / "skymaps.hdf5") as bank:
        assert bank.names == [str(path) for path in listed]
        for index, (name, content) in enumerate(CONTENTS.items()):
            expected, tiles = read_skymap(content, name), bank.tiles(index)
            for column in ("order", "ipix", "prob", "distmu", "distsigma", "distnorm"):
                one, other = getattr(tiles, column), getattr(expected, column)
                if other is None:
                    assert one is None
                else:
                    assert one.dtype == other.dtype
                    np.testing.assert_array_equal(one, other)


def test_the_bank_can_be_memory_mapped(maps, tmp_path):
    build_bank(list_skymaps(maps), tmp_path / "skymaps.hdf5")
    offsets = []
    with h5py.File(tmp_path / "skymaps.hdf5") as file:
        for group in file["maps"].values():
            offsets += [column.id.get_offset() for column in group.values()]
    assert len(offsets) == 6 + 3 + 6
    assert None not in offsets


def linked(maps, directory, size=2, broken_maps="fail", **model):
    """Build the bank of a directory of maps in parts of `size`; return its path and problems."""
    listed, parts = list_skymaps(maps), []
    for first in range(0, len(listed), size):
        parts.append(directory / "skymaps" / f"part-{first // size:04d}.hdf5")
        build_bank(listed[first : first + size], parts[-1], **model)
    return directory / "skymaps.hdf5", link_banks(parts, directory / "skymaps.hdf5", broken_maps)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_bank_of_parts_is_the_bank(maps, tmp_path, size):
    build_bank(list_skymaps(maps), tmp_path / "whole.hdf5")
    path, problems = linked(maps, tmp_path, size)
    assert problems == []
    with Bank(tmp_path / "whole.hdf5") as whole, Bank(path) as bank:
        assert (bank.names, bank.broken) == (whole.names, frozenset())
        for index in range(3):
            np.testing.assert_array_equal(bank.tiles(index).prob, whole.tiles(index).prob)
    moved = (tmp_path / "elsewhere").resolve()
    moved.mkdir()
    (tmp_path / "skymaps").rename(moved / "skymaps")
    path.rename(moved / "skymaps.hdf5")
    with Bank(moved / "skymaps.hdf5") as bank:
        assert bank.tiles(2).order.size == random_tiles(3)["order"].size
    (moved / "skymaps" / f"part-{2 // size:04d}.hdf5").unlink()
    with (
        Bank(moved / "skymaps.hdf5") as bank,
        pytest.raises(LlamaError, match="lacks map 2; delete it and run snakemake again"),
    ):
        bank.tiles(2)


def test_weights_are_those_of_an_event_to_the_last_bit(maps, tmp_path):
    response, params = steep_response(), parameters(assumed_horizon_mpc=200.0)
    path, _ = linked(maps, tmp_path, response=response, params=params)
    other = parameters(assumed_horizon_mpc=200.0, fb=20.0)
    far = parameters(assumed_horizon_mpc=300.0, ratebgnu=0.1)
    with Bank(path) as bank:
        for index, (name, content) in enumerate(CONTENTS.items()):
            for model in (params, other, far):
                # of a model that the bank was not made for, the weights are computed
                made = bank.prepared(index, response, model)
                fresh = prepare_skymap(read_skymap(content, name), response.area_relative, model)
                for one, two in zip(made, fresh, strict=True):
                    assert np.asarray(one).tobytes() == np.asarray(two).tobytes()


@pytest.mark.parametrize("broken", [b"<html>", CONTENTS["a.fits"][:3000], b""])
def test_broken_maps_are_named_and_stop_the_study_or_are_left_out(maps, tmp_path, broken):
    (maps / "b.fits.gz").write_bytes(broken)
    with pytest.raises(
        LlamaError, match=rf"1 of 3 sky maps are broken: {maps}/b\.fits\.gz .*"
    ) as e:
        linked(maps, tmp_path)
    assert str(e.value).endswith("background.broken_maps: skip in the settings")
    assert not (tmp_path / "skymaps.hdf5").exists()
    path, problems = linked(maps, tmp_path, broken_maps="skip")
    assert len(problems) == 1
    assert problems[0].startswith(str(maps / "b.fits.gz"))
    with Bank(path) as bank:
        assert (bank.broken, bank.problems, len(bank.names)) == ({1}, problems, 3)
        assert bank.tiles(2).order.size == random_tiles(3)["order"].size
        with pytest.raises(LlamaError, match="lacks map 1"):
            bank.tiles(1)
    with h5py.File(path) as file:
        assert (file.attrs["maps"], file.attrs["broken_maps"]) == (3, 1)
    for name in CONTENTS:
        (maps / name).write_bytes(broken)
    with pytest.raises(LlamaError, match="3 of 3 sky maps are broken"):
        linked(maps, tmp_path, broken_maps="skip")


def test_a_map_that_has_gone_is_broken(maps, tmp_path):
    listed = list_skymaps(maps)
    (maps / "c.fits").unlink()
    problems = build_bank(listed, tmp_path / "part.hdf5")
    assert problems == [f"{maps}/c.fits cannot be read (No such file or directory); replace it"]


def test_parts_of_different_models_are_refused(maps, tmp_path):
    listed, parts = list_skymaps(maps), [tmp_path / "0.hdf5", tmp_path / "1.hdf5"]
    build_bank(listed[:1], parts[0])
    build_bank(listed[1:], parts[1], steep_response(), parameters())
    with pytest.raises(LlamaError, match="made with different settings; delete them and run snake"):
        link_banks(parts, tmp_path / "skymaps.hdf5")


def test_what_is_no_bank_is_a_sentence(maps, tmp_path):
    path = tmp_path / "skymaps.hdf5"
    again = "is missing or no bank of sky maps; delete it and run snakemake again"
    with pytest.raises(LlamaError, match=again):
        Bank(path)
    build_bank(list_skymaps(maps), path)
    whole = path.read_bytes()
    for broken in (b"", b"no HDF5", whole[: len(whole) // 2]):
        path.write_bytes(broken)
        with pytest.raises(LlamaError, match=again):
            Bank(path)
    with h5py.File(path, "w") as file:
        file["other"] = [1.0]
    with pytest.raises(LlamaError, match=again):
        Bank(path)
    path.write_bytes(whole)
    with h5py.File(path, "a") as file:
        del file["maps/1"]
    with Bank(path) as bank:
        assert bank.tiles(0).order.size == random_tiles(1)["order"].size
        for missing in (1, 3):
            with pytest.raises(LlamaError, match=f"lacks map {missing}; delete it and run snake"):
                bank.tiles(missing)


def test_maps_without_distance_are_marked(maps, tmp_path):
    listed = list_skymaps(maps)
    (maps / "0-broken.fits").write_bytes(b"no map")
    build_bank([maps / "0-broken.fits", listed[1]], tmp_path / "part-0.hdf5")
    build_bank([listed[0], listed[1]], tmp_path / "part-1.hdf5")
    parts = [tmp_path / "part-0.hdf5", tmp_path / "part-1.hdf5"]
    link_banks(parts, tmp_path / "bank.hdf5", "skip")
    with Bank(tmp_path / "bank.hdf5") as bank:
        assert bank.without_distance == [1, 3]
        assert {bank.names[index] for index in (1, 3)} == {str(maps / "b.fits.gz")}
