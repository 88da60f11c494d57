"""GW, neutrinos and gamma-ray bursts: odds calibrated in simulation.

Sources and their triggers are drawn by `stats_simulation` from the model of docs/messengers.md,
which shares nothing with the statistic. A wrong factor anywhere breaks the calibration.
"""

import json
import math
from typing import NamedTuple

import numpy as np
import proofs
import pytest
from stats_samples import (
    grb_parameters,
    near_blob,
    parameters,
    prepare_tiles,
    steep_response,
    worst_deviation,
)
from stats_simulation import simulate_bursts, simulate_sources

from llama.event.burst_notice import read_burst
from llama.event.bursts import Bursts, grb_model
from llama.stats.compiled import njit
from llama.stats.messengers import prepare_bursts
from llama.stats.odds import Neutrinos, event_odds, prepare_neutrinos
from llama.stats.sets import LEFT_OUT, sum_of_single
from llama.times import gps_to_iso

# Few background triggers and a bright source: true coincidences in many decades of odds.
PARAMS = parameters(
    fb=2.0, Enumin=1e-4, Enumax=0.1, ratebgnu=0.0006, ndotgwnu=1e-30, epsilon_min_gev=100.0
)
GRB = grb_parameters(efficiency=0.9, rate_hz=0.03, delay_min_s=-1.0, delay_max_s=5.0)
RESPONSE = steep_response()
AREA = RESPONSE.area_relative
SEED, WHOLE = 20261123, 360_000
TRIGGERS = proofs.size(WHOLE, 120_000)
SOME = 30_000  # triggers that suffice to find a wrong angle


MAPS = (
    near_blob(50.0, 20.0, 6.0, 40.0, 5.0),
    near_blob(220.0, -15.0, 12.0, 120.0, 30.0, finest=2),
)


class Simulation(NamedTuple):
    p_astro: np.ndarray
    which: np.ndarray
    true: np.ndarray
    neutrinos: np.ndarray  # trigger of each neutrino
    neutrino_columns: list
    bursts: np.ndarray
    burst_columns: list


@pytest.fixture(scope="module")
def simulation():
    rng = np.random.default_rng(SEED)
    p_astro = rng.uniform(0.01, 0.99, TRIGGERS)
    drawn, source, points, _ = simulate_sources(PARAMS, RESPONSE, MAPS, p_astro, rng, (1.0, 4.0))
    which, true, trigger, *columns = drawn
    seen, burst, *burst_columns = simulate_bursts(GRB, source, points, rng, (5.0, 25.0))
    along, other = np.argsort(trigger, kind="stable"), np.argsort(burst, kind="stable")
    return Simulation(
        p_astro,
        which,
        true | seen,
        trigger[along],
        [c[along] for c in columns],
        burst[other],
        [c[other] for c in burst_columns],
    )


@njit()
def count_sets(prepared, begin, triggers, messenger, windows, most, owner, value, bursts):
    """Write trigger, value and number of bursts of every set; return how many there are."""
    start, stop, spread, vectors, kappa, intensity = triggers
    count = 0
    for t in range(begin.size - 1):
        a, b = begin[t], begin[t + 1]
        if a == b:
            continue
        times = start[a:b], stop[a:b], spread[a:b]
        some = messenger[a:b], times, vectors[a:b], kappa[a:b], intensity[a:b]
        limits = most, most + 1, LEFT_OUT
        members, values, _ = sum_of_single(prepared, some, windows[:2], limits)
        for k in range(values.size):
            owner[count], value[count], bursts[count] = t, values[k], 0
            for i in members[k]:
                bursts[count] += i >= 0 and messenger[a + i] == 1
            count += 1
    return count


class Sets(NamedTuple):
    p_astro: np.ndarray
    survive: np.ndarray  # <exp(-mu)> of each trigger's map
    owner: np.ndarray  # trigger of each set
    value: np.ndarray
    bursts: np.ndarray


