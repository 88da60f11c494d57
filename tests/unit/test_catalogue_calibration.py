"""p-values of catalogues of 20 events: uniform by chance, and which of them finds what."""

import numpy as np
import proofs
import pytest
from scipy.stats import kstest
from stats_samples import parameters
from tilt_samples import MAPS, make_release, odds_of, prepare

from llama.background import tilts
from llama.background.cells import build_cells
from llama.background.draws import Draws, draw_background, draw_signal, draw_sources, join
from llama.catalogue.limits import Emitter, Sources, stacked_limits
from llama.catalogue.sums import Term, chance, exceeding
from llama.catalogue.trials import best_event, binomial_scan
from llama.sky import SkyTiles
from llama.stats.pvalue import weighted_p_values

PARAMS = parameters()
SEED, WHOLE, EVENTS = 20261130, 1000, 20  # catalogues
WEIGHTED = proofs.size(5000, 1500)  # injections of each map's own background


class Maps:
    """Four maps, each with its own background, and windows of chance and of sources on them."""

    def __init__(self, directory, catalogues):
        release, self.response = make_release(directory, 20_000)
        self.events = release.events
        self.cells = build_cells(self.events, self.response, PARAMS)
        self.prepared = [prepare(name, self.response, PARAMS) for name in MAPS]
        self.terms, self.tables = [], []
        for prepared in self.prepared:
            draws = self.draws("weighted", SEED)
            tilt = tilts.tilt_map(prepared, draws, self.cells)
            counts, columns, weights = tilts.draw_weighted(
                draws, np.arange(WEIGHTED), self.cells, tilt
            )
            odds = odds_of(prepared, self.response, counts, columns, PARAMS)
            along = np.argsort(odds, kind="stable")
            self.tables.append((odds[along], weights[along], tilt))
        each = catalogues * EVENTS // len(MAPS)
        self.chance = [self.ranked(m, "background", each) for m in range(len(MAPS))]

    def draws(self, kind, seed):
        return Draws(seed, kind, self.events, self.response, PARAMS)

    def ranked(self, m, kind, size):
        """Return odds, own weights and p-values of windows on a map: of chance, or of a source."""
        prepared, (among, weights, tilt) = self.prepared[m], self.tables[m]
        draws, numbers = self.draws(kind, SEED + 1 + m), np.arange(size)  # independent lists
        parts = [draw_background(draws, numbers)]
        if draws.has_sources:
            tiles = SkyTiles(prepared.order, prepared.ipix, prepared.weights[0])
            parts.append(draw_signal(draws, numbers, draw_sources(draws, numbers, tiles)))
        counts, columns = join(parts)
        observed = draws._replace(kind="weighted")
        own = tilts.weights(observed, counts, columns, self.cells, tilt)
        odds = odds_of(prepared, self.response, counts, columns, PARAMS)
        return odds, own, weighted_p_values(odds, own, among, weights).p

    def statements(self, odds, own, p):
        """Return best event, scan and sum of a catalogue; event k has map k % 4."""
        terms = []
        for k in range(EVENTS):
            among, weights, _ = self.tables[k % len(MAPS)]
            values, of_each = np.append(among, odds[k]), np.append(weights, own[k])
            terms.append(chance(np.log1p(values), of_each))
        total = float(np.log1p(odds).sum())
        return best_event(p), binomial_scan(p).p_value, exceeding(terms, total, 1024)

    def by_chance(self, number):
        """Return odds, own weights and p-values of one catalogue."""
        each = EVENTS // len(MAPS)
        found = [
            [column[number * each : (number + 1) * each] for column in of] for of in self.chance
        ]
        return [np.stack(columns, axis=1).ravel() for columns in zip(*found, strict=True)]


@pytest.fixture(scope="module")
def catalogues():
    return proofs.size(WHOLE, 60)


@pytest.fixture(scope="module")
def maps(tmp_path_factory, catalogues):
    return Maps(tmp_path_factory.mktemp("release"), catalogues)


@pytest.fixture(scope="module")
def by_chance(maps, catalogues):
    return np.array([maps.statements(*maps.by_chance(k)) for k in range(catalogues)])


@pytest.mark.proof
def test_by_chance_every_statement_is_uniform(by_chance, proven):
    found = {}
    for name, p in zip(("best", "scan", "sum"), by_chance.T, strict=True):
        found[name] = round(float(kstest(p, "uniform").pvalue), 4)
    proven(SEED, WHOLE, **found)
    assert min(found.values()) > 1e-3, found


