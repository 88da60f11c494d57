"""What drove the odds, in words: the numbers that are stated multiply to the odds ratio."""

import functools
import json
import math
import re

import page_samples as sample
import pytest
from event_samples import GPS, INFO, NONE, P_ASTRO, THREE, neutrino
from figure_samples import form as sample_form
from stats_samples import grb_parameters

from llama.cli.main import main
from llama.errors import LlamaError
from llama.event.bursts import Bursts
from llama.event.page_files import EventFiles
from llama.event.results import Classification, Distances, NeutrinoList, Significance
from llama.event.significance import compute_significance
from llama.figures.explain import explain, explain_lines
from llama.files import dump_json, write_json
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky.mock import mock_skymap
from llama.sky.tiles import SkyTiles


@functools.cache
def skymap():
    return mock_skymap(60.0, 25.0, (6.0, 3.0), (120.0, 30.0))


def burst():
    return SkyTiles(skymap().order, skymap().ipix, skymap().prob)  # a burst has no distance


def explained(significance, distances, neutrinos):
    files = (distances, Distances), (neutrinos, NeutrinoList), (significance, Significance)
    forms = (sample_form(*file) for file in files)
    return explain(EventFiles(INFO, {}, Classification(), *forms))


@pytest.fixture(scope="module")
def response(archive):
    return archive.response()


@pytest.fixture(scope="module")
def told(response):
    search = from_dict(defaults(), "defaults").search_parameters()

    def told_of(events, tiles=None, p_astro=P_ASTRO, background=NONE, bursts=None):
        tiles = tiles or skymap()
        result = compute_significance(
            tiles, INFO, p_astro, {"events": events}, response, search, background, bursts
        )
        content = json.loads(dump_json(result)), tiles.summary(), {"events": events}
        return result, explained(*content)

    return told_of


CASES = {
    "one": [neutrino()],
    "several": THREE,
    "pair": [neutrino(), neutrino(20.0, 61.2, 24.1)],
    "far": [neutrino(-480.0, 240.0, -60.0, 0.9)],
}


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([neutrino(energy=None)], "Energy not known: source and background are averaged over"),
        (
            [neutrino(energy=None), neutrino(20.0, 61.2, 24.1)],
            "5 TeV, one not known: a source gives such an energy here 0.9",
        ),
    ],
)
def test_an_energy_that_is_not_known_is_said(told, events, says):
    result, why = told(events)
    assert any(says in line for line in explain_lines(why, result["odds_ratio"]))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("make", [skymap, burst], ids=["distance", "burst"])
@pytest.mark.parametrize("p_astro", [0.999, 1e-4])
def test_the_stated_numbers_multiply_to_the_stated_odds(told, name, make, p_astro):
    result, why = told(CASES[name], make(), P_ASTRO | {"p_astro": p_astro})
    lines = [line.replace(",", "") for line in explain_lines(why, result["odds_ratio"])]
    stated = [float(x) for line in lines for x in re.findall(r"  × (\S+)  ", line)]
    assert len(stated) == 7
    odds = float(lines[-1].split()[-1])
    # seven numbers and the odds, each with three digits
    assert math.prod(stated) == pytest.approx(odds, rel=8 * 0.005)
    assert odds == pytest.approx(result["odds_ratio"], rel=0.005)


def test_words_for_one_neutrino(told):
    result, why = told([neutrino()])
    text = " ".join(explain_lines(why, result["odds_ratio"]))
    for words in (
        "One source of the wave and of neutrino 1 is only",
        "The wave is from a real source with probability 0.4.",
        "Mpc a source that points at us gives exactly one neutrino with probability",
        "5.8 neutrinos are expected around any wave by chance; one of them is nothing special.",
        "It came 30.0 s after the wave",
        "At 61.0, +24.0 deg (90 % radius 1.7 deg)",
        "5 TeV: a source gives such an energy here 0.987 times as often as background.",
        "No other neutrino",
        "there is no p-value",
    ):
        assert words in text


def test_words_for_two_neutrinos_and_a_strong_case(told):
    result, why = told(CASES["pair"])
    assert result["odds_ratio"] > 1
    text = " ".join(explain_lines(why, result["odds_ratio"]))
    assert "of neutrino 1 and neutrino 2 is 71" in text
    assert "30.0 s after and 20.0 s after the wave" in text
    assert "gives exactly two neutrinos" in text


