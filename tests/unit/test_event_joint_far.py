"""The joint false-alarm rate: what it is, what is said of it, and what it does not change."""

import re
from dataclasses import replace

import figure_samples as sample
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed
from publish_samples import make_event
from test_publish_circular import as_read, draft
from test_publish_notice import build

from llama.event.joint_far import RATES, alert_kind, joint_far, joint_far_text
from llama.event.results import Significance
from llama.figures import text
from llama.figures.event_page import _keys
from llama.figures.explain import explain_lines, explanation_section
from llama.figures.summary import summary_content
from llama.publish.result import read_result
from llama.settings.search import AlertRates
from llama.units import rate_words

ALL_RATES = AlertRates().model_dump()
YEAR_S = 31_557_600.0


def with_rate(event=None, p_value=0.0056, error=0.0006, effective=90.0, **changes):
    """A result with its joint false-alarm rate, as its file has it."""
    rate = joint_far(p_value, effective, event or sample.info(), ALL_RATES)
    known = {"p_value": p_value, "p_value_error": error, "p_value_effective": effective}
    return sample.significance(**known | rate | changes)


def flat(words):
    return " ".join(words.split())


@pytest.mark.parametrize(
    ("alert", "kind"),
    [
        ({}, "significant CBC"),
        ({"search": "MDC"}, "significant CBC"),
        ({"significant": False}, "low-significance CBC"),
        ({"group": "Burst", "search": "BBH", "significant": False}, "low-significance CBC"),
        ({"group": "Burst"}, "significant burst"),
        ({"group": "burst", "significant": False}, "low-significance burst"),
        ({"search": "SSM"}, "sub-solar-mass"),
        ({"search": "EarlyWarning"}, "early-warning"),
        ({"search": "MDC", "notice": "MS181101ab-1-EarlyWarning"}, "early-warning"),
    ],
)
def test_the_kind_is_that_of_the_alert(alert, kind):
    assert alert_kind(sample.info(**alert)) == (kind, None)
    found = joint_far(0.25, 50.0, sample.info(**alert), ALL_RATES)
    assert found["alert_kind"] == kind
    assert found["joint_far_per_year"] == 0.25 * found["alert_rate_per_year"]
    assert found["joint_far_reason"] is None


def test_every_kind_has_a_rate_and_every_rate_a_kind():
    assert sorted(RATES.values()) == sorted(ALL_RATES)
    assert len(set(RATES.values())) == len(RATES)


@pytest.mark.parametrize(
    ("alert", "why"),
    [
        ({"group": "", "search": ""}, "does not say which group"),
        ({"group": None}, "does not say which group"),
        ({"group": "External"}, "does not say which group"),
        ({"alert_type": "injection"}, "nobody was alerted"),
        ({"alert_type": "gstlal-offline"}, "nobody was alerted"),
        ({"search": "SSM", "significant": False}, "none are sent"),
    ],
)
def test_without_a_kind_there_is_no_rate_but_a_reason(alert, why):
    found = joint_far(0.01, 5.0, sample.info(**alert), ALL_RATES)
    assert why in found.pop("joint_far_reason")
    assert found.pop("joint_far_is_limit") is False
    assert set(found.values()) == {None}
    result = as_read(with_rate(sample.info(**alert)), Significance)
    assert joint_far_text(result) == ""
    assert text.joint_rate_text(result)[0] == "–"
    assert why in text.joint_rate_text(result)[1]
    said = flat(draft(result=with_rate(sample.info(**alert))))
    assert "can be obtained by multiplying the p-value with the corresponding GW trigger" in said


def test_without_a_p_value_there_is_no_rate():
    found = joint_far(None, None, sample.info(), ALL_RATES)
    assert found["joint_far_per_year"] is found["joint_far_hz"] is None
    assert found["joint_far_reason"] == "there is no p-value"
    assert found["alert_rate_per_year"] == 127.0
    assert "false alarm rate" not in flat(draft(result=with_rate(p_value=None))).lower()


@given(st.floats(1e-12, 1), st.sampled_from(sorted(RATES.values())), st.floats(1e-3, 1e6))
def test_chance_comes_p_times_as_often_as_alerts(p, name, rate):
    kinds = {rate: kind for kind, rate in RATES.items()}
    significant = "low" not in name
    group = "Burst" if "burst" in name else "CBC"
    search = {"sub_solar_mass_per_year": "SSM", "early_warning_per_year": "EarlyWarning"}
    event = sample.info(group=group, search=search.get(name, "AllSky"), significant=significant)
    found = joint_far(p, 3.0, event, dict.fromkeys(ALL_RATES, 1e9) | {name: rate})
    assert found["alert_kind"] == kinds[name]
    assert found["joint_far_per_year"] == pytest.approx(p * rate, rel=1e-12)
    assert found["joint_far_hz"] * YEAR_S == pytest.approx(p * rate, rel=1e-12)


def read_back(words):
    """Return the rate per year that words say, and the digits of their number."""
    (number,) = re.findall(r"[0-9][0-9.,]*", words)
    value = float(number.replace(",", "")) * (1e6 if "million" in words else 1)
    digits = len(number.replace(",", "").replace(".", "").strip("0"))
    return (1 / value if "one in" in words else value), digits


