"""What an odds ratio is made of: factors whose product it is."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from llama.stats.arrays import Floats
from llama.stats.direction_map import DirectionMap
from llama.stats.mapped import MappedNeutrinos
from llama.stats.odds import Neutrinos, Odds, Response
from llama.stats.overlap import PreparedMap
from llama.stats.parameters import SearchParameters
from llama.stats.sets import sum_sets


class Explanation(NamedTuple):
    """The set of neutrinos that gives most of the odds, and what each of its traits multiplies.

    members: indices of the set. factors: their product is the odds ratio. `p_astro`: prior odds
    of the wave over all that is not a coincidence, nearly p_astro itself; `distance`: probability
    that a source with the map's distances points at us and gives this many neutrinos;
    `background_rate`: one over the Poisson term of as many background neutrinos; `time`,
    `position`, `energy`: densities of signal over background, 1 if they say nothing;
    `other_sets`: all sets over this one. probability_of_count: as `distance`, of a source that
    points at us; expected_background: neutrinos in the window.
    """

    members: tuple[int, ...]
    factors: dict[str, float]
    probability_of_count: float
    expected_background: float


def explain_odds(
    prepared: PreparedMap,
    neutrinos: Neutrinos,
    p_astro: float,
    odds: Odds,
    params: SearchParameters,
    response: Response,
    maps: Mapping[int, DirectionMap] | None = None,
) -> Explanation | None:
    """Return what `odds`, made by `event_odds` of the same arguments, consist of; None if 0.

    maps: of neutrinos whose direction is one. Only for odds without other messengers.
    Source: docs/method.md (8-11), taken apart.
    """
    if not odds.odds_ratio > 0:
        return None
    members = max(odds.sets, key=lambda which: odds.sets[which])
    n, value = len(members), odds.sets[members]
    q = p_astro / (1 - p_astro)
    weight = float(prepared.weights[n].sum())
    window_s = params.window.length_s
    time_density = _time_density(neutrinos.dt_s[list(members)], params)
    directions = _background_directions(neutrinos.vectors[list(members), 2], response)
    chosen = Neutrinos(*(column[list(members)] for column in neutrinos))
    mapped = {k: maps[i] for k, i in enumerate(members) if i in maps} if maps else {}
    for k, one in mapped.items():
        density = _background_directions(response.sin_dec, response)
        directions[k] = float(one.along_sin_dec(response.sin_dec.size) @ density)
    overlap = _overlap_without_energy(prepared, chosen, mapped, params) / time_density
    position = overlap / weight / math.prod(directions)
    # what is left of the set's value is the energies'
    known = q / params.fb * time_density * overlap
    known /= math.prod(directions) * params.ratebgnu**n
    energy = value / known if known > 0 else 1.0
    if known == 0:  # so far away that the overlap alone is below the smallest number
        position = value * params.fb / q / time_density / weight * params.ratebgnu**n
    expected = params.ratebgnu * window_s
    count = weight / math.factorial(n)
    return Explanation(
        members,
        {
            "p_astro": float(q / (1 + odds.lambda_cgw + odds.lambda_cnu)),
            "distance": count / params.fb,
            "background_rate": math.factorial(n) / expected**n,
            "time": time_density * window_s**n,
            "position": position,
            "energy": energy,
            "other_sets": odds.lambda_s / value,
        },
        count,
        expected,
    )


def _time_density(dt: Floats, params: SearchParameters) -> float:
    """Return T_S [s^-n], docs/method.md (8)."""
    low = max(-params.tgwplus, float((dt - params.tnuplus).max()))
    high = min(-params.tgwminus, float((dt - params.tnuminus).min()))
    spread = (params.tnuplus - params.tnuminus) ** dt.size
    return (high - low) / ((params.tgwplus - params.tgwminus) * spread)


def _background_directions(sin_dec: Floats, response: Response) -> list[float]:
    """Return the background's density [sr^-1] at declinations, all energies together."""
    column = np.trapezoid(response.background_per_dex, response.log10_energy, axis=0)
    return [float(d) for d in np.interp(sin_dec, response.sin_dec, column) / (2 * math.pi)]


def _overlap_without_energy(
    prepared: PreparedMap,
    neutrinos: Neutrinos,
    maps: Mapping[int, DirectionMap],
    params: SearchParameters,
) -> float:
    """Return T_S sum_k w_{n,k} <prod_i PSF_i>_k of all of the neutrinos together."""
    n = neutrinos.dt_s.size
    windows = params.emission_windows_s
    even = neutrinos._replace(intensity=neutrinos.shares)
    if maps:  # at even odds of the wave, where one source in fb points at us
        area = np.ones(neutrinos.intensity.shape[2])
        found = MappedNeutrinos(prepared, even, maps, params, area).odds(0.5, left_out=0.0)
        return found.sets.get(tuple(range(n)), 0.0) * params.fb
    members, values, _ = sum_sets(prepared, *even, windows, n, left_out=0.0)
    return float(values[(members >= 0).sum(axis=1) == n].sum())
