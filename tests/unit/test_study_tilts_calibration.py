"""Odds of weighted backgrounds are distributed as those of plain ones, and so are their p-values.

Each proof is also shown to fail where one factor of the weights is wrong.
"""

import numpy as np
import proofs
import pytest
from scipy.stats import chi2
from stats_samples import parameters
from tilt_samples import CLASS, MAPS, make_release, odds_of, prepare, worst_level

from llama.background import tilts
from llama.background.cells import build_cells
from llama.background.draws import Draws, draw_background, draw_skymaps, join
from llama.neutrinos.detector import build_detector
from llama.neutrinos.smearing import Smearing
from llama.stats.pvalue import weighted_p_values

PARAMS = parameters()
SEED, WHOLE = 20261129, 100_000  # plain injections
SHARE = 5  # of these, so many weighted ones


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    release, response = make_release(tmp_path_factory.mktemp("release"), 20_000)
    columns = (release.events[name] for name in ("energy_gev", "dec_deg", "sigma_deg"))
    detector = build_detector(Smearing.load(), release.areas[0], response, *columns)
    return release.events, response, detector


class Samples:
    """Odds of plain and weighted injections of one or more maps, and weights."""

    def __init__(self, events, response, names, size):
        self.site, self.cells = (events, response), build_cells(events, response, PARAMS)
        self.prepared = [prepare(name, response, PARAMS) for name in names]
        self.plain, self.own, _ = self.draw("background", size)
        self.odds, self.weights, self.maps = self.draw("weighted", size // SHARE)

    def draw(self, kind, size):
        """Return odds, weights and maps."""
        draws, numbers = Draws(SEED, kind, *self.site, PARAMS), np.arange(size)
        which = draw_skymaps(SEED, draws.code, numbers, len(self.prepared))
        odds, weights = np.empty((2, size))
        for m, prepared in enumerate(self.prepared):
            tilt = tilts.tilt_map(prepared, draws, self.cells)
            along = np.flatnonzero(which == m)
            for mine in np.array_split(along, max(along.size // 2000, 1)):
                if kind == "weighted":
                    counts, columns, weight = tilts.draw_weighted(draws, mine, self.cells, tilt)
                else:
                    counts, columns = join([draw_background(draws, mine)])
                    observed = draws._replace(kind="weighted")
                    weight = tilts.weights(observed, counts, columns, self.cells, tilt)
                odds[mine] = odds_of(prepared, draws.response, counts, columns, PARAMS)
                weights[mine] = weight
        return odds, weights, which

    def agreement(self):
        """Return the p-value of chi-square over decades of the odds, and their number."""
        squares = []
        for decade in range(-20, 20):
            low, high = 10.0**decade, 10.0 ** (decade + 1)
            there = (self.plain >= low) & (self.plain < high)
            inside = (self.odds >= low) & (self.odds < high)
            if min(there.sum(), inside.sum()) >= 20:
                given = self.weights * inside
                variance = there.var() / there.size + given.var() / inside.size
                squares.append((there.mean() - given.mean()) ** 2 / variance)
        return chi2.sf(sum(squares), len(squares)), len(squares)

    def p_values(self):
        """Return the p-values of the plain injections."""
        along = np.argsort(self.odds, kind="stable")
        maps = self.maps[along] if self.maps.any() else None
        return weighted_p_values(self.plain, self.own, self.odds[along], self.weights[along], maps)


# one map, and classes of several
CASES = {name: (name,) for name in ("small", "wide", "without distance")}
CASES |= {"class": tuple(MAPS), "class of 24": tuple(CLASS)}


@pytest.mark.proof
@pytest.mark.parametrize(
    ("case", "tables"),
    [*((case, "area") for case in CASES if case != "class"), ("class", "mixtures")],
)
def test_weighted_odds_are_those_of_plain_injections(site, case, tables, proven):
    """Mean weight, distribution of the odds, and p-values of plain backgrounds."""
    events, response, detector = site
    size = proofs.size(WHOLE, WHOLE // 20)
    samples = Samples(events, detector if tables == "mixtures" else response, CASES[case], size)
    weights = samples.weights
    deviation = (weights.mean() - 1) / (weights.std() / weights.size**0.5)
    assert abs(deviation) < 4
    p, decades = samples.agreement()
    assert p > 1e-3
    assert decades >= 4
    found = samples.p_values()
    assert (found.p > 0).all()
    worst = worst_level(found)
    assert worst < 4
    proven(
        SEED,
        WHOLE,
        mean_weight_sigma=round(float(deviation), 2),
        chi_square_p=round(float(p), 3),
        decades=decades,
        worst_p_value_sigma=round(float(worst), 2),
    )


def test_odds_with_a_wrong_factor_are_not(site, monkeypatch):
    samples = Samples(*site[:2], CASES["small"], WHOLE // 20)
    densities, cells = tilts.densities, samples.cells
    draws = Draws(SEED, "weighted", *site[:2], PARAMS)
    norms = tilts.tilt_map(prepare("wide", site[1], PARAMS), draws, cells).norms
    wrong = {
        "mu left out": lambda tilt: (cells._replace(mean=1.0), tilt),
        "H of another map": lambda tilt: (cells, tilt._replace(norms=norms)),
    }
    for what, tables in wrong.items():

        def of_wrong(draws, counts, columns, _, tilt, tables=tables):
            return densities(draws, counts, columns, *tables(tilt))

        monkeypatch.setattr(tilts, "densities", of_wrong)
        samples.odds, samples.weights, _ = samples.draw("weighted", 2000)
        assert samples.agreement()[0] < 1e-6, what
