import figure_samples as sample
import pytest

from llama.errors import LlamaError
from llama.event.results import NeutrinoList, Significance
from llama.publish.circular import draft_circular, subject_is_accepted
from llama.typed import typed


def as_read(content, form):
    return typed(content, form, "the file", "make it again")


def draft(event=None, result=None, neutrinos=None, sensitivity=sample.SENSITIVITY):
    neutrinos = neutrinos or sample.neutrino_list()
    result = result or sample.significance(neutrinos)
    result |= {"neutrino_flux_sensitivity_range": sensitivity}
    return draft_circular(
        event or sample.info(),
        as_read(result, Significance),
        as_read(neutrinos, NeutrinoList),
    )


def subject(text):
    (line,) = [line for line in text.splitlines() if line.startswith("SUBJECT: ")]
    return line.removeprefix("SUBJECT: ")


def test_a_real_event_makes_a_text_to_send():
    text = draft()
    flat = " ".join(text.split())
    assert text.startswith("# DRAFT - not sent.")
    assert subject(text) == (
        "LIGO/Virgo/KAGRA S190425z: 2 counterpart neutrino candidates from a neutrino search"
    )
    assert subject_is_accepted(subject(text))
    assert "2019-04-25 08:09:45 UTC to 2019-04-25 08:26:25 UTC" in flat
    assert "p-value of the Bayesian search is 0.0056" in flat
    assert "not corrected for trials" in flat
    assert "sky map of S190425z-2-Initial" in flat
    assert "ranges from 0.0277 to 0.647 GeV cm^-2" in flat
    assert "   -225.80     240.50     +36.10                3.86   5.1e-05" in text
    assert all(len(line) <= 80 for line in text.splitlines() if line[:1] not in {"#", "S"})


def test_the_text_states_the_window_that_was_used():
    assert "in the 1000 seconds centered on its time" in " ".join(draft().split())
    longer = sample.neutrino_list(livetime_s=900.0, window=sample.window(-1250, 500))
    flat = " ".join(draft(neutrinos=longer).split())
    assert "in the 1750 seconds 1250 s before to 500 s after its time" in flat
    assert "2019-04-25 07:57:15 UTC to 2019-04-25 08:26:25 UTC" in flat
    assert "during 900 of these 1750 s" in flat


def test_the_word_draft_is_not_in_the_subject():
    assert "draft" not in subject(draft()).lower()


@pytest.mark.parametrize(
    "event",
    [
        sample.info(role="test"),
        sample.info(graceid="MS190425z", notice="MS190425z-1-Initial"),
        sample.info(search="MDC"),
    ],
)
def test_the_subject_of_a_test_is_one_that_gcn_refuses(event):
    text = draft(event)
    assert subject(text).startswith("[TEST, do not submit] ")
    assert not subject_is_accepted(subject(text))
    assert "THIS IS A TEST" in text
    assert "(TEST)" in text  # beside the numbers as well


def test_blinded_neutrinos_make_a_test():
    neutrinos = sample.neutrino_list([sample.neutrino(0, 1, 2, type="blinded")])
    assert not subject_is_accepted(subject(draft(neutrinos=neutrinos)))


def test_the_head_warns():
    assert "does not meet that threshold" not in draft()
    assert "does not meet that threshold" in draft(result=sample.significance(p_value=0.01))
    assert "PROVISIONAL" in draft(neutrinos=sample.neutrino_list(complete=False))
    assert "RETRACTED" in draft(sample.info(retracted=True))
    assert "injections decide" not in draft()
    assert "# Only 2.0 of the background's injections decide the p-value" in draft(
        result=sample.significance(p_value_effective=2.0)
    )
    unusable = sample.neutrino_list(complete=False) | {"unusable": ["a notice has no\nerror"]}
    assert "# The neutrino list is INCOMPLETE: a notice has no error.\n" in draft(
        neutrinos=unusable
    )
    assert "PROVISIONAL" not in draft(neutrinos=unusable)


def test_without_p_value_there_is_no_number():
    text = draft(result=sample.significance(p_value=None))
    assert "No p-value is available for the sky map of S190425z-2-Initial." in text
    assert "p-value of the Bayesian search is" not in text


def test_one_none_and_low_significance():
    one = sample.neutrino_list([sample.neutrino(0, 10, 20)])
    assert "1 counterpart neutrino candidate from" in draft(neutrinos=one)
    assert "One neutrino candidate is found" in draft(neutrinos=one)
    assert "no counterpart neutrino candidates" in draft(neutrinos=sample.neutrino_list([]))
    assert "low-significance gravitational-wave" in " ".join(
        draft(sample.info(significant=False)).split()
    )
    assert "sensitivity" not in draft(sensitivity=None)


def test_an_event_without_time_is_refused():
    with pytest.raises(LlamaError, match="no event time"):
        draft(sample.info(event_time=None))


@pytest.mark.parametrize(
    ("line", "accepted"),
    [
        ("IceCube-260101A: observation", True),
        ("Re: LIGO/Virgo/KAGRA S190425z", False),
        ("Subject: LVK S190425z", False),
        ("LVK S190425z: draft", False),
        ("S190425z: neutrinos", False),
        ("", False),
    ],
)
def test_gcns_rule_for_subjects(line, accepted):
    assert subject_is_accepted(line) is accepted
