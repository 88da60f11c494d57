"""Odds of weighted backgrounds are distributed as those of plain ones, and so are their p-values.

Each proof is also shown to fail where one factor of the weights is wrong.
"""

import numpy as np
import proofs
import pytest
from scipy.stats import chi2
from stats_samples import parameters
from tilt_samples import COLUMNS, MAPS, make_release, prepare

from llama.neutrinos.detector import build_detector
from llama.neutrinos.smearing import Smearing
from llama.stats.odds import Neutrinos, event_odds, prepare_neutrinos
from llama.stats.pvalue import weighted_p_values
from llama.study import tilts
from llama.study.draws import Draws, draw_background, draw_skymaps, join

PARAMS = parameters()
SEED, WHOLE = 20261129, 400_000  # plain injections; of weighted ones there are a tenth
BLOCK = 64


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    release, response = make_release(tmp_path_factory.mktemp("release"), 20_000)
    columns = (release.events[name] for name in ("energy_gev", "dec_deg", "sigma_deg"))
    detector = build_detector(Smearing.load(), release.areas[0], response, *columns)
    return release.events, response, detector


def odds_of(prepared, response, counts, columns):
    """Return the odds of injections."""
    odds, ends = [], np.cumsum(counts)
    for first in range(0, counts.size, BLOCK):
        begin, some = ends[first] - counts[first], counts[first : first + BLOCK]
        end = ends[first + some.size - 1]
        given = (columns[name][begin:end] for name in COLUMNS)
        neutrinos = prepare_neutrinos(*given, response, PARAMS)
        stops = np.cumsum(some)
        for start, stop in zip(stops - some, stops, strict=True):
            mine = Neutrinos(*(column[start:stop] for column in neutrinos))
            odds.append(event_odds(prepared, mine, 0.99, PARAMS, response.area_relative).odds_ratio)
    return np.array(odds)


class Samples:
    """Plain and weighted injections of one or more maps."""

    def __init__(self, events, response, names, size):
        self.cells = tilts.build_cells(events, response, PARAMS)
        maps = [prepare(name, response, PARAMS) for name in names]
        self.tilts = [tilts.tilt_map(prepared, self.cells) for prepared in maps]
        self.found = {}
        for kind, count in (("background", size), ("weighted", size // 10)):
            draws, numbers = Draws(SEED, kind, events, response, PARAMS), np.arange(count)
            which = draw_skymaps(SEED, draws.code, numbers, len(maps))
            odds, weights, lists = np.empty(count), np.empty(count), []
            for m, (prepared, tilt) in enumerate(zip(maps, self.tilts, strict=True)):
                mine = numbers[which == m]
                if kind == "weighted":
                    counts, columns, _ = tilts.draw_weighted(draws, mine, self.cells, tilt)
                else:
                    counts, columns = join([draw_background(draws, mine)])
                odds[mine] = odds_of(prepared, response, counts, columns)
                lists.append((mine, counts, columns))
            self.found[kind] = odds, which, lists
            del weights
        self.weights = {kind: self.weights_of(kind, self.cells, self.tilts) for kind in self.found}

    def weights_of(self, kind, cells, maps):
        """Return the weights that some tables give."""
        odds, _, lists = self.found[kind]
        weights = np.empty(odds.size)
        for (mine, counts, columns), tilt in zip(lists, maps, strict=True):
            weights[mine] = tilts.weights(counts, columns, cells, tilt)
        return weights

    def compare(self, weights):
        """Return the p-value of chi-square over decades of the plain odds, and their number."""
        plain, odds = self.found["background"][0], self.found["weighted"][0]
        squares = []
        for decade in range(-20, 20):
            low, high = 10.0**decade, 10.0 ** (decade + 1)
            there, inside = (plain >= low) & (plain < high), (odds >= low) & (odds < high)
            if there.sum() >= 20:
                given = weights * inside
                variance = there.var() / there.size + given.var() / odds.size
                squares.append((there.mean() - given.mean()) ** 2 / variance)
        return chi2.sf(sum(squares), len(squares)), len(squares)

    def p_values(self, weights, own):
        """Return the p-values of the plain injections."""
        odds, which, _ = self.found["weighted"]
        along = np.argsort(odds, kind="stable")
        maps = which[along] if which.any() else None
        plain = self.found["background"][0]
        return weighted_p_values(plain, own, odds[along], weights[along], maps)


CLASS = tuple(MAPS)
CASES = {"small": ("small",), "wide": ("wide",), "none": ("without distance",), "class": CLASS}


@pytest.fixture(scope="module")
def sampled(site):
    """Return samples of each case, made once."""
    made = {}

    def sample(case, size, kind):
        if (case, size, kind) not in made:
            events, response, detector = site
            tables = detector if kind == "mixtures" else response
            made[case, size, kind] = Samples(events, tables, CASES[case], size)
        return made[case, size, kind]

    return sample


@pytest.mark.proof
@pytest.mark.parametrize("case", CASES)
def test_weighted_odds_are_those_of_plain_injections(sampled, case, proven):
    samples = sampled(case, proofs.size(WHOLE, WHOLE // 20), "areas")
    weights = samples.weights["weighted"]
    deviation = (weights.mean() - 1) / (weights.std() / weights.size**0.5)
    p, decades = samples.compare(weights)
    assert abs(deviation) < 4
    assert p > 1e-3
    assert decades >= 4
    # p-values of plain backgrounds
    found = samples.p_values(weights, samples.weights["background"])
    n, worst = found.p.size, 0.0
    for level in (0.5, 0.1, 0.01, 1e-3, 1e-4):
        if n * level >= 20:
            near = np.abs(found.p / level - 1).argmin()
            spread = np.hypot((n * level) ** 0.5, n * found.error[near])
            worst = max(worst, abs(np.count_nonzero(found.p <= level) - n * level) / spread)
    assert worst < 4
    assert (found.p > 0).all()
    proven(
        SEED,
        WHOLE,
        mean_weight_sigma=round(float(deviation), 2),
        chi_square_p=round(float(p), 3),
        decades=decades,
        worst_p_value_sigma=round(float(worst), 2),
    )
