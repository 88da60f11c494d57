"""What the archived alerts of an event say."""

import json
import math
from pathlib import Path

import pytest
from alert_samples import RETRACTION, gwalert_bytes, take, voevent
from gracedb_server import SUPEREVENT
from hypothesis import given
from hypothesis import strategies as st

from llama.alerts.content import classification, event_data, p_astro, skymap_bytes
from llama.errors import LlamaError
from llama.event.skymap_info import read_info

CLASSES = {"BNS": 0.9, "NSBH": 0.02, "BBH": 0.03, "Terrestrial": 0.05}
R_S = 6.5e-8


def test_data_of_a_json_alert_survive_its_retraction(tmp_path: Path) -> None:
    content = gwalert_bytes({"duration": None}, urls={"gcn": "https://gcn.nasa.gov/x"})
    event = take(tmp_path, content).event_dir
    data = event_data(event, read_info(event))
    assert classification(event, read_info(event))[0] == data["classification"] == CLASSES
    assert data["instruments"] == ["H1", "L1"]
    assert (data["far"], data["gpstime"], data["pipeline"]) == (1e-10, 1388102418.125, "GSTLAL")
    assert data["urls"] == {"gcn": "https://gcn.nasa.gov/x"}
    assert data["extra"] == {"event": {"duration": None}}
    take(tmp_path, RETRACTION)
    after = event_data(event, read_info(event))
    assert after == data | {"retracted": True, "notice": "S240101ab-2-Retraction"}
    json.dumps(after, allow_nan=False)


def test_data_of_a_voevent_and_of_gracedb(tmp_path: Path) -> None:
    event = take(tmp_path / "a", voevent()).event_dir
    data = event_data(event, read_info(event))
    assert data["classification"] == CLASSES
    assert data["urls"] == {"gracedb": "https://gracedb.ligo.org/superevents/S240101ab/view/"}
    event = take(tmp_path / "b", json.dumps(SUPEREVENT).encode()).event_dir
    data = event_data(event, read_info(event))
    assert data["labels"] == SUPEREVENT["labels"]
    assert data["far"] == SUPEREVENT["far"]


def test_data_of_a_retraction_that_came_first(tmp_path: Path) -> None:
    event = take(tmp_path, RETRACTION).event_dir
    info = read_info(event)
    assert classification(event, info) == ({}, None)
    data = event_data(event, info)
    assert data["retracted"]
    assert data["far"] is data["external_coinc"] is None


def test_an_archived_alert_that_has_gone_is_one_sentence(tmp_path: Path) -> None:
    event = take(tmp_path, gwalert_bytes()).event_dir
    info = read_info(event)
    (event / info.alert_file).unlink()
    with pytest.raises(LlamaError, match=r"cannot read .* with skymap_info --force"):
        skymap_bytes(event, info)


def test_p_astro_from_the_alert() -> None:
    result = p_astro(CLASSES, 1e-10, R_S)
    assert result["p_astro"] == result["p_astro_alert"] == pytest.approx(0.95)
    assert result["p_astro_far"] == pytest.approx(R_S / (R_S + 1e-10))
    assert (result["source"], result["population"]) == ("alert", "bns")
    assert {name: result[name] for name in CLASSES} == CLASSES


def test_p_astro_from_the_far_as_in_the_published_file(shared_data: Path) -> None:
    published = json.loads(
        (shared_data / "llama/significance_subthreshold_lvc-i3.json").read_bytes()
    )
    far = published["inputs"]["gw_skymap_info"]["far"]
    result = p_astro({}, far, R_S)
    assert result["source"] == "far"
    assert result["p_astro_alert"] is result["BNS"] is None
    assert result["population"] == "cbc"
    assert result["p_astro"] == pytest.approx(1.68e-3, rel=0.005)
    q = result["p_astro"] / (1 - result["p_astro"])
    assert q == pytest.approx(published["p_h_s2"] / published["p_h_0"], rel=0.005)


def test_p_astro_of_the_published_rate_by_itself() -> None:
    assert p_astro({}, 3.850215515788559e-05, R_S)["p_astro"] == pytest.approx(1.685e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("classes", "group", "population"),
    [
        ({"BNS": 0.1, "NSBH": 0.5, "BBH": 0.2, "Terrestrial": 0.2}, "CBC", "nsbh"),
        ({"BNS": 0.0, "NSBH": 0.0, "BBH": 0.1, "Terrestrial": 0.9}, "CBC", "bbh"),
        ({"MassGap": 1.0}, "CBC", "nsbh"),
        ({"BNS": 1e-30, "NSBH": 0, "BBH": 0, "MassGap": 0.99, "Terrestrial": 0.01}, "CBC", "nsbh"),
        ({"BNS": 0.4, "NSBH": 0.2, "BBH": 0, "MassGap": 0.3, "Terrestrial": 0.1}, "CBC", "nsbh"),
        ({"MassGap": 0.3, "SSM": 0.5, "Terrestrial": 0.2}, "CBC", "cbc"),
        ({"BNS": 0.4, "NSBH": 0.1, "BBH": 0, "MassGap": 0.3, "Terrestrial": 0.2}, "CBC", "bns"),
        ({"BNS": 1e-30, "NSBH": 0, "BBH": 0, "Terrestrial": 1.0}, "CBC", "cbc"),
        ({"SSM": 0.6, "BBH": 0.4}, "CBC", "cbc"),
        ({"BBH": 0.4, "NSBH": 0.4, "BNS": 0.2}, "CBC", "nsbh"),
        ({"BBH": 0.4 + 1e-16, "NSBH": 0.4 - 1e-16, "BNS": 0.2}, "CBC", "nsbh"),
        ({"MassGap": 0.5, "BBH": 0.5}, "CBC", "nsbh"),
        ({"MassGap": 0.4, "BBH": 0.6}, "CBC", "bbh"),
        ({"MassGap": 1.0}, "Burst", "burst"),
        ({"BNS": 0, "NSBH": 0, "BBH": 0, "Terrestrial": 0}, "CBC", "cbc"),
        ({"Terrestrial": 1.0}, "CBC", "cbc"),
        ({}, "Burst", "burst"),
        ({"BBH": 1.0}, "Burst", "burst"),
    ],
)
def test_populations(classes: dict[str, float], group: str, population: str) -> None:
    assert p_astro(classes, 1e-8, R_S, group)["population"] == population


