"""Sources together: which are there, what they declare, how they add up, what comes late."""

import json
import os
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from llama.errors import LlamaError
from llama.neutrinos.archive import Archive
from llama.neutrinos.event_list import make_list, note_late_data
from llama.neutrinos.importing import import_release
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.sources import collect, open_sources, state_of
from llama.times import gps_to_iso, gps_to_mjd, iso_to_gps

GPS = iso_to_gps("2019-04-25T08:18:05.017")
WINDOW = (GPS - 500.0, GPS + 500.0)
LATER = GPS + 1e6


def row(offset_s: float, **changes: Any) -> dict[str, Any]:
    return {
        "mjd": float(gps_to_mjd(GPS + offset_s)),
        "ra": 10.0,
        "dec": 20.0,
        "sigma": 0.5,
        "energy": 1000.0,
        **changes,
    }


def drop(output: Path, name: str, *rows: Any, age_s: float = 0.0, **changes: Any) -> Path:
    """Put a list for the window into `neutrinos/`."""
    spans = {"start": gps_to_iso(GPS - 1000), "stop": gps_to_iso(GPS + 1000)}
    path = output / "neutrinos" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(spans | {"events": rows} | changes))
    date = path.stat().st_mtime - age_s
    os.utime(path, (date, date))
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    write_mock_release(tmp_path / "release", seed=3, n_events=20000)
    import_release(tmp_path / "release", tmp_path / "archive", "toy")
    return Archive.open(tmp_path / "archive/toy")


def open_(output: Path, **wanted: Any) -> Any:
    return open_sources(wanted, output, "toy")


def test_without_a_source_the_archive_is_it(tmp_path: Path, archive: Archive) -> None:
    (source,) = open_(tmp_path)
    assert source.state(*WINDOW) == archive.identity
    found = source.fetch(*WINDOW)
    assert len(found.rows) == len(archive.query(*WINDOW)["gps"]) > 0
    assert found.complete
    made = make_list("S190425z", GPS, now_gps=LATER, archive=archive)
    assert make_list("S190425z", GPS, now_gps=LATER, sources=[source]) == made
    assert made["source"]["sigma"] == "angular error of the release, 1 sigma"
    assert not source.fetch(GPS + 1e8, GPS + 1e8 + 1000).covers


def test_an_archive_that_is_not_there_covers_nothing(tmp_path: Path) -> None:
    (source,) = open_(tmp_path)
    assert source.state(*WINDOW) is None
    assert not source.fetch(*WINDOW).covers
    with pytest.raises(LlamaError, match="no neutrino source covers S190425z"):
        make_list("S190425z", GPS, now_gps=LATER, sources=[source])


def test_a_mock_event_never_gets_neutrinos_of_a_source(tmp_path: Path, archive: Archive) -> None:
    drop(tmp_path, "a.json", row(0), complete=True)
    sources = open_(tmp_path, files={})
    made = make_list("MS190425z", GPS, now_gps=LATER, archive=archive, sources=sources)
    assert {event["type"] for event in made["events"]} == {"simulated"}
    with pytest.raises(LlamaError, match="no neutrino source covers"):
        make_list("MS190425z", GPS, now_gps=LATER, sources=sources)


def test_every_kind_declares_itself(tmp_path: Path) -> None:
    url = "https://example.org/?a={start_gps}&b={stop_gps}"
    wanted = {"archive": {}, "files": {}, "gcn": {}, "gfu": {"kind": "https_json", "url": url}}
    for source in open_sources(wanted, tmp_path, "toy"):
        for name in ("time_scale", "sigma", "completeness", "credentials"):
            assert isinstance(getattr(source, name), str)
        assert source.network == (source.name == "gfu")


