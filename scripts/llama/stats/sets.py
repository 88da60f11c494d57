"""Sets of triggers that one source can explain together, and what each gives.

The point spread of a trigger is a mixture of von Mises-Fisher (vMF) densities. A set therefore
gives a sum over products of one component of each member, and a product of vMF densities is one
again (`llama.stats.terms`). Most sets are nothing: each has an upper bound that costs little, and
sets are left out as long as their bounds together stay below a stated part of the sum.
"""

import math

import numpy as np

from llama.stats.bounds import local_bounds
from llama.stats.compiled import njit
from llama.stats.overlap import log_vmf_norm
from llama.stats.terms import value, value_within

LEFT_OUT = 1e-3  # what sets and components may lack together, relative to Lambda_s
MAX_SETS = 5_000  # sets of one size; beyond, larger sets are left out and the result says so

_STEP = 0.05  # bounds of sets that are left out, relative to all that may be: the first attempt


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
    peaks, norms = np.zeros((n, components)), np.zeros((n, components))
    for i in range(n):
        for c in range(components):
            peaks[i, c] = intensity[i, c].max()
            norms[i, c] = log_vmf_norm(kappa[i, c])
    local = np.zeros((n, components, 0))
    if components > 1 and max_size > 1 and n > 1:  # single vMF densities end by themselves
        local = local_bounds(vectors, kappa, intensity, norms, prepared.coarse_vectors)
    heights = peaks, norms, local
    members = np.full((max(n, 1), max_size), -1, dtype=np.int64)
    values = np.zeros(max(n, 1))
    count, total = 0, 0.0
    for i in range(n):
        members[count, 0] = i
        length = _time_length(members[count, :1], times, gw_window)
        if length > 0.0:
            common = length, span
            values[count] = value(prepared, members[count, :1], triggers, heights, common, left_out)
            total += values[count]
            count += 1
    members, values = members[:count].copy(), values[:count].copy()
    largest = 1
    if max_size == 1 or n < 2:
        return members, values, max_size
    together = local.sum(axis=1)
    for i in range(n):
        together[i] /= times[2][i]
    pairs = _pair_bounds(messenger, times[2], vectors, kappa, heights)
    of_size = total  # what all sets of the sizes so far give
    for size in range(2, max_size + 1):
        # one half for sets as a whole, the other for terms of those that remain
        allowed = 0.5 * left_out * of_size / (max_size - 1)
        grown, bounds = _grow(
            prepared, size, most, max_size, messenger, times, gw_window, (pairs, together), allowed
        )
        if grown.shape[0] > MAX_SETS:
            return members, values, largest
        given = np.zeros(grown.shape[0])
        share = allowed / max(bounds.sum(), 1e-300)
        for k in range(grown.shape[0]):
            common = _time_length(grown[k], times, gw_window), span
            given[k] = value_within(
                prepared, grown[k, :size], triggers, heights, common, share * bounds[k]
            )
        of_size += given.sum()
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
def _pair_bounds(messenger, spread, vectors, kappa, heights):  # type: ignore[no-untyped-def]
    """Return ln of the most that the product of each two triggers' densities can be anywhere.

    (n, n) [s^-2 of their spreads included]; -inf for two that one source cannot give.
    """
    n, components = kappa.shape
    peaks, norms, _ = heights
    densest = peaks * np.exp(norms)
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
                for d in range(components):
                    if peaks[j, d] > 0.0:
                        b = kappa[j, d]
                        both = math.sqrt(max(0.0, a * a + b * b + 2.0 * a * b * dot))
                        most += densest[i, c] * densest[j, d] * math.exp(both - a - b)
            if most > 0.0:
                bounds[i, j] = bounds[j, i] = math.log(most / (spread[i] * spread[j]))
    return bounds


@njit()
def _grow(  # type: ignore[no-untyped-def]
    prepared, size, most, max_size, messenger, times, gw_window, bounds_of, allowed
):
    """Return all sets of `size` but those that together give less than `allowed`, and bounds."""
    sets = 1.0
    for m in range(size):
        sets *= (messenger.size - m) / (m + 1)
    each = _STEP * allowed
    while True:
        grown, bounds, left = _grow_above(
            prepared, size, most, max_size, messenger, times, gw_window, bounds_of, each
        )
        if left <= allowed or grown.shape[0] > MAX_SETS or each * sets <= allowed:
            return grown, bounds
        each *= 0.2


@njit()
def _grow_above(  # type: ignore[no-untyped-def]  # noqa: C901
    prepared, size, most, max_size, messenger, times, gw_window, bounds_of, each
):
    """Return all sets of `size` that have bounds above `each`, their bounds, those of the others.

    A product of n densities is at most the (n - 1)th root of the product of all its pairs'
    bounds. So a set is bounded by its pairs, and all sets with the same first members by these and
    by the highest pairs of each. Both are bounded by what their members can give in each coarse
    cell as well: sets that begin alike by the sum over all ways to go on.
    """
    pairs, together = bounds_of
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
    grown, bounds = np.full((16, max_size), -1, dtype=np.int64), np.zeros(16)
    members = np.full(max_size, -1, dtype=np.int64)
    places = together.shape[1]
    coarse = np.zeros(places)
    for row in range(size if messenger[n - 1] == 0 else 0, min(size, most) + 1):
        for cell in range(places):
            coarse[cell] = max(coarse[cell], prepared.coarse[row, cell])
    later = np.zeros((n + 1, places))  # what all triggers from one on can give
    for i in range(n - 1, -1, -1):
        later[i] = later[i + 1] + together[i]
    products = np.ones((size + 1, places))
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
        many = bound <= each
        if many:
            for m in range(missing):  # how many sets begin like this
                bound *= (n - 1 - j - m) / (m + 1)
        elif places:
            locally = 0.0
            for cell in range(places):
                product = products[depth, cell] * together[j, cell]
                products[depth + 1, cell] = product
                product *= coarse[cell]
                for m in range(missing):
                    product *= later[j + 1, cell] / (m + 1)
                locally += product
            locally *= length / span
            many = locally <= each
            bound = locally if many else min(bound, locally)
        if many:
            left += max(0.0, bound)
            members[depth] = -1
            j += 1
            continue
        if missing:
            logs[depth] = log
            depth, j = depth + 1, j + 1
            continue
        if count == grown.shape[0]:
            grown = np.concatenate((grown, np.empty_like(grown)))
            bounds = np.concatenate((bounds, np.empty_like(bounds)))
        grown[count], bounds[count] = members, bound
        count += 1
        if count > MAX_SETS:
            break
        members[depth] = -1
        j += 1
    return grown[:count], bounds[:count], left
