"""How far studies are, as another shell sees it."""

import json
import time

import pytest

from llama.study.plan import Progress, localised_injections, progress_path, study_progress

WANTED = {("bns-o3-H1L1", "background"): 2500}


def progress(studies):
    (row,) = study_progress(studies, WANTED, 1000)
    return row


@pytest.fixture
def studies(tmp_path):
    (tmp_path / "bns-o3-H1L1" / "background").mkdir(parents=True)
    return tmp_path


def test_nothing_done_yet(tmp_path):
    assert progress(tmp_path) == ("bns-o3-H1L1", "background", 0, 2500, None)
    assert progress(tmp_path).left_s is None


def test_shards_that_are_done_and_at_work_count(studies):
    directory = studies / "bns-o3-H1L1" / "background"
    (directory / "shard-0002.hdf5").touch()  # the short one
    assert progress(studies)[2:] == (500, 2500, None)
    with Progress(directory / "shard-0000.hdf5", 1000) as running:
        for _ in range(40):
            running.tick()
        path = progress_path(directory / "shard-0000.hdf5")
        content = json.loads(path.read_text())
        assert content["done"] == 1  # renewed every two seconds only
        now = time.time()
        content |= {"done": 200, "started": now - 10, "updated": now}
        path.write_text(json.dumps(content))
        row = progress(studies)
        assert row.done == 700
        assert row.rate_hz == pytest.approx(20, rel=1e-6)
        assert row.left_s == pytest.approx(90, rel=1e-6)
    assert not path.exists()
    assert progress(studies).rate_hz is None


def test_a_killed_shard_is_not_at_work(studies):
    directory = studies / "bns-o3-H1L1" / "background"
    old = time.time() - 100
    content = {"done": 500, "wanted": 1000, "started": old - 50, "updated": old}
    progress_path(directory / "shard-0000.hdf5").write_text(json.dumps(content))
    progress_path(directory / "shard-0001.hdf5").write_text("{")
    assert progress(studies)[2:] == (0, 2500, None)
    for wrong in ({"updated": 1e308}, {"updated": time.time(), "done": -5}):
        progress_path(directory / "shard-0000.hdf5").write_text(json.dumps(content | wrong))
        assert progress(studies)[2:] == (0, 2500, None)


def test_sky_maps_of_a_simulation_count_by_shard(tmp_path):
    assert localised_injections(tmp_path, 130, 50) == 0
    for name in ("shard-0000", ".shard-0001", "shard-0002", "shard-0007", "shard-x"):
        (tmp_path / "maps" / name).mkdir(parents=True)
    assert localised_injections(tmp_path, 130, 50) == 80


def test_shards_in_another_place_count_once(studies):
    directory = studies / "bns-o3-H1L1" / "background"
    (directory / "shard-0000.hdf5").touch()
    now = time.time()
    elsewhere = {("bns-o3-H1L1", "background"): {0: now - 100, 1: now - 50}}
    (row,) = study_progress(studies, WANTED, 1000, elsewhere)
    assert row[2:] == (2000, 2500, None)  # nobody knows whether somebody is at work
    (row,) = study_progress(studies, WANTED, 1000, {}, {"bns-o3-H1L1"})
    assert row[2:] == (1000, 2500, None)  # one shard tells no rate


def test_the_rate_of_a_fleet_is_that_of_the_last_half_hour(studies):
    now = time.time()
    dates = {0: now - 7200, 1: now - 100, 2: now - 60}  # the last one has 500
    elsewhere = {("bns-o3-H1L1", "background"): dates}
    (row,) = study_progress(studies, WANTED | {}, 1000, elsewhere, {"bns-o3-H1L1"})
    assert row.done == 2500
    assert row.rate_hz == pytest.approx(5, rel=0.02)
