"""Sets of triggers that one source can explain together, and what each gives.

Most sets are nothing: each has an upper bound that costs little, and sets are left out as long as
their bounds together stay below a stated part of the sum. What others give is one overlap for point
spreads that are single von Mises-Fisher (vMF) densities (`llama.stats.terms`), and a sum of regions
of the sky for mixtures of these (`llama.stats.mixtures`).
"""

import math

import numpy as np

from llama.stats.arrays import Floats, Integers
from llama.stats.compiled import inner, njit
from llama.stats.components import sort_components
from llama.stats.growth import MAX_SETS, grow, time_length
from llama.stats.mixtures import each_alone, half_way, together
from llama.stats.overlap import PreparedMap, log_vmf_norm
from llama.stats.terms import value

LEFT_OUT = 1e-3  # what sets may lack together, relative to Lambda_s


def sum_sets(
    prepared: PreparedMap,
    dt_s: Floats,
    vectors: Floats,
    kappa: Floats,
    intensity: Floats,
    windows: Floats,
    max_size: int,
    left_out: float = LEFT_OUT,
) -> tuple[Integers, Floats, int]:
    """Return `sum_joint_sets` of neutrinos alone; windows: tgwminus, tgwplus, tnuminus, tnuplus."""
    times = dt_s - windows[3], dt_s - windows[2], np.full(dt_s.size, windows[3] - windows[2])
    return sum_joint_sets(
        prepared,
        np.zeros(dt_s.size, dtype=np.int64),
        times,
        vectors,
        kappa,
        intensity,
        windows[:2],
        max_size,
        max_size,
        left_out,
    )


def sum_joint_sets(
    prepared: PreparedMap,
    messenger: Integers,
    times: tuple[Floats, Floats, Floats],
    vectors: Floats,
    kappa: Floats,
    intensity: Floats,
    gw_window: Floats,
    most: int,
    max_size: int,
    left_out: float,
) -> tuple[Integers, Floats, int]:
    """Return members (sets, max_size; -1 = none), Lambda_s fb / Q of each set, the largest size.

    messenger: 0 for neutrinos, which come first and of which a set has up to `most`; of every
    other messenger it has one or none. times: source times relative to t_gw that explain each
    trigger, first and last [s], and the time over which the trigger's own is spread evenly [s].
    kappa (n, components) [rad^-2]; intensity (n, components, sin dec nodes): 0 for a component that
    is not there. left_out: as `LEFT_OUT`, 0 for every set; each trigger alone is in the result.
    """
    triggers = messenger, times, vectors, kappa, intensity
    limits = most, max_size, left_out
    # compiled for either apart: what hangs on an argument that is None is left out
    kinds = (True, None) if kappa.shape[1] == 1 else (None, True)
    members, values, largest = _sum_of_all(prepared, triggers, gw_window, limits, *kinds)
    return members, values, int(largest)


@njit()
def _sum_of_all(prepared, triggers, gw_window, limits, single, mixed):  # type: ignore[no-untyped-def]
    """Do what `sum_joint_sets` does; for point spreads that are single vMF or mixed."""
    messenger, times, vectors, kappa, intensity = triggers
    most, max_size, left_out = limits
    n, span = messenger.size, gw_window[1] - gw_window[0]
    pairs, alone, halves = np.zeros((0, 0)), np.zeros((5, 0)), np.zeros((0, 0))
    if single is not None:
        heights = _heights(kappa, intensity)
        pairs = _pair_bounds(messenger, times[2], vectors, kappa[:, 0], heights)
    if mixed is not None:
        ready = sort_components(kappa, intensity)
        mixtures = messenger, times[2], vectors
        alone, base, points, weights, first = each_alone(prepared, *mixtures, ready)
        halves = half_way(*mixtures, ready)
    members = np.full((max(n, 1), max_size), -1, dtype=np.int64)
    values = np.zeros(max(n, 1))
    count, total = 0, 0.0
    for i in range(n):
        members[count, 0] = i
        length = time_length(members[count, :1], times, gw_window)
        if length > 0.0:
            if single is not None:
                common = length, span
                values[count] = value(prepared, members[count, :1], triggers, heights, common, 0.0)
            if mixed is not None:
                values[count] = alone[1 if messenger[i] == 0 else 0, i] * length / span
            total += values[count]
            count += 1
    members, values = members[:count].copy(), values[:count].copy()
    largest = 1
    if max_size == 1 or n < 2:
        return members, values, max_size
    of_size = total  # what all sets of the sizes so far give
    for size in range(2, max_size + 1):
        # one half for sets as a whole, the other for the precision of those that remain
        allowed = 0.5 * left_out * of_size / (max_size - 1)
        bounds_of = prepared.heaviest[0], pairs, alone, halves
        grown, bounds = grow(bounds_of, size, most, max_size, messenger, times, gw_window, allowed)
        if grown.shape[0] > MAX_SETS:
            return members, values, largest
        errors = bounds * (allowed / max(bounds.sum(), 1e-300))
        lengths = np.zeros(grown.shape[0])
        for k in range(grown.shape[0]):
            lengths[k] = time_length(grown[k], times, gw_window)
        given = np.zeros(grown.shape[0])
        if single is not None:
            for k in range(grown.shape[0]):
                common = lengths[k], span
                given[k] = value(prepared, grown[k, :size], triggers, heights, common, errors[k])
        if mixed is not None:
            parts = base, points, weights, first
            given = together(prepared, mixtures, ready, parts, grown[:, :size], lengths / span)
        of_size += given.sum()
        members, values = np.concatenate((members, grown)), np.concatenate((values, given))
        largest = size
    return members, values, largest


@inner()
def _heights(kappa, intensity):  # type: ignore[no-untyped-def]
    """Return the largest intensity of each trigger's first component, and ln of its highest vMF."""
    n = kappa.shape[0]
    peaks, norms = np.zeros(n), np.zeros(n)
    for i in range(n):
        peaks[i], norms[i] = intensity[i, 0].max(), log_vmf_norm(kappa[i, 0])
    return peaks, norms


@inner()
def _pair_bounds(messenger, spread, vectors, kappa, heights):  # type: ignore[no-untyped-def]
    """Return ln of the most that the product of each two triggers' densities can be anywhere.

    (n, n) [s^-2 of their spreads included]; -inf for two that one source cannot give.
    """
    n = kappa.size
    peaks, norms = heights
    densest = peaks * np.exp(norms)
    bounds = np.full((n, n), -math.inf)
    for i in range(n):
        for j in range(i):
            if messenger[i] > 0 and messenger[i] == messenger[j]:
                continue
            dot = 0.0
            for axis in range(3):
                dot += vectors[i, axis] * vectors[j, axis]
            a, b = kappa[i], kappa[j]
            both = math.sqrt(max(0.0, a * a + b * b + 2.0 * a * b * dot))
            highest = densest[i] * densest[j] * math.exp(both - a - b)
            if highest > 0.0:
                bounds[i, j] = bounds[j, i] = math.log(highest / (spread[i] * spread[j]))
    return bounds
