"""Weighted backgrounds: their weights are those of the formulas, and what they find is right."""

import numpy as np
import pytest
from scipy.stats import chi2
from stats_samples import parameters
from tilt_samples import COLUMNS, MAPS, Formulas, make_release, odds_of, prepare

from llama.background import tilts
from llama.background.cells import MIXTURE, Component, build_cells
from llama.background.draws import Draws, draw_background, join
from llama.stats.pvalue import weighted_p_values
from llama.stats.tilted import BANDS, ENERGIES, FINER, fill_cells

PARAMS = parameters()
# a window that is not symmetric, and errors that have a floor
LATE = parameters(tnuminus=-100.0, tnuplus=900.0, sigma_floor_deg=0.35)
# neutrinos so many and so coarse that clusters of four are usual
DENSE = parameters(ratebgnu=0.05, sigma_floor_deg=5.0)
PAIRS = parameters(ratebgnu=0.02, sigma_floor_deg=3.0)
N = 20_000


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    release, response = make_release(tmp_path_factory.mktemp("release"), 400)
    return release.events, response


class Site:
    """An archive, the tables of its class, those of a map, and what is drawn with them."""

    def __init__(self, site, name, params=PARAMS, **options):
        self.events, self.response = site
        self.draws = Draws(1, "weighted", *site, params)
        self.cells = build_cells(*site, params, **options)
        self.prepared = prepare(name, self.response, params)
        self.tilt = tilts.tilt_map(self.prepared, self.draws, self.cells)

    def candidates(self, size, cells=None):
        return tilts.draw_candidates(self.draws, np.arange(size), cells or self.cells, self.tilt)

    def injections(self, numbers):
        return tilts.draw_weighted(self.draws, np.asarray(numbers), self.cells, self.tilt)


@pytest.fixture(scope="module", params=MAPS)
def tilted(request, site):
    return Site(site, request.param)


@pytest.mark.parametrize(("name", "params"), [("small", LATE), *((name, PARAMS) for name in MAPS)])
def test_densities_are_those_of_the_formulas(site, name, params):
    mixture = (*MIXTURE, Component(0.1, 4, 1, 1))
    some = Site(site, name, params, mixture=mixture)
    formulas = Formulas(some.events, params, some.cells, some.tilt, mixture)
    norms = formulas.norms()
    counts, columns, weights, _ = some.candidates(25)
    expected = [
        formulas.ratio([columns[c][end - n : end] for c in COLUMNS], norms)
        for n, end in zip(counts, np.cumsum(counts), strict=True)
    ]
    assert np.ptp(np.log10(expected)) > 3
    np.testing.assert_allclose(1 / weights, expected, rtol=1e-12)


def deviation(weights):
    """How far the mean is from 1, in standard errors."""
    return abs(weights.mean() - 1) / (weights.std() / weights.size**0.5)


