"""Lists of sky maps by detectors, and their archive."""

import gzip
import os
import tarfile
from pathlib import Path

import pytest
from sky_samples import flat, multiorder, random_tiles

from llama.cli.main import main
from llama.errors import LlamaError
from llama.study.skymaps import list_skymaps, read_coincs, write_lists

TABLES = {
    "tabs": "coinc_event_id\tifos\tsnr\n0\tH1,L1\t31.3\n1\tV1,L1,H1\t10.8\n2\tH1,L1\t9\n",
    "blanks": "# simulation_id  network  snr\n0  H1L1  31.3\n\n1 H1L1V1   10.8\n2 L1H1 9\n",
    "comments": "# made by a simulation\n# id ifos\n0 H1L1\n# a remark\n1 H1L1V1\n2 H1L1\n",
    "commas": '\ufeffid,ifos\r\n0,"H1,L1"\r\n1,"H1,L1,V1"\r\n2,H1L1\r\n',
    "names": "instruments event_id\nH1,L1 coinc_event:coinc_event_id:0\nH1,L1,V1 x:1\nH1L1 2\n",
}


@pytest.fixture
def maps(tmp_path):
    (tmp_path / "maps").mkdir()
    for k in range(3):
        content = f"map {k}".encode() * 50
        name = f"{k}.fits" if k == 1 else f"{k}.fits.gz"
        (tmp_path / "maps" / name).write_bytes(content if k == 1 else gzip.compress(content))
    return tmp_path / "maps"


@pytest.mark.parametrize("form", TABLES)
def test_maps_are_listed_by_their_detectors(maps, tmp_path, form, capsys):
    (tmp_path / "coincs.dat").write_text(TABLES[form])
    words = ["dev", "skymaps", "lists", str(tmp_path / "coincs.dat"), "--out", str(tmp_path / "o")]
    assert main([*words, "--maps", str(maps)]) == 0
    listed = {path.name: path.read_text() for path in (tmp_path / "o").iterdir()}
    assert listed == {
        "H1L1.csv": f"{maps}/0.fits.gz\n{maps}/2.fits.gz\n",
        "H1L1V1.csv": f"{maps}/1.fits\n",
    }
    assert "H1L1.csv: 2 sky maps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty; give the coincs.dat"),
        ("a b\n1 2\n", "has the columns a, b; it needs one of"),
        ("id ifos\n1\n", "has 1 columns in line 2, not 2; correct it"),
        ("id ifos\nx H1\n", "has no id or no detectors in line 2; correct it"),
        ("id ifos\n1 none\n", "has no id or no detectors in line 2"),
        ("id ifos\n1 H1\n1 L1\n", "has the same id twice"),
        ("id\tifos\n\udc80", "cannot read .* give the coincs.dat"),
    ],
)
def test_what_is_no_table_is_a_sentence(tmp_path, content, says):
    path = tmp_path / "coincs.dat"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(LlamaError, match=says):
        read_coincs(path)


def test_counts_are_checked_both_ways_and_nothing_is_written(maps, tmp_path):
    coincs = [(str(k), "H1L1") for k in range(3)]
    (maps / "1.fits").unlink()
    with pytest.raises(LlamaError, match=r"1 of 3 coincidences have no sky map in .*: 1\.fits\.gz"):
        write_lists(coincs, maps, tmp_path / "out")
    with pytest.raises(LlamaError, match=r"1 sky maps in .* not in the table: 2\.fits\.gz"):
        write_lists(coincs[:1], maps, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_litter_of_file_managers_is_not_a_map_and_a_list_may_begin_with_a_mark(maps, tmp_path):
    (maps / "._0.fits.gz").write_bytes(b"Mac OS X")
    (maps / "__MACOSX").mkdir()
    (maps / "__MACOSX" / "0.fits.gz").write_bytes(b"Mac OS X")
    (tmp_path / "list.csv").write_bytes(
        b"\xef\xbb\xbfmaps/0.fits.gz\r\n# no more\r\nmaps/1.fits\r\n"
    )
    assert list_skymaps(maps) == [maps / "0.fits.gz", maps / "1.fits", maps / "2.fits.gz"]
    assert list_skymaps(tmp_path / "list.csv") == [maps / "0.fits.gz", maps / "1.fits"]


def test_maps_may_lie_in_directories_of_several_runs(maps, tmp_path):
    for k in range(3):
        (maps / f"run-{k}").mkdir()
        next(maps.glob(f"{k}.fits*")).rename(maps / f"run-{k}" / f"{k}.fits.gz")
    assert write_lists([(str(k), "H1L1") for k in range(3)], maps, tmp_path / "o") == {"H1L1": 3}
    assert len(list_skymaps(maps)) == 3
    (maps / "0.fits").write_bytes(b"")
    with pytest.raises(LlamaError, match=r"0\.fits and .*run-0/0\.fits\.gz have the same id; give"):
        write_lists([(str(k), "H1L1") for k in range(3)], maps, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_maps_without_distance_are_counted(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coincs.dat").write_text("id ifos\n0 H1L1\n1 H1L1\n2 H1L1\n")
    (tmp_path / "0.fits").write_bytes(multiorder(random_tiles(1)))
    (tmp_path / "1.fits").write_bytes(flat(random_tiles(2, distance=False)))
    (tmp_path / "2.fits").write_bytes(b"no map")
    assert main(["dev", "skymaps", "lists", str(tmp_path / "coincs.dat"), "--out", "o"]) == 0
    assert capsys.readouterr().out == "o/H1L1.csv: 3 sky maps, 1 of them without distance\n"


def test_a_packed_directory_holds_every_map_compressed(maps, tmp_path, capsys):
    assert main(["dev", "skymaps", "pack", str(maps)]) == 0
    assert capsys.readouterr().out == f"{maps}.tar.gz: 3 sky maps\n"
    with tarfile.open(f"{maps}.tar.gz") as tar:
        for k in range(3):
            packed = tar.extractfile(f"maps/{k}.fits.gz")
            assert gzip.decompress(packed.read()) == f"map {k}".encode() * 50
    assert sorted(path.name for path in maps.iterdir()) == ["0.fits.gz", "1.fits", "2.fits.gz"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["maps", "maps.tar.gz"]


@pytest.mark.parametrize("words", [["pack"], ["lists", "--out", "o"]])
def test_an_empty_or_missing_directory_is_a_sentence(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere"):
        assert main(["dev", "skymaps", words[0], name, *words[1:]]) == 1
        printed = capsys.readouterr().err
        assert printed.startswith("llama: ")
        assert len(printed.splitlines()) == 1


def test_a_directory_that_cannot_be_read_is_not_taken_for_empty(tmp_path, monkeypatch):
    (tmp_path / "maps/inner").mkdir(parents=True)
    for name in ("maps/0.fits", "maps/inner/1.fits"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    (tmp_path / "maps/inner").chmod(0)
    before = os.geteuid()
    os.seteuid(before or 65534)  # root reads everything
    try:
        with pytest.raises(LlamaError, match=r"maps/inner cannot be read \(Permission denied\)"):
            list_skymaps(Path("maps"))
    finally:
        os.seteuid(before)
        (tmp_path / "maps/inner").chmod(0o755)
    assert len(list_skymaps(Path("maps"))) == 2