def sets_of(simulation, n=TRIGGERS, sigma_factor=1.0, bursts=None):
    """Return the sets of the first n triggers, by the compiled core that `event_odds` calls."""
    neutrinos = prepare_neutrinos(*simulation.neutrino_columns, RESPONSE, PARAMS)
    if bursts is None:
        dt, ra, dec, sigma = simulation.burst_columns
        bursts = prepare_bursts(dt, ra, dec, sigma * sigma_factor, GRB, PARAMS, AREA.size)
    first = (
        neutrinos.dt_s - PARAMS.tnuplus,
        neutrinos.dt_s - PARAMS.tnuminus,
        np.full(neutrinos.dt_s.size, PARAMS.tnuplus - PARAMS.tnuminus),
        *neutrinos[1:],
    )
    trigger = np.concatenate([simulation.neutrinos, simulation.bursts])
    messenger = np.repeat([0, 1], [simulation.neutrinos.size, simulation.bursts.size])
    found, survive = [], np.empty(n)
    windows, most = PARAMS.emission_windows_s, PARAMS.max_set_size
    for m, map_ in enumerate(MAPS):
        mine = (simulation.which == m)[:n]
        which = np.flatnonzero(mine)
        along = np.argsort(trigger, kind="stable")  # neutrinos stay first
        along = along[np.isin(trigger[along], which)]
        begin = np.searchsorted(trigger[along], np.append(which, n))
        joint = tuple(np.concatenate(p)[along] for p in zip(first, bursts[:6], strict=True))
        room = 10 * n
        out = np.empty(room, int), np.empty(room), np.empty(room, int)
        prepared = prepare_tiles(*map_, AREA, PARAMS)
        survive[mine] = prepared.weights[0].sum()
        k = count_sets(prepared, begin, joint, messenger[along], windows, most, *out)
        found.append((which[out[0][:k]], out[1][:k], out[2][:k]))
    return Sets(simulation.p_astro[:n], survive, *map(np.concatenate, zip(*found, strict=True)))


def odds_of(sets, missed=1 - GRB.efficiency, seen=GRB.efficiency):
    """Return the odds of every trigger. missed, seen: factors without, with a source's burst."""
    values = sets.value * np.where(sets.bursts == 1, seen, missed)
    lambda_s = np.bincount(sets.owner, values, sets.p_astro.size)
    q = sets.p_astro / (1 - sets.p_astro)
    cgw = 1 - (1 - sets.survive * missed) / PARAMS.fb
    return lambda_s * q / PARAMS.fb / (1 + q * cgw)


@pytest.fixture(scope="module")
def sets(simulation):
    return sets_of(simulation)


@pytest.fixture(scope="module")
def right(sets):
    return odds_of(sets)


def test_core_is_event_odds(simulation, right):
    maps = [prepare_tiles(*map_, AREA, PARAMS) for map_ in MAPS]
    neutrinos = prepare_neutrinos(*simulation.neutrino_columns, RESPONSE, PARAMS)
    both = np.intersect1d(simulation.neutrinos, simulation.bursts)
    for t in both[right[both] > 1e-6][:50]:
        part = slice(*np.searchsorted(simulation.neutrinos, [t, t + 1]))
        other = slice(*np.searchsorted(simulation.bursts, [t, t + 1]))
        bursts = prepare_bursts(
            *(c[other] for c in simulation.burst_columns), GRB, PARAMS, AREA.size
        )
        whole = event_odds(
            maps[simulation.which[t]],
            Neutrinos(*(c[part] for c in neutrinos)),
            float(simulation.p_astro[t]),
            PARAMS,
            AREA,
            [bursts],
        )
        assert whole.odds_ratio == pytest.approx(right[t], rel=1e-9)


@pytest.mark.proof
def test_odds_are_calibrated(simulation, right, proven):
    worst, decades = worst_deviation(right, simulation.true)
    assert decades >= 6
    assert worst < 3
    # and among triggers with both messengers, where wrong products would hide in the rest
    both = np.intersect1d(simulation.neutrinos, simulation.bursts)
    worst_of_both, decades = worst_deviation(right[both], simulation.true[both])
    assert decades >= 5
    assert worst_of_both < 3
    found = {"worst_deviation_sigma": worst, "worst_deviation_of_both_sigma": worst_of_both}
    proven(SEED, WHOLE, **{name: round(value, 3) for name, value in found.items()})


