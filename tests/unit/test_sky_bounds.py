"""A map costs at most 512 MiB and 20 s, whatever it claims, and its reader costs nobody more."""

import fcntl
import os
import signal

import numpy as np
import pytest
from bombs import bombs, flat
from sky_samples import flat as flat_map
from sky_samples import multiorder, random_tiles

from llama import child
from llama.errors import LlamaError
from llama.sky import check_skymap, pixels, read_skymap, unpack

MIB = 1 << 20
BOMBS = bombs()


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_that_claims_much_is_refused_before_it_takes_memory(kind, monkeypatch):
    make, says = BOMBS[kind]
    content = make()
    assert len(content) < 4 * MIB
    room = 180 if kind.startswith("many different") else 40
    monkeypatch.setattr(child, "MEMORY_BYTES", room * MIB)
    monkeypatch.setattr(unpack, "MAX_BYTES", 150 * MIB)
    with pytest.raises(LlamaError) as caught:
        check_skymap(content, "map.fits")
    assert says in str(caught.value)
    assert str(caught.value).startswith("map.fits ")
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)


def test_a_large_flat_map_is_read_in_little_memory(monkeypatch):
    content = flat(1024)  # 96 MiB
    assert len(content) < MIB
    monkeypatch.setattr(child, "MEMORY_BYTES", 32 * MIB)
    check_skymap(content, "map.fits")
    assert read_skymap(content, "map.fits").order.tolist() == [0] * 12


@pytest.mark.parametrize("ring", [False, True])
@pytest.mark.parametrize("width", [1, 1024])
def test_a_large_flat_map_is_the_multiorder_map_that_it_was(monkeypatch, ring, width):
    monkeypatch.setattr(pixels, "BLOCK_ORDER", 5)
    tiles = random_tiles(seed=4, finest=6)
    read = read_skymap(flat_map(tiles, ring=ring, width=width, CREATOR="me"), "map.fits")
    same = read_skymap(multiorder(tiles), "map.fits")
    np.testing.assert_array_equal(read.order, same.order)
    np.testing.assert_array_equal(read.ipix, same.ipix)
    np.testing.assert_allclose(read.prob, same.prob, rtol=1e-12)
    for name in ("distmu", "distsigma", "distnorm"):
        np.testing.assert_array_equal(getattr(read, name), getattr(same, name))
    assert read.meta["creator"] == "me"


def test_as_many_tiles_as_may_be_take_at_most_512_mib():
    order = 9
    ipix = np.arange(12 * 4**order)
    density = np.random.default_rng(1).uniform(0.5, 1.5, ipix.size)
    density /= density.sum() * np.pi / 3 * 4.0**-order
    columns = {"order": np.full(ipix.size, order), "ipix": ipix, "PROBDENSITY": density}
    columns |= {"DISTMU": 100 * density, "DISTSIGMA": density, "DISTNORM": density}
    check_skymap(multiorder(columns), "map.fits")
    check_skymap(flat_map(columns), "map.fits")
    check_skymap(flat_map(columns, ring=True), "map.fits")


def test_what_needs_more_memory_is_one_sentence():
    with pytest.raises(LlamaError, match=r"^x needs more than 512 MiB to be read; take less$"):
        child.in_child(lambda: np.ones(child.MEMORY_BYTES // 6), "x", "take less")
    assert child.in_child(lambda: np.ones(child.MEMORY_BYTES // 10).size, "x", "take less")


def test_what_needs_more_time_is_one_sentence(monkeypatch):
    monkeypatch.setattr(child, "CPU_S", 1)

    def endless():
        while True:
            pass

    with pytest.raises(LlamaError, match=r"^x takes more than 1 s to be read; take less$"):
        child.in_child(endless, "x", "take less")


def test_what_ends_its_process_is_one_sentence():
    with pytest.raises(LlamaError, match=r"^x cannot be read \(its process ended with SIGSEGV\); "):
        child.in_child(lambda: os.kill(os.getpid(), signal.SIGSEGV), "x", "take less")


def test_a_child_that_hangs_is_ended_and_tried_again(monkeypatch):
    monkeypatch.setattr(child, "_WAIT_S", 0.2)
    with pytest.raises(LlamaError, match=r"has not ended in 0[.]2 s") as caught:
        child.in_child(signal.pause, "x", "take less")
    assert isinstance(caught.value.__cause__, OSError)  # the record is not to blame
    assert caught.value.__cause__.errno


def test_a_defect_stays_a_defect():
    with pytest.raises(RuntimeError, match=r"ValueError\('why'\)"):
        child.in_child(_raise, "x", "take less")


def _raise():
    raise ValueError("why")


def test_half_a_character_in_a_sentence_arrives():
    def refuse():
        raise LlamaError("\ud800 is wrong")

    with pytest.raises(LlamaError, match=r"\\ud800 is wrong"):
        child.in_child(refuse, "x", "take less")


def test_a_child_holds_no_lock_of_its_parent(tmp_path):
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def parse():
            with pytest.raises(OSError, match="Bad file"):
                os.fstat(lock.fileno())

        child.in_child(parse, "x", "take less")
