"""Odds mean what they say: in simulation, the fraction of true coincidences is odds/(1+odds).

Triggers are drawn from the model itself, signal neutrinos included. The test needs no reference
values, and a wrong factor anywhere breaks it; that is tested too.
"""

from typing import NamedTuple

import numpy as np
import proofs
import pytest
from stats_samples import blob_map, parameters, steep_response, worst_deviation
from stats_simulation import simulate

from llama.stats.compiled import njit
from llama.stats.healpix import tiles_geometry
from llama.stats.odds import Neutrinos, event_odds, prepare_neutrinos
from llama.stats.overlap import prepare_map
from llama.stats.sets import LEFT_OUT, sum_of_single
from llama.stats.weights import tile_weights

# Few background neutrinos and a bright source: true coincidences in many decades of odds.
PARAMS = parameters(
    fb=3.0, Enumin=1e-3, Enumax=0.1, ratebgnu=0.0012, ndotgwnu=1e-30, epsilon_min_gev=100.0
)
RESPONSE = steep_response()
SIGMA = (0.4, 1.5)  # deg
SEED, WHOLE = 20260101, 600_000
TRIGGERS = proofs.size(WHOLE, 100_000)
SOME = 40_000  # triggers that suffice to find a wrong factor


class Simulation(NamedTuple):
    p_astro: np.ndarray
    which: np.ndarray
    true: np.ndarray
    trigger: np.ndarray
    columns: list


def maps():
    """A near and a far map; tiles of the far one are wider than many point-spread functions."""
    near = blob_map(50.0, 20.0, 5.0, coarsest=3, finest=4, floor=1e-6)
    far = blob_map(220.0, -15.0, 12.0, coarsest=3, finest=3, floor=1e-4)
    for (order, ipix, prob), mu, sigma in ((near, 40.0, 5.0), (far, 120.0, 30.0)):
        yield order, ipix, prob, np.full(prob.size, mu), np.full(prob.size, sigma)


def prepare(order, ipix, prob, distmu, distsigma):
    sin_dec = tiles_geometry(order, ipix)[0][:, 2]
    area = RESPONSE.area_relative
    return prepare_map(order, ipix, tile_weights(prob, sin_dec, distmu, distsigma, area, PARAMS))


@pytest.fixture(scope="module")
def simulation():
    rng = np.random.default_rng(SEED)
    p_astro = rng.uniform(0.01, 0.99, TRIGGERS)
    which, true, trigger, *columns = simulate(PARAMS, RESPONSE, list(maps()), p_astro, rng, SIGMA)
    along = np.argsort(trigger, kind="stable")
    return Simulation(p_astro, which, true, trigger[along], [c[along] for c in columns])


@njit()
def all_lambda_s(prepared, which, m, begin, neutrinos, factor, windows, most, result):
    for t in range(which.size):
        if which[t] != m or begin[t] == begin[t + 1]:
            continue
        a, b = begin[t], begin[t + 1]
        dt, vectors, kappa, intensity = neutrinos
        times = dt[a:b] - windows[3], dt[a:b] - windows[2], np.full(b - a, windows[3] - windows[2])
        triggers = np.zeros(b - a, dtype=np.int64), times, vectors[a:b], kappa[a:b], intensity[a:b]
        members, values, _ = sum_of_single(prepared, triggers, windows[:2], (most, most, LEFT_OUT))
        for k in range(values.size):
            value = values[k]
            for i in members[k]:
                if i >= 0:
                    value *= factor[a + i]
            result[t] += value


def odds_of(simulation, neutrinos, factor=None, prepared=None, fb=PARAMS.fb):
    """Odds of all triggers by the compiled core, as `event_odds` makes them."""
    n = simulation.p_astro.size
    begin = np.searchsorted(simulation.trigger, np.arange(n + 1))
    factor = np.ones(simulation.trigger.size) if factor is None else factor
    lambda_s, cgw = np.zeros(n), np.zeros(n)
    for m, prepared_map in enumerate(prepared or [prepare(*map_) for map_ in maps()]):
        all_lambda_s(
            prepared_map,
            simulation.which,
            m,
            begin,
            tuple(neutrinos),
            factor,
            PARAMS.emission_windows_s,
            PARAMS.max_set_size,
            lambda_s,
        )
        cgw[simulation.which == m] = 1 - (1 - prepared_map.weights[0].sum()) / PARAMS.fb
    q = simulation.p_astro / (1 - simulation.p_astro)
    return lambda_s * q / fb / (1 + q * cgw)


