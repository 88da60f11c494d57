"""Fetching a release from a server that behaves like Dataverse, over HTTPS."""

import hashlib
import json

import numpy as np
import pytest
import requests
import yaml
from dr2_samples import Dataverse, contents, write_dr2
from https_server import https_server

from llama.cli.main import main
from llama.errors import LlamaError
from llama.neutrinos import fetch as room
from llama.neutrinos.fetch import HASHES, RECORD, fetch_release
from llama.neutrinos.release import read_release
from llama.settings import from_dict

DOI = "10.7910/DVN/MMIIZA"
IC86 = ["IC86_I", "IC86_II"]


@pytest.fixture
def dataverse(tmp_path, monkeypatch):
    """The server's release, and the sha256 of its events and uptimes as served."""
    monkeypatch.setattr(room, "PAUSE_S", 0.001)
    monkeypatch.setattr(room, "_PIECE", 64)  # files are small
    double = Dataverse(tmp_path / "server")
    known = {}
    for path in (tmp_path / "server" / "tab").glob("[eu]*/*.tab"):
        known[f"{path.parent.name}/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    hashes = tmp_path / "hashes.json"
    hashes.write_text(json.dumps({"icetracks-dr2": known}))
    monkeypatch.setattr(room, "HASHES", hashes)
    return double


def fetch(server, to, seasons=None, since=None, said=None, release="icetracks-dr2"):
    say = (lambda text: None) if said is None else said.append
    return fetch_release(release, DOI, server.url, to, seasons, since, say)


def names(directory):
    return {
        f"{p.parent.name}/{p.name}" for p in contents(directory) if p.suffix in (".csv", ".tab")
    }


def test_the_newest_configuration_is_fetched_and_reads_back(dataverse, tmp_path):
    said = []
    with https_server(dataverse) as server:
        assert fetch(server, tmp_path / "dr2", said=said) == IC86
    assert names(tmp_path / "dr2") == {
        *(f"{folder}/{season}_exp.tab" for folder in ("events", "uptime") for season in IC86),
        "irfs/IC86_effectiveArea.csv",  # no sha256 is known: original, by its md5
    }
    for name, column in read_release(tmp_path / "dr2").events.items():
        expected = read_release(write_dr2(tmp_path / "plain", "csv"), ["IC86"]).events[name]
        np.testing.assert_array_equal(column, expected)
    assert any(text.startswith("events/IC86_I_exp.tab: ") for text in said)
    assert not any("no checksum" in text for text in said)


def test_python_is_refused_by_the_server(dataverse):
    with https_server(dataverse) as server:
        url = f"{server.url}/api/datasets/:persistentId/?persistentId=doi:{DOI}"
        assert requests.get(url, timeout=5).status_code == 403


@pytest.mark.parametrize(
    ("seasons", "since", "got", "areas"),
    [
        (["IC40"], None, ["IC40"], {"IC40"}),
        (["IC79", "IC86_I"], None, ["IC79", "IC86_I"], {"IC79", "IC86"}),
        (None, 56000.0, ["IC86_II"], {"IC86"}),
    ],
)
def test_only_what_is_asked_for(dataverse, tmp_path, seasons, since, got, areas):
    with https_server(dataverse) as server:
        assert fetch(server, tmp_path / "dr2", seasons, since) == got
    there = names(tmp_path / "dr2")
    assert {n for n in there if n.startswith("events")} == {f"events/{s}_exp.tab" for s in got}
    assert {n for n in there if n.startswith("irfs")} == {
        f"irfs/{s}_effectiveArea.csv" for s in areas
    }


@pytest.mark.parametrize(
    ("release", "form", "matrix"),
    [("icetracks-dr2", "tab", True), ("icecube-10-year", "csv", False)],
)
def test_matrices_only_where_they_are_read(dataverse, tmp_path, release, form, matrix):
    for name in ("IC40", "IC86"):  # too large for Dataverse to take in: served as uploaded
        (tmp_path / "server/csv/irfs" / f"{name}_smearing.csv").write_text("a matrix")
    served = (tmp_path / "server/csv").glob("*/*.csv")
    dataverse.files = sorted(path.relative_to(tmp_path / "server/csv") for path in served)
    dataverse.plain = ("IC40_smearing.csv", "IC86_smearing.csv")
    with https_server(dataverse) as server:
        fetch(server, tmp_path / "new", release=release)
    irfs = {"irfs/IC86_effectiveArea.csv", *(["irfs/IC86_smearing.csv"] if matrix else [])}
    assert {name for name in names(tmp_path / "new") if name.startswith("irfs")} == irfs
    assert f"events/IC86_I_exp.{form}" in names(tmp_path / "new")


def test_nothing_after_since(dataverse, tmp_path):
    with https_server(dataverse) as server, pytest.raises(LlamaError, match="after --since; give"):
        fetch(server, tmp_path / "dr2", None, 60000.0)


def test_a_second_time_fetches_nothing(dataverse, tmp_path):
    with https_server(dataverse) as server:
        fetch(server, tmp_path / "dr2")
        hits, before = len(server.hits), contents(tmp_path / "dr2")
        fetch(server, tmp_path / "dr2")
        assert len(server.hits) == hits + 1  # the listing
    assert contents(tmp_path / "dr2") == before


def test_a_damaged_file_is_fetched_again(dataverse, tmp_path):
    with https_server(dataverse) as server:
        fetch(server, tmp_path / "dr2")
        path = tmp_path / "dr2" / "events" / "IC86_I_exp.tab"
        good = path.read_bytes()
        path.write_bytes(good[:-100])
        fetch(server, tmp_path / "dr2")
    assert path.read_bytes() == good


def test_a_cut_connection_is_taken_up(dataverse, tmp_path):
    number = dataverse.number("events/IC86_I_exp.csv")
    with https_server(dataverse, {f"/storage/{number}": ["short", "drop", "short"]}) as server:
        fetch(server, tmp_path / "dr2")
    served = (tmp_path / "server" / "tab" / "events" / "IC86_I_exp.tab").read_bytes()
    assert (tmp_path / "dr2" / "events" / "IC86_I_exp.tab").read_bytes() == served
    begun = [at for name, at in dataverse.ranges if name == "events/IC86_I_exp.csv"]
    assert begun[0] == pytest.approx(len(served) / 2, abs=64)
    assert begun[-1] == pytest.approx(len(served) * 3 / 4, abs=128)


@pytest.mark.parametrize("fault", ["drop", 503, 404])
def test_a_later_command_goes_on_where_one_ended(dataverse, tmp_path, fault):
    number = dataverse.number("events/IC86_II_exp.csv")
    faults = {f"/storage/{number}": ["short"] + [fault] * 50}
    with https_server(dataverse, faults) as server:
        with pytest.raises(LlamaError, match=r"cannot be read .*run the command again"):
            fetch(server, tmp_path / "dr2")
        part = tmp_path / "dr2" / "events" / "IC86_II_exp.tab.part"
        size = part.stat().st_size
        assert size > 1000
        with pytest.raises(LlamaError, match="half a download"):
            read_release(tmp_path / "dr2")
        server.faults.clear()
        dataverse.ranges.clear()
        hits = len(server.hits)
        fetch(server, tmp_path / "dr2")
        assert dataverse.ranges == [("events/IC86_II_exp.csv", size)]
        assert not [hit for hit in server.hits[hits:] if "uptime" in hit]
    assert read_release(tmp_path / "dr2").seasons == tuple(IC86)
    assert not list((tmp_path / "dr2").rglob("*.part"))


def test_a_fetch_that_ended_between_two_files_is_half_a_download(dataverse, tmp_path):
    number = dataverse.number("events/IC86_II_exp.csv")
    with https_server(dataverse, {f"/storage/{number}": 404}) as server:
        with pytest.raises(LlamaError, match="status 404"):
            fetch(server, tmp_path / "dr2")
        assert "events/IC86_I_exp.tab" in names(tmp_path / "dr2")
        with pytest.raises(LlamaError, match=r"half a download, fetch\.part is not finished"):
            read_release(tmp_path / "dr2")


@pytest.mark.parametrize("place", ["events/IC86_I_exp.csv", "irfs/IC86_effectiveArea.csv"])
def test_another_checksum_is_refused_and_nothing_is_kept(dataverse, tmp_path, place):
    real = dataverse.content

    def changed(number, original):
        content = real(number, original)
        return content.replace(b"1", b"2") if 700 + number == dataverse.number(place) else content

    with https_server(dataverse) as server:
        rows = dataverse.row
        listed = [rows(k) for k in range(len(dataverse.files))]
        dataverse.row = listed.__getitem__
        dataverse.content = changed
        with pytest.raises(LlamaError, match=r"another checksum than (sha256|md5):\w+; it is not"):
            fetch(server, tmp_path / "dr2")
        stem = place.removesuffix(".csv")
        assert not list((tmp_path / "dr2").glob(f"{stem}*"))
        dataverse.content = real
        fetch(server, tmp_path / "dr2")
    assert read_release(tmp_path / "dr2").seasons == tuple(IC86)


def test_without_a_checksum_the_first_ones_is_recorded_and_holds(dataverse, tmp_path):
    dataverse.md5, said = False, []
    with https_server(dataverse) as server:
        fetch(server, tmp_path / "dr2", said=said)
        path = tmp_path / "dr2" / "irfs" / "IC86_effectiveArea.csv"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert [text for text in said if "no checksum is known" in text] == [
            "irfs/IC86_effectiveArea.csv: no checksum is known; from now on it must have sha256 "
            + digest
        ]
        assert (
            json.loads((tmp_path / "dr2" / RECORD).read_text())["irfs/IC86_effectiveArea.csv"]
            == digest
        )
        path.unlink()
        real = dataverse.content
        dataverse.content = lambda number, original: real(number, original).replace(b"1", b"2")
        with pytest.raises(LlamaError, match=f"another checksum than sha256:{digest}"):
            fetch(server, tmp_path / "dr2")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("login", "does not answer like a Dataverse"),
        (403, "status 403"),
        (lambda go: go()._replace(content={"data": {}}), "does not answer like a Dataverse"),
        (
            lambda go: go()._replace(content={"data": {"latestVersion": {"files": []}}}),
            "has no events/",
        ),
        (
            lambda go: go()._replace(content={"data": {"latestVersion": {"files": [{}]}}}),
            "does not answer like a Dataverse",
        ),
    ],
)
def test_answers_that_are_no_listing(dataverse, tmp_path, fault, says):
    with https_server(dataverse, {"/:persistentId/": fault}) as server:
        with pytest.raises(LlamaError, match=says) as error:
            fetch(server, tmp_path / "dr2")
        assert "\n" not in str(error.value)


