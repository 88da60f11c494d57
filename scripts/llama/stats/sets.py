"""Sets of triggers that one source can explain together, and what each gives.

The point spread of a trigger is a mixture of von Mises-Fisher (vMF) densities. A set therefore
gives a sum over products of one component of each member, and a product of vMF densities is one
again. Most terms are nothing: each has an upper bound that costs little, and terms are left out as
long as their bounds together stay below a stated part of the sum.
"""

import math

import numpy as np

from llama.stats.compiled import njit
from llama.stats.overlap import log_vmf_norm, overlap

LEFT_OUT = 1e-3  # what sets and components may lack together, relative to Lambda_s
MAX_SETS = 5_000  # sets of one size; beyond, larger sets are left out and the result says so

_LEFT_OUT_ONE = 0.05  # what may be left out with one term, relative to what still may
_BESIDE = 0.02  # of the sum of other terms: what an overlap need not be exact beyond


@njit()
def sum_sets(prepared, dt, vectors, kappa, intensity, windows, max_size, left_out=LEFT_OUT):  # type: ignore[no-untyped-def]
    """Return `sum_joint_sets` of neutrinos alone; windows: tgwminus, tgwplus, tnuminus, tnuplus."""
    messenger = np.zeros(dt.size, dtype=np.int64)
    spread = np.full(dt.size, windows[3] - windows[2])
    times = dt - windows[3], dt - windows[2], spread
    gw_window = windows[:2]
    return sum_joint_sets(
        prepared,
        messenger,
        times,
        vectors,
        kappa,
        intensity,
        gw_window,
        max_size,
        max_size,
        left_out,
    )


@njit()
def sum_joint_sets(  # type: ignore[no-untyped-def]
    prepared, messenger, times, vectors, kappa, intensity, gw_window, most, max_size, left_out
):
    """Return members (sets, max_size; -1 = none), Lambda_s fb / Q of each set, the largest size.

    messenger: 0 for neutrinos, which come first and of which a set has up to `most`; of every
    other messenger it has one or none. times: source times relative to t_gw that explain each
    trigger, first and last [s], and the time over which the trigger's own is spread evenly [s].
    kappa (n, components) [rad^-2]; intensity (n, components, sin dec nodes): 0 for a component that
    is not there. left_out: as `LEFT_OUT`, 0 for every term; each trigger alone is in the result.
    """
    n, components = kappa.shape
    span = gw_window[1] - gw_window[0]
    triggers = messenger, times, vectors, kappa, intensity
    peaks = np.zeros((n, components))
    for i in range(n):
        for c in range(components):
            peaks[i, c] = intensity[i, c].max()
    pairs = _pair_bounds(messenger, times[2], vectors, kappa, peaks)
    members = np.full((max(n, 1), max_size), -1, dtype=np.int64)
    values = np.zeros(max(n, 1))
    count, total = 0, 0.0
    for i in range(n):
        members[count, 0] = i
        length = _time_length(members[count], times, gw_window)
        if length > 0.0:
            common = length, span
            values[count], _ = _value(
                prepared, members[count], 1, triggers, peaks, common, left_out, 0.0, 0.0, 0.0
            )
            total += values[count]
            count += 1
    members, values = members[:count].copy(), values[:count].copy()
    largest = 1
    for size in range(2, max_size + 1):
        # one half for sets as a whole, the other for terms of those that remain
        allowed = 0.5 * left_out * total / (max_size - 1)
        grown = _grow(prepared, size, most, max_size, messenger, times, gw_window, pairs, allowed)
        if grown.shape[0] > MAX_SETS:
            return members, values, largest
        given = np.zeros(grown.shape[0])
        left = 0.0
        for k in range(grown.shape[0]):
            beside = total if left_out > 0.0 else 0.0
            common = _time_length(grown[k], times, gw_window), span
            given[k], left = _value(
                prepared, grown[k], size, triggers, peaks, common, 0.0, allowed, left, beside
            )
            total += given[k]
        members, values = np.concatenate((members, grown)), np.concatenate((values, given))
        largest = size
    return members, values, largest


@njit()
def _time_length(indices, times, gw_window):  # type: ignore[no-untyped-def]
    """Length [s] of the source times, relative to t_gw, that explain the GW and all members."""
    low, high = -gw_window[1], -gw_window[0]
    for i in indices:
        if i >= 0:
            low, high = max(low, times[0][i]), min(high, times[1][i])
    return max(0.0, high - low)


@njit()
def _pair_bounds(messenger, spread, vectors, kappa, peaks):  # type: ignore[no-untyped-def]
    """Return ln of the most that the product of each two triggers' densities can be anywhere.

    (n, n) [s^-2 of their spreads included]; -inf for two that one source cannot give.
    """
    n, components = kappa.shape
    bounds = np.full((n, n), -math.inf)
    for i in range(n):
        for j in range(i):
            if messenger[i] > 0 and messenger[i] == messenger[j]:
                continue
            dot = 0.0
            for axis in range(3):
                dot += vectors[i, axis] * vectors[j, axis]
            most = 0.0
            for c in range(components):
                if peaks[i, c] == 0.0:
                    continue
                a = kappa[i, c]
                height = peaks[i, c] * math.exp(log_vmf_norm(a))
                for d in range(components):
                    if peaks[j, d] > 0.0:
                        b = kappa[j, d]
                        both = math.sqrt(max(0.0, a * a + b * b + 2.0 * a * b * dot))
                        most += height * peaks[j, d] * math.exp(log_vmf_norm(b) + both - a - b)
            if most > 0.0:
                bounds[i, j] = bounds[j, i] = math.log(most / (spread[i] * spread[j]))
    return bounds