@pytest.mark.proof
def test_a_sum_that_forgets_the_weights_is_not(maps, catalogues, proven):
    """Where every injection counts alike, chance has far too high odds: p is too high."""
    tables = maps.tables
    maps.tables = [(odds, np.ones(odds.size), tilt) for odds, _, tilt in tables]
    try:
        p = [maps.statements(*maps.by_chance(k))[2] for k in range(catalogues)]
    finally:
        maps.tables = tables
    wrong = float(kstest(p, "uniform").pvalue)
    proven(SEED, WHOLE, wrong_below=1e-6)
    assert wrong < 1e-6


def mixed(maps, k, sources):
    """Return a catalogue by chance in which some events are others: {place: (map, window)}."""
    columns = maps.by_chance(k)
    for place, (of_kind, window) in sources.items():
        for column, given in zip(columns, of_kind, strict=True):
            column[place] = given[window]
    return columns


@pytest.mark.proof
def test_the_best_event_finds_one_strong_and_the_others_five_weak(maps, catalogues, proven):
    few = min(catalogues, 200)
    strong = [maps.ranked(m, "doublet", few // 4 + 1) for m in range(len(MAPS))]
    found = [maps.statements(*mixed(maps, k, {k % 4: (strong[k % 4], k // 4)})) for k in range(few)]
    one = np.median(found, axis=0)
    # single neutrinos of a source, of those that would not be noticed by themselves
    weak, single = [], [maps.ranked(m, "signal", 400) for m in range(len(MAPS))]
    for odds, own, p in single:
        kept = (p > 5e-3) & (p < 0.05)
        assert kept.sum() >= 5
        weak.append((odds[kept], own[kept], p[kept]))
    found = [
        maps.statements(
            *mixed(maps, k, {m: (weak[m % 4], (k + m) % weak[m % 4][0].size) for m in range(5)})
        )
        for k in range(few)
    ]
    five = np.median(found, axis=0)
    proven(SEED, WHOLE, one_strong=one.tolist(), five_weak=five.tolist())
    assert one[0] < 1e-3
    assert min(five[1:]) < five[0] / 5


def test_limits_are_those_of_counting_where_odds_count_neutrinos():
    """No background, odds that tell one neutrino: 2.30 expected in all, whatever the events are."""
    nothing = Term(np.zeros(4), np.full(4, 0.25))
    expected = np.array([0.4, 1.1, 2.0])
    events = [
        Emitter(1.0, nothing, [Sources(n, np.full(50, mu), np.full(50, 9.0)) for n in (1, 2, 4)])
        for mu in expected
    ]
    limits = stacked_limits(events, 9.0)
    assert limits.e_iso_erg == pytest.approx(2.3026 / expected.sum() * 1e51, rel=5e-3)
    bright = limits.fractions[-1]
    # all that emit are seen: (1 - f)^3 = 0.1
    assert bright == pytest.approx(1 - 0.1 ** (1 / 3), abs=2e-3)


def test_events_that_may_be_noise_are_worth_less():
    nothing = Term(np.zeros(4), np.full(4, 0.25))
    sources = [Sources(n, np.ones(50), np.full(50, 9.0)) for n in (1, 2, 4)]
    sure, unsure = ([Emitter(p, nothing, sources)] * 4 for p in (1.0, 0.6))
    assert stacked_limits(unsure, 9.0).e_iso_erg > stacked_limits(sure, 9.0).e_iso_erg
    half = [Emitter(0.4, nothing, sources)] * 4
    assert stacked_limits(half, 9.0).e_iso_erg is None  # 0.6^4 > 0.1


def test_no_odds_at_all_exclude_what_a_count_of_nothing_does():
    """One event in whose window nothing was has 2.30 expected, as in its own limit."""
    background = Term(np.array([0.0, 0.5]), np.array([0.3, 0.7]))
    sources = [Sources(n, np.full(50, 2.0), np.full(50, 9.0)) for n in (1, 2, 4)]
    limits = stacked_limits([Emitter(1.0, background, sources)], 0.0)
    assert limits.e_iso_erg == pytest.approx(2.3026 / 2.0 * 1e51, rel=5e-3)
