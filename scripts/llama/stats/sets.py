"""Sets of triggers that one source can explain together, and what each gives.

Most sets are nothing: each has an upper bound that costs little, and sets are left out as long as
their bounds together stay below a stated part of the sum. What others give is one overlap for point
spreads that are single von Mises-Fisher (vMF) densities (`llama.stats.terms`), and a sum of regions
of the sky for mixtures of these (`llama.stats.mixtures`).
"""

import math
from typing import Any

import numpy as np

from llama.stats.arrays import Floats, Integers
from llama.stats.compiled import inner, njit
from llama.stats.components import sort_components
from llama.stats.growth import MAX_SETS, grow, time_length
from llama.stats.mixtures import each_alone, half_way, nothing_of_pairs, together
from llama.stats.overlap import PreparedMap, log_vmf_norm
from llama.stats.region import room_for_regions
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
    triggers, stops = (messenger, times, vectors, kappa, intensity), np.array([messenger.size])
    found = sums_of_windows(prepared, triggers, stops, gw_window, (most, max_size, left_out))
    return found[0], found[1], int(found[3][0])


def sums_of_windows(
    prepared: PreparedMap,
    triggers: tuple[Any, ...],
    stops: Integers,
    gw_window: Floats,
    limits: tuple[int, int, float],
) -> tuple[Integers, Floats, Integers, Integers]:
    """Do what `sum_joint_sets` does for windows that have nothing in common but the map.

    triggers: messenger, times, vectors, kappa and intensity of one window after the other; stops:
    where each window's end; limits: most, max_size, left_out. Members are counted from each
    window's first. Returned are also where each window's sets end, and its largest size.
    """
    of_all = _sums_of_single if triggers[3].shape[1] == 1 else _sums_of_mixtures
    members, values, ends, largest = of_all(prepared, triggers, stops, gw_window, limits)
    return members, values, ends, largest


@njit()
def _sums_of_single(prepared, triggers, stops, gw_window, limits):  # type: ignore[no-untyped-def]
    found, ends, largest = _nothing(limits), np.zeros_like(stops), np.zeros_like(stops)
    for k in range(stops.size):
        some = _part(triggers, stops[k - 1] if k else 0, stops[k])
        members, values, largest[k] = sum_of_single(prepared, some, gw_window, limits)
        found, ends[k] = _joined(found, ends[k - 1] if k else 0, members, values)
    return found[0][: ends[-1]], found[1][: ends[-1]], ends, largest


# The same again: both kinds in one function would compile mixtures (50 s) where none are needed.
@njit()
def _sums_of_mixtures(prepared, triggers, stops, gw_window, limits):  # type: ignore[no-untyped-def]
    found, ends, largest = _nothing(limits), np.zeros_like(stops), np.zeros_like(stops)
    for k in range(stops.size):
        some = _part(triggers, stops[k - 1] if k else 0, stops[k])
        members, values, largest[k] = sum_of_mixtures(prepared, some, gw_window, limits)
        found, ends[k] = _joined(found, ends[k - 1] if k else 0, members, values)
    return found[0][: ends[-1]], found[1][: ends[-1]], ends, largest


@inner()
def _part(triggers, first, last):  # type: ignore[no-untyped-def]
    """Return the triggers of one window."""
    messenger, times, vectors, kappa, intensity = triggers
    starts, stops, spread = times
    some = starts[first:last], stops[first:last], spread[first:last]
    rest = vectors[first:last], kappa[first:last], intensity[first:last]
    return messenger[first:last], some, rest[0], rest[1], rest[2]


@inner()
def _nothing(limits):  # type: ignore[no-untyped-def]
    """Return room for sets and their values, which `_joined` enlarges."""
    return np.empty((256, limits[1]), dtype=np.int64), np.empty(256)


@inner()
def _joined(found, count, members, values):  # type: ignore[no-untyped-def]
    """Return the sets found, in twice the room if needed, with more after the first `count`."""
    end = count + values.size
    while end > found[1].size:
        more = np.empty_like(found[0]), np.empty_like(found[1])
        found = np.concatenate((found[0], more[0])), np.concatenate((found[1], more[1]))
    found[0][count:end], found[1][count:end] = members, values
    return found, end


@inner()
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


@inner()
def sum_of_mixtures(prepared, triggers, gw_window, limits):  # type: ignore[no-untyped-def]
    """Do what `sum_joint_sets` does where point spreads are mixtures."""
    messenger, times, vectors, kappa, intensity = triggers
    max_size, left_out = limits[1:]
    span = gw_window[1] - gw_window[0]
    ready = sort_components(kappa, intensity)
    mixtures = messenger, times[2], vectors
    room = room_for_regions(prepared)
    alone, base, points, weights, first = each_alone(prepared, *mixtures, ready, room)
    members, lengths = _each(messenger, times, gw_window, max_size)
    values = lengths / span
    for k in range(values.size):
        i = members[k, 0]
        values[k] *= alone[1 if messenger[i] == 0 else 0, i]
    if max_size == 1 or messenger.size < 2:
        return members, values, max_size
    parts, pairs = (base, points, weights, first), nothing_of_pairs(ready, points.shape[1])
    bounds_of = prepared.heaviest[0], np.zeros((0, 0)), alone, half_way(*mixtures, ready)
    of_size = values.sum()
    for size in range(2, max_size + 1):
        allowed = 0.5 * left_out * of_size / (max_size - 1)
        grown, lengths, _ = _next(bounds_of, size, limits, triggers, gw_window, allowed)
        if grown.shape[0] > MAX_SETS:
            return members, values, size - 1
        some = grown[:, :size]
        given, pairs, room = together(
            prepared, mixtures, ready, parts, pairs, room, some, lengths / span
        )
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
