import figure_samples as sample
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama.event.results import Neutrino, Significance
from llama.figures import text
from llama.units import p_value_text

NO_ODDS = {"odds_ratio": 0.0}


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=600), st.integers(2, 80))
def test_cleaned_text_is_short_visible_and_on_one_line(words, limit):
    shown = text.clean(words, limit)
    assert len(shown) <= limit
    assert shown == " ".join(shown.split())
    assert shown.replace("…", "").isprintable()
    assert text.plain(words, limit).isascii()


def test_marks_that_turn_text_round_are_removed():
    assert text.clean("a\u202eb\u2066c\u200fd\x00e") == "a b c d e"
    assert text.clean("A" * 10240) == "A" * 79 + "…"


@pytest.mark.parametrize(
    ("p_value", "shown"),
    [
        (0.0123456, "0.0123"),
        (1.0, "1.0000"),
        (1e-4, "0.0001"),
        (9.99e-5, "1.0e-04"),
        (5.05e-5, "5.1e-05"),
        (None, "–"),
    ],
)
def test_p_values_are_rounded_as_icecube_does(p_value, shown):
    assert text.p_text(p_value) == shown


def test_times_and_areas():
    assert text.utc_text("2019-04-25T08:18:05.017123Z") == "2019-04-25 08:18:05.017 UTC"
    assert text.utc_text("2019-04-25T08:18:05") == "2019-04-25 08:18:05 UTC"
    assert text.utc_text(None) == "–"
    assert [text.area_text(a) for a in (10183.2, 36.81, None)] == ["10183 deg²", "36.8 deg²", "–"]


def test_only_an_event_with_every_sign_of_being_real_is_real():
    assert text.marks(sample.info()) == ["REAL"]
    for change in (
        {"role": "test"},
        {"role": None},
        {"graceid": "MS190425z"},
        {"graceid": "TS190425z"},
        {"graceid": "E190425"},
        {"search": "MDC"},
        {"search": "mdc"},
        {"alert_type": "gstlal-offline"},
        {"gracedb_service_url": "https://gracedb-playground.ligo.org/api/"},
    ):
        assert text.marks(sample.info(**change)) == ["TEST"], change


def test_marks_name_retraction_and_scrambled_neutrinos():
    events = [Neutrino(type="blinded"), Neutrino(type="simulated")]
    assert text.marks(sample.info(retracted=True), events) == [
        "RETRACTED",
        "REAL",
        "BLINDED NEUTRINOS",
        "SIMULATED NEUTRINOS",
    ]


def test_the_best_direction_needs_a_coincidence():
    known, none = (sample.form(sample.significance(**c), Significance) for c in ({}, NO_ODDS))
    assert text.best_direction(known) == (240.4, 36.2)
    assert text.best_direction(none) is None
    assert text.best_direction(Significance(odds_ratio=1.0)) is None


def test_the_window_is_open_at_500_s():
    assert text.in_window(Neutrino(gps=sample.GPS + 499.9), sample.info())
    assert not text.in_window(Neutrino(gps=sample.GPS + 500.0), sample.info())
    assert not text.in_window(Neutrino(), sample.info())


@pytest.mark.parametrize(
    ("energy_gev", "shown"),
    [(None, "–"), (487.83, "488"), (1234.5, "1,230"), (22999.7, "23,000"), (2.5e7, "2.5e+07")],
)
def test_energies_are_read_without_counting_zeros(energy_gev, shown):
    assert text.three_digits(energy_gev) == shown


@pytest.mark.parametrize(
    ("p_value", "error", "effective", "shown"),
    [
        (7.65e-4, 5.7e-5, 170.0, "0.0008"),  # four decimals
        (0.0056, 6e-4, 90.0, "0.0056"),
        (0.6761, 0.023, 800.0, "0.68"),
        (0.0123, 4e-6, 1e6, "0.0123"),
        (3.24e-7, 4e-8, 60.0, "3.2e-07"),
        (3.24e-7, 2e-7, 3.0, "3e-07"),
        (3.24e-7, 5e-7, 1.0, "3e-07"),
        (5e-5, 5e-5, 0.0, "< 5e-05"),  # not one injection is as high
        (0.01, 0.01, 0.0, "< 0.01"),
        (5.4e-4, 5.4e-4, 0.0, "< 0.0006"),  # a limit still holds when it is rounded
        (1.4e-5, 1.4e-5, 0.0, "< 2e-05"),
        (0.96, 0.96, 0.0, "< 1"),
        (1.0, 0.0, 0.0, "1.0000"),
        (0.0, None, None, "0.0e+00"),
    ],
)
def test_no_more_digits_than_the_error_leaves(p_value, error, effective, shown):
    assert p_value_text(p_value, error, effective) == shown
