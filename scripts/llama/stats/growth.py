"""All sets of triggers of one size that are not nothing by a bound."""

import math

import numpy as np

from llama.stats.compiled import njit

MAX_SETS = 5_000  # sets of one size; beyond, larger sets are left out and the result says so

_STEP = 0.05  # bounds of sets that are left out, relative to all that may be: the first attempt


@njit()
def time_length(indices, times, gw_window):  # type: ignore[no-untyped-def]
    """Length [s] of the source times, relative to t_gw, that explain the GW and all members."""
    low, high = -gw_window[1], -gw_window[0]
    for i in indices:
        if i >= 0:
            low, high = max(low, times[0][i]), min(high, times[1][i])
    return max(0.0, high - low)


@njit()
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


@njit()
def _grow_above(  # type: ignore[no-untyped-def]  # noqa: C901
    bounds_of, size, most, max_size, messenger, times, gw_window, each
):
    """Return all sets of `size` that have bounds above `each`, their bounds, those of the others.

    A product of n densities is at most the (n - 1)th root of the product of all its pairs'
    bounds. So a set is bounded by its pairs, and all sets with the same first members by these and
    by the highest pairs of each. Both are bounded by what their members can give in each block of
    the sky as well: sets that begin alike by the sum over all ways to go on. bounds_of: sums of
    the map's weights (5,); ln of the pairs' bounds; the triggers' highest densities (n, blocks)
    and the sums of the weights (5, blocks) in blocks of the sky, if there are any.
    """
    heaviest_of, pairs, together, of_blocks = bounds_of
    n = messenger.size
    span = gw_window[1] - gw_window[0]
    highest = np.full(n, -math.inf)  # of the pairs that a trigger is in
    for i in range(n):
        for j in range(n):
            highest[i] = max(highest[i], pairs[i, j])
    of_all = highest.max() if n else 0.0
    heaviest = 0.0
    for row in range(min(size, most) + 1):
        heaviest = max(heaviest, heaviest_of[row])
    grown, bounds = np.full((16, max_size), -1, dtype=np.int64), np.zeros(16)
    members = np.full(max_size, -1, dtype=np.int64)
    places = together.shape[1]
    coarse = np.zeros(places)
    for row in range(size if messenger[n - 1] == 0 else 0, min(size, most) + 1):
        for cell in range(places):
            coarse[cell] = max(coarse[cell], of_blocks[row, cell])
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
        length = time_length(members[: depth + 1], times, gw_window)
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
