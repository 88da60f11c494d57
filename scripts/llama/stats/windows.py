"""Odds of many windows with one map: what backgrounds are made of."""

import math
from typing import NamedTuple

import numpy as np

from llama.stats.alternatives import gw_only, neutrino_only
from llama.stats.area import AnyArea
from llama.stats.arrays import Floats, Integers
from llama.stats.odds import Neutrinos, odds_astrophysical
from llama.stats.overlap import PreparedMap
from llama.stats.parameters import SearchParameters
from llama.stats.sets import LEFT_OUT, sums_of_windows


class WindowOdds(NamedTuple):
    """As `llama.stats.odds.Odds`, of n windows; single_odds: of all their neutrinos."""

    odds_ratio: Floats
    lambda_s: Floats
    lambda_cgw: float
    lambda_cnu: Floats
    single_odds: Floats


def odds_of_windows(
    prepared: PreparedMap,
    neutrinos: Neutrinos,
    stops: Integers,
    p_astro: float,
    params: SearchParameters,
    area_relative: AnyArea,
) -> WindowOdds:
    """Return what `event_odds` does, to the bit, for windows with the same map and p_astro.

    neutrinos: of one window after the other; stops: where each window's end. ValueError for a
    p_astro out of range, tables of different sizes, and stops that do not end with the neutrinos.
    """
    q = odds_astrophysical(neutrinos, p_astro, area_relative)
    windows, dt, n = params.emission_windows_s, neutrinos.dt_s, neutrinos.dt_s.size
    if not stops.size or (np.diff(stops, prepend=0) < 0).any() or stops[-1] != n:
        raise ValueError("windows must end one after the other, the last with the last neutrino")
    times = dt - windows[3], dt - windows[2], np.full(n, windows[3] - windows[2])
    triggers = np.zeros(n, dtype=np.int64), times, *neutrinos[1:]
    limits = params.max_set_size, params.max_set_size, LEFT_OUT
    members, values, ends, _ = sums_of_windows(prepared, triggers, stops, windows[:2], limits)
    values = values * (q / params.fb)
    firsts = np.concatenate([[0], stops[:-1]])
    alone = members[:, 1] < 0 if members.shape[1] > 1 else np.ones(values.size, dtype=bool)
    single = np.zeros(n)
    single[(np.repeat(firsts, np.diff(ends, prepend=0)) + members[:, 0])[alone]] = values[alone]
    of_all = neutrino_only(neutrinos, params, area_relative)
    cgw = gw_only(prepared, q, params)
    lambda_s, cnu = np.zeros(stops.size), np.zeros(stops.size)
    for k, (first, stop) in enumerate(zip(firsts.tolist(), stops.tolist(), strict=True)):
        cnu[k] = of_all[first:stop].sum()
        lambda_s[k] = math.fsum(values[ends[k - 1] if k else 0 : ends[k]])
        single[first:stop] /= 1.0 + cgw + of_all[first:stop]
    return WindowOdds(lambda_s / (1.0 + cgw + cnu), lambda_s, cgw, cnu, single)
