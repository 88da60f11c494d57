"""A collaboration's stream over HTTPS, with a recorded answer: what is asked, believed, kept."""

import os
from pathlib import Path
from typing import Any

import pytest
from https_server import Answer, Request, Server, https_server

from llama import web
from llama.errors import LlamaError
from llama.neutrinos import https_json
from llama.neutrinos.https_json import HttpsJsonSource
from llama.neutrinos.sources import collect
from llama.times import gps_to_iso, gps_to_mjd, iso_to_gps

GPS = iso_to_gps("2019-04-25T08:18:05.017")
WINDOW = (GPS - 500.0, GPS + 500.0)
LATER = WINDOW[1] + 3600.0
# As such a stream may answer: radians, MJD, log10 of the energy, names of its own.
RECORDED: dict[str, Any] = {
    "status": {"finished": True},
    "data": [
        {"value": {"time": float(gps_to_mjd(GPS - 100)), "ra": 1.2, "dec": -0.3, "sigma": 0.01,
                   "logE": 3.5, "run": 132500, "event": 77}},
        {"value": {"time": float(gps_to_mjd(GPS + 20)), "ra": 4.2, "dec": 0.7, "sigma": 0.02,
                   "logE": 4.0, "run": 132500, "event": 91}},
        {"value": {"time": float(gps_to_mjd(GPS + 501)), "ra": 4.2, "dec": 0.7, "sigma": 0.02,
                   "logE": 4.0, "run": 132500, "event": 99}},
    ],
}  # fmt: skip
OPTIONS: dict[str, Any] = {
    "events": "data",
    "complete": "status.finished",
    "angles": "rad",
    "energy": "log10_gev",
    "token": "STREAM_TOKEN",
    "fields": {
        **{name: f"value.{name}" for name in ("time", "ra", "dec", "sigma", "run", "event")},
        "energy": "value.logE",
    },
}


