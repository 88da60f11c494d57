"""significance_*.json of a generated event, from its parts to what consumers read."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from event_samples import GPS, INFO, NONE, P_ASTRO, RETIRED, THREE, made_up_background, neutrino
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sky_samples import multiorder, random_tiles

from llama.errors import LlamaError
from llama.event.parameters import search_parameters
from llama.event.significance import compute_significance
from llama.files import dump_json
from llama.neutrinos.event_list import make_list
from llama.neutrinos.given import check_rows
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky import read_skymap
from llama.sky.mock import mock_skymap
from llama.stats.parameters import YEAR_S


@pytest.fixture(scope="module")
def response(archive):
    return archive.response()


@pytest.fixture(scope="module")
def search():
    return from_dict(defaults(), "defaults").search_parameters()


@pytest.fixture(scope="module")
def skymap():
    return mock_skymap(60.0, 25.0, (6.0, 3.0), (120.0, 30.0))


@pytest.fixture(scope="module")
def compute(skymap, response, search):
    def computed(events, tiles=skymap, info=INFO, p_astro=P_ASTRO, background=NONE, **changes):
        content, model = {"events": events}, search | changes
        result = compute_significance(tiles, info, p_astro, content, response, model, background)
        assert json.loads(dump_json(result)) == json.loads(json.dumps(result, allow_nan=False))
        return result

    return computed


@pytest.fixture(scope="module")
def background():
    return made_up_background()


def test_the_archives_neutrinos_give_every_key_of_the_format(compute, archive, skymap):
    listed = make_list("S190404a", GPS, now_gps=GPS + 9e5, archive=archive)
    assert listed["events"]
    result = compute(listed["events"])
    assert result.keys() >= {
        "odds_ratio", "p_value", "p_value_population", "n_background", "p_h_0", "p_h_c", "p_h_s1",
        "p_h_s2", "posterior", "p_astro_joint", "single_neutrino", "inputs",
        "most_probable_direction", "dump",
    }  # fmt: skip
    assert result["inputs"].keys() == {"gw_skymap_info", "neutrino_info", "search_parameters"}
    assert result["inputs"]["gw_skymap_info"] == INFO.as_json()
    assert result["inputs"]["neutrino_info"] == listed["events"]
    assert sum(result["posterior"].values()) == pytest.approx(1, abs=1e-12)
    assert len(result["single_neutrino"]) == len(listed["events"])
    known = {event["id"]: event for event in listed["events"]}
    for row in result["single_neutrino"]:
        event = known[row["id"]]
        assert row.keys() >= {"i3event", "dt", "ra", "dec", "sigma", "p_value", "odds_ratio"}
        assert row["dt"] == pytest.approx(event["mjd"] * 86400 - 58577 * 86400 - 28782, abs=1e-4)
        assert (row["ra"], row["dec"], row["id"]) == (event["ra"], event["dec"], event["id"])
    where = result["most_probable_direction"]
    assert 0 <= where["ra"] < 360
    assert -90 <= where["dec"] <= 90


def test_consumers_of_the_published_file_find_their_keys(compute, archive, shared_data):
    published = json.loads(
        (shared_data / "llama" / "significance_subthreshold_lvc-i3.json").read_text()
    )
    listed = make_list("S190404a", GPS, now_gps=GPS + 9e5, archive=archive)
    result = compute(listed["events"], response="published")
    inputs, theirs = result["inputs"], published["inputs"]
    assert result.keys() >= published.keys()
    assert inputs["gw_skymap_info"].keys() >= theirs["gw_skymap_info"].keys()
    parameters = inputs["search_parameters"]
    assert theirs["search_parameters"].keys() - parameters.keys() == RETIRED
    for name in theirs["search_parameters"].keys() - RETIRED:
        if isinstance(theirs["search_parameters"][name], float):  # the published search's defaults
            assert parameters[name] == pytest.approx(theirs["search_parameters"][name], rel=1e-9)
    for row in inputs["neutrino_info"]:
        assert row.keys() >= theirs["neutrino_info"][0].keys() - {"file"}
    # identity of both files: Bayes factor from the four hypotheses
    for content in (result, published):
        odds = content["p_h_s1"] / (content["p_h_0"] + content["p_h_c"])
        assert content["odds_ratio"] == pytest.approx(odds, rel=1e-12)


def test_what_the_combination_with_icecubes_search_reads(compute, background):
    # FastResponseAnalysis: combine_results
    result = compute(THREE, background=background)
    assert 0 < result["p_value"] <= 1
    assert [row["i3event"] for row in result["single_neutrino"]] == [7, 7, 7]
    assert all(0 < row["p_value"] <= 1 for row in result["single_neutrino"])
    assert result["inputs"]["neutrino_info"][0]["type"] == "simulated"
    sensitivity = result["neutrino_flux_sensitivity_range"]
    for low, high in sensitivity.values():
        assert 0 < low < high


def test_the_odds_are_those_of_the_hypotheses(compute):
    result = compute(THREE)
    odds = result["p_h_s1"] / (result["p_h_0"] + result["p_h_c"])
    assert result["odds_ratio"] == pytest.approx(odds, rel=1e-12)
    assert result["p_h_0"] == 1.0
    assert 0 < result["p_h_s2"] < result["p_h_c"]
    assert result["p_h_s2"] == pytest.approx(0.4 / 0.6, rel=0.01)  # Q, few neutrinos expected
    posterior = result["posterior"]
    assert posterior["coincidence"] / (1 - posterior["coincidence"]) == pytest.approx(odds)
    largest = result["dump"]["sets"][0]
    assert largest["neutrinos"] == [THREE[0]["id"], THREE[1]["id"]]
    assert math.fsum(row["lambda_s"] for row in result["dump"]["sets"]) == pytest.approx(
        result["p_h_s1"], rel=1e-12
    )
    assert result["p_astro_joint"] == pytest.approx(
        1 - 1 / (1 + result["p_h_s1"] + result["p_h_s2"]), rel=1e-9
    )
    away = math.hypot(result["most_probable_direction"]["ra"] - 61.0,
                      result["most_probable_direction"]["dec"] - 24.0)  # fmt: skip
    assert away < 1.5


def test_without_neutrinos_the_odds_are_0_and_p_is_1(compute, background):
    result = compute([], background=background)
    assert (result["odds_ratio"], result["p_value"], result["p_h_s1"]) == (0.0, 1.0, 0.0)
    assert result["single_neutrino"] == []
    assert result["posterior"]["coincidence"] == 0.0
    assert compute([])["p_value"] is None


def test_neutrinos_outside_the_window_change_nothing(compute):
    late = neutrino(500.5, 60.0, 25.0, 0.2, 1e6)
    with_late, without = compute([*THREE, late]), compute(THREE)
    assert with_late["odds_ratio"] == without["odds_ratio"]
    assert with_late["single_neutrino"][-1]["odds_ratio"] == 0.0
    assert with_late["single_neutrino"][:-1] == without["single_neutrino"]


def test_the_smallest_error_is_that_of_the_settings(skymap, response, search):
    """Lists keep what was published; only the statistic raises it."""

    def odds(sigma, floor_deg):
        given = check_rows([neutrino(sigma=sigma)], "nu")
        made = make_list(INFO.graceid, GPS, now_gps=GPS + 1e6, given=given)
        values = search | {"sigma_floor_deg": floor_deg}
        found = compute_significance(skymap, INFO, P_ASTRO, made, response, values, NONE)
        assert found["single_neutrino"][0]["sigma"] == made["events"][0]["sigma"] == sigma
        return found["odds_ratio"]

    assert odds(0.05, 0.2) == odds(0.2, 0.2) == odds(0.2, 0.05)
    assert odds(0.05, 0.05) == odds(0.05, 0.01) != odds(0.05, 0.2)


def test_without_a_background_p_is_null_with_the_reason(compute):
    result = compute(THREE)
    assert result["p_value"] is None
    assert result["p_value_reason"] == NONE["reason"]
    assert result["p_value_population"] == "bns-o3-H1L1"
    assert result["n_background"] == 0
    assert [row["p_value"] for row in result["single_neutrino"]] == [None] * 3
    assert all(row["odds_ratio"] > 0 for row in result["single_neutrino"][:2])


def test_p_values_count_the_background_at_its_own_p_astro(compute, background):
    result = compute(THREE, background=background)
    again = compute(THREE, p_astro=P_ASTRO | {"p_astro": background["p_astro"]})
    assert result["p_value_reason"] is None
    assert (result["n_background"], result["p_value_p_astro"]) == (999, 0.99)
    assert result["p_value_odds"] == pytest.approx(again["odds_ratio"], rel=1e-12)
    above = (background["odds"] >= again["odds_ratio"]).sum()
    assert 0 < above < 999
    assert result["p_value"] == (1 + above) / 1000
    same = {row["id"]: row["odds_ratio"] for row in again["single_neutrino"]}
    rows = result["single_neutrino"]
    for row in rows:
        # alone among whole windows, and among single neutrinos
        for key, group in (("p_value", "odds"), ("p_value_neutrino", "single")):
            above = (background[group] >= same[row["id"]]).sum()
            assert row[key] == (1.0 if same[row["id"]] == 0 else (1 + above) / 1000)
    assert rows == sorted(rows, key=lambda row: row["p_value"])
    empty = compute(THREE, background=background | {"single": np.empty(0)})
    assert [row["p_value_neutrino"] for row in empty["single_neutrino"]] == [None] * 3
    assert [row["p_value"] for row in empty["single_neutrino"]] == [row["p_value"] for row in rows]


@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from([0.0, 5e-324, 1e-300, 1e-30, 1e-9]) | st.floats(0, 1 - 1e-9),
    st.integers(0, 12),
    st.integers(0, 99),
)
def test_p_values_do_not_depend_on_p_astro(compute, background, p_astro, n, seed):
    rng = np.random.default_rng(seed)
    events = [
        neutrino(dt, ra, dec, sigma, energy)
        for dt, ra, dec, sigma, energy in zip(
            rng.uniform(-600, 600, n), rng.normal(60, 8, n), rng.normal(25, 8, n),
            rng.uniform(0.1, 3, n), 10 ** rng.uniform(2, 6, n), strict=True,
        )
    ]  # fmt: skip
    one = compute(events, p_astro=P_ASTRO | {"p_astro": p_astro}, background=background)
    other = compute(events, background=background)
    assert (one["p_value"], one["p_value_odds"]) == (other["p_value"], other["p_value_odds"])
    singles = [[row["p_value"] for row in r["single_neutrino"]] for r in (one, other)]
    assert singles[0] == singles[1]


def test_a_certain_trigger_is_a_sentence(compute):
    with pytest.raises(LlamaError, match=r"p_astro must be in \[0, 1\)"):
        compute(THREE, p_astro=P_ASTRO | {"p_astro": 1.0})


@pytest.mark.parametrize(
    ("tiles", "distance"),
    [
        (random_tiles(1), "map"),
        (random_tiles(1, distance=False), "assumed"),
        (random_tiles(1) | {"DISTMU": np.full(random_tiles(1)["order"].size, np.inf)}, "assumed"),
    ],
    ids=["3-D", "2-D", "3-D without a distance"],
)
def test_the_distance_is_said_to_be_assumed_when_it_is(compute, tiles, distance):
    skymap = read_skymap(multiorder(tiles), "map")
    result = compute(THREE, tiles=skymap, info=replace(INFO, retracted=True))
    assert result["distance"] == skymap.summary()["distance"] == distance
    assert result["inputs"]["gw_skymap_info"]["retracted"]
    assert result["odds_ratio"] > 0


def test_the_assumed_distance_is_that_of_the_class(compute):
    flat = read_skymap(multiorder(random_tiles(1, distance=False)), "map")
    near = compute(THREE, tiles=flat)
    far = compute(THREE, tiles=flat, p_astro=P_ASTRO | {"population": "bbh"})
    horizon = [
        result["inputs"]["search_parameters"]["assumed_horizon_mpc"] for result in (near, far)
    ]
    assert horizon == [200.0, 2000.0]
    # expected neutrinos fall as r^-2 and more when they are few: 3 (r_0 / horizon)^2, all else same
    assert near["odds_ratio"] > 20 * far["odds_ratio"]


def test_parameters_have_the_units_of_the_statistic(search, response):
    params = search_parameters(search, "nsbh", response)
    assert params.ndotgwnu == pytest.approx(23.9e-9 / YEAR_S, rel=1e-15)  # Mpc^-3 s^-1
    assert params.assumed_horizon_mpc == 400.0
    assert "far_signal_rate_hz" in search  # the settings stay as they are


@pytest.mark.parametrize(
    "wrong", [{"ra": math.nan}, {"sigma": 0.0}, {"dec": 95.0}, {"energy": -1.0}, {"gps": math.inf}]
)
def test_an_impossible_neutrino_is_a_sentence(compute, wrong):
    with pytest.raises(LlamaError, match=r"neutrinos must have .*; check the list"):
        compute([neutrino() | wrong])


def test_real_map_and_real_neutrinos(shared_data, response, search):
    path = Path(shared_data / "events" / "S190425z" / "bayestar.multiorder.fits")
    tiles = read_skymap(path.read_bytes(), path.name)
    given = json.loads(
        (shared_data / "llama" / "significance_subthreshold_lvc-i3.json").read_text()
    )["inputs"]["neutrino_info"]
    events = [
        row | {"gps": GPS + 86400 * (row["mjd"] - 60064.7868), "id": str(row["event"])}
        for row in given
    ]
    result = compute_significance(tiles, INFO, P_ASTRO, {"events": events}, response, search, NONE)
    dump_json(result)
    assert result["odds_ratio"] == pytest.approx(
        result["p_h_s1"] / (result["p_h_0"] + result["p_h_c"]), rel=1e-12
    )
    assert result["distance"] == "map"
    assert len(result["single_neutrino"]) == len(given) == 5
