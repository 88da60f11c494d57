"""Maps of neutrinos at URLs: asked over HTTPS within bounds, kept, or done without."""

import gzip
import re

import pytest
from direction_map_samples import probabilities, row, take
from https_server import Answer, https_server

from llama import web
from llama.errors import LlamaError
from llama.event import direction_maps
from llama.event.direction_maps import load_maps, take_maps


@pytest.fixture
def served(monkeypatch):
    monkeypatch.setattr(web, "_FETCH_TIMEOUT_S", (1.0, 0.2))
    monkeypatch.setattr(web, "PAUSE_S", 0.0)
    content = gzip.compress(probabilities())
    with https_server(lambda request: Answer(200, content)) as server:
        yield server, content


def test_a_map_is_fetched_once_and_kept(tmp_path, served):
    server, content = served
    url = f"{server.url}/run0014.evt0003.probability.fits.gz"
    server.faults["/run0014.evt0003.probability.fits.gz"] = [
        Answer(302, b"", {"Location": "/moved.fits.gz"}), None,
    ]  # fmt: skip
    first, said = take(tmp_path, None, given=None, map=url)
    assert not said
    assert (tmp_path / first["map"]).read_bytes() == content
    assert first["map_url"] == url
    assert first["map_name"] == "run0014.evt0003.probability.fits.gz"
    hits = len(server.hits)
    server.faults[""] = 500
    assert take(tmp_path, None, given=None, map=url)[0] == first
    assert len(server.hits) == hits


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("hang", "ReadTimeout|ConnectionError"),
        ("login", "a page of HTML"),
        (404, "status 404"),
        (Answer(302, b"", {"Location": "http://127.0.0.1:9/map.fits"}), "which is not HTTPS"),
        (Answer(302, b"", {"Location": "/map.fits.gz"}), "again and again"),
        (Answer(200, b"GIF89a" * 500, {"Content-Type": "image/gif"}), "not a FITS file"),
        ("short", "cannot be fetched"),
    ],
    ids=["hang", "html", "404", "http", "loop", "gif", "short"],
)
def test_a_map_that_cannot_be_fetched_leaves_the_circle(tmp_path, served, fault, says):
    server, _ = served
    server.faults["/map.fits.gz"] = fault
    url = f"{server.url}/map.fits.gz"
    kept, said = take(tmp_path, None, given=None, map=url)
    assert (kept["sigma"], "map_sha256" in kept) == (0.8, False)
    assert "\n" not in said[0]
    assert re.search(says, said[0]), said
    with pytest.raises(LlamaError, match="; "):
        take(tmp_path, None, map=url)


@pytest.mark.parametrize("fault", [None, "silent"], ids=["stated size", "no stated size"])
def test_a_file_that_is_too_large_is_not_read(tmp_path, served, monkeypatch, fault):
    server, content = served
    server.faults["/map.fits.gz"] = fault
    monkeypatch.setattr(direction_maps, "MAX_PACKED_BYTES", len(content) // 4)
    _, said = take(tmp_path, None, given=None, map=f"{server.url}/map.fits.gz")
    assert f"{len(content) // 4:,}" in said[0]


def test_no_url_is_asked_where_the_flag_forbids_it(tmp_path, served):
    server, _ = served
    rows = [row(map=f"{server.url}/map.fits.gz")]
    assert "ONLINE is false" in take_maps(rows, tmp_path, online=False)[0]
    rows = [row(map=f"{server.url}/map.fits.gz", in_window=False, map_sha256="0" * 64)]
    assert not take_maps(rows, tmp_path)
    assert not server.hits
    assert not load_maps(rows, tmp_path)  # nor is believed what somebody has written
