"""GraceDB in trouble, over HTTPS with the real client: what passes and what is said."""

import os
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from alert_samples import outcome, skymap_fits, take
from gracedb_server import FILES, SUPEREVENT, gracedb_server
from https_server import Answer
from packaging.version import Version

from llama import web
from llama.alerts import gracedb
from llama.alerts.gracedb import connect, fetch_record, open_session
from llama.errors import LlamaError


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "PAUSE_S", 0.01)


ONE = {"S240101ab": SUPEREVENT}
RECORD = "/superevents/S240101ab/"
MAP = "bayestar.multiorder.fits,1"


@pytest.mark.parametrize(
    ("faults", "says"),
    [
        ({"/api/": 404}, "no public S240101ab"),
        ({"/api/": 503}, "answered 503"),
        ({RECORD: 500}, "answered 500"),
        ({RECORD: 502}, "answered 502"),
        ({RECORD: (429, 0)}, "answered 429"),
        ({RECORD: 404}, "no public S240101ab"),
        ({RECORD: 401}, r"does not show S240101ab to everybody \(401\)"),
        ({"files/": 403}, r"does not show list of files of S240101ab to everybody \(403\)"),
        ({"em_bright.json": "short"}, "no usable answer"),
        ({RECORD: "short"}, "no usable answer"),
        ({RECORD: "silent"}, "no usable answer"),
        ({RECORD: "drop"}, "cannot be reached"),
        ({RECORD: "login"}, "no usable answer"),
        ({RECORD: Answer(302, b"", {"Location": "/login"}), "/login": "login"}, "no usable answer"),
        ({RECORD: Answer(200, b"[]")}, "it is not a JSON object"),
        ({RECORD: Answer(200, b'{"far": NaN}')}, "NaN is no JSON number"),
        ({RECORD: Answer(200, b"[" * 100_000)}, "nested too deeply"),
        ({"em_bright.json": "login"}, "a page in HTML came instead of the file"),
        ({"em_bright.json": Answer(200, b'{"HasNS": NaN}')}, "not valid JSON"),
        ({"em_bright.json": Answer(200, b"[1]")}, "no JSON object"),
    ],
)
def test_a_server_in_trouble_is_one_sentence(faults: dict[str, Any], says: str) -> None:
    with gracedb_server(ONE, FILES, faults) as server:
        result = outcome(fetch_record, connect(server.url), "S240101ab")
    assert isinstance(result, str)
    assert re.search(says, result)
    assert "\n" not in result


@pytest.mark.parametrize("fault", [500, 502, 504, 408, (503, 0), (429, 0), "drop", "short"])
def test_trouble_that_passes_is_not_noticed(fault: Any) -> None:
    faults = {RECORD: [fault, fault], "/files/": [fault], MAP: [fault, fault]}
    faults = {path: queue[:1] if fault == "drop" else queue for path, queue in faults.items()}
    with gracedb_server(ONE, FILES, faults) as server:
        client = connect(server.url)
        assert client.superevent("S240101ab") == SUPEREVENT
        assert sorted(client.files("S240101ab")) == sorted(FILES["S240101ab"])
        assert client.file("S240101ab", MAP) == skymap_fits()
        assert not any(server.faults.values())


@pytest.mark.skipif(
    Version(version("ligo-gracedb")) < Version("2.16.1"), reason="older ones try it four times"
)
def test_maintenance_is_said_at_once() -> None:
    with gracedb_server(ONE, FILES, {RECORD: 503}) as server:
        assert "answered 503" in outcome(connect(server.url).superevent, "S240101ab")
        assert server.hits.count(f"GET /api{RECORD}") == 1


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "TIMEOUT_S", (2.0, 0.2))
    with gracedb_server(ONE, FILES, {RECORD: "hang"}) as server:
        assert "cannot be reached" in outcome(connect(server.url).superevent, "S240101ab")
        assert server.hits.count(f"GET /api{RECORD}") == 2


def test_a_file_that_comes_too_slowly_or_never_ends_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = {"S240101ab": {"slow": bytes(200_000)}}
    monkeypatch.setattr(web, "DEADLINE_S", 0.0)
    with gracedb_server(ONE, files) as server:
        assert "more than 0 s" in outcome(connect(server.url).file, "S240101ab", "slow")
    monkeypatch.undo()
    monkeypatch.setattr(gracedb, "_MAX_BYTES", 100_000)
    with gracedb_server(ONE, files) as server:
        assert "more than 100,000 bytes" in outcome(connect(server.url).file, "S240101ab", "slow")


def test_a_map_that_is_silently_cut_short_is_refused(tmp_path: Path) -> None:
    with gracedb_server(ONE, FILES, {MAP: "silent"}) as server:
        client = connect(server.url)
        content = fetch_record(client, "S240101ab")
        half = client.file("S240101ab", MAP)
    assert len(half) == len(skymap_fits()) // 2
    with pytest.raises(LlamaError):
        take(tmp_path, content, skymap=("bayestar.multiorder.fits,1", half))
    assert not (tmp_path / "S240101ab" / "skymap_info.json").exists()


def test_a_server_of_unknown_authority_is_not_believed() -> None:
    with gracedb_server(ONE, FILES) as server:
        del os.environ["REQUESTS_CA_BUNDLE"]
        client = connect(server.url)
        assert "cannot be reached (SSLError)" in outcome(client.superevent, "S240101ab")
        assert server.hits == []


@pytest.mark.parametrize("fault", ["done", 502, (503, 0), (429, 0), "drop", "short"])
def test_a_log_is_written_once_whatever_happens(fault: Any) -> None:
    with gracedb_server(ONE, {"S240101ab": {}}, {"/logs/": fault}, anonymous=False) as server:
        session = open_session(server.url)
        with pytest.raises((requests.RequestException, urllib3.exceptions.HTTPError)):
            session.write_log("S240101ab", "a comment", "a.txt", b"content").content  # noqa: B018
        assert server.hits.count("POST /api/superevents/S240101ab/logs/") == 1
