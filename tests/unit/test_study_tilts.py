"""Weighted backgrounds: their weights are those of the formulas, and their means those of plain."""

import numpy as np
import pytest
from stats_samples import parameters
from tilt_samples import COLUMNS, MAPS, Formulas, make_release, prepare

from llama.study import tilts
from llama.study.draws import Draws, draw_background, join

PARAMS = parameters()
# neutrinos that may be emitted later than waves: a window that is not symmetric
LATE = parameters(tnuminus=-100.0, tnuplus=900.0, sigma_floor_deg=0.35)
N = 20_000


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    release, response = make_release(tmp_path_factory.mktemp("release"), 400)
    return release.events, response


@pytest.fixture(scope="module", params=MAPS)
def tilted(request, site):
    """An archive, the tables of its class, and those of a map."""
    events, response = site
    cells = tilts.build_cells(events, response, PARAMS)
    return events, response, cells, tilts.tilt_map(prepare(request.param, response, PARAMS), cells)


def weighted(events, response, cells, tilt, numbers, params=PARAMS):
    draws = Draws(1, "weighted", events, response, params)
    return tilts.draw_weighted(draws, numbers, cells, tilt)


def plain(events, response, params=PARAMS):
    return join([draw_background(Draws(2, "background", events, response, params), np.arange(N))])


@pytest.mark.parametrize("params", [PARAMS, LATE])
@pytest.mark.parametrize("name", MAPS)
def test_weights_are_those_of_the_formulas(site, params, name):
    events, response = site
    mixture = (*tilts.MIXTURE, tilts.Component(0.1, 3, 1, 1))
    cells = tilts.build_cells(events, response, params, mixture=mixture)
    tilt = tilts.tilt_map(prepare(name, response, params), cells)
    formulas = Formulas(events, params, cells, tilt, mixture)
    norms = formulas.norms()
    counts, columns, weights = weighted(events, response, cells, tilt, np.arange(60), params)
    ends = np.cumsum(counts)
    expected = [
        formulas.ratio([columns[c][end - n : end] for c in COLUMNS], norms)
        for n, end in zip(counts, ends, strict=True)
    ]
    assert np.ptp(np.log10(expected)) > 3
    np.testing.assert_allclose(1 / weights, expected, rtol=1e-12)


@pytest.mark.parametrize("more", [1, 2, 3, 4])
def test_the_mean_weight_is_one(tilted, more):
    """Of each kind of component alone; and each way to be wrong by a factor is seen."""
    events, response, cells, tilt = tilted
    of_kind = [i for i, part in enumerate(cells.parts) if part[0] == more]
    cells = cells._replace(parts=cells.parts[[0, of_kind[0]]], shares=np.array([0.3, 0.7]))
    counts, columns, weights = weighted(events, response, cells, tilt, np.arange(N))

    def deviation(*tables):
        w = tilts.weights(counts, columns, *tables)
        return abs(w.mean() - 1) / (w.std() / N**0.5)

    assert weights.max() <= 1 / 0.3
    assert deviation(cells, tilt) < 4
    wrong = {
        "mu left out": (cells._replace(mean=1.0), tilt),
        "H without its time": (cells, tilt._replace(norms=tilt.norms * (1 + cells.gammas))),
    }
    if more > 1:
        norms = cells.norms * (1 + cells.near_power)
        wrong["K without its time"] = cells._replace(norms=norms), tilt
    for what, tables in wrong.items():
        assert deviation(*tables) > 6, what


def test_the_norm_of_another_map_is_found(site):
    events, response = site
    cells = tilts.build_cells(events, response, PARAMS)
    one, other = (tilts.tilt_map(prepare(name, response, PARAMS), cells) for name in ("small", "wide"))
    counts, columns, weights = weighted(events, response, cells, one, np.arange(N))
    wrong = tilts.weights(counts, columns, cells, one._replace(norms=other.norms))
    assert abs(wrong.mean() - 1) > 8 * wrong.std() / N**0.5


def test_pairs_of_a_neutrino_with_itself_are_found(site):
    events, response = site
    cells = tilts.build_cells(events, response, PARAMS)
    pairs = cells._replace(parts=cells.parts[[0, 4]], shares=np.array([0.3, 0.7]))
    tilt = tilts.tilt_map(prepare("wide", response, PARAMS), cells)
    counts, columns, weights = weighted(events, response, pairs, tilt, np.arange(N))
    # with i = j: each neutrino twice, the second too late to be a pair with anything else
    assert abs(weights.mean() - 1) < 4 * weights.std() / N**0.5
    first = np.repeat(np.arange(counts.sum()), 2)
    twice = {name: column[first] for name, column in columns.items()}
    both = tilts.weights(2 * counts, twice, pairs, tilt)
    assert both.mean() < 0.9
