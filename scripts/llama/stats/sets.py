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
from llama.stats.terms import values_of

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
    of_all = sum_of_single if kappa.shape[1] == 1 else sum_of_mixtures
    members, values, largest = of_all(prepared, triggers, gw_window, limits)
    return members, values, int(largest)


@njit()
def sum_of_single(prepared, triggers, gw_window, limits):  # type: ignore[no-untyped-def]
    """Do what `sum_joint_sets` does where point spreads are single vMF densities."""
    messenger, times, vectors, kappa, intensity = triggers
    max_size, left_out = limits[1:]
    span = gw_window[1] - gw_window[0]
    heights = _heights(kappa, intensity)
    members, lengths = _each(messenger, times, gw_window, max_size)
    ones, no_error = members[:, :1], np.zeros(lengths.size)
    values = values_of(prepared, ones, triggers, heights, lengths, span, no_error)
    if max_size == 1 or messenger.size < 2:
        return members, values, max_size
    pairs = _pair_bounds(messenger, times[2], vectors, kappa[:, 0], heights)
    bounds_of = prepared.heaviest[0], pairs, np.zeros((5, 0)), np.zeros((0, 0))
    of_size = values.sum()  # what all sets of the sizes so far give
    for size in range(2, max_size + 1):
        allowed = 0.5 * left_out * of_size / (max_size - 1)
        grown, lengths, errors = _next(bounds_of, size, limits, triggers, gw_window, allowed)
        if grown.shape[0] > MAX_SETS:
            return members, values, size - 1
        some = grown[:, :size]
        given = values_of(prepared, some, triggers, heights, lengths, span, errors)
        of_size += given.sum()
        members, values = np.concatenate((members, grown)), np.concatenate((values, given))
    return members, values, max_size


@njit()
def sum_of_mixtures(prepared, triggers, gw_window, limits):  # type: ignore[no-untyped-def]
    """Do what `sum_joint_sets` does where point spreads are mixtures."""
    messenger, times, vectors, kappa, intensity = triggers
    max_size, left_out = limits[1:]
    span = gw_window[1] - gw_window[0]
    ready = sort_components(kappa, intensity)
    mixtures = messenger, times[2], vectors
    alone, base, points, weights, first = each_alone(prepared, *mixtures, ready)
    members, lengths = _each(messenger, times, gw_window, max_size)
    values = lengths / span
    for k in range(values.size):
        i = members[k, 0]
        values[k] *= alone[1 if messenger[i] == 0 else 0, i]
    if max_size == 1 or messenger.size < 2:
        return members, values, max_size
    parts = base, points, weights, first
    bounds_of = prepared.heaviest[0], np.zeros((0, 0)), alone, half_way(*mixtures, ready)
    of_size = values.sum()
    for size in range(2, max_size + 1):
        allowed = 0.5 * left_out * of_size / (max_size - 1)
        grown, lengths, _ = _next(bounds_of, size, limits, triggers, gw_window, allowed)
        if grown.shape[0] > MAX_SETS:
            return members, values, size - 1
        given = together(prepared, mixtures, ready, parts, grown[:, :size], lengths / span)
        of_size += given.sum()
        members, values = np.concatenate((members, grown)), np.concatenate((values, given))
    return members, values, max_size


@inner()
def _each(messenger, times, gw_window, max_size):  # type: ignore[no-untyped-def]
    """Return the sets of one trigger, and the length [s] of the source times that explain each."""
    n, count = messenger.size, 0
    members, lengths = np.full((n, max_size), -1, dtype=np.int64), np.zeros(n)
    for i in range(n):
        members[count, 0] = i
        lengths[count] = time_length(members[count, :1], times, gw_window)
        count += lengths[count] > 0.0
    return members[:count].copy(), lengths[:count].copy()


@inner()
def _next(bounds_of, size, limits, triggers, gw_window, allowed):  # type: ignore[no-untyped-def]
    """Return the sets of a size, as `_each` does, and the error allowed to each.

    One half of what may be left out is sets as a whole, the other the precision of the others.
    """
    messenger, times = triggers[0], triggers[1]
    most, max_size = limits[0], limits[1]
    grown, bounds = grow(bounds_of, size, most, max_size, messenger, times, gw_window, allowed)
    lengths = np.zeros(grown.shape[0])
    for k in range(lengths.size):
        lengths[k] = time_length(grown[k], times, gw_window)
    return grown, lengths, bounds * (allowed / max(bounds.sum(), 1e-300))


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