def test_files_put_by_hand(tmp_path: Path) -> None:
    (source,) = open_(tmp_path, files={})
    assert not source.fetch(*WINDOW).covers
    drop(tmp_path, "a.json", row(1), row(600), age_s=10)
    found = source.fetch(*WINDOW)
    assert (len(found.rows), found.covers, found.complete) == (1, True, False)
    states = [source.state(*WINDOW)]
    drop(tmp_path, "a.json", row(1), row(600), complete=True, age_s=5)
    assert source.fetch(*WINDOW).complete
    states.append(source.state(*WINDOW))
    # late, and a correction: the newest file's numbers of an event stand
    numbers = {"run": 1, "event": 2}
    drop(tmp_path, "a.json", row(1, **numbers), complete=True, age_s=4)
    drop(tmp_path, "b.json", row(1, ra=11.0, **numbers), row(2))
    found = source.fetch(*WINDOW)
    assert [event["ra"] for event in found.rows] == [11.0, 10.0]
    assert found.complete
    states.append(source.state(*WINDOW))
    assert len({str(state) for state in states}) == 3
    # files of other times are no matter of this window
    drop(tmp_path, "c.json", start="2020-01-01T00:00:00", stop="2020-01-02T00:00:00")
    assert source.state(*WINDOW) == states[-1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[]", r"a\.json lacks start, stop or events"),
        ("{", r"a\.json is not valid JSON"),
        ('{"start": "x", "stop": "y", "events": []}', r"a\.json: 'x' is not a UTC time"),
        ('{"start": NaN}', "not valid JSON"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: str, says: str) -> None:
    (source,) = open_(tmp_path, files={})
    state = source.state(*WINDOW)
    (tmp_path / "neutrinos").mkdir()
    (tmp_path / "neutrinos/a.json").write_text(content)
    assert source.state(*WINDOW) != state
    with pytest.raises(LlamaError, match=says):
        source.fetch(*WINDOW)


def test_sources_add_up_and_the_first_has_precedence(tmp_path: Path) -> None:
    numbers = {"run": 1, "event": 2}
    drop(tmp_path, "a.json", row(1, **numbers), complete=True)
    wanted = {"files": {}, "more": {"kind": "files", "directory": "more"}}
    sources = open_sources(wanted, tmp_path, "toy")
    assert collect(sources, *WINDOW).about["name"] == "neutrinos"
    (tmp_path / "neutrinos").rename(tmp_path / "more")
    drop(tmp_path, "a.json", row(3, **numbers), row(5))
    found = collect(sources, *WINDOW)
    assert [event["mjd"] for event in found.rows] == [row(3)["mjd"], row(5)["mjd"]]
    assert not found.complete
    assert found.about["name"] == "neutrinos + more"
    drop(tmp_path, "a.json", row(3, **numbers), complete=True)
    assert collect(sources, *WINDOW).complete
    made = make_list("S190425z", GPS, now_gps=GPS, sources=sources)
    assert (made["window_state"], made["complete"]) == ("open", False)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"ra": 10.9}, True),  # sigma is 0.5 deg in both: 1.4 deg are 2 sigma
        ({"ra": 12.0}, False),
        ({"dt": 2.4}, False),
        ({"dt": 1.6, "dec": 20.9}, True),
    ],
)
def test_one_neutrino_in_two_sources_counts_once(
    tmp_path: Path, changes: dict[str, float], same: bool
) -> None:
    drop(tmp_path, "a.json", row(1, sigma=0.5))
    (tmp_path / "neutrinos").rename(tmp_path / "more")
    told = {"dt": 1.0, "sigma": 0.5} | changes
    drop(tmp_path, "a.json", row(told.pop("dt"), **told))
    wanted = {"files": {}, "more": {"kind": "files", "directory": "more"}}
    found = collect(open_sources(wanted, tmp_path, "toy"), *WINDOW)
    assert len(found.rows) == (1 if same else 2)
    (repeat,) = found.about["parts"][1].get("repeats", [""])
    assert repeat.endswith("of another source") == same


class Network:
    """What a third party would write."""

    time_scale = sigma = completeness = credentials = "x"
    network = True

    def __init__(self, name: str, options: Any, output_dir: Path) -> None:
        self.name = name

    def state(self, start_gps: float, stop_gps: float) -> int:
        return 1

    def fetch(self, start_gps: float, stop_gps: float) -> Any:
        raise AssertionError("asked although ONLINE is false")


def test_a_third_party_adds_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site/other-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    text = f"[llama.neutrino_sources]\nother = {__name__}:Network\n"
    (package / "entry_points.txt").write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    assert entry_points(group="llama.neutrino_sources")
    (source,) = open_(tmp_path, other={})
    assert source.name == "other"
    assert state_of([source], *WINDOW, True) == [["other", 1]]
    assert state_of([source], *WINDOW, False) == []
    assert not collect([source], *WINDOW, online=False).covers


def test_wrong_sources_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LlamaError, match="'ftp' is no kind of neutrino source; known are archive"):
        open_(tmp_path, ftp={})
    with pytest.raises(LlamaError, match=r"neutrinos\.source\.gcn\.x is wrong"):
        open_(tmp_path, gcn={"x": 1})
    with pytest.raises(LlamaError, match=r"neutrinos\.source\.files\.directory is wrong"):
        open_(tmp_path, files={"directory": 5})


def test_late_data_are_told_and_nothing_else(tmp_path: Path) -> None:
    history = tmp_path / "logs/neutrino_lists.jsonl"

    def made(*rows: Any, blinded: bool = False, now: float = LATER) -> str | None:
        made = make_list("S190425z", GPS, now_gps=now, given=rows, blinded=blinded)
        return note_late_data(history, "S190425z", made)

    one, two = row(1, run=1, event=1), row(2, run=1, event=2)
    assert made(one, now=GPS) is None  # provisional
    assert made(one, two, now=GPS + 1) is None
    assert made(one) is None  # the list before was not complete
    assert made(one) is None
    told = made(one, two)
    assert told
    assert "late neutrino data for S190425z" in told
    assert "(new: 1_2)" in told
    assert "(gone: 1_1; changed: 1_2)" not in told
    assert "(gone: 1_1)" in str(made(two))
    assert "(changed: 1_2)" in str(made(two | {"ra": 11.0}))
    assert made(two, blinded=True) is None  # another view of the same
    with history.open("a") as stream:
        stream.write('{"cut')
    assert made(two, one, blinded=True)
    assert len(history.read_text().splitlines()) == 10


def test_a_history_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "logs").write_bytes(b"")  # as a full disk, an OSError
    made = make_list("S190425z", GPS, now_gps=LATER, given=[row(1, run=1, event=1)])
    with pytest.raises(LlamaError, match=r"cannot write .*neutrino_lists\.jsonl: .*; free some"):
        note_late_data(tmp_path / "logs/neutrino_lists.jsonl", "S190425z", made)
