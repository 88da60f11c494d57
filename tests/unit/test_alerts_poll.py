"""`llama poll gracedb`: what the listener has missed, through the real client over HTTPS."""

import json
from pathlib import Path
from typing import Any

import pytest
from alert_samples import RETRACTION, UPDATE, gwalert_bytes, skymap_fits, take, tree
from gracedb_server import SUPEREVENT, gracedb_server
from https_server import Server

from llama.alerts.gracedb import connect, open_session
from llama.alerts.poll import poll
from llama.cli.main import main
from llama.event.flags import read_flags, write_flags
from llama.event.skymap_info import read_info
from llama.settings import default_yaml

ID = "S240101ab"
T_0 = float(SUPEREVENT["t_0"])


def _files(*notices: str, skymap: int = 0) -> dict[str, bytes]:
    maps = {f"bayestar.multiorder.fits,{k}": skymap_fits(k) for k in range(skymap + 1)}
    return {f"{ID}-{notice}": b"{}" for notice in notices} | maps


def _polled(server: Server, run_dir: Path) -> dict[str, str]:
    found = poll(connect(server.url), run_dir, T_0 - 1000, T_0 + 1000)
    return {graceid: str(outcome) for graceid, outcome in found}


def test_what_nobody_heard_becomes_an_event_once(tmp_path: Path) -> None:
    with gracedb_server({ID: SUPEREVENT}, {ID: _files("1-Preliminary.xml")}) as server:
        assert _polled(server, tmp_path) == {
            ID: "revision 1, Preliminary, which had not been heard; "
            "its sky map is bayestar.multiorder.fits,0"
        }
        info = read_info(tmp_path / ID)
        assert (info.alert_type, info.notice) == ("gracedb", f"{ID}-1-Preliminary")
        assert info.skymap_filename == "bayestar.multiorder.fits,0"
        assert read_flags(tmp_path / ID)["ROLE"] == "test"
        before = tree(tmp_path)
        server.hits.clear()
        assert _polled(server, tmp_path) == {ID: "nothing new"}
        assert tree(tmp_path) == before
        assert not [hit for hit in server.hits if "bayestar" in hit]


class _Hearing:
    """GraceDB's client; while it fetches the map, the listener hears alerts."""

    def __init__(self, client: Any, run_dir: Path, *alerts: bytes) -> None:
        self._client, self._run_dir, self._alerts = client, run_dir, alerts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def file(self, graceid: str, name: str) -> bytes:
        for content in self._alerts:
            take(self._run_dir, content)
        return bytes(self._client.file(graceid, name))


def test_what_is_heard_while_gracedb_answers_stays(tmp_path: Path) -> None:
    take(tmp_path, gwalert_bytes())
    files = _files("1-Preliminary.xml", "2-Update.xml")
    with gracedb_server({ID: SUPEREVENT}, {ID: files}) as server:
        client: Any = _Hearing(connect(server.url), tmp_path, UPDATE)
        found = dict(poll(client, tmp_path, T_0 - 1000, T_0 + 1000))
        assert found == {ID: "nothing new"}
        assert read_info(tmp_path / ID).alert_file == "alerts/2-Update.json"
        # the update was missed, and the retraction came meanwhile
        other = tmp_path / "other"
        take(other, gwalert_bytes())
        client = _Hearing(connect(server.url), other, RETRACTION)
        assert dict(poll(client, other, T_0 - 1000, T_0 + 1000)) == {ID: "nothing new"}
        assert read_info(other / ID).retracted


def test_a_record_that_changes_without_a_notice_changes_nothing(tmp_path: Path) -> None:
    files = _files("1-Preliminary.xml")
    with gracedb_server({ID: SUPEREVENT}, {ID: files}) as server:
        _polled(server, tmp_path)
    before = tree(tmp_path)
    changed = SUPEREVENT | {"labels": [*SUPEREVENT["labels"], "DQV"]}
    with gracedb_server({ID: changed}, {ID: files | {"plot.png": b"."}}) as server:
        assert _polled(server, tmp_path) == {ID: "nothing new"}
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("heard", "notices", "changed"),
    [
        ([gwalert_bytes()], ["1-Preliminary.xml"], False),
        ([gwalert_bytes()], ["1-preliminary.json"], False),
        ([gwalert_bytes()], ["1-Preliminary.xml", "2-Initial.xml,0", "2-Initial.xml"], True),
        ([gwalert_bytes()], ["1-Preliminary.xml", "2-Preliminary.xml"], True),
        ([gwalert_bytes(), UPDATE], ["1-Preliminary.xml", "2-Initial.xml", "3-Update.xml"], False),
        ([gwalert_bytes(), UPDATE], ["1-Preliminary.xml", "2-Update.xml", "3-Update.xml"], True),
        ([UPDATE, gwalert_bytes()], ["1-Preliminary.xml", "2-Update.xml"], False),
        ([gwalert_bytes(), RETRACTION], ["1-Preliminary.xml", "2-Retraction.xml"], False),
        ([gwalert_bytes()], ["1-Preliminary.xml", "2-Retraction.xml"], True),
    ],
)
def test_only_what_was_not_heard_is_taken(
    tmp_path: Path, heard: list[bytes], notices: list[str], changed: bool
) -> None:
    for content in heard:
        take(tmp_path, content)
    before = tree(tmp_path)
    with gracedb_server({ID: SUPEREVENT}, {ID: _files(*notices, skymap=1)}) as server:
        first = _polled(server, tmp_path)[ID]
        after = tree(tmp_path)
        assert _polled(server, tmp_path) == {ID: "nothing new"}
    assert ("which had not been heard" in first) == changed
    assert (after != before) == changed
    assert tree(tmp_path) == after
    assert before.items() - after.items() <= {
        (f"{ID}/skymap_info.json", before[f"{ID}/skymap_info.json"])
    }


