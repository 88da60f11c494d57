"""Sets of neutrinos that one source can explain together, and what each gives."""

import math

import numpy as np

from llama.stats.compiled import njit
from llama.stats.overlap import log_vmf_norm, overlap

SEPARATION_SIGMA = 5.0  # neutrinos further apart than this (combined sigma) form no set
MAX_SETS = 5_000  # sets of one size; beyond, larger sets are left out and the result says so


@njit()
def sum_sets(prepared, dt, vectors, sigma, intensity, windows, max_size):  # type: ignore[no-untyped-def]
    """Return members (sets, 4; -1 = none), Lambda_s fb / Q of each set, and the largest size.

    Sets grow by one neutrino at a time, so that only compatible ones are ever visited.
    """
    n = dt.size
    span = (windows[1] - windows[0]) * (windows[3] - windows[2])
    earliest, latest = windows[2] - windows[1], windows[3] - windows[0]
    members = np.full((max(n, 1), 4), -1, dtype=np.int64)
    values = np.zeros(max(n, 1))
    count = 0
    for i in range(n):
        if earliest < dt[i] < latest:
            members[count, 0] = i
            count += 1
    members, values = members[:count].copy(), values[:count].copy()
    begin, largest = 0, 1
    for size in range(1, max_size + 1):
        if size > 1:
            grown = _grow(members, begin, size, dt, vectors, sigma, windows)
            if grown.shape[0] == 0:
                break
            if grown.shape[0] > MAX_SETS:
                return members, values, largest
            begin = members.shape[0]
            members = np.concatenate((members, grown))
            values = np.concatenate((values, np.zeros(grown.shape[0])))
        largest = size
        for k in range(begin, members.shape[0]):
            time_factor = _time_length(members[k], dt, windows) / span
            for _ in range(1, size):
                time_factor /= windows[3] - windows[2]
            values[k] = time_factor * _set_overlap(
                prepared, members[k], size, vectors, sigma, intensity
            )
    return members, values, max_size if largest < max_size else largest


@njit()
def _time_length(indices, dt, windows):  # type: ignore[no-untyped-def]
    """Length [s] of the source times, relative to t_gw, that explain the GW and all members."""
    low, high = -windows[1], -windows[0]
    for i in indices:
        if i >= 0:
            low, high = max(low, dt[i] - windows[3]), min(high, dt[i] - windows[2])
    return max(0.0, high - low)


@njit()
def _grow(members, begin, size, dt, vectors, sigma, windows):  # type: ignore[no-untyped-def]
    """Return all compatible sets of `size`, made from those of one less from row `begin`."""
    grown = np.empty((16, 4), dtype=np.int64)
    count = 0
    for k in range(begin, members.shape[0]):
        for j in range(members[k, size - 2] + 1, dt.size):
            fits = True
            for m in range(size - 1):
                i = members[k, m]
                d = vectors[i] - vectors[j]
                chord2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
                fits &= chord2 < SEPARATION_SIGMA**2 * (sigma[i] ** 2 + sigma[j] ** 2)
            if not fits:
                continue
            if count == grown.shape[0]:
                grown = np.concatenate((grown, np.empty_like(grown)))
            grown[count] = members[k]
            grown[count, size - 1] = j
            if _time_length(grown[count], dt, windows) > 0.0:
                count += 1
                if count > MAX_SETS:
                    return grown[:count]
    return grown[:count]


@njit()
def _set_overlap(prepared, indices, size, vectors, sigma, intensity):  # type: ignore[no-untyped-def]
    """Return sum_k w_{size,k} <prod_i vMF_i intensity_i>_k, the product taken as one vMF."""
    centre = np.zeros(3)
    table = np.ones(intensity.shape[1])
    log_norm = 0.0
    total = 0.0
    for m in range(size):
        i = indices[m]
        kappa = 1.0 / (sigma[i] * sigma[i])
        for axis in range(3):
            centre[axis] += kappa * vectors[i, axis]
        table *= intensity[i]
        log_norm += log_vmf_norm(kappa)
        total += kappa
    kappa = math.sqrt(centre[0] ** 2 + centre[1] ** 2 + centre[2] ** 2)
    if kappa == 0.0 or table.max() == 0.0:
        return 0.0
    # ln of the product at its centre: prod C(kappa_i) exp(kappa_S)
    factor = math.exp(log_norm + kappa - total)
    if factor == 0.0:
        return 0.0
    return factor * overlap(prepared, size, kappa, centre / kappa, table)
