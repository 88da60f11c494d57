"""Regions hold what they say: simulated sources lie in the 90 % region 90 % of the time."""

import healpy
import numpy as np
import proofs
import pytest
from posterior_samples import weighted
from stats_samples import parameters, steep_response
from stats_simulation import simulate_sources

from llama.stats.distance import distance_norm, distance_parameters
from llama.stats.odds import event_odds, prepare_neutrinos
from llama.stats.posterior import locate

# Half of the sources point at us, and the brighter half of these gives neutrinos.
PARAMS = parameters(fb=2.0, Enumin=1e-2, ratebgnu=0.002, ndotgwnu=1e-30, epsilon_min_gev=100.0)
RESPONSE = steep_response()
FAR_MPC = 40.0, 10.0
HOW = {"coarsest": 3, "finest": 4, "floor": 1e-4}
SEED, WHOLE = 20261129, 12_000
TRIGGERS = proofs.size(WHOLE, 100)
LEVELS = (0.1, 0.5, 0.9)


@pytest.fixture(scope="module")
def found():
    """Return levels of the true places and distances: of real waves, and of coincidences."""
    rng = np.random.default_rng(SEED)
    tiles, prepared = weighted(RESPONSE, PARAMS, (50.0, 20.0, 12.0), FAR_MPC, **HOW)
    mu, sigma = (np.full(tiles.order.size, value) for value in FAR_MPC)
    map_ = tiles.order, tiles.ipix, tiles.plain[0], mu, sigma
    p_astro = np.ones(TRIGGERS)
    drawn, source, _, far_mpc = simulate_sources(PARAMS, RESPONSE, [map_], p_astro, rng, (0.5, 3.0))
    _, true, trigger, *columns = drawn
    places, distances, tied = {True: [], False: []}, {True: [], False: []}, rng.random(TRIGGERS)
    alone = None
    for t in range(TRIGGERS):
        of = trigger == t
        neutrinos = prepare_neutrinos(*(c[of] for c in columns), RESPONSE, PARAMS)
        odds = event_odds(prepared, neutrinos, 0.5, PARAMS, RESPONSE.area_relative)
        if odds.lambda_s > 0 or alone is None:
            here = locate(tiles, neutrinos, odds, PARAMS)
        if not odds.lambda_s > 0:
            here = alone = alone or here
        kinds = [(False, here.combined)] + ([(True, here.coincidence)] if true[t] else [])
        for kind, posterior in kinds:
            places[kind].append(level_of_place(here, posterior, source[t], tied[t]))
            distances[kind].append(level_of_distance(posterior, far_mpc[t]))
    return {kind: (np.array(places[kind]), np.array(distances[kind])) for kind in places}


def level_of_place(here, posterior, source, tied):
    """Return the probability of all that is denser than the source's tile, and a part of that."""
    density = posterior.prob * 4.0**here.order
    pixel = healpy.vec2pix(1 << 29, *source, nest=True)
    first = here.ipix << (2 * (29 - here.order.astype(np.int64)))
    inside = np.searchsorted(first, pixel, side="right") - 1
    denser = posterior.prob[density > density[inside]].sum()
    return denser + tied * posterior.prob[density == density[inside]].sum()


def level_of_distance(posterior, far_mpc):
    """Return the probability of what is nearer than the source, as the written map has it."""
    heavy = posterior.prob > 1e-4
    prob = posterior.prob[heavy] / posterior.prob[heavy].sum()
    mu, sigma = distance_parameters(posterior.mean_mpc[heavy], posterior.std_mpc[heavy])
    r = np.linspace(0, 120, 121)
    height = prob * distance_norm(mu, sigma) / sigma
    density = r**2 * (np.exp(-0.5 * ((r[:, None] - mu) / sigma) ** 2) @ height)
    below = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return float(np.interp(far_mpc, r, below / below[-1]))


def deviation(levels, slack=0.0):
    """Return how far shares below levels are from these, in standard deviations."""
    share = np.array([(levels < level).mean() for level in LEVELS])
    excess = np.maximum(abs(share - LEVELS) - slack, 0)
    return float(
        (excess / np.sqrt(np.multiply(LEVELS, np.subtract(1, LEVELS)) / levels.size)).max()
    )


@pytest.mark.proof
def test_sources_are_in_regions_as_often_as_these_say(found, proven):
    assert found[True][0].size > 0.1 * TRIGGERS
    real, common = (deviation(found[kind][0]) for kind in (False, True))
    assert real < 3
    assert common < 3
    # two moments are not the whole of a tile's distance
    far, far_common = (deviation(found[kind][1], slack=0.01) for kind in (False, True))
    assert far < 3
    assert far_common < 3
    names = ("real", "common", "distance_real", "distance_common")
    values = (round(each, 3) for each in (real, common, far, far_common))
    share = {"share_in_90_real": (found[False][0] < 0.9).mean()}
    share["share_in_90_common"] = (found[True][0] < 0.9).mean()
    share = {name: round(float(value), 4) for name, value in share.items()}
    proven(SEED, WHOLE, **dict(zip(names, values, strict=True)), **share)
