"""GraceDB through its real client, against a small server on loopback and a closed port."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alert_samples import outcome, skymap_fits
from gracedb_server import EVENT, FILES, SUPEREVENT, GraceDB, gracedb_server
from https_server import Answer, Request, https_server
from hypothesis import given, settings
from hypothesis import strategies as st

from llama.alerts.gracedb import connect, fetch_record
from llama.alerts.gracedb_record import preferred_skymap, record_to_alert
from llama.alerts.gwalert import parse_alert
from llama.errors import LlamaError


def test_a_superevent_becomes_an_alert() -> None:
    with gracedb_server({"S240101ab": SUPEREVENT}, FILES) as server:
        client = connect(server.url)
        content = fetch_record(client, "S240101ab")
        alert = parse_alert(content, "record")
        assert alert.skymap_filename == "bayestar.multiorder.fits,1"
        assert client.file("S240101ab", alert.skymap_filename) == skymap_fits()
        assert fetch_record(client, "S240101ab") == content
    assert (alert.graceid, alert.kind, alert.serial) == ("S240101ab", "Initial", 2)
    assert alert.gps_time == SUPEREVENT["t_0"]
    assert alert.notice_time == "2024-01-01T00:01:30.000000Z"
    assert alert.classification["Terrestrial"] == 0.1
    assert alert.properties == {"HasNS": 1.0, "HasRemnant": 0.5}
    assert (alert.pipeline, alert.instruments) == ("GSTLAL", ("H1", "L1"))
    assert alert.gracedb_url == "https://gracedb.ligo.org/superevents/S240101ab/view/"
    assert alert.extra["labels"] == SUPEREVENT["labels"]
    assert alert.test_reason is None


def test_a_single_event_becomes_an_alert() -> None:
    with gracedb_server({"G268562": EVENT}, FILES) as server:
        alert = parse_alert(fetch_record(connect(server.url), "G268562"), "record")
    assert (alert.graceid, alert.group, alert.pipeline) == ("G268562", "Burst", "CWB")
    assert alert.gps_time == EVENT["gpstime"]
    assert alert.skymap_filename == "cwb.fits.gz,0"


def test_both_forms_of_the_file_list_are_understood() -> None:
    for api_v2 in (False, True):
        with gracedb_server({"S240101ab": SUPEREVENT}, FILES, api_v2=api_v2) as server:
            assert sorted(connect(server.url).files("S240101ab")) == sorted(FILES["S240101ab"])


def _closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_no_server_is_one_sentence() -> None:
    client = connect(f"http://127.0.0.1:{_closed_port()}/api/")
    with pytest.raises(LlamaError, match=r"cannot be reached .* give the alert itself") as error:
        client.superevent("S240101ab")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("api_v2", [False, True])
def test_a_search_turns_all_pages(api_v2: bool) -> None:
    records = {
        f"S240101{letter}": SUPEREVENT | {"superevent_id": f"S240101{letter}", "t_0": 1e9 + k}
        for k, letter in enumerate("abcdefg")
    }
    faults = {"/superevents/": [502, "short"]}
    with gracedb_server(records, {}, faults, api_v2=api_v2) as server:
        found = connect(server.url).superevents(1e9 + 1, 1e9 + 5)
    assert [record["superevent_id"] for record in found] == [f"S240101{k}" for k in "bcdef"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda page: page.pop("superevents"), "no usable answer .*superevents"),
        (lambda page: page["links"].pop("next", None), r"2 of 7 superevents came"),
        (lambda page: page["links"].update(next=page["links"]["self"]), "pages go in circles"),
        (lambda page: page["superevents"].pop(), "of 7 superevents came"),
    ],
)
def test_a_part_of_a_search_is_not_all_of_it(change: Callable[[Any], Any], said: str) -> None:
    records = {
        f"S240101{letter}": SUPEREVENT | {"superevent_id": f"S240101{letter}", "t_0": 1e9 + k}
        for k, letter in enumerate("abcdefg")
    }
    double = GraceDB(records, {})

    def answer(request: Request) -> Answer:
        given = double.answer(request)
        if "numRows" in given.content:
            change(given.content)
        return given

    with https_server(answer) as server, pytest.raises(LlamaError, match=said):
        connect(f"{server.url}/api/").superevents(1e9, 1e9 + 9)


def test_unknown_ids_and_files_and_empty_files() -> None:
    with gracedb_server({"S240101ab": SUPEREVENT}, FILES) as server:
        client = connect(server.url)
        with pytest.raises(LlamaError, match="no public S240101zz"):
            client.superevent("S240101zz")
        with pytest.raises(LlamaError, match=r"no public file x\.fits of S240101ab"):
            client.file("S240101ab", "x.fits")
        with pytest.raises(LlamaError, match="0 bytes"):
            client.file("S240101ab", "empty.fits")
        with pytest.raises(LlamaError, match="not a GraceDB id"):
            client.superevent("../../x")


@pytest.mark.parametrize(
    "url", ["", "gracedb.ligo.org", "ftp://x/api/", "https://a b/", "https://"]
)
def test_a_wrong_address_is_one_sentence(url: str) -> None:
    with pytest.raises(LlamaError, match=r"set gracedb\.service_url"):
        connect(url)


@pytest.mark.parametrize(
    ("files", "best"),
    [
        ([], None),
        (["p_astro.json", "bayestar.png", "bayestar.volume.fits"], None),
        (["bayestar.fits.gz", "bayestar.fits.gz,0"], "bayestar.fits.gz,0"),
        (["cwb.multiorder.fits,9", "cwb.multiorder.fits,10"], "cwb.multiorder.fits,10"),
        (["bayestar.fits.gz,0", "LALInference.fits.gz,0"], "LALInference.fits.gz,0"),
        (["cwb.fits.gz,0", "bayestar.multiorder.fits"], "bayestar.multiorder.fits"),
        (["bayestar.multiorder.fits,0", "Bilby.multiorder.fits,1"], "Bilby.multiorder.fits,1"),
        (["amplfi.multiorder.fits", "amplfi.multiorder.fits,0"], "amplfi.multiorder.fits,0"),
        (["amplfi.flattened.fits.gz,0", "amplfi.multiorder.fits,0"], "amplfi.multiorder.fits,0"),
        (["gwak.multiorder.fits,3", "p_astro.json,0"], "gwak.multiorder.fits,3"),
        (["pygrb.multiorder.fits,0", "mly.multiorder.fits,0"], "mly.multiorder.fits,0"),
        (["new_search.multiorder.fits,1", "new_search.fits.gz,7"], "new_search.multiorder.fits,1"),
        (["zzz.multiorder.fits,0", "olib.fits,0"], "olib.fits,0"),
        (["combined-ext.multiorder.fits,0", "S1-ext.multiorder.fits"], None),
        (["external_from_url.multiorder.fits,0", "glg_healpix_all_bn.fit"], None),
        (["combined-ext.multiorder.fits,5", "text.multiorder.fits,0"], "text.multiorder.fits,0"),
    ],
)  # fmt: skip
def test_the_newest_and_best_map(files: list[str], best: str | None) -> None:
    assert preferred_skymap(files) == best
    assert preferred_skymap(files[::-1]) == best


@pytest.mark.parametrize(
    ("pipeline", "best"),
    [
        ("aframe", "amplfi"), ("Aframe", "amplfi"), ("CWB", "cwb"), ("MLy", "mly"),
        ("GWAK", "gwak"), ("PyGRB", "pygrb"), ("oLIB", "olib"), ("gstlal", "bayestar"),
        ("", "bayestar"), ("a new one", "bayestar"),
    ],
)  # fmt: skip
def test_the_map_of_the_preferred_pipeline_comes_first(pipeline: str, best: str) -> None:
    stems = ("bayestar", "amplfi", "cwb", "gwak", "mly", "olib", "pygrb")
    files = [f"{stem}.multiorder.fits,0" for stem in stems]
    record = SUPEREVENT | {"preferred_event_data": {"pipeline": pipeline}}
    alert = record_to_alert({"superevent": record, "files": files})
    assert alert.skymap_filename == f"{best}.multiorder.fits,0"
    estimated = [*files, "Bilby.multiorder.fits,2"]
    assert preferred_skymap(estimated, pipeline) == "Bilby.multiorder.fits,2"


@pytest.mark.parametrize(
    ("labels", "kind", "significant"),
    [
        ([], "Preliminary", True),
        (["ADVOK", "SIGNIF_LOCKED"], "Initial", True),
        (["ADVNO", "GCN_PRELIM_SENT"], "Retraction", True),
        (["EARLY_WARNING"], "EarlyWarning", True),
        (["LOW_SIGNIF_LOCKED"], "Preliminary", False),
        (["LOW_SIGNIF_LOCKED", "SIGNIF_LOCKED"], "Preliminary", True),
    ],
)
def test_labels(labels: list[str], kind: str, significant: bool) -> None:
    alert = record_to_alert(SUPEREVENT | {"labels": labels})
    assert (alert.kind, alert.significant) == (kind, significant)


@pytest.mark.parametrize("change", [{"category": "MDC"}, {"category": "Test"}, {"labels": ["INJ"]}])
def test_what_can_only_be_a_test(change: dict[str, Any]) -> None:
    assert record_to_alert(SUPEREVENT | change).test_reason


def test_the_real_record(shared_data: Path) -> None:
    record = json.loads((shared_data / "bad/gwcelery_MS220722v.xml").read_bytes())
    alert = record_to_alert(record)
    assert (alert.graceid, alert.far_hz) == ("MS220722v", 9.110699364861297e-14)
    assert alert.gps_time == pytest.approx(record["t_0"], abs=1e-6)
    assert alert.test_reason


_JSON = st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.lists(st.text())


@settings(max_examples=200)
@given(
    st.dictionaries(st.sampled_from(sorted(SUPEREVENT)), _JSON, max_size=3),
    st.dictionaries(st.sampled_from(["files", "p_astro", "em_bright"]), _JSON, max_size=2),
)
def test_any_record_gives_an_alert_or_a_sentence(
    superevent: dict[str, Any], record: dict[str, Any]
) -> None:
    result = outcome(record_to_alert, {"superevent": {**SUPEREVENT, **superevent}, **record})
    assert len(result) < 400 if isinstance(result, str) else result.graceid == "S240101ab"
