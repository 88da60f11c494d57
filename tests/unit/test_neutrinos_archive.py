"""The archive: import, queries, identity, and what a broken import leaves alone."""

import json
import time

import numpy as np
import pytest

from llama.errors import LlamaError
from llama.neutrinos import importing
from llama.neutrinos.archive import COLUMNS, Archive, summary
from llama.neutrinos.importing import import_release
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.response import Response


@pytest.fixture(scope="module")
def mock_release(tmp_path_factory):
    directory = tmp_path_factory.mktemp("release")
    write_mock_release(directory, seed=3, n_events=2000, mjd_stop=58580.0)
    return directory


@pytest.fixture
def archive(mock_release, tmp_path):
    import_release(mock_release, tmp_path / "archive", "toy")
    return Archive.open(tmp_path / "archive" / "toy")


def files(directory):
    return {p.relative_to(directory): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_import_writes_what_it_returns(archive):
    about = json.loads((archive.directory / "archive.json").read_text())
    assert about == archive.about
    assert about["events"] == 2000
    assert about["simulated"]
    assert about["counts"]["events/MOCK_exp.csv"]["kept"] == 2000
    assert len(about["inputs"]) == 3
    assert all(len(digest) == 64 for digest in about["inputs"].values())
    assert isinstance(archive.response(), Response)
    assert archive.response().season == about["effective_area_season"] == "MOCK"


def test_query_gives_exactly_the_window(archive):
    events = archive.events()
    assert tuple(events) == COLUMNS
    gps = events["gps"]
    start, stop = gps[100], gps[120]
    inside = archive.query(start, stop)
    for name in COLUMNS:
        np.testing.assert_array_equal(inside[name], events[name][100:121])
    assert len(archive.query(start + 1e-3, stop - 1e-3)["gps"]) == 19
    assert len(archive.query(gps[-1] + 1, gps[-1] + 1e6)["gps"]) == 0


def test_uptime_and_later_events(archive):
    run, gap = 8 * 3600.0, 60.0  # of the toy release
    start = archive.about["first_gps"] // 1
    start = float(np.round(start - (start - 1238112018.0) % (run + gap)))  # start of the first run
    assert archive.covers(start + 1, start + run - 1)
    assert not archive.covers(start + run - 500, start + run + 500)
    assert archive.livetime_s(start + run - 500, start + run + 500) == pytest.approx(940, abs=0.01)
    assert archive.livetime_s(0, 1000) == 0
    last = archive.about["last_gps"]
    assert archive.has_event_after(last - 1)
    assert not archive.has_event_after(last)


def test_identity_is_of_the_content(mock_release, archive, tmp_path):
    again = import_release(mock_release, tmp_path / "elsewhere", "other")
    assert again["identity"] == archive.identity
    path = tmp_path / "changed"
    write_mock_release(path, seed=3, n_events=2000, mjd_stop=58580.0)
    events = path / "events" / "MOCK_exp.csv"
    lines = events.read_text().splitlines()
    events.write_text("\n".join(lines[:-1]) + "\n")
    assert import_release(path, tmp_path / "elsewhere", "other")["identity"] != archive.identity


def test_new_import_replaces_and_leaves_nothing_else(mock_release, archive):
    before = files(archive.directory)
    import_release(mock_release, archive.directory.parent, "toy")
    assert files(archive.directory) == before
    assert [path.name for path in archive.directory.parent.iterdir()] == ["toy"]


def test_broken_import_leaves_the_good_archive(archive, tmp_path):
    before = files(archive.directory)
    with pytest.raises(LlamaError, match="events has no file"):
        import_release(tmp_path / "nothing", archive.directory.parent, "toy")
    assert files(archive.directory) == before


@pytest.mark.parametrize("step", ["_write_events", "write_json", "_replace_directory"])
def test_full_disk_leaves_the_good_archive(mock_release, archive, monkeypatch, step):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = files(archive.directory)
    monkeypatch.setattr(importing, step, full)
    with pytest.raises(LlamaError, match="No space left on device; free some space"):
        import_release(mock_release, archive.directory.parent, "toy")
    assert files(archive.directory) == before
    assert [path.name for path in archive.directory.parent.iterdir()] == ["toy"]


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "a/b", "x" * 65, "a b"])
def test_names_become_directories_only_if_harmless(mock_release, tmp_path, name):
    with pytest.raises(LlamaError, match="cannot name an archive"):
        import_release(mock_release, tmp_path / "archive", name)
    assert not (tmp_path / "archive").exists()


def test_season_must_exist(mock_release, tmp_path):
    with pytest.raises(LlamaError, match="no effective area 'IC86_II'; choose one of MOCK"):
        import_release(mock_release, tmp_path, "toy", season="IC86_II")


def test_missing_and_damaged_archives_are_explained(archive, tmp_path):
    with pytest.raises(LlamaError, match=r"no neutrino archive .* `llama neutrinos import PATH`"):
        Archive.open(tmp_path / "nowhere")
    (archive.directory / "events.hdf5").write_bytes(b"not HDF5")
    with pytest.raises(LlamaError, match="cannot be read; import the archive again"):
        archive.events()


def test_summary(archive, tmp_path):
    assert summary(tmp_path / "nowhere") == {}
    about = summary(archive.directory.parent)["toy"]
    assert about["first"].startswith("2019-04-01T")
    assert about["rate_hz"] == pytest.approx(2000 / (6 * 86400), rel=0.01)
    assert about["livetime_days"] == pytest.approx(6, rel=0.01)


def test_ten_year_release(shared_data, tmp_path):
    begun = time.perf_counter()
    about = import_release(shared_data / "icecube" / "icecube_10year_ps", tmp_path, "ten")
    assert time.perf_counter() - begun < 10  # measured: 0.7 s
    # not the newest area of the release, IC86_II: only events of IC40 are there
    assert (about["events"], about["effective_area_season"]) == (36900, "IC40")
    assert not about["simulated"]
    archive = Archive.open(tmp_path / "ten")
    events = archive.query(9.0e8, 9.001e8)
    assert 50 < len(events["gps"]) < 300