def test_names_that_leave_the_directory_are_not_fetched(dataverse, tmp_path):
    row = dataverse.row
    dataverse.row = lambda k: row(k) | {"label": f"../../{row(k)['label']}"}
    with https_server(dataverse) as server, pytest.raises(LlamaError, match="has no events/"):
        fetch(server, tmp_path / "dr2")
    assert not list(tmp_path.glob("*.tab"))


def test_a_full_disk_is_said(dataverse, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room.Store, "_go_on", full)
    with https_server(dataverse) as server, pytest.raises(LlamaError, match="No space left on de"):
        fetch(server, tmp_path / "dr2")


def test_the_command_fetches_and_imports(dataverse, tmp_path, monkeypatch, capsys):
    with https_server(dataverse) as server:
        settings = {"output_dir": str(tmp_path / "out"), "neutrinos": {"data_host": server.url}}
        (tmp_path / "llama.yaml").write_text(yaml.safe_dump(settings))
        monkeypatch.setenv("LLAMA_CONFIG", str(tmp_path / "llama.yaml"))
        words = ["neutrinos", "fetch", "icetracks-dr2", "--since", "2012-01-01", "--name", "dr2"]
        assert main(words) == 0
        out = capsys.readouterr().out
        assert "seasons    IC86_II\n" in out
        assert "area of    IC86\n" in out
        assert main(["neutrinos", "fetch", "icecube-40-year"]) == 1
        assert "choose one of icecube-10-year, icetracks-dr2" in capsys.readouterr().err
        assert main([*words[:4], "yesterday"]) == 1
        assert "'yesterday' is not a date" in capsys.readouterr().err
    assert (tmp_path / "out" / "archive" / "dr2" / "archive.json").is_file()
    assert (tmp_path / "out" / "releases" / "icetracks-dr2" / RECORD).is_file()


def test_the_known_hashes_are_of_all_seasons(shared_data):
    known = json.loads(HASHES.read_text())["icetracks-dr2"]
    assert len([name for name in known if name.startswith("events/")]) == 14
    assert all(len(digest) == 64 for digest in known.values())
    tab = shared_data / "detectors" / "icetracks_dr2" / "IC86_effectiveArea.tab"
    assert hashlib.sha256(tab.read_bytes()).hexdigest() == known["irfs/IC86_effectiveArea.tab"]


def test_the_default_host_and_dois():
    neutrinos = from_dict({}).neutrinos
    assert neutrinos.data_host.startswith("https://")
    assert set(neutrinos.release_doi) == {"icetracks-dr2", "icecube-10-year"}
