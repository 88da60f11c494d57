"""All sets of triggers of one size that are not nothing by a bound."""

import math

import numpy as np

from llama.stats.compiled import inner, loop, njit

MAX_SETS = 5_000  # sets of one size; beyond, larger sets are left out and the result says so

_STEP = 0.05  # bounds of sets that are left out, relative to all that may be: the first attempt


@inner()
def time_length(indices, times, gw_window):  # type: ignore[no-untyped-def]
    """Length [s] of the source times, relative to t_gw, that explain the GW and all members."""
    low, high = -gw_window[1], -gw_window[0]
    for i in indices:
        if i >= 0:
            low, high = max(low, times[0][i]), min(high, times[1][i])
    return max(0.0, high - low)


@inner()
def grow(  # type: ignore[no-untyped-def]
    bounds_of, size, most, max_size, messenger, times, gw_window, allowed
):
    """Return all sets of `size` but those that together give less than `allowed`, and bounds."""
    sets = 1.0
    for m in range(size):
        sets *= (messenger.size - m) / (m + 1)
    each = _STEP * allowed
    while True:
        grown, bounds, left = _grow_above(
            bounds_of, size, most, max_size, messenger, times, gw_window, each
        )
        if left <= allowed or grown.shape[0] > MAX_SETS or each * sets <= allowed:
            return grown, bounds
        each *= 0.2


@inner()
def _grow_above(  # type: ignore[no-untyped-def]
    bounds_of, size, most, max_size, messenger, times, gw_window, each
):
    """Return all sets of `size` that have bounds above `each`, their bounds, those of the others.

    bounds_of: sums of the map's weights (5,) and ln of the pairs' bounds, for single vMF
    densities; what each trigger gives alone with the weights of so many neutrinos (5, n), and
    `mixtures.half_way`, for mixtures. What is of the other kind has no elements.
    """
    heaviest_of, pairs, alone, halves = bounds_of
    n = messenger.size
    span = gw_window[1] - gw_window[0]
    highest, of_all = _highest(pairs)
    heaviest, tops, later = _limits(heaviest_of, alone, halves, messenger, size, most)
    products = np.ones((size + 1, halves.shape[0]))
    grown, bounds = np.full((16, max_size), -1, dtype=np.int64), np.zeros(16)
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
        missing = size - 1 - depth
        sofar = members[: depth + 1]
        bound, ways = time_length(sofar, times, gw_window) / span, 1.0
        if messenger[j] == 0 and depth >= most:
            bound = 0.0
        if halves.shape[0]:
            if bound > 0.0:
                bound *= _together(
                    sofar, missing, most, messenger, alone, tops, halves, later, products
                )
        else:
            logs[depth] = _log_of_pairs(logs, sofar, pairs)
            bound *= heaviest * _of_pairs(logs[depth], sofar, missing, highest, of_all)
            for m in range(missing):  # how many sets begin like this
                ways *= (n - 1 - j - m) / (m + 1)
        if bound <= each:
            left += max(0.0, bound * ways)
        elif missing:
            depth, j = depth + 1, j + 1
            continue
        else:
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


@inner()
def _limits(heaviest_of, alone, halves, messenger, size, most):  # type: ignore[no-untyped-def]
    """Return the map's highest sum of weights, what each trigger gives alone at most, and later.

    later (n, n + 1): half-way densities of all triggers from one on.
    """
    n = messenger.size
    heaviest, tops = 0.0, np.zeros(alone.shape[1])
    for row in range(size if messenger[n - 1] == 0 else 0, min(size, most) + 1):
        heaviest = max(heaviest, heaviest_of[row])
        for i in range(tops.size):
            tops[i] = max(tops[i], alone[row, i])
    later = np.zeros((halves.shape[0], n + 1))
    for j in range(n - 1, -1, -1):
        for i in range(halves.shape[0]):
            later[i, j] = later[i, j + 1] + halves[i, j]
    return heaviest, tops, later


@njit(inline="always")
def _log_of_pairs(logs, members, pairs):  # type: ignore[no-untyped-def]
    """Return ln of the product of all pairs' bounds; logs: of fewer members."""
    depth = members.size - 1
    log = logs[depth - 1] if depth else 0.0
    for m in range(depth):
        log += pairs[members[m], members[depth]]
    return log


@inner()
def _highest(pairs):  # type: ignore[no-untyped-def]
    """Return the highest bound of the pairs that each trigger is in (n,), and of all."""
    highest, of_all = np.full(pairs.shape[0], -math.inf), -math.inf
    for i in range(pairs.shape[0]):
        for j in range(pairs.shape[0]):
            highest[i] = max(highest[i], pairs[i, j])
        of_all = max(of_all, highest[i])
    return highest, of_all


@njit(inline="always")
def _of_pairs(log, members, missing, highest, of_all):  # type: ignore[no-untyped-def]
    """Return the most that the product of the densities of a set can be that begins like this.

    A product of n densities is at most the (n - 1)th root of the product of all its pairs'
    bounds, here those of its first members, and the highest that each, and any, is in.
    """
    if log == -math.inf:
        return 0.0
    depth = members.size
    bound = log
    if missing:
        for m in range(depth):
            bound += missing * highest[members[m]]
    if missing > 1:
        bound += 0.5 * missing * (missing - 1) * of_all
    return math.exp(min(bound / max(1, depth + missing - 1), 700.0))


@loop()
def _together(members, missing, most, messenger, alone, tops, halves, later, products):  # type: ignore[no-untyped-def]
    """Return the most that all sets together can give that begin like this.

    Every direction is nearest to one member: there all others are half the way to it or beyond,
    so that a set gives no more than the sum over its members of what one gives alone times these.
    """
    depth, j = members.size - 1, members[-1]
    for k in range(tops.size):
        products[depth + 1, k] = products[depth, k] * halves[k, j]
    row, total = 0, 0.0
    for m in members:
        row += messenger[m] == 0
    for m in members:
        bound = alone[row, m] if missing == 0 else tops[m]
        for other in members:
            if other != m:
                bound *= halves[m, other]
        for more in range(missing):
            bound *= later[m, j + 1] / (more + 1)
        total += bound
    if missing:
        for k in range(j + 1, tops.size):
            bound = tops[k] * products[depth + 1, k]
            for more in range(missing - 1):
                bound *= later[k, j + 1] / (more + 1)
            total += bound
    return total