class Stream:
    """The server: lets in who has the token, and remembers what was asked."""

    def __init__(self) -> None:
        self.answer: Any = RECORDED
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: Request) -> Answer:
        self.asked.append(request.query)
        if request.headers.get("Authorization") != "Bearer s3cret":
            return Answer(401, {"detail": "no token, or an expired one"})
        return Answer(200, self.answer)


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def server(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(web, "PAUSE_S", 0.01)
    monkeypatch.setattr(https_json, "now_gps", lambda: LATER)
    monkeypatch.setenv("STREAM_TOKEN", "s3cret")
    with https_server(stream) as server:
        yield server


def source(server: Server, tmp_path: Path, **changes: Any) -> HttpsJsonSource:
    url = f"{server.url}/events?start={{start_iso}}&stop={{stop_mjd}}"
    return HttpsJsonSource("gfu", {"url": url, **OPTIONS, **changes}, tmp_path)


def test_a_recorded_answer_becomes_rows(server: Server, stream: Stream, tmp_path: Path) -> None:
    found = source(server, tmp_path).fetch(*WINDOW)
    first, second = found.rows
    assert (found.covers, found.complete) == (True, True)
    assert first["ra"] == pytest.approx(68.75493541569878)
    assert first["sigma"] == pytest.approx(0.5729577951308232)
    assert first["energy"] == pytest.approx(10**3.5)
    assert first["gps"] == pytest.approx(GPS - 100, abs=1e-4)
    assert (second["run"], second["event"], second["type"]) == (132500, 91, "observation")
    assert stream.asked == [
        {"start": gps_to_iso(WINDOW[0], 3), "stop": f"{float(gps_to_mjd(WINDOW[1])):.8f}"}
    ]


@pytest.mark.parametrize(
    ("options", "sigma", "energy"),
    [
        ({"error": "r90", "angles": "deg"}, 4.0 / 2.145966026289347, 1000.0),
        ({"error": "r50", "angles": "deg"}, 4.0 / 1.1774100225154747, 1000.0),
        ({"energy": "tev", "angles": "deg"}, 4.0, 1e6),
    ],
)
@pytest.mark.parametrize(
    ("kind", "time"),
    [
        ("mjd", float(gps_to_mjd(GPS))),
        ("gps", GPS),
        ("iso", gps_to_iso(GPS)),
        ("unix", 1556180285.017),
    ],
)
def test_units(
    server: Server, stream: Stream, tmp_path: Path, options: Any, sigma: float, energy: float,
    kind: str, time: Any,
) -> None:  # fmt: skip
    stream.answer = [{"time": time, "ra": 10, "dec": 20, "sigma": 4, "energy": 1000}]
    changes = {"events": "", "complete": None, "fields": {}}
    made = source(server, tmp_path, **({"energy": "gev"} | changes | {"time": kind} | options))
    (row,) = (found := made.fetch(*WINDOW)).rows
    assert row["gps"] == pytest.approx(GPS, abs=1e-4)
    assert (row["sigma"], row["energy"]) == (pytest.approx(sigma), pytest.approx(energy))
    assert not found.complete


def test_one_neutrino_that_cannot_be_used_is_named_and_the_others_count(
    server: Server, stream: Stream, tmp_path: Path
) -> None:
    good = {"time": float(gps_to_mjd(GPS)), "ra": 10, "dec": 20, "sigma": 0.5, "energy": 3e3}
    unknown = {key: value for key, value in good.items() if key != "energy"} | {"ra": 11}
    stream.answer = {
        "complete": True,
        "events": [good, good | {"dec": 95}, unknown, good | {"sigma": None}],
    }
    options = {
        "events": "events",
        "complete": "complete",
        "fields": {},
        "energy": "gev",
        "angles": "deg",
    }
    found = source(server, tmp_path, **options).fetch(*WINDOW)
    assert [(row["ra"], row["energy"]) for row in found.rows] == [(10.0, 3e3), (11.0, None)]
    assert len(found.unusable) == 2
    assert "event 2" in found.unusable[0]
    assert "dec 95 is out of range" in found.unusable[0]
    assert "event 4" in found.unusable[1]
    assert not collect([source(server, tmp_path, **options)], *WINDOW).complete


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (500, "status 500"),
        (403, "status 403"),
        ((429, 0), "status 429"),
        ("drop", "ConnectionError"),
        ("short", "ProtocolError"),
        ("silent", "Expecting|Unterminated"),
        ("login", "Expecting value"),
        (Answer(302, b"", {"Location": "https://elsewhere.example/"}), "status 302"),
        (Answer(200, b'{"data": [NaN]}'), "NaN"),
        (Answer(200, b"[" * 100_000), "nested too deeply"),
        (Answer(200, {}), "has no list 'data'"),
        (Answer(200, {"data": [1]}), "no usable time"),
        (Answer(200, {"data": [{"value": {**RECORDED["data"][0]["value"], "dec": 9}}]}), "dec 5"),
        (Answer(200, {"data": RECORDED["data"][:1] * 2}), "repeats row 1"),
    ],
)
def test_trouble_is_one_sentence_and_nothing_is_kept(
    server: Server, tmp_path: Path, fault: Any, says: str
) -> None:
    made = source(server, tmp_path)
    server.faults["/events"] = fault
    with pytest.raises(LlamaError, match=says) as error:
        made.fetch(*WINDOW)
    assert "\n" not in str(error.value)
    assert "s3cret" not in str(error.value)
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.parametrize("fault", [500, 502, 503, (429, 0), "short"])
def test_trouble_that_passes_is_not_noticed(server: Server, tmp_path: Path, fault: Any) -> None:
    server.faults["/events"] = [fault, fault]
    assert len(source(server, tmp_path).fetch(*WINDOW).rows) == 2
    assert len(server.hits) == 3


def test_an_answer_that_never_ends_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https_json, "_MAX_BYTES", 100)
    with pytest.raises(LlamaError, match="more than 100 bytes"):
        source(server, tmp_path).fetch(*WINDOW)