@njit()
def _grow(  # type: ignore[no-untyped-def]  # noqa: C901
    prepared, size, most, max_size, messenger, times, gw_window, pairs, allowed
):
    """Return all sets of `size` but those that together give less than `allowed`.

    A product of n densities is at most the (n - 1)th root of the product of all its pairs'
    bounds. So a set is bounded by its pairs, and all sets with the same first members by these and
    by the highest pairs of each.
    """
    n = messenger.size
    span = gw_window[1] - gw_window[0]
    highest = np.full(n, -math.inf)  # of the pairs that a trigger is in
    for i in range(n):
        for j in range(n):
            highest[i] = max(highest[i], pairs[i, j])
    of_all = highest.max() if n else 0.0
    heaviest = 0.0
    for row in range(min(size, most) + 1):
        heaviest = max(heaviest, prepared.heaviest[0, row])
    grown = np.full((16, max_size), -1, dtype=np.int64)
    members = np.full(max_size, -1, dtype=np.int64)
    logs = np.zeros(size)  # ln of the product of the pairs within the first members
    count, left = 0, 0.0
    depth, j = 0, 0  # the next place in the set, and the trigger to try there
    while depth >= 0:
        if j == n:  # back to the place before, on to its next trigger
            depth -= 1
            if depth >= 0:
                j = members[depth] + 1
                members[depth] = -1
            continue
        members[depth] = j
        log = logs[depth - 1] if depth else 0.0
        fits = messenger[j] > 0 or depth < most
        for m in range(depth):
            log += pairs[members[m], j]
        length = _time_length(members[: depth + 1], times, gw_window)
        if not fits or log == -math.inf or length == 0.0:
            members[depth] = -1
            j += 1
            continue
        missing = size - 1 - depth
        bound = log
        for m in range(depth + 1):
            if missing:
                bound += missing * highest[members[m]]
        if missing > 1:
            bound += 0.5 * missing * (missing - 1) * of_all
        bound = heaviest * length / span * math.exp(min(bound / (size - 1), 700.0))
        for m in range(missing):  # how many sets begin like this
            bound *= (n - 1 - j - m) / (m + 1)
        if bound <= _LEFT_OUT_ONE * (allowed - left):
            left += bound
            members[depth] = -1
            j += 1
            continue
        if missing:
            logs[depth] = log
            depth, j = depth + 1, j + 1
            continue
        if count == grown.shape[0]:
            grown = np.concatenate((grown, np.empty_like(grown)))
        grown[count] = members
        count += 1
        if count > MAX_SETS:
            return grown[:count]
        members[depth] = -1
        j += 1
    return grown[:count]


@njit(inline="always")
def _most(prepared, n, kappa):  # type: ignore[no-untyped-def]
    """Return the most that sum_k w_{n,k} <exp(kappa (v.Omega - 1))>_k can be."""
    return min(
        prepared.heaviest[0, n],
        prepared.heaviest[1, n] * 2.0 * math.pi * -math.expm1(-2.0 * kappa) / kappa,
    )


@njit()
def _value(prepared, members, size, triggers, peaks, common, relative, allowed, left, total):  # type: ignore[no-untyped-def]
    """Return what a set gives, and what was left out: `left` and the bounds of its terms.

    common: length of the source times that explain it, and of all [s]. Terms are left out as long
    as their bounds together stay below `allowed` and the part `relative` of the value.
    """
    messenger, times, vectors, kappa, intensity = triggers
    components = kappa.shape[1]
    factor = common[0] / (common[1] * times[2][members[0]])
    neutrinos = int(messenger[members[0]] == 0)
    for i in members[1:size]:
        factor /= times[2][i]
        neutrinos += messenger[i] == 0
    value = 0.0
    which = np.zeros(size, dtype=np.int64)
    tables = np.empty((size, intensity.shape[2]))
    centre = np.empty(3)
    while True:
        centre[:] = 0.0
        log_norm, summed, peak = 0.0, 0.0, 1.0
        for m in range(size):
            i, c = members[m], which[m]
            peak *= peaks[i, c]
            if peak == 0.0:
                break
            for axis in range(3):
                centre[axis] += kappa[i, c] * vectors[i, axis]
            log_norm += log_vmf_norm(kappa[i, c])
            summed += kappa[i, c]
        both = math.sqrt(centre[0] ** 2 + centre[1] ** 2 + centre[2] ** 2)
        if peak > 0.0 and both > 0.0:
            # the product at its centre: prod C(kappa_i) exp(kappa_S)
            height = math.exp(log_norm + both - summed)
            bound = factor * height * peak * _most(prepared, neutrinos, both)
            if bound <= _LEFT_OUT_ONE * (allowed + relative * value - left):
                left += bound
            elif height > 0.0:
                for m in range(size):
                    tables[m] = intensity[members[m], which[m]]
                beside = _BESIDE * (total + (value if relative > 0.0 else 0.0))
                beside = min(beside / (factor * height), 1e300)
                term = overlap(prepared, neutrinos, both, centre / both, tables, beside)
                value += factor * (height * term)
        m = size - 1
        while m >= 0 and which[m] == components - 1:
            which[m] = 0
            m -= 1
        if m < 0:
            return value, left
        which[m] += 1
