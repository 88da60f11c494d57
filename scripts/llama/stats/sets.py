"""Sets of triggers that one source can explain together, and what each gives."""

import math

import numpy as np

from llama.stats.compiled import njit
from llama.stats.overlap import log_vmf_norm, overlap

SEPARATION_SIGMA = 5.0  # triggers further apart than this (combined sigma) form no set
MAX_SETS = 5_000  # sets of one size; beyond, larger sets are left out and the result says so


@njit()
def sum_sets(prepared, dt, vectors, sigma, intensity, windows, max_size):  # type: ignore[no-untyped-def]
    """Return `sum_joint_sets` of neutrinos alone; windows: tgwminus, tgwplus, tnuminus, tnuplus."""
    messenger = np.zeros(dt.size, dtype=np.int64)
    spread = np.full(dt.size, windows[3] - windows[2])
    times = dt - windows[3], dt - windows[2], spread
    return sum_joint_sets(
        prepared, messenger, times, vectors, sigma, intensity, windows[:2], max_size, max_size
    )


@njit()
def sum_joint_sets(  # type: ignore[no-untyped-def]
    prepared, messenger, times, vectors, sigma, intensity, gw_window, most, max_size
):
    """Return members (sets, max_size; -1 = none), Lambda_s fb / Q of each set, the largest size.

    messenger: 0 for neutrinos, which come first and of which a set has up to `most`; of every
    other messenger it has one or none. times: source times relative to t_gw that explain each
    trigger, first and last [s], and the time over which the trigger's own is spread evenly [s].
    Sets grow by one trigger at a time, so that only compatible ones are ever visited.
    """
    n = messenger.size
    start, stop, spread = times
    span = gw_window[1] - gw_window[0]
    members = np.full((max(n, 1), max_size), -1, dtype=np.int64)
    values = np.zeros(max(n, 1))
    count = 0
    for i in range(n):
        members[count, 0] = i
        if _time_length(members[count], start, stop, gw_window) > 0.0:
            count += 1
    members, values = members[:count].copy(), values[:count].copy()
    begin, largest = 0, 1
    for size in range(1, max_size + 1):
        if size > 1:
            grown = _grow(
                members, begin, size, most, messenger, start, stop, vectors, sigma, gw_window
            )
            if grown.shape[0] == 0:
                break
            if grown.shape[0] > MAX_SETS:
                return members, values, largest
            begin = members.shape[0]
            members = np.concatenate((members, grown))
            values = np.concatenate((values, np.zeros(grown.shape[0])))
        largest = size
        for k in range(begin, members.shape[0]):
            first = members[k, 0]
            time_factor = _time_length(members[k], start, stop, gw_window) / (span * spread[first])
            neutrinos = int(messenger[first] == 0)
            for i in members[k, 1:size]:
                time_factor /= spread[i]
                neutrinos += messenger[i] == 0
            values[k] = time_factor * _set_overlap(
                prepared, members[k], size, neutrinos, vectors, sigma, intensity
            )
    return members, values, max_size if largest < max_size else largest


@njit()
def _time_length(indices, start, stop, gw_window):  # type: ignore[no-untyped-def]
    """Length [s] of the source times, relative to t_gw, that explain the GW and all members."""
    low, high = -gw_window[1], -gw_window[0]
    for i in indices:
        if i >= 0:
            low, high = max(low, start[i]), min(high, stop[i])
    return max(0.0, high - low)


@njit()
def _grow(members, begin, size, most, messenger, start, stop, vectors, sigma, gw_window):  # type: ignore[no-untyped-def]
    """Return all compatible sets of `size`, made from those of one less from row `begin`."""
    grown = np.empty((16, members.shape[1]), dtype=np.int64)
    count = 0
    for k in range(begin, members.shape[0]):
        for j in range(members[k, size - 2] + 1, messenger.size):
            # neutrinos come first: one that is added joins neutrinos only
            fits = messenger[j] > 0 or size <= most
            for m in range(size - 1):
                i = members[k, m]
                d = vectors[i] - vectors[j]
                chord2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
                fits &= chord2 < SEPARATION_SIGMA**2 * (sigma[i] ** 2 + sigma[j] ** 2)
                fits &= messenger[j] == 0 or messenger[i] != messenger[j]
            if not fits:
                continue
            if count == grown.shape[0]:
                grown = np.concatenate((grown, np.empty_like(grown)))
            grown[count] = members[k]
            grown[count, size - 1] = j
            if _time_length(grown[count], start, stop, gw_window) > 0.0:
                count += 1
                if count > MAX_SETS:
                    return grown[:count]
    return grown[:count]


@njit()
def _set_overlap(prepared, indices, size, neutrinos, vectors, sigma, intensity):  # type: ignore[no-untyped-def]
    """Return sum_k w_{n,k} <prod_i vMF_i intensity_i>_k, the vMF taken as one.

    n: how many of the set's triggers are neutrinos.
    """
    centre = np.zeros(3)
    log_norm = 0.0
    total = 0.0
    for m in range(size):
        i = indices[m]
        kappa = 1.0 / (sigma[i] * sigma[i])
        for axis in range(3):
            centre[axis] += kappa * vectors[i, axis]
        log_norm += log_vmf_norm(kappa)
        total += kappa
    kappa = math.sqrt(centre[0] ** 2 + centre[1] ** 2 + centre[2] ** 2)
    if kappa == 0.0:
        return 0.0
    # ln of the product at its centre: prod C(kappa_i) exp(kappa_S)
    factor = math.exp(log_norm + kappa - total)
    if factor == 0.0:
        return 0.0
    return factor * overlap(prepared, neutrinos, kappa, centre / kappa, intensity[indices[:size]])