def test_what_is_heard_later_is_newer_only_if_it_was_sent_later(tmp_path: Path) -> None:
    """An alert that comes late by Kafka is ordered by when GraceDB made the notice."""
    with gracedb_server({ID: SUPEREVENT}, {ID: {}}, anonymous=False) as server:
        session = open_session(server.url)
        session.write_log(ID, "m", "bayestar.multiorder.fits", skymap_fits())
        session.write_log(ID, "n", f"{ID}-1-Update.json", b"{}")
        assert "Update" in _polled(server, tmp_path)[ID]
    take(tmp_path, gwalert_bytes())
    info = read_info(tmp_path / ID)
    assert info.notice == f"{ID}-1-Update"
    assert (tmp_path / ID / "alerts/2-Preliminary.json").exists()


def test_trouble_with_one_event_stops_no_other(tmp_path: Path) -> None:
    names = ["S240101aa", "S240101bb", "S240101cc", "S240101dd", "S240101ee", "../x"]
    records = {
        name: SUPEREVENT | {"superevent_id": name, "t_0": T_0 + k} for k, name in enumerate(names)
    }
    records["S240101dd"]["labels"] = ["DQV"]
    records["S240101ff"] = SUPEREVENT | {"superevent_id": "S240101ff", "t_0": "\x1b[2J"}
    files = {name: {f"{name}-1-Preliminary.xml": b""} for name in names}
    faults = {"/superevents/S240101bb/": 403}
    take(tmp_path, gwalert_bytes(superevent_id="S240101cc"))
    write_flags(tmp_path / "S240101cc", {"ONLINE": False})
    with gracedb_server(records, files, faults) as server:
        found = _polled(server, tmp_path)
    assert "which had not been heard" in found["S240101aa"]
    assert "does not show S240101bb to everybody" in found["S240101bb"]
    assert found["S240101cc"] == "not asked for, because its flag ONLINE is false"
    assert "S240101dd" not in found
    assert "which had not been heard" in found["S240101ee"]
    assert "not a GraceDB id" in found["../x"]
    assert "t_0 '\\x1b[2J' is not a time" in str(found["S240101ff"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "S240101aa",
        "S240101cc",
        "S240101ee",
    ]


def test_no_alert_no_event(tmp_path: Path) -> None:
    waiting = SUPEREVENT | {"labels": ["EM_READY"]}
    with gracedb_server({ID: waiting}, {ID: {"bayestar.multiorder.fits": skymap_fits()}}) as server:
        assert _polled(server, tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from llama.times import now_gps

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    t_0 = now_gps() - 3000
    record = SUPEREVENT | {"t_0": t_0}
    with gracedb_server({ID: record}, {ID: _files("1-Preliminary.xml")}) as server:
        config = tmp_path / "mine.yaml"
        config.write_text(default_yaml().replace("https://gracedb.ligo.org/api/", server.url))
        monkeypatch.setenv("LLAMA_CONFIG", str(config))
        assert main(["poll", "gracedb", "--since", "1000"]) == 0
        assert capsys.readouterr().out == ""
        assert main(["poll", "gracedb"]) == 0
        assert capsys.readouterr().out == (
            f"{ID}: revision 1, Preliminary, which had not been heard; "
            "its sky map is bayestar.multiorder.fits,0\n"
        )
        assert main(["poll", "gracedb"]) == 0
        assert capsys.readouterr().out == f"{ID}: nothing new\n"
        assert main(["poll", "gracedb", "--since", "-5"]) == 1
        server.faults[f"/{ID}/"] = 403
        assert main(["poll", "gracedb"]) == 1
        assert "to everybody" in capsys.readouterr().out
    assert json.loads((tmp_path / f"llama/current_run/{ID}/alerts/1-Preliminary.json").read_bytes())
    assert main(["poll", "gracedb"]) == 1
    assert "cannot be reached" in capsys.readouterr().err
