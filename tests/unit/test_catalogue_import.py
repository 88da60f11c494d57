"""Importing the sky maps of a catalogue: what becomes an event, and what is refused."""

import json
import shutil
import tarfile
from pathlib import Path

import pytest
from alert_samples import tree
from catalogue_samples import (
    FIRST,
    HEADER,
    SECOND,
    file_name,
    gps_of,
    row,
    skymap,
    tarball,
    write_release,
)
from msgspec import convert

from llama.cli.main import main
from llama.event.results import Source
from llama.event.skymap_info import read_info
from llama.figures.text import marks
from llama.neutrinos.archive import Archive
from llama.neutrinos.event_list import make_list
from llama.neutrinos.given import given_scrambled, read_given

RUN = "past_runs/GWTC-3"


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("LLAMA_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("events.csv").write_text("\n".join([HEADER, row(FIRST), row(SECOND)]))
    return tmp_path / "data" / "llama"


def imported(*words: str, path: str = "release") -> int:
    return main(["catalogue", "import", path, *words])


def files(run: Path) -> dict[str, bytes]:
    """All files of the events, without locks."""
    return {name: text for name, text in tree(run).items() if not name.endswith(".lock")}


def test_a_release_becomes_events_that_a_second_import_leaves_as_they_are(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_release(Path("release"))
    assert imported("--table", "events.csv") == 0
    out, err = capsys.readouterr()
    assert out == f"{output / RUN}\nllama snakemake {RUN}/catalogue\n"
    assert err.endswith("2 events: 2 new, 0 revised, 0 unchanged; 0 left out\n")
    info = read_info(output / RUN / FIRST)
    assert (info.alert_type, info.group, info.instruments) == ("catalogue", "CBC", [])
    assert info.gps_time == pytest.approx(gps_of(FIRST), abs=0.06)
    assert info.far_hz == pytest.approx(1e-5 / (365.25 * 86400))
    record = json.loads((output / RUN / FIRST / info.alert_file).read_bytes())
    assert record["classification"] == pytest.approx({"BBH": 0.9, "Terrestrial": 0.1})
    before = files(output / RUN)
    assert imported("--table", "events.csv") == 0
    assert "0 new, 0 revised, 2 unchanged" in capsys.readouterr().err
    assert files(output / RUN) == before
    # one event has another rate: it alone is revised, and its map stays the first one
    Path("events.csv").write_text("\n".join([HEADER, row(FIRST, far=2e-5), row(SECOND)]))
    assert imported("--table", "events.csv") == 0
    assert "0 new, 1 revised, 1 unchanged" in capsys.readouterr().err
    after, revised = files(output / RUN), read_info(output / RUN / FIRST)
    assert (revised.revision, revised.skymap_file) == (2, "alerts/1-Update.fits")
    second = {name for name in before if name.startswith(SECOND)}
    assert all(after[name] == before[name] for name in second)


def test_the_choice_of_a_map_is_recorded(output: Path) -> None:
    names = {
        file_name(FIRST, "IMRPhenomXPHM"): skymap(FIRST, 1),
        file_name(FIRST, "Mixed"): skymap(FIRST, 2),
        file_name(FIRST, "Mixed", "nocosmo"): skymap(FIRST, 3),
    }
    content = tarball(*((f"maps/{name}", content) for name, content in names.items()))
    Path("maps.tar.gz").write_bytes(content)
    assert imported("--p-astro", "0.9", path="maps.tar.gz") == 0
    info = read_info(output / RUN / FIRST)
    assert info.skymap_filename == file_name(FIRST)
    extra = json.loads((output / RUN / FIRST / info.alert_file).read_bytes())["extra"]
    assert extra["catalogue"]["waveform"] == "Mixed"
    assert extra["catalogue"]["cosmologically_reweighted"] is True
    assert extra["catalogue"]["maps_not_used"] == [
        file_name(FIRST, "IMRPhenomXPHM"),
        file_name(FIRST, "Mixed", "nocosmo"),
    ]
    assert extra["p_astro"].startswith("as given")


def test_what_cannot_be_used_is_named_and_left_out(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice, untimed, other, foreign, broken = (
        *("GW191103_012549", "GW191105_143521", "GW191109_010717"),
        *("GW191113_071753", "GW191126_115259"),
    )
    late = gps_of(other) + 3
    called_else = f"GW191109_010720,1,GWTC-3,{late},30,20,1e-5,0.9"
    Path("events.csv").write_text("\n".join([HEADER, row(SECOND), called_else]))
    write_release(
        Path("release"),
        {
            file_name(SECOND): skymap(SECOND),
            f"a/{file_name(twice)}": skymap(twice),
            f"b/{file_name(twice)}": skymap(twice, 1),
            file_name(untimed): skymap(untimed, **{"DATE-OBS": None}),
            file_name(other): skymap(other),
            file_name(foreign): skymap(SECOND),
            file_name(broken): skymap(broken)[:4000],
            "S190408an.fits": b"",
        },
    )
    assert imported("--table", "events.csv", "--p-astro", "0.9") == 0
    err = capsys.readouterr().err
    for name, reason in (
        (twice, "it has two maps"),
        (untimed, "neither its map nor the table of events has its time"),
        (other, "events.csv calls the event of its time GW191109_010720"),
        (foreign, "names another time"),
        (broken, "broken or truncated"),
        ("S190408an.fits", "its name has no event"),
    ):
        (line,) = (line for line in err.splitlines() if line.startswith(f"{name} is left out"))
        assert reason in line
    assert "1 event: 1 new, 0 revised, 0 unchanged; 6 left out" in err
    told = json.loads((output / RUN / "import.json").read_bytes())
    assert told["events"] == [SECOND]
    assert set(told["left_out"]) == {twice, untimed, other, foreign, broken, "S190408an.fits"}


def link(kind: bytes, name: str = "x.fits") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


GOOD = tarball((file_name(FIRST), skymap(FIRST)), (file_name(SECOND), skymap(SECOND)))
HOSTILE = {
    "outside of it": tarball((f"../{file_name(FIRST)}", skymap(FIRST))),
    "outside of it, /": tarball((f"/{file_name(FIRST)}", skymap(FIRST))),
    "a link or device, x": tarball((link(tarfile.SYMTYPE), b"")),
    "a link or device, y": tarball((link(tarfile.LNKTYPE, "y.fits"), b"")),
    "a link or device, z": tarball((link(tarfile.CHRTYPE, "z.fits"), b"")),
    "is no whole tarball": GOOD[:-2000],
    "is no whole tarball (": b"no tarball at all",
}


def test_a_hostile_or_broken_tarball_changes_nothing(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("maps.tar.gz").write_bytes(GOOD)
    assert imported("--p-astro", "0.9", "--run", "x", path="maps.tar.gz") == 0
    before = files(output / "past_runs")
    for says, content in HOSTILE.items():
        capsys.readouterr()
        Path("maps.tar.gz").write_bytes(content)
        assert imported("--p-astro", "0.8", "--run", "x", path="maps.tar.gz") == 1
        err = capsys.readouterr().err
        assert says in err
        assert err.count("\n") == 1
        assert files(output / "past_runs") == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "give GWOSC's with --table, or give one value for all"),
        (["--p-astro", "2"], "--p-astro must be from 0 to 1"),
        (["--p-astro", "0.9", "--run", "../x"], "--run must be letters"),
        (["--p-astro", "0.9", "--neutrinos", "ic40"], "say so with --scramble SEED"),
        (["--p-astro", "0.9", "--neutrinos", "x", "--scramble", "1"], "with the background of"),
        (["--table", "missing.csv"], "cannot read missing.csv"),
        (["--table", "bad.csv"], "bad.csv, row 1: p_astro '7' is no number from 0 to 1"),
    ],
)
def test_wrong_words_are_one_sentence(
    words: list[str], says: str, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_release(Path("release"))
    Path("bad.csv").write_text(f"{HEADER}\n{row(FIRST, p_astro=7)}")
    assert imported(*words) == 1
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not (output / "past_runs/GWTC-3").exists()


def test_events_of_an_archive_are_moved_and_marked(
    output: Path, archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(archive.directory, output / "archive/toy")
    (output / "llama.yaml").write_text("neutrinos: {archive: toy, source: {archive: {}}}")
    write_release(Path("release"))
    assert imported("--table", "events.csv", "--scramble", "7") == 0
    info = read_info(output / RUN / FIRST)
    assert info.neutrino_file is not None
    content = (output / RUN / FIRST / info.neutrino_file).read_bytes()
    told = {"archive": archive.name, "identity": archive.identity, "seed": 7}
    assert given_scrambled(content) == told
    given = read_given(content, "list", info.trigger_gps)
    assert all(one["type"] == "scrambled" for one in given)
    # a list marked so is, even where it holds no neutrino
    for rows in (given, []):
        made = make_list(FIRST, info.trigger_gps, now_gps=1.4e9, given=rows, given_scrambled=told)
        assert made["source"]["scrambled"] == told
        source = convert(made["source"], Source)
        assert marks(info, (), None, source) == ["CATALOGUE", "SCRAMBLED NEUTRINOS"]
        assert "with the seed 7" in source.words
    before = files(output / RUN)
    assert imported("--table", "events.csv", "--scramble", "7") == 0
    assert files(output / RUN) == before
    capsys.readouterr()
    assert imported("--table", "events.csv") == 1
    assert "has scrambled neutrinos, and those of this import would be real" in (
        capsys.readouterr().err
    )
    assert files(output / RUN) == before
    # with real neutrinos: the toy archive has no uptime in 2020
    assert imported("--table", "events.csv", "--run", "real") == 0
    assert f"{FIRST}: no neutrino detector observed in its window" in capsys.readouterr().err
    made = make_list(FIRST, info.trigger_gps, now_gps=1.4e9, archive=archive)
    assert (made["events"], made["livetime_s"], made["complete"]) == ([], 0.0, True)