@pytest.mark.parametrize("more", [1, 2, 3, 4])
def test_the_mean_weight_is_one(site, more):
    """Of each kind of component alone; and each way to be wrong by a factor is seen."""
    some = Site(site, "wide", PARAMS if more == 1 else DENSE)
    of_kind = [
        i for i, part in enumerate(some.cells.parts) if tuple(part) in {(1, 0, 0), (more, 0, 2)}
    ]
    alone = {"parts": some.cells.parts[[0, of_kind[-1]]], "shares": np.array([0.3, 0.7])}
    cells, tilt = some.cells._replace(**alone), some.tilt
    counts, columns, weights, _ = some.candidates(N // more, cells)
    assert weights.max() <= 1 / 0.3 + 1e-9
    assert deviation(weights) < 4
    wrong = {
        "mu left out": (cells._replace(mean=1.0), tilt),
        "H without its time": (cells, tilt._replace(norms=tilt.norms * (1 + cells.gammas))),
    }
    if more > 1:
        norms = cells.norms * (1 + cells.near_power)
        wrong["K without its time"] = cells._replace(norms=norms), tilt
    for what, tables in wrong.items():
        assert deviation(tilts.densities(some.draws, counts, columns, *tables)[0]) > 6, what


def plain(some, size):
    draws = some.draws._replace(kind="background", seed=2)
    counts, columns = join([draw_background(draws, np.arange(size))])
    return tilts.densities(draws, counts, columns, some.cells, some.tilt)[1]


def disagreement(plain, guess, weights):
    """Return the p-value of chi-square over halves of decades of a guess of Lambda_s."""
    squares = []
    for half in range(-24, 24):
        low, high = 10 ** (half / 2), 10 ** ((half + 1) / 2)
        there, inside = (plain >= low) & (plain < high), (guess >= low) & (guess < high)
        if min(there.sum(), inside.sum()) >= 20:
            given = weights * inside
            variance = there.var() / there.size + given.var() / guess.size
            squares.append((there.mean() - given.mean()) ** 2 / variance)
    assert len(squares) >= 3
    return chi2.sf(sum(squares), len(squares))


def test_injections_are_distributed_as_plain_ones(tilted):
    counts, columns, weights = tilted.injections(np.arange(2000))
    assert deviation(weights) < 4
    guess = tilts.densities(tilted.draws, counts, columns, tilted.cells, tilted.tilt)[1]
    assert disagreement(plain(tilted, 100_000), guess, weights) > 1e-3
    # and half of them are what plain injections have one in ten thousand of
    rare = np.sort(plain(tilted, 50_000))[-5]
    assert (guess > rare).mean() > 0.3


def mu_left_out(_, some, *lists):
    return tilts.densities(some.draws, *lists, some.cells._replace(mean=1.0), some.tilt)[0]


def norm_of_another_map(site, some, *lists):
    other = tilts.tilt_map(prepare("small", some.response, PARAMS), some.draws, some.cells)
    other = some.tilt._replace(norms=other.norms)
    return tilts.densities(some.draws, *lists, some.cells, other)[0]


def near_norm_without_time(_, some, *lists):
    norms = some.cells.norms * (1 + some.cells.near_power)
    cells = some.cells._replace(norms=norms)
    return tilts.densities(some.draws, *lists, cells, some.tilt)[0]


def self_pairs(_, some, counts, columns):
    """Count each neutrino as its own neighbor, too."""
    cells, tilt = some.cells, some.tilt
    cell = np.empty(columns["dt_s"].size, dtype=np.int64)
    dec, sigma, energy = (columns[name] for name in COLUMNS[2:])
    fill_cells(dec, sigma, energy, cells.floor_deg, ENERGIES, cell)
    c, e, d = np.unravel_index(cell, (*cells.near.shape[:2], BANDS * FINER))
    start_s, stop_s, rise_s = cells.window
    nearest_s = np.minimum(columns["dt_s"] - start_s, stop_s - columns["dt_s"])
    time = np.clip(nearest_s / rise_s, 0, 1)
    turn = np.minimum((columns["ra_deg"] / 2).astype(int), 179)
    more = np.zeros(cell.size)
    for share, (neutrinos, g, s) in zip(cells.shares, cells.parts, strict=True):
        if neutrinos == 2:
            h = cells.tilts[g, c, e, d // FINER]
            h = h * tilt.sky[g, cells.smoothing[c], d // FINER, turn]
            h *= time ** cells.gammas[g] / tilt.norms[g]
            k = cells.near[c, e, d // FINER] * time**cells.near_power / cells.norms[s, c, d]
            more += share * h * k / cells.mean**2
    ends, sums = np.cumsum(counts), np.concatenate([[0], np.cumsum(more)])
    own, _ = tilts.densities(some.draws, counts, columns, cells, tilt)
    return 1 / (1 / own + sums[ends] - sums[ends - counts])


@pytest.mark.parametrize(
    ("wrong", "params"),
    [
        *((mu_left_out, PARAMS), (norm_of_another_map, PARAMS)),
        *((near_norm_without_time, PAIRS), (self_pairs, PAIRS)),
    ],
)
def test_what_is_wrong_by_a_factor_is_found(site, wrong, params):
    some = Site(site, "wide", params)
    counts, columns, weights, guess = some.candidates(4000)
    compared = plain(some, 20_000)
    assert disagreement(compared, guess, weights) > 1e-3
    assert disagreement(compared, guess, wrong(site, some, counts, columns)) < 1e-6


def test_an_injection_depends_on_its_number_only(tilted):
    counts, columns, weights = tilted.injections([3, 4, 5])
    again = tilted.injections([5, 3])
    np.testing.assert_array_equal(again[2], weights[[2, 0]])
    np.testing.assert_array_equal(again[0], counts[[2, 0]])
    for name, column in columns.items():
        last = column[counts[:2].sum() :]
        np.testing.assert_array_equal(again[1][name], [*last, *column[: counts[0]]])
    assert all((np.diff(t) >= 0).all() for t in np.split(columns["dt_s"], np.cumsum(counts)[:-1]))


def test_an_observed_list_has_the_weight_of_an_injection_like_it(tilted):
    """Its candidates are others, but many enough."""
    counts, columns, weights = tilted.injections(np.arange(50))
    own = tilts.weights(tilted.draws, counts, columns, tilted.cells, tilted.tilt)
    ratio = np.log(own / weights)
    assert abs(np.median(ratio)) < 1
    assert np.ptp(np.log(weights)) > 10 * np.median(abs(ratio))


@pytest.mark.parametrize(
    "change",
    [
        {"energy_gev": np.full(3, 5e7)},
        {"sigma_deg": np.full(3, 0.05)},
        {"sigma_deg": np.array([0.3, 0.3, 60.0])},
        {"ra_deg": np.array([160.0, 160.1, 160.0]), "energy_gev": np.full(3, 5e7)},
        {"dec_deg": np.array([-89.9, -89.8, -89.9]), "energy_gev": np.full(3, 5e7)},
    ],
)
def test_the_best_neutrinos_need_not_be_in_the_archive(site, change):
    some = Site(site, "small")
    counts, columns, weights = some.injections(np.arange(1000))
    odds = odds_of(some.prepared, some.response, counts, columns, PARAMS)
    ra, dec = MAPS["small"][:2]
    seen = {
        "dt_s": np.array([-3.0, 0.5, 20.0]),
        "ra_deg": ra + np.array([0.0, 0.1, -0.1]),
        "dec_deg": dec + np.array([0.0, 0.1, 0.05]),
        "sigma_deg": np.full(3, 0.3),
        "energy_gev": np.full(3, 1e6),
    } | change
    one = np.array([3])
    observed = odds_of(some.prepared, some.response, one, seen, PARAMS)
    own = tilts.weights(some.draws, one, seen, some.cells, some.tilt)
    along = np.argsort(odds, kind="stable")
    found = weighted_p_values(observed, own, odds[along], weights[along])
    assert 0 < found.p[0] < 1e-6
    assert found.effective[0] >= 0


@pytest.mark.parametrize("hides_energy", [False, True])
def test_lists_without_energies_with_many_neutrinos_or_none_have_weights(site, hides_energy):
    some = Site(site, "small", hides_energy=hides_energy)
    assert some.cells.ratio.shape[1] == (1 if hides_energy else 40)
    rng = np.random.default_rng(1)
    columns = {
        "dt_s": rng.uniform(-500, 500, 400),
        "ra_deg": rng.uniform(0, 360, 400),
        "dec_deg": rng.uniform(-90, 90, 400),
        "sigma_deg": rng.uniform(0.2, 3, 400),
        "energy_gev": np.full(400, np.nan),
    }
    counts = np.array([400, 0])
    own = tilts.weights(some.draws, counts, columns, some.cells, some.tilt)
    assert (own > 0).all()
    assert np.isfinite(own).all()
    assert deviation(some.injections(np.arange(2000))[2]) < 4