@given(st.floats(1e-10, 1e5), st.integers(1, 3))
def test_words_are_the_rate(per_year, digits):
    said, shown = read_back(rate_words(per_year, digits))
    assert shown <= digits
    assert said == pytest.approx(per_year, rel=0.5001 * 10 ** (1 - digits) / 0.9)
    # what is less than a limit is less than what is said of it
    words = rate_words(per_year, digits, is_limit=True)
    assert words.startswith("less than ")
    assert read_back(words)[0] >= per_year * (1 - 1e-12)


@pytest.mark.parametrize(
    ("p_value", "error", "effective", "words"),
    [
        (0.0056, 0.0006, 90, "one in 1.4 years"),
        (6e-4, 1.7e-4, 11, "one in 13 years"),
        (6e-4, 5e-4, 1, "one in 10 years"),  # 13 +- 11
        (1.0, 0.0, 1000, "127 per year"),
        (0.03, 0.02, 2, "4 per year"),  # 3.8 +- 2.5
        (3.1e-8, 1e-9, 900, "one in 250,000 years"),
        (5.05e-5, 5.05e-5, 0, "less than one in 150 years"),  # 156
        (1 / 51, 1 / 51, 0.0, "less than 2.5 per year"),  # 2.49
    ],
)
def test_no_more_digits_are_shown_than_p_has(p_value, error, effective, words):
    result = as_read(with_rate(p_value=p_value, error=error, effective=effective), Significance)
    assert joint_far_text(result) == words
    assert result.joint_far_is_limit is words.startswith("less")


def test_a_result_of_an_older_version_says_nothing_of_it():
    older = as_read(sample.significance(), Significance)
    assert joint_far_text(older) == ""
    assert text.joint_rate_text(older) == ("–", "")
    assert "false alarm rate" not in build()["additional_info"]


def test_pages_and_explanation_have_it_beside_the_p_value():
    event = sample.event_files(significance=with_rate())
    made = "p times 127 significant CBC alerts per year"
    assert ("Joint false-alarm rate", "one in 1.4 years", made) in _keys(event)
    result = sample.facts(summary_content(event, [], "events/S190425z")["result"])
    assert result["Joint false-alarm rate"] == f"one in 1.4 years, {made}"
    lines = explain_lines(explanation_section(event), event.significance.odds_ratio)
    assert "With 127 significant CBC alerts per year, that is one in 1.4 years." in lines


def test_the_circular_says_it_in_icecubes_words():
    assert (
        "The false alarm rate of this coincidence is one in 1.4 years: the p-value multiplied with "
        "the corresponding GW trigger rate, 127 significant CBC alerts per year."
    ) in flat(draft(result=with_rate()))
    low = sample.info(significant=False)
    said = flat(draft(low, with_rate(low)))
    assert "is 25 per year: the p-value" in said
    assert "rate, 4,380 low-significance CBC alerts per year." in said


def test_the_notice_says_it_where_its_schema_has_room():
    notice = build(result=with_rate(energy_response="smearing", psf="mixture"))
    assert notice["additional_info"] == (
        "p-values are for a sky map of class bns-o3-L1V1 (24 sky maps); false alarm rate of the "
        "coincidence: one in 1.4 years, pval_bayesian times the GW trigger rate, 127 significant "
        "CBC alerts per year; energies and point spread: IceCube's simulation"
    )
    # where there is no pval_bayesian, as of bursts, it would be a riddle
    for event in (sample.info(group="Burst"), sample.info(retracted=True)):
        assert "additional_info" not in build(event, with_rate(event))


def test_messages_have_it_and_another_rate_is_no_news(tmp_path):
    known = read_result(make_event(tmp_path), real=False)

    def told(rates, p_value=0.0056):
        found = joint_far(p_value, 90.0, sample.info(), rates)
        del found["joint_far_hz"]
        significance = changed(known.significance, p_value=p_value, p_value_error=6e-5, **found)
        return replace(known, significance=significance)

    result = told(ALL_RATES)
    said = "p-value 0.0056 for a sky map of class bns-o4-H1L1 (joint false-alarm rate one in 1.4"
    assert f"{said} years), odds" in result.text("new")
    assert result.facts().joint_far.per_year == 0.71
    assert result.facts().joint_far.alert_rate_per_year == 127.0
    rare = told(ALL_RATES | {"significant_cbc_per_year": 12.0})
    assert "joint false-alarm rate one in 15 years" in rare.text("new")
    assert result.sha256() == rare.sha256() == known.sha256() != told(ALL_RATES, 0.005).sha256()


def test_at_p_1_it_is_the_rate_of_the_alerts():
    result = sample.significance(p_value=1.0, p_value_error=0.0, p_value_effective=900.0)
    result |= joint_far(1.0, 900.0, sample.info(), ALL_RATES)
    assert joint_far_text(as_read(result, Significance)) == "127 per year"


def test_the_page_names_the_p_value_of_the_map_beside_that_of_the_class():
    event = sample.event_files(significance=with_rate())
    value, note = next((value, note) for name, value, note in _keys(event) if name == "p-value")
    assert value == "0.0056"
    assert note == "bns-o3-L1V1, 24 sky maps, n = 20000; for this sky map 2.1e-07"