def test_a_server_of_unknown_authority_is_not_believed(server: Server, tmp_path: Path) -> None:
    del os.environ["REQUESTS_CA_BUNDLE"]
    with pytest.raises(LlamaError, match="SSLError"):
        source(server, tmp_path).fetch(*WINDOW)
    assert server.hits == []


def test_a_file_of_certificates_that_is_gone(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    asked = source(server, tmp_path)
    assert asked.state(*WINDOW) == [None, False]
    with pytest.raises(LlamaError, match=r"gone\.pem; correct or unset REQUESTS_CA_BUNDLE"):
        asked.fetch(*WINDOW)
    assert server.hits == []


def test_the_token_comes_from_the_environment_or_systemd(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STREAM_TOKEN")
    made = source(server, tmp_path)
    with pytest.raises(LlamaError, match=r"needs a token.* STREAM_TOKEN"):
        made.fetch(*WINDOW)
    assert server.hits == []
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/STREAM_TOKEN").write_text("s3cret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert len(made.fetch(*WINDOW).rows) == 2
    kept = next((tmp_path / "neutrino_answers/gfu").glob("*.json")).read_text()
    assert "s3cret" not in kept


def test_an_expired_token_is_said(server: Server, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("STREAM_TOKEN", "old")
    with pytest.raises(LlamaError, match="status 401"):
        source(server, tmp_path).fetch(*WINDOW)


def test_it_is_asked_once_a_minute_then_once_an_hour_then_never(
    server: Server, stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = source(server, tmp_path)
    now = WINDOW[1] - 100
    monkeypatch.setattr(https_json, "now_gps", lambda: now)

    def asks_after(seconds: float) -> tuple[int, Any]:
        nonlocal now
        now += seconds
        before = len(stream.asked)
        state = made.state(*WINDOW)
        return len(stream.asked) - before, state

    asked, inside = asks_after(0)
    assert (asked, inside[1]) == (1, False)  # it said "finished" before the window was over
    assert asks_after(50) == (0, inside)
    assert asks_after(20) == (1, inside)
    assert not made.fetch(*WINDOW).complete
    asked, after = asks_after(70)
    assert (asked, after) == (1, [inside[0], True])
    assert made.fetch(*WINDOW).complete
    assert asks_after(3500) == (0, after)
    stream.answer = RECORDED | {"data": RECORDED["data"][:1]}
    asked, late = asks_after(200)
    assert asked == 1
    assert late != after
    assert len(made.fetch(*WINDOW).rows) == 1
    assert asks_after(8 * 86400) == (0, late)
    assert asks_after(-8 * 86400 - 7200)[0] == 1  # the clock is put back


def test_a_server_in_trouble_changes_nothing_and_is_left_alone(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = source(server, tmp_path)
    state = made.state(*WINDOW)
    monkeypatch.setattr(https_json, "now_gps", lambda: LATER + 4000)
    server.faults["/events"] = 403
    server.hits.clear()
    assert made.state(*WINDOW) == state
    assert made.state(*WINDOW) == state
    assert made.state(GPS + 1e4, GPS + 2e4) == [None, False]  # nor about other windows
    assert len(server.hits) == 1
    assert len(made.fetch(*WINDOW).rows) == 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"url": "http://example.org/{start_gps}/{stop_gps}"}, "url"),
        ({"url": "https://user:pass@example.org/{start_gps}/{stop_gps}"}, "url"),
        ({"url": "https://example.org/"}, "should hold two of"),
        ({"url": "https://example.org/{start_gps}/{0.__class__}"}, "should hold two of"),
        ({"fields": {"times": "t"}}, "should name time, ra"),
        ({"tokn": "X"}, "tokn is wrong"),
        ({"angles": "mas"}, "angles"),
        ({"token": "../x"}, "token"),
    ],
)
def test_wrong_options_are_one_sentence(tmp_path: Path, changes: Any, says: str) -> None:
    url = {"url": "https://example.org/?a={start_gps}&b={stop_gps}"}
    with pytest.raises(LlamaError, match=says) as error:
        HttpsJsonSource("gfu", {**url, **changes}, tmp_path)
    assert "neutrinos.source.gfu" in str(error.value)
