"""What was not tested is not denied, and how long the detector observed is said."""

import json
import re
from dataclasses import replace

import figure_samples as sample
import pytest
from msgspec import convert
from msgspec.structs import replace as changed
from publish_samples import PUBLIC, combined, make_event
from test_publish_circular import as_read, draft, subject
from test_publish_notice import build

from llama.errors import LlamaError
from llama.event.located import Combined
from llama.event.results import Significance
from llama.event.skymap_info import read_info
from llama.publish import kafka_notice
from llama.publish.circular import subject_is_accepted
from llama.publish.notice_check import check_notice
from llama.publish.result import Result, read_result


def test_what_was_not_tested_is_not_denied():
    """Without p-values the count is left out, as the schema permits; it is never 0."""
    none = [s | {"p_value": None} for s in sample.singles(sample.neutrino_list(), [1, 1, 1])]
    for notice in (
        build(result=sample.significance(p_value=None)),
        build(sample.info(group="Burst")),
        build(sample.info(retracted=True)),
        build(result=sample.significance(single_neutrino=none)),  # a background from a table
    ):
        assert "n_events_coincident" not in notice
        assert "coincident_events" not in notice
    assert notice["pval_bayesian"] == 0.0056
    with pytest.raises(LlamaError, match="without any p-value"):
        check_notice(notice | {"n_events_coincident": 0, "pval_bayesian": None})
    # with a p-value, what it says
    assert build(result=sample.significance(p_value=0.2))["n_events_coincident"] == 0
    assert build(neutrinos=sample.neutrino_list([]))["n_events_coincident"] == 0


def test_a_pair_of_which_none_counts_by_itself_is_listed():
    neutrinos = sample.neutrino_list()
    pair = [event["id"] for event in neutrinos["events"][:2]]
    singles = sample.singles(neutrinos, [0.2, 0.4, 0.9])
    result = sample.significance(
        single_neutrino=singles, explanation=sample.explanation(members=pair)
    )
    notice = build(result=result, neutrinos=neutrinos)
    assert notice["n_events_coincident"] == 0  # counts p < 0.1
    assert [event["id"] for event in notice["coincident_events"]] == [[name] for name in pair]
    assert [event["event_pval_bayesian"] for event in notice["coincident_events"]] == [None, None]


@pytest.mark.parametrize(
    ("livetime_s", "said"), [(500.0, 500), (1000.0000001, 1000), (0.0, 0), (499.7, 500)]
)
def test_the_livetime_is_that_of_the_list(livetime_s, said):
    notice = build(neutrinos=sample.neutrino_list(livetime_s=livetime_s))
    assert notice["observation_livetime"] == said


def test_a_livetime_that_is_not_known_is_left_out():
    for neutrinos in (sample.neutrino_list(), sample.neutrino_list(livetime_s=None)):
        assert "observation_livetime" not in build(neutrinos=neutrinos)


def assert_denies_nothing(text):
    flat = " ".join(text.split()).lower()
    assert not re.search(r"\bno (counterpart|neutrino)", flat)
    assert "neutrino candidate is found" not in flat


@pytest.mark.parametrize(
    ("event", "result", "says"),
    [
        (None, {"p_value": None, "p_value_reason": "no background for bns-o4-H1L1"}, "Reason: no"),
        (sample.info(group="Burst"), {}, "this candidate is a burst"),
        (sample.info(retracted=True), {}, "The candidate was retracted (S190425z-2-Initial)"),
    ],
)
def test_a_draft_denies_nothing_that_was_not_tested(event, result, says):
    neutrinos = sample.neutrino_list([sample.neutrino(k, 240, 36, energy=3e5) for k in range(3)])
    text = draft(event, sample.significance(neutrinos, **result), neutrinos)
    assert_denies_nothing(text)
    assert "counterpart" not in subject(text)
    assert subject_is_accepted(subject(text))
    assert says in " ".join(text.split())
    assert ("neither reported nor excluded" in " ".join(text.split())) is (
        not (event and event.retracted)
    )


def test_neutrinos_that_were_not_tested_one_by_one():
    singles = [s | {"p_value": None} for s in sample.singles(sample.neutrino_list(), [1, 1, 1])]
    text = draft(result=sample.significance(single_neutrino=singles))
    assert_denies_nothing(text)
    assert "was not tested one by one" in " ".join(text.split())
    assert "p-value of the Bayesian search is 0.0056" in " ".join(text.split())
    assert subject(text).endswith("neutrino search with a p-value of 0.0056")