@pytest.mark.parametrize(
    ("has_ns", "classes", "population"),
    [
        (0.0, {"MassGap": 0.95, "Terrestrial": 0.05}, "bbh"),  # S190930s
        (1.0, {"MassGap": 0.95, "Terrestrial": 0.05}, "nsbh"),
        (0.3, {"MassGap": 1.0}, "bbh"),  # S190924h
        # of a real one; what BNS and NSBH have of it already is not in the gap
        (0.6, {"NSBH": 0.3, "BBH": 0.1, "MassGap": 0.2, "Terrestrial": 0.4}, "nsbh"),
        (0.6, {"NSBH": 0.2, "BBH": 0.22, "MassGap": 0.18, "Terrestrial": 0.4}, "nsbh"),
        (0.45, {"NSBH": 0.2, "BBH": 0.22, "MassGap": 0.18, "Terrestrial": 0.4}, "bbh"),
        (0.0, {"BNS": 0.3, "BBH": 0.25, "MassGap": 0.2, "Terrestrial": 0.25}, "bbh"),
        (1.0, {"BNS": 0.3, "BBH": 0.25, "MassGap": 0.1, "Terrestrial": 0.35}, "bns"),
    ],
)
def test_a_mass_gap_counts_as_the_black_hole_that_o4_calls_it(
    has_ns: float, classes: dict[str, float], population: str
) -> None:
    found = p_astro(classes, 1e-8, R_S, "CBC", has_ns)
    assert found["population"] == population
    # what the alert says stays
    assert found.items() >= classes.items()
    assert found["class"] == max(
        (n for n in classes if n != "Terrestrial"), key=classes.__getitem__
    )


def test_has_ns_is_that_of_the_alert(tmp_path: Path) -> None:
    event = take(tmp_path, voevent()).event_dir
    assert classification(event, read_info(event))[1] == 1.0


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        ({"BNS": 0, "NSBH": 0, "BBH": 0, "Terrestrial": 1.0}, "gives p_astro = 0"),
        ({"Terrestrial": 1.0}, "gives p_astro = 0"),
        ({"BNS": 1e-30, "Terrestrial": 1 - 1e-16}, "gives p_astro = 0"),
        ({"BNS": 0, "NSBH": 0, "BBH": 0, "Terrestrial": 0}, "gives every class the probability 0"),
    ],
)
def test_certain_noise_is_a_rounding_and_the_rate_is_used(
    classes: dict[str, float], says: str
) -> None:
    result = p_astro(classes, 1e-5, R_S)
    assert result["p_astro"] == result["p_astro_far"] == pytest.approx(6.458e-3, rel=1e-3)
    assert (result["source"], result["class"]) == ("far", None)
    assert says in result["reason"]


def test_what_the_alert_says_of_p_astro_counts_otherwise() -> None:
    for classes, value in (
        ({"BNS": 0.001, "Terrestrial": 0.999}, 0.001),
        ({"BNS": 0.3}, 0.3),  # not a word of noise
        ({"BNS": 0.2, "BBH": 0.1}, 0.3),
    ):
        result = p_astro(classes, 1e-5, R_S)
        assert result["p_astro"] == pytest.approx(value)
        assert (result["source"], result["reason"]) == ("alert", None)
    assert p_astro({"BNS": 0.2, "MassGap": 0.8}, 1e-8, R_S)["class"] == "MassGap"


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_no_nan_leaves_it(wrong: float) -> None:
    for classes, far_hz in (({"BNS": wrong, "Terrestrial": 0.1}, 1e-8), ({"BNS": 1.0}, wrong)):
        with pytest.raises(LlamaError, match="not finite"):
            p_astro(classes, far_hz, R_S)


def test_p_astro_is_never_certain() -> None:
    for classes, far in (({"BNS": 1.0, "Terrestrial": 0.0}, 1e-8), ({}, 0.0), ({}, 5e-324)):
        result = p_astro(classes, far, R_S)
        assert result["p_astro"] == 1 - 1e-9
    assert p_astro({"Terrestrial": 1.0}, None, R_S)["p_astro"] == 0


def test_no_classification_and_no_far_is_one_sentence() -> None:
    with pytest.raises(LlamaError, match="neither a classification nor a false-alarm rate"):
        p_astro({}, None, R_S)


@given(st.floats(0, 1e10), st.floats(1e-12, 1))
def test_p_astro_falls_with_the_far(far: float, rate: float) -> None:
    lower, higher = (p_astro({}, value, rate)["p_astro"] for value in (2 * far + 1e-30, far))
    assert 0 <= lower <= higher < 1
