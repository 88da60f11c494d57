"""Mixtures of von Mises-Fisher (vMF) densities, and how finely the sky must be divided for them."""

import math

import numpy as np

from llama.stats.compiled import njit
from llama.stats.overlap import log_vmf_norm

_TOLERANCE = 2e-3  # error of a component, relative to the mixture
_LEAST = 1e-8  # of the largest R: what counts as zero
_HALF_DIAGONAL = 0.7072  # of a cell's side
_REACH = 36  # exponents beyond count as infinite
_STEPS = 64  # of the table of exponentials
_EXP = np.exp(-np.arange(_REACH * _STEPS + 1) / _STEPS)


@njit(inline="always")
def _exp(x):  # type: ignore[no-untyped-def]
    """Return exp(-x) for x >= 0, to a part in a million; four times as fast as the library's."""
    x *= _STEPS
    i = int(x)
    if i >= _REACH * _STEPS:
        return 0.0
    f = (x - i) * (1.0 / _STEPS)
    return _EXP[i] * (1.0 - f * (1.0 - 0.5 * f))


@njit()
def sort_components(vectors, kappa, intensity):  # type: ignore[no-untyped-def]
    """Return what `event_directions` takes of triggers, components that there are, widest first.

    numbers (n,) of components; kappa (n, components); tables (n, sin dec nodes, components) of the
    vMF densities at their centres; peaks (n, components) of these; reach (n, components): largest
    side of a cell [rad] whose four directions do for a component; turns (n, nodes): how much the
    logarithm of all components' sum has changed from the south pole on.
    """
    n, components, nodes = intensity.shape
    numbers = np.zeros(n, dtype=np.int64)
    kappas, peaks = np.ones((n, components)), np.zeros((n, components))
    tables, reach = np.zeros((n, nodes, components)), np.zeros((n, components))
    turns, parts = np.zeros((n, nodes)), np.zeros((3, components))
    for i in range(n):
        here = min(nodes - 1, int(0.5 * (vectors[i, 2] + 1.0) * (nodes - 1) + 0.5))
        for c in np.argsort(kappa[i]):
            norm = math.exp(log_vmf_norm(kappa[i, c]))
            peak = intensity[i, c].max()
            if peak == 0.0:
                continue
            k = numbers[i]
            for node in range(nodes):
                tables[i, node, k] = norm * intensity[i, c, node]
                turns[i, node] += intensity[i, c, node]
            kappas[i, k], peaks[i, k] = kappa[i, c], norm * peak
            numbers[i] += 1
        # what a component is of the mixture, of its square and of its third power
        parts[:] = 0.0
        for k in range(numbers[i]):
            for power in range(3):
                parts[power, k] = tables[i, here, k] ** (power + 1) / kappas[i, k]
        for k in range(numbers[i]):
            share = 1e-6
            for power in range(3):
                share = max(share, parts[power, k] / max(parts[power].sum(), 1e-300))
            # an error like (side kappa^0.5)^4 / 720
            reach[i, k] = math.sqrt(math.sqrt(720.0 * _TOLERANCE / share) / kappas[i, k])
        least = max(_LEAST * turns[i].max(), 1e-300)
        before, turned = math.log(max(turns[i, 0], least)), 0.0
        for node in range(nodes):
            now = math.log(max(turns[i, node], least))
            turned += abs(now - before)
            turns[i, node], before = turned, now
    return numbers, kappas, tables, peaks, reach, turns


@njit()
def densities(ready, vectors, points):  # type: ignore[no-untyped-def]
    """Return the density of each trigger at points (n, points)."""
    numbers, kappas, tables = ready[:3]
    n, count = vectors.shape[0], points.shape[0]
    found = np.empty((n, count))
    steps = tables.shape[1] - 1
    node, part = np.empty(count, dtype=np.int64), np.empty(count)
    for p in range(count):
        position = 0.5 * (points[p, 2] + 1.0) * steps
        node[p] = min(max(int(position), 0), steps - 1)
        part[p] = position - node[p]
    for i in range(n):
        table, kappa, number = tables[i], kappas[i], numbers[i]
        v0, v1, v2 = vectors[i, 0], vectors[i, 1], vectors[i, 2]
        for p in range(count):
            dx, dy, dz = points[p, 0] - v0, points[p, 1] - v1, points[p, 2] - v2
            away = 0.5 * (dx * dx + dy * dy + dz * dz)
            at, f = node[p], part[p]
            total = 0.0
            for c in range(number):
                x = kappa[c] * away
                if x > _REACH:
                    break
                total += (table[at, c] + f * (table[at + 1, c] - table[at, c])) * _exp(x)
            found[i, p] = total
    return found


@njit(inline="always")
def turned_in(turns, z, side):  # type: ignore[no-untyped-def]
    """Return by how much ln R changes in a cell, 0 if that is between two nodes; turns (nodes,)."""
    steps = turns.size - 1
    extent = 0.5 * steps * _HALF_DIAGONAL * side * math.sqrt(max(0.0, 1.0 - z * z))
    if extent < 0.5:
        return 0.0
    middle = 0.5 * (z + 1.0) * steps
    low, high = max(0, int(middle - extent)), min(steps, int(middle + extent) + 1)
    return turns[high] - turns[low]


@njit(inline="always")
def most_in(i, ready, near, z, side, narrow):  # type: ignore[no-untyped-def]
    """Return the most that a trigger's density, or its components too narrow, can be in a cell.

    near: least chord to it. With the highest R anywhere for narrow components, else that of
    three places in the cell.
    """
    numbers, kappas, tables, peaks, reach, _ = ready
    away = 0.5 * near * near
    steps = tables.shape[1] - 1
    middle = 0.5 * (z + 1.0) * steps
    extent = 0.5 * steps * _HALF_DIAGONAL * side * math.sqrt(max(0.0, 1.0 - z * z))
    low, high = max(0, int(middle - extent)), min(steps, int(middle + extent) + 1)
    at = min(steps, int(middle + 0.5))
    most = 0.0
    for c in range(numbers[i]):
        x = kappas[i, c] * away
        if x > _REACH:
            break
        if narrow:
            if reach[i, c] < side:
                most += peaks[i, c] * _exp(x)
        else:
            height = max(tables[i, at, c], max(tables[i, low, c], tables[i, high, c]))
            most += height * _exp(x)
    return most