def test_nothing_so_far_is_not_nothing():
    text = draft(neutrinos=sample.neutrino_list([], complete=False))
    assert "no counterpart neutrino candidates so far from" in subject(text)
    assert "More neutrinos may still come." in " ".join(text.split())
    assert "More neutrinos may still come." not in " ".join(draft().split())


# a burst that makes a window of usual neutrinos rare
ALONE = {"odds_ratio": 1e-3, "p_value": 0.4, "p_value_error": 0.02, "joint_far_per_year": 50.8}
BURST = {"odds_ratio": 77.0, "p_value": 3e-8, "p_value_method": "map", "without_bursts": ALONE}
BURST |= {"alert_kind": "significant CBC", "alert_rate_per_year": 127.0, "joint_far_per_year": 4e-6}


def test_a_burst_makes_no_neutrino_a_counterpart(tmp_path):
    result = sample.significance(**BURST)
    notice, text = build(result=result), " ".join(draft(result=result).split())
    assert notice["pval_bayesian"] == 0.4
    assert notice["n_events_coincident"] == 0
    assert "coincident_events" not in notice
    assert "51 significant CBC" not in notice["additional_info"]
    assert "51 a year" in text or "51 per year" in text
    assert "With the gamma-ray bursts of the event's list: odds ratio 77, p-value 3.0e-08." in text
    assert "overall p-value of the Bayesian search is 0.40." in text
    # where both are said, the source is that of neutrinos and burst
    likely = sample.significance(**BURST | {"without_bursts": ALONE | {"p_value": 0.001}})
    told = as_read(combined(), Combined)
    said = build(result=likely, combined=told)["additional_info"]
    assert "the last two count gamma-ray bursts of the event's list" in said
    text = " ".join(draft(result=likely, combined=told).split())
    assert "The last two count the gamma-ray bursts of the event's list." in text
    # messages have the joint result, and say so
    known = read_result(make_event(tmp_path), real=False)
    known = replace(known, significance=convert(result, Significance))
    assert known.facts().p_value == 3e-8
    assert known.facts().coincident_neutrinos == []
    assert "odds ratio 77, which count its gamma-ray bursts, too" in known.text("new")


def test_how_long_the_detector_observed():
    half = " ".join(draft(neutrinos=sample.neutrino_list(livetime_s=500.0)).split())
    assert "The detector observed during 500 of these 1000 s." in half
    assert "# The neutrino list does not say how long the detector observed" not in half
    unknown = " ".join(draft().split())
    assert "detector observed during" not in unknown
    assert "# The neutrino list does not say how long the detector observed" in unknown


def test_messages_deny_nothing_either_and_say_how_long_was_observed(tmp_path):
    event = make_event(tmp_path)
    known = read_result(event, real=False)
    assert (
        known.text("new")
        .splitlines()[0]
        .endswith(
            "1 coincident neutrino, p-value 0.0056 for a sky map of class bns-o4-H1L1, "
            "odds ratio 0.0321"
        )
    )
    assert "observed" not in known.text("new")
    untested = replace(known, significance=changed(known.significance, p_value=None))
    assert untested.facts().coincident_neutrinos is None
    assert "coincidence not tested, p-value not available" in untested.text("new")
    assert "no coincident" not in untested.text("new")
    assert not hasattr(untested.facts().p_value_for, "split")
    # a list that is not complete may still get some
    early = changed(known.neutrinos, complete=False)
    none = replace(known, significance=changed(known.significance, p_value=0.5), neutrinos=early)
    assert "no coincident neutrinos so far, p-value 0.5" in none.text("new")
    half = replace(known, neutrinos=changed(known.neutrinos, livetime_s=500.0))
    assert "2 neutrinos in the window, of which the detector observed 500 s" in half.text("new")
    # what says nothing new sends nothing
    whole = replace(known, neutrinos=changed(known.neutrinos, livetime_s=1000.0))
    assert whole.sha256() == known.sha256() != half.sha256()


def test_gcns_retraction_is_as_real_as_what_it_takes_back(tmp_path):
    event = make_event(tmp_path / "current_run", PUBLIC)
    info = read_info(event)
    info = changed(info, role="test", retracted=True, notice=f"{info.graceid}-2-Retraction")
    for real, tense in ((True, "current"), (False, "test")):
        payload = kafka_notice.build(Result(event, info, real), "key", "withdrawal", None)
        assert json.loads(payload)["alert_tense"] == tense
