"""Fetching sky maps and GWOSC's table over HTTPS, and what the tables say."""

import hashlib
import json
from pathlib import Path

import pytest
from catalogue_samples import FIRST, HEADER, SECOND, file_name, gps_of, row, skymap, tarball
from https_server import Answer, Request, Server, https_server

from llama.catalogue import fetching
from llama.catalogue.table import read_catalogue
from llama.cli.main import main
from llama.errors import LlamaError
from llama.neutrinos import fetch as room

MAPS = tarball(*((f"maps/{file_name(n)}", skymap(n)) for n in (FIRST, SECOND)))
YEAR_S = 365.25 * 86400


def gwosc() -> dict[str, object]:
    """Two events, one of them in two versions, as the first form of GWOSC's interface."""
    event = {"commonName": FIRST, "GPS": gps_of(FIRST), "far": 1e-5, "p_astro": 0.9}
    masses = {"mass_1_source": 30.0, "mass_2_source": 1.4}
    return {
        "events": {
            f"{FIRST}-v1": event | {"version": 1, "far": 7.0},
            f"{FIRST}-v2": event | {"version": 2},
            f"{SECOND}-v1": event | masses | {"commonName": SECOND, "GPS": gps_of(SECOND)},
        }
    }


def zenodo(request: Request) -> Answer:
    """The tarball, whole or from a place on, and the table."""
    if request.path == "/events":
        return Answer(200, gwosc())
    start = int(request.headers.get("Range", "bytes=0-")[6:-1])
    return Answer(206 if start else 200, MAPS[start:])


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("LLAMA_CONFIG", raising=False)
    monkeypatch.setattr(room, "PAUSE_S", 0.001)
    return tmp_path / "data" / "llama" / "releases" / "GWTC-3"


def serve(server: Server, monkeypatch: pytest.MonkeyPatch, content: bytes = MAPS) -> None:
    """Have GWTC-3 and GWOSC's table come from a server."""
    digest = hashlib.sha256(content).hexdigest()
    tarred = fetching.Tarred(f"{server.url}/maps.tar.gz?download=1", digest, len(MAPS))
    monkeypatch.setitem(fetching.RELEASES, "GWTC-3", tarred)
    monkeypatch.setattr(fetching, "URL", f"{server.url}/events")


def test_a_release_is_fetched_once_and_imported(
    releases: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with https_server(zenodo, {"maps.tar.gz": ["short", None]}) as server:
        serve(server, monkeypatch)
        assert main(["catalogue", "fetch", "gwtc-3.0"]) == 0
        assert "2 events: 2 new" in capsys.readouterr().err
        assert len(server.hits) == 3  # the connection broke once: from there on, not anew
        assert main(["catalogue", "fetch", "GWTC-3"]) == 0
        assert "0 new, 0 revised, 2 unchanged" in capsys.readouterr().err
        assert len(server.hits) == 3
    assert (releases / "maps.tar.gz").read_bytes() == MAPS


def test_what_is_not_the_release_is_not_kept(
    releases: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with https_server(zenodo) as server:
        serve(server, monkeypatch, b"another")
        assert main(["catalogue", "fetch", "GWTC-3"]) == 1
        assert "has another checksum than sha256:" in capsys.readouterr().err
    assert not list(releases.glob("maps*"))
    assert main(["catalogue", "fetch", "GWTC-1"]) == 1
    assert "choose one of GWTC-2.1, GWTC-3, GWTC-4.1, GWTC-5" in capsys.readouterr().err


def test_tables_of_every_form_say_the_same() -> None:
    first = read_catalogue(json.dumps(gwosc()).encode(), "x")
    assert first[FIRST].far_hz == pytest.approx(1e-5 / YEAR_S)
    assert (first[FIRST].written, first[FIRST].source_class) == (f"{FIRST}-v2", "CBC")
    assert first[SECOND].source_class == "NSBH"
    second = {
        "name": SECOND,
        "version": 1,
        "gps": gps_of(SECOND),
        "detectors": ["L1", "H1"],
        "default_parameters": [
            {"name": "far", "best": 3e-13, "unit": "Hz"},
            {"name": "p_astro", "best": 0.9},
        ],
    }
    (found,) = read_catalogue(json.dumps({"results": [second]}).encode(), "x").values()
    assert (found.far_hz, found.p_astro, found.instruments) == (3e-13, 0.9, ("H1", "L1"))
    short = b"name,gps,observing,p_astro\nGW170817,1187008882.4,HLV,\n"
    (found,) = read_catalogue(short, "x").values()
    assert (found.instruments, found.p_astro) == (("H1", "L1", "V1"), None)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff", "is not UTF-8"),
        (b"{", "not valid JSON"),
        (b'{"rows": 3}', "has no events"),
        (b"a,b\n1,2\n", "no column commonName"),
        (f"{HEADER}\n{row(FIRST)},x\n".encode(), "longer than its header"),
        (f"{HEADER}\n{row(FIRST, far='nan.')}".encode(), "row 1: far 'nan.' is no number"),
        (f"{HEADER}\n{row(FIRST, p_astro=-1)}".encode(), "row 1: p_astro '-1'"),
        (f"{HEADER}\n{row(FIRST)}\n{row(FIRST, far=2)}".encode(), "two rows of"),
        (f"{HEADER},far_unit\n{row(FIRST)},furlong".encode(), "far has the unit 'furlong'"),
        (HEADER.encode(), "no event with a name"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_in_a_sentence(content: bytes, says: str) -> None:
    with pytest.raises(LlamaError, match=says):
        read_catalogue(content, "events")