def test_a_burst_without_distance_says_that_one_is_assumed(told):
    result, why = told([neutrino()], burst())
    words = {row[0]: row[2] for row in why["factors"]}["Distance"]
    assumed = result["assumed_distance"]
    assert (assumed["horizon_mpc"], assumed["farther_mpc"]) == (200.0, 2000.0)
    assert 20 < result["odds_ratio"] / assumed["odds_ratio_farther"] < 120  # r^-2 and redshift
    assert words.startswith(
        "The sky map has no distance (assumed, up to 200 Mpc; up to 2,000 Mpc the odds ratio would "
        f"be {assumed['odds_ratio_farther']:.3g}). There a source"
    )


MODEL = grb_parameters(efficiency=0.6)
BURST_ROW = {"id": "E1", "gps_time": GPS + 1.7, "ra": 60.0, "dec": 25.0, "sigma": 5.0}


@pytest.mark.parametrize("rows", [[], [BURST_ROW]], ids=["no burst", "a burst"])
@pytest.mark.parametrize("events", [THREE, []], ids=["three", "no neutrino"])
def test_what_gamma_ray_bursts_change_is_one_more_factor(told, rows, events):
    result, why = told(events, bursts=Bursts(rows, MODEL))
    if not rows and not events:
        assert result["odds_ratio"] == 0
        assert "The odds ratio is 0" in why["summary"][0]
        return
    factors = result["explanation"]["factors"]
    assert math.prod(factors.values()) == pytest.approx(result["odds_ratio"], rel=1e-9)
    assert len(factors) == len(why["factors"]) == (8 if events else 1)
    assert (factors["bursts"] > 1) == bool(rows)
    text = " ".join(explain_lines(why, result["odds_ratio"]))
    assert ("The list has 1 burst" if rows else "holds none.") in text
    assert ("and of a gamma-ray burst is" in text) == (not events)
    assert ("and a gamma-ray burst is" in text) == bool(rows and events)


def test_whose_bursts_were_heard_and_count_is_said(told):
    instruments = {name: {"efficiency": 0.3, "rate_hz": 7e-6} for name in ("svom", "fermi_gbm")}
    result, why = told([], bursts=Bursts([BURST_ROW | {"instrument": "svom"}], MODEL, instruments))
    assert result["inputs"]["grb_instruments"] == instruments
    text = " ".join(explain_lines(why, result["odds_ratio"]))
    assert "The list heard of Fermi GBM and SVOM has 1 burst, at any time" in text


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([], "the list holds no neutrino"),
        ([neutrino(700.0)], "none of the 1 neutrinos of the list came less than 500 s"),
        (
            [neutrino(10.0, 240.0, -30.0, 0.2)],
            "the one neutrino near the wave in time is too far from the sky map",
        ),
    ],
)
def test_odds_of_zero_have_a_reason(told, events, words):
    tiles = skymap() if not events or events[0]["ra"] < 100 else _spot()
    result, why = told(events, tiles)
    assert result["odds_ratio"] == 0
    assert result["explanation"] is None
    assert why["factors"] == []
    assert words in why["summary"][0]


def _spot():
    """A map with probability in a spot only, and none elsewhere."""
    whole = skymap()
    near = whole.prob > 1e-5
    prob = whole.prob[near] / whole.prob[near].sum()
    return SkyTiles(whole.order[near], whole.ipix[near], prob)


def test_a_result_of_an_older_version_is_refused_with_the_remedy():
    with pytest.raises(LlamaError, match="run snakemake for this event again"):
        explained({"odds_ratio": 1.0}, {}, {"events": []})


def test_the_command_prints_the_same_for_a_path_and_an_id(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    event_dir = sample.write_event(tmp_path / "llama")
    printed = []
    for given in (str(event_dir), "current_run/S230518h", "S230518h"):
        assert main(["explain", given]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] == printed[2]
    assert "= odds ratio" in printed[0]
    assert "neutrino 1" in printed[0]
    assert main(["explain", "S230518h", "--json"]) == 0
    assert '"position": 45.0' in capsys.readouterr().out


def test_a_retracted_event_is_named_as_such(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    event_dir = sample.write_event(tmp_path / "llama", retracted=True)
    assert main(["explain", "S230518h"]) == 0
    assert capsys.readouterr().out.startswith("S230518h was RETRACTED. ")
    (event_dir / "significance_lvc-i3.json").unlink()
    assert main(["explain", "S230518h"]) == 1
    assert "was retracted and has no result" in capsys.readouterr().err


def test_the_command_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert main(["explain", "S190425z"]) == 1
    assert "there is no event S190425z" in capsys.readouterr().err
    event_dir = sample.write_event(tmp_path / "llama")
    (event_dir / "significance_lvc-i3.json").unlink()
    assert main(["explain", "S230518h"]) == 1
    assert "run: snakemake events/S230518h/all" in capsys.readouterr().err
    write_json(event_dir / "significance_lvc-i3.json", {"odds_ratio": 1.0})
    assert main(["explain", "S230518h"]) == 1