@pytest.fixture(scope="module")
def neutrinos(simulation):
    return prepare_neutrinos(*simulation.columns, RESPONSE, PARAMS)


@pytest.fixture(scope="module")
def right(simulation, neutrinos):
    return odds_of(simulation, neutrinos)


def test_simulation_is_what_it_should_be(simulation):
    assert 0.015 < simulation.true.mean() < 0.25
    counts = np.bincount(simulation.trigger, minlength=TRIGGERS)
    assert (np.bincount(counts)[:4] > 100).all()


def test_core_is_event_odds(simulation, neutrinos, right):
    prepared = [prepare(*map_) for map_ in maps()]
    for t in np.flatnonzero(right > 1e-3)[:50]:
        part = slice(*np.searchsorted(simulation.trigger, [t, t + 1]))
        whole = event_odds(
            prepared[simulation.which[t]],
            Neutrinos(*(c[part] for c in neutrinos)),
            float(simulation.p_astro[t]),
            PARAMS,
            RESPONSE.area_relative,
        )
        assert whole.odds_ratio == pytest.approx(right[t], rel=1e-9)


@pytest.mark.proof
def test_odds_are_calibrated(simulation, right, proven):
    worst, decades = worst_deviation(right, simulation.true)
    assert decades >= 5
    assert worst < 3
    proven(SEED, WHOLE, worst_deviation_sigma=round(worst, 3), decades_of_odds=decades)


def wrong_beaming(simulation, neutrinos):
    return odds_of(simulation, neutrinos, fb=1.0)


def wrong_time(simulation, neutrinos):
    """The emission window of the neutrino alone, 1/500 s, as if its time were known to the GW's."""
    return odds_of(simulation, neutrinos, factor=500 / (500 - np.abs(neutrinos.dt_s)))


def wrong_angle(simulation, neutrinos):
    """A density per square degree taken for one per steradian."""
    return odds_of(simulation, neutrinos, factor=np.full(neutrinos.dt_s.size, np.radians(1) ** 2))


def wrong_centres(simulation, neutrinos):
    """The point-spread function at tile centres instead of its average over tiles."""
    centres = []
    for map_ in maps():
        prepared = prepare(*map_)
        depth = 14 - prepared.order.astype(np.int64)
        middle = (prepared.ipix << (2 * depth)) + (3 << (2 * depth - 2))
        centres.append(prepare_map(np.full(depth.size, 14), middle, prepared.weights))
    return odds_of(simulation, neutrinos, prepared=centres)


def wrong_jacobian(simulation, neutrinos):
    """A background per dex, a signal per GeV (scaled so that 3 TeV has the right value)."""
    return odds_of(simulation, neutrinos, factor=3e3 / simulation.columns[-1])


@pytest.fixture(scope="module")
def some(simulation, neutrinos):
    """The first triggers of the simulation, and their neutrinos."""
    end = np.searchsorted(simulation.trigger, SOME)
    p_astro, which, true = (column[:SOME] for column in simulation[:3])
    columns = [column[:end] for column in simulation.columns]
    part = Simulation(p_astro, which, true, simulation.trigger[:end], columns)
    return part, Neutrinos(*(column[:end] for column in neutrinos))


@pytest.mark.parametrize(
    "wrong", [wrong_beaming, wrong_time, wrong_angle, wrong_centres, wrong_jacobian]
)
def test_a_wrong_factor_is_found(some, right, wrong):
    worst, _ = worst_deviation(right[:SOME], some[0].true)
    assert worst < 3.5
    assert worst_deviation(wrong(*some), some[0].true)[0] > 5