WRONG = {
    "a burst missed is no evidence": {"missed": 1.0},
    "window of the neutrinos": {"seen": GRB.efficiency * 6 / 500},
    "background per sky, not per steradian": {"seen": GRB.efficiency / (4 * math.pi)},
    "degrees for radians in the density": {"seen": GRB.efficiency * math.radians(1) ** 2},
    "half the window": {"seen": GRB.efficiency * 2},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_factor_is_found(simulation, sets, wrong):
    assert worst_deviation(odds_of(sets, **WRONG[wrong]), simulation.true)[0] > 5


def test_a_sigma_taken_for_a_90_percent_radius_is_found(simulation, right):
    true = simulation.true[:SOME]
    assert worst_deviation(right[:SOME], true)[0] < 3.5
    wrong = odds_of(sets_of(simulation, SOME, sigma_factor=1 / 2.146))
    assert worst_deviation(wrong, true)[0] > 5


# Two instruments, each with a share of the sources, a rate and errors. Every burst is drawn,
# written as a notice and read again. It is of one of them: of two that saw it one counts.
HEARD = {
    "fermi_gbm": {"efficiency": 0.5, "rate_hz": 0.03},
    "einstein_probe_wxt": {"efficiency": 0.35, "rate_hz": 0.004},
}
ERRORS_DEG = {"fermi_gbm": (5.0, 25.0), "einstein_probe_wxt": (1.0, 3.0)}
AT_GPS, FEW = 1.4e9, 12_000


def as_notice(instrument, dt, ra, dec, sigma):
    """Return a notice, whose radius holds 68 % or, as it says nothing, 90 %."""
    gbm = instrument == "fermi_gbm"
    radius = sigma * math.sqrt(-2 * math.log(0.32 if gbm else 0.1))
    notice = {"instrument": "GBM" if gbm else "WXT", "id": "1", "systematic_included": True}
    notice |= {"ra": ra, "dec": dec, "ra_dec_error": radius}
    notice |= {"containment_probability": 0.68} if gbm else {}
    # times of Fermi have no Z
    return notice | {"trigger_time": gps_to_iso(AT_GPS + dt, 9).rstrip("Z" if gbm else "")}


def heard_bursts(columns, instruments):
    events = []
    for dt, ra, dec, sigma, instrument in zip(*columns, instruments, strict=True):
        content = json.dumps(as_notice(instrument, dt, ra, dec, sigma)).encode()
        found = read_burst(content, "notice", "replay")
        place = dict(zip(("ra", "dec", "sigma"), found.place, strict=True))
        events.append({"id": "1", "gps_time": found.gps, "instrument": found.instrument, **place})
    grb = {"delay_min_s": -1.0, "delay_max_s": 5.0, "instruments": HEARD}
    return Bursts(events, grb_model(grb, HEARD), HEARD)


@pytest.fixture(scope="module")
def heard():
    """Return a simulation, and its bursts as they were heard."""
    rng, n = np.random.default_rng(SEED), FEW
    p_astro = rng.uniform(0.01, 0.99, n)
    drawn, source, points, _ = simulate_sources(PARAMS, RESPONSE, MAPS, p_astro, rng, (1.0, 4.0))
    which, true, trigger, *columns = drawn
    parts, others, left = [], np.zeros(n, bool), 1.0
    for name, of in HEARD.items():  # who does not see it leaves it to the next
        grb = grb_parameters(efficiency=of["efficiency"] / left, rate_hz=of["rate_hz"])
        seen, *bursts = simulate_bursts(grb, source, points & ~others, rng, ERRORS_DEG[name], 0.5)
        parts.append((*bursts, np.full(bursts[0].size, name)))
        others, left = others | seen, left - of["efficiency"]
    burst, *burst_columns, instruments = map(np.concatenate, zip(*parts, strict=True))
    along, other = np.argsort(trigger, kind="stable"), np.argsort(burst, kind="stable")
    columns, burst_columns = [c[along] for c in columns], [c[other] for c in burst_columns]
    simulated = Simulation(
        p_astro, which, true | others, trigger[along], columns, burst[other], burst_columns
    )
    return simulated, heard_bursts(burst_columns, instruments[other])


def test_odds_of_bursts_that_were_heard_are_calibrated(heard):
    simulated, bursts = heard
    model = bursts.model
    assert (model.efficiency, model.rate_hz) == pytest.approx((0.85, 0.034))
    messenger = bursts.messenger(AT_GPS, PARAMS, AREA.size)
    factors = 1 - model.efficiency, model.efficiency
    odds = odds_of(sets_of(simulated, FEW, bursts=messenger), *factors)
    worst, decades = worst_deviation(odds, simulated.true)
    assert decades >= 4
    assert worst < 3
    # the other's rate and efficiency
    gain = messenger.intensity
    mixed = messenger._replace(intensity=gain.min() * gain.max() / gain)
    odds = odds_of(sets_of(simulated, FEW, bursts=mixed), *factors)
    assert worst_deviation(odds, simulated.true)[0] > 5
