"""What a p-value is for, and that it is only a limit, wherever somebody reads it."""

import re
from pathlib import Path

import figure_samples as sample
import pytest
from event_samples import INFO, THREE, made_up_background
from msgspec import to_builtins
from test_publish_circular import draft
from test_publish_notice import build

from llama.event.results import NeutrinoList, Significance
from llama.event.significance import compute_significance
from llama.figures.explain import explain
from llama.figures.scatter import draw_scatter
from llama.figures.summary import summary_content
from llama.figures.text import result_line, share_of_background
from llama.publish.result import Findings, Result
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky.mock import mock_skymap

LIMIT = {"p_value": 5e-5, "p_value_error": 5e-5, "p_value_effective": 0.0}
OF_MAP = {"p_value_method": "map", "n_background": 3000}
CLASS, MAP = "a sky map of class bns-o3-L1V1 (24 sky maps)", "this sky map"
SINGLE = {"p_value_error": 5e-5, "p_value_effective": 0.0}


def result(neutrinos=None, **changes):
    neutrinos = neutrinos or sample.neutrino_list()
    significance = sample.form(sample.significance(neutrinos, **changes), Significance)
    return Result(Path(), sample.info(), True, sample.form(neutrinos, NeutrinoList), significance)


def texts(neutrinos=None, **changes):
    """All that is said of a result, by whom it is said."""
    neutrinos = neutrinos or sample.neutrino_list()
    content = sample.significance(neutrinos, **changes)
    event = sample.event_files(neutrinos=neutrinos, significance=content)
    said = {
        "circular": draft(None, content, neutrinos),
        "notice": build(None, content, neutrinos).get("additional_info", ""),
        "message": result(neutrinos, **changes).text("new"),
        "lead": summary_content(event, [], "events/x")["lead"],
        "explain": " ".join(explain(event)["summary"]),
        "line": result_line(event.significance),
    }
    return {name: " ".join(text.split()) for name, text in said.items()}


def test_a_limit_is_said_to_be_one_everywhere():
    said = texts(**LIMIT)
    assert "p-value of the Bayesian search is < 5e-05." in said["circular"]
    assert "pval_bayesian is an upper limit" in said["notice"]
    assert f"p-value < 5e-05 for {CLASS}, odds ratio" in said["message"]
    assert said["lead"].startswith("p < 5e-05: chance")
    for name in ("lead", "explain"):
        assert "in less than 0.005 % of background triggers of the same class" in said[name]
    assert "(p < 5e-05)" in said["explain"]
    assert "p < 5e-05 (bns-o3-L1V1, 24 sky maps, n = 20000)" in said["line"]
    assert not re.search("= <|limit|less than", " ".join(texts().values()))
    assert "= <" not in " ".join(said.values())


def test_a_limit_of_a_neutrino_is_said_to_be_one():
    neutrinos = sample.neutrino_list()
    singles = sample.singles(neutrinos, [5e-5, 0.0915, 1.0])
    singles[0] |= SINGLE
    said = texts(neutrinos, single_neutrino=singles)
    assert "event_pval_bayesian is an upper limit for 124551_214972" in said["notice"]
    assert "90 % radius 3.86 deg, p-value < 5e-05" in said["message"]
    assert "3.86 < 5e-05" in said["circular"]
    assert "event_pval" not in texts()["notice"]


@pytest.mark.parametrize(("method", "which"), [({}, CLASS), (OF_MAP, MAP)])
def test_what_a_p_value_is_for_is_never_confused(method, which):
    said = texts(**method)
    other = MAP if which == CLASS else "class"
    for name, text in said.items():
        assert other not in text, name
    for name in ("circular", "notice", "message"):
        assert which in said[name]
    facts = result(**method).facts()
    assert isinstance(facts, Findings)
    assert (facts.p_value_for, facts.p_value_is_limit) == (which, False)


def test_a_p_value_of_one_is_all_of_the_background():
    one = result(p_value=1.0, p_value_error=0.0, p_value_effective=2e4)
    assert share_of_background(one.significance) == "100 % of background triggers of the same class"


def test_digits_that_the_error_does_not_leave_are_not_shown():
    said = texts(**OF_MAP, p_value=2.13e-7, p_value_error=2e-7, p_value_effective=1.5)
    assert "in 2e-05 % of background triggers with this sky map" in said["lead"]


def test_a_list_that_is_not_complete_or_has_gaps_is_said_so_beside_its_p_value():
    nothing = {"p_value": 1.0, "odds_ratio": 0.0, "explanation": None}
    gaps = sample.neutrino_list([], livetime_s=500.0, complete=False)
    gaps["window"] |= sample.window(-500.0, 500.0) | {"half_width_s": 500.0}
    for changes in (nothing, {"p_value": 0.3}):
        said = texts(gaps, **changes)
        end = "The list of neutrinos is not complete. The detector observed during 500 of 1000 s."
        assert said["lead"].endswith(end)
        assert said["notice"].endswith("; the list of neutrinos is not complete")
        assert "no coincident neutrinos so far" in said["message"]
        assert "observed during 500 of these 1000 s. More neutrinos may" in said["circular"]
    assert texts()["lead"].endswith("of the same class.")
    assert "not complete" not in texts()["notice"]


def test_words_are_no_news():
    facts = [result(p_value_class_maps=n).facts() for n in (24, 25)]
    assert to_builtins(facts[0]) != to_builtins(facts[1])
    assert result(p_value_class_maps=24).sha256() == result(p_value_class_maps=25).sha256()
    assert result().sha256() != result(p_value=0.0057).sha256()


def test_the_figure_says_p_value_and_limit(tmp_path, monkeypatch):
    figures = sample.record_figures(monkeypatch)
    for k, changes in enumerate((LIMIT, {"p_value": None})):
        content = sample.form(sample.significance(**changes), Significance)
        odds = made_up_background()["odds"]
        draw_scatter(content, odds, tmp_path / f"{k}.png", tmp_path / f"{k}.pdf")
    limit, none = (" | ".join(sample.words(figure)) for figure in (figures[0], figures[-1]))
    assert "odds 0.0321, p < 5e-05" in limit
    assert "None" not in none


@pytest.mark.parametrize("live_s", [0, 0.0, 1.0, None, 1000.0])
def test_a_window_without_the_detector_has_no_p_value(archive, live_s):
    search = from_dict(defaults(), "defaults").search_parameters()
    tiles = mock_skymap(60.0, 25.0, (6.0, 3.0), (120.0, 30.0))
    alert = {"p_astro": 0.4, "population": "bns"}
    own = made_up_background() | {"class": "map"}
    made = {}
    for name, events in (("none", []), ("three", THREE)):
        listed = {"events": events, "livetime_s": live_s}
        arguments = archive.response(), search, made_up_background(), None, own
        made[name] = compute_significance(tiles, INFO, alert, listed, *arguments)
    if live_s == 0:
        assert made["none"]["p_value"] is made["none"]["p_value_map"] is None
        assert "did not observe during the event's window" in made["none"]["p_value_reason"]
        assert made["none"]["unlike_background"] == []
    else:
        assert made["none"]["p_value"] == 1.0
    assert made["three"]["p_value"] < 1  # there are some: it did observe
