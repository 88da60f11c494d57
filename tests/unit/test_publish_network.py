"""Every text names each neutrino's detector where there are several, and one that was off."""

from pathlib import Path

import figure_samples as sample
import pytest
from test_figures_summary import content
from test_publish_circular import draft
from test_publish_notice import build

from llama.event.results import NeutrinoList, Significance
from llama.figures.explain import explain
from llama.publish.result import Result

OFF = "arca and icecube; without sk (it did not observe)"


@pytest.fixture
def neutrinos():
    listed = sample.neutrino_list()
    for number, row in enumerate(listed["events"]):
        row["detector"] = ("arca", "icecube")[number % 2]
    on, off = {"on": True, "why": ""}, {"on": False, "why": "it did not observe"}
    return listed | {"detectors": {"arca": on, "icecube": on, "sk": off}}


@pytest.fixture
def result(neutrinos):
    found = sample.significance(neutrinos)
    by_id = {row["id"]: row["detector"] for row in neutrinos["events"]}
    for row in found["single_neutrino"]:
        row["detector"] = by_id[row["id"]]
    return found | {"psf": "of each detector", "energy_response": "of each detector"}


def test_the_circular(neutrinos, result):
    text = draft(neutrinos=neutrinos, result=result)
    assert f"Neutrinos are those of {OFF}." in " ".join(text.split())
    half = draft(neutrinos=neutrinos | {"livetime_s": 500.0}, result=result)
    said = "Each detector observed during at least 500 of these 1000 s."
    assert said in " ".join(half.split())
    (title,) = [line for line in text.splitlines() if "dt (s)" in line]
    assert title.endswith("p-value   detector")
    rows = [line for line in text.splitlines() if line.endswith(("   arca", "   icecube"))]
    assert len(rows) == 2
    assert "point spread: those of each detector." in " ".join(text.split())


def test_the_notice(neutrinos, result):
    notice = build(neutrinos=neutrinos, result=result)
    assert f"neutrinos of {OFF}" in notice["additional_info"]
    names = {event["id"][0].partition(":")[0] for event in notice["coincident_events"]}
    assert names <= {"arca", "icecube"}


def test_messages(neutrinos, result):
    neutrinos["livetime_s"] = 500.0
    forms = sample.form(neutrinos, NeutrinoList), sample.form(result, Significance)
    said = Result(Path(), sample.info(), True, *forms)
    facts = said.facts()
    assert facts.neutrino_detectors == OFF
    assert {one.detector for one in facts.coincident_neutrinos} <= {"arca", "icecube"}
    each = "each that was on observed at least 500 s of the window"
    assert f"in the window of {OFF}; {each}" in said.text("new")
    assert facts.coincident_neutrinos[0].detector in said.text("new").splitlines()[2]


def test_the_page(neutrinos, result):
    page = content(neutrinos=neutrinos, result=result)
    assert f"Detectors: {OFF}." in page["neutrinos"]["text"]
    named = {row[1].split()[0] for row in page["neutrinos"]["table"]["rows"]}
    assert named == {"arca", "icecube"}
    assert "of each neutrino's detector" in page["neutrinos"]["text"][-1]


def test_the_explanation(neutrinos, result):
    factors = result["explanation"]["factors"] | {"detector": 2.5}
    result["explanation"] = result["explanation"] | {"factors": factors}
    files = {"neutrinos": neutrinos, "significance": result}
    why = explain(sample.event_files(**files))
    (detector,) = [factor for factor in why["factors"] if factor.title == "Detector"]
    assert detector.factor == "× 2.5"
    assert detector.words.startswith("Seen by ")
    assert detector.side == "for"
