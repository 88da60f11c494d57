"""Seasons that do not fit each other, and lists that do not fit a background."""

import re

import numpy as np
import pytest
from dr2_samples import write_dr2
from scipy.stats import ks_2samp
from smearing_samples import flat_area

from llama.neutrinos.archive import Archive
from llama.neutrinos.importing import import_release
from llama.neutrinos.likeness import DISTANCE, RARE, unlike_background, unlike_seasons
from llama.neutrinos.release import read_release
from llama.neutrinos.response import build_response

DAYS = 86400.0


def season(rng, n, shift=0.0, tail=0.0):
    """Events of a season: soft in the north, hard in the south; tail: share that has 1 dex more."""
    s = np.where(rng.random(n) < 0.6, rng.uniform(-0.05, 1, n), rng.uniform(-1, 0, n))
    x = np.where(s > -0.05, 2.7 + rng.gamma(2.5, 0.26, n), 4.0 + rng.gamma(4.0, 0.17, n)) + shift
    return np.round(x + (rng.random(n) < tail), 2), s


def compare(names, samples, days):
    of = np.concatenate([np.full(len(x), k) for k, (x, _) in enumerate(samples)])
    x, s = (np.concatenate(columns) for columns in zip(*samples, strict=True))
    return unlike_seasons(names, of, x, s, DAYS * np.array(days))


def test_seasons_of_one_configuration_are_quiet():
    """Rates differ by a tenth, proxies by a few percent, as those of IC86."""
    rng = np.random.default_rng(1)
    numbers = (120_000, 110_000, 131_000, 40)
    shifts = (0.0, 0.01, -0.01, 0.0)
    samples = [season(rng, n, d) for n, d in zip(numbers, shifts, strict=True)]
    names = ["IC86_I", "IC86_II", "IC86_III", "IC86_IV"]
    assert compare(names, samples, [350, 350, 350, 0.12]) == []
    assert compare(names[:1], samples[:1], [350]) == []


def test_what_does_not_fit_is_named_with_its_factor():
    rng = np.random.default_rng(2)
    samples = [season(rng, 36_900, 0.3), season(rng, 120_000), season(rng, 120_000)]
    (said,) = compare(["IC40", "IC86_I", "IC86_II"], samples, [376, 350, 350])
    assert said.startswith("IC40 does not fit IC86: it has 0.29 times their rate, ")
    assert said.endswith("; without --seasons it stays apart")
    factor = re.search(r"(\S+) times their median energy proxy at declinations from", said)[1]
    assert float(factor) == pytest.approx(10**0.3, rel=0.06)
    samples[0] = season(rng, 120_000, tail=0.03)
    (said,) = compare(["IC79", "IC86_I", "IC86_II"], samples, [350] * 3)
    assert re.search(r"it has 2\.\d times as many of the highest proxies at declinations", said)
    # within a configuration each is compared with the others
    *_, rate = compare(["IC86_I", "IC86_II", "IC86_III"], [season(rng, 9000)] * 3, [30, 30, 15])
    assert rate == "IC86_III does not fit the other seasons of IC86: it has 2 times their rate"


def test_distances_are_those_of_kolmogorov_and_smirnov():
    """Loud only where SciPy's test is, and the distance is large."""
    rng = np.random.default_rng(3)
    loud = 0
    for n in (30, 100, 400, 3000):
        for shift in np.linspace(0, 0.4, 9):
            a, b = season(rng, n, shift), season(rng, 4 * n)
            a, b = ((x[s > 0.5], s[s > 0.5]) for x, s in (a, b))
            test = ks_2samp(a[0], b[0], method="asymp")
            said = compare(["IC40", "IC86_I"], [a, b], [1, len(b[0]) / len(a[0])])
            far = test.statistic > DISTANCE and test.pvalue < RARE
            assert any("median energy proxy" in sentence for sentence in said) == far
            loud += far
    assert 5 < loud < 31


def test_real_events_of_one_season_fit_each_other_and_no_other(shared_data, tmp_path):
    """Half of IC40 beside the other half, and beside the same with 2.5 times the energies."""
    events = read_release(shared_data / "icecube" / "icecube_10year_ps").events
    x, s = np.log10(events["energy_gev"]), np.sin(np.radians(events["dec_deg"]))
    odd = np.arange(x.size) % 2 == 1
    halves = [(x[odd], s[odd]), (x[~odd], s[~odd])]
    assert compare(["IC86_I", "IC86_II"], halves, [188, 188]) == []
    first = x.size // 2  # summer and winter
    parts = [(x[:first], s[:first]), (x[first:], s[first:])]
    assert compare(["IC86_I", "IC86_II"], parts, [188, 188]) == []
    louder = [halves[0], (x[~odd] - 0.4, s[~odd])]
    (said,) = compare(["IC40", "IC86_I"], louder, [188, 47])
    assert "0.25 times their rate, 2.5 times their median energy proxy" in said


def test_pooling_that_was_asked_for_says_what_does_not_fit(tmp_path):
    release = write_dr2(tmp_path / "dr2")
    events = release / "events" / "IC40_exp.tab"
    rows = events.read_text().splitlines(keepends=True)
    events.write_text("".join(rows[:1] + rows[4::6]))
    about = import_release(release, tmp_path / "archive", "dr2", seasons=["IC40", "IC86"])
    (said,) = about["unlike"]
    assert said.startswith("IC40 does not fit IC86: it has 0.17 times their rate")
    assert Archive.open(tmp_path / "archive" / "dr2").about["unlike"] == [said]
    assert import_release(release, tmp_path / "archive", "dr2")["unlike"] == []


@pytest.fixture(scope="module")
def background():
    x, s = season(np.random.default_rng(4), 300_000)
    return build_response(flat_area(), 10**x, np.degrees(np.arcsin(s)))


def test_lists_of_the_background_are_quiet(background):
    rng = np.random.default_rng(5)
    said = []
    for n in rng.poisson(4.0, 1000):
        x, s = season(rng, n)
        x = np.where(rng.random(n) < 0.1, np.nan, x)
        said += unlike_background(x, s, 4.0, background)
    assert len(said) <= 3  # three tests of 1e-4 each, 1000 times


def test_lists_of_another_stream_are_named(background):
    rng = np.random.default_rng(6)
    x, s = season(rng, 6)
    assert unlike_background(x, s, 0.4, background) == [
        "there are 6 of them, and 0.4 are expected of the background"
    ]
    assert "there are 0 of them, and 20 are" in unlike_background(x[:0], s[:0], 20.0, background)[0]
    alerts = unlike_background(np.full(4, 5.4), np.full(4, 0.2), 4.0, background)
    assert "their energies are other than those of the background" in alerts
    where = np.linspace(-0.99, -0.9, 6)
    south = unlike_background(np.linspace(4.2, 5.2, 6), where, 6.0, background)
    assert south == ["their declinations are other than those of the background"]
    (outside,) = unlike_background(np.array([0.5, 3.5]), np.array([0.3, 0.6]), 2.0, background)
    assert outside.startswith("1 of their energies are not between 1e1 and 1e8 GeV")
