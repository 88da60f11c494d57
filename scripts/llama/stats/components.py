"""Mixtures of von Mises-Fisher (vMF) densities, and how finely the sky must be divided for them."""

import math

import numpy as np

from llama.stats.compiled import njit
from llama.stats.overlap import log_vmf_norm

_TOLERANCE = 2e-3  # error of a component, relative to the mixture
_NOTHING = 1e-5  # of the wider components: what a narrow one need not be added for
_REACH = 36.0  # exponents beyond count as infinite
_STEPS = 64  # of the table of exponentials
_EXP = np.exp(-np.arange(int(_REACH) * _STEPS + 2) / _STEPS)


@njit(inline="always")
def _exp(x):  # type: ignore[no-untyped-def]
    """Return exp(-x) for 0 <= x <= 36, to a part in a million; four times as fast as the library's."""
    x *= _STEPS
    i = int(x)
    f = (x - i) * (1.0 / _STEPS)
    return _EXP[i] * (1.0 - f * (1.0 - 0.5 * f))


@njit()
def sort_components(vectors, kappa, intensity):  # type: ignore[no-untyped-def]
    """Return what `event_directions` takes of triggers, components that there are, widest first.

    numbers (n,) of components; kappa (n, components); tables (n, sin dec nodes, components) of the
    vMF densities at their centres; peaks (n, components) of these; reach (n, components): largest
    side of a cell [rad] whose four directions do for a component; limits (n, components): exponents
    where a component is nothing beside wider ones.
    """
    n, components, nodes = intensity.shape
    numbers = np.zeros(n, dtype=np.int64)
    kappas, peaks = np.ones((n, components)), np.zeros((n, components))
    tables, reach = np.zeros((n, nodes, components)), np.zeros((n, components))
    limits = np.full((n, components), _REACH)
    parts = np.zeros((3, components))
    for i in range(n):
        here = min(nodes - 1, int(0.5 * (vectors[i, 2] + 1.0) * (nodes - 1) + 0.5))
        for c in np.argsort(kappa[i]):
            norm = math.exp(log_vmf_norm(kappa[i, c]))
            peak = 0.0
            k = numbers[i]
            for node in range(nodes):
                peak = max(peak, intensity[i, c, node])
                tables[i, node, k] = norm * intensity[i, c, node]
            if peak == 0.0:
                continue
            kappas[i, k], peaks[i, k] = kappa[i, c], norm * peak
            numbers[i] += 1
        for k in range(1, numbers[i]):
            for wider in range(k):
                apart = 1.0 - kappas[i, wider] / kappas[i, k]
                higher = math.log(max(1.0, peaks[i, k] / peaks[i, wider]) / _NOTHING)
                if apart * _REACH > higher:
                    limits[i, k] = min(limits[i, k], higher / apart)
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
    return numbers, kappas, tables, peaks, reach, limits


@njit()
def only(ready, which):  # type: ignore[no-untyped-def]
    """Return what `sort_components` does for some of the triggers."""
    numbers, kappas, tables, peaks, reach, limits = ready
    shapes = kappas[which], tables[which], peaks[which]
    return numbers[which], shapes[0], shapes[1], shapes[2], reach[which], limits[which]


@njit()
def evaluate(ready, i, v, points, found):  # type: ignore[no-untyped-def]
    """Write the densities of trigger i, which is at v, at points (n, 3)."""
    number, kappa, table, limit = ready[0][i], ready[1][i], ready[2][i], ready[5][i]
    v0, v1, v2 = v
    steps = table.shape[0] - 1
    half = 0.5 * steps
    for p in range(points.shape[0]):
        dx, dy, dz = points[p, 0] - v0, points[p, 1] - v1, points[p, 2] - v2
        away = 0.5 * (dx * dx + dy * dy + dz * dz)
        position = half * (points[p, 2] + 1.0)
        node = min(max(int(position), 0), steps - 1)
        f = position - node
        total = 0.0
        for c in range(number):
            x = kappa[c] * away
            if x > limit[c]:
                break
            here = table[node, c]
            total += (here + f * (table[node + 1, c] - here)) * _exp(x)
        found[p] = total


@njit()
def densities(ready, vectors, points):  # type: ignore[no-untyped-def]
    """Return the density of each trigger at points (n, points)."""
    found = np.empty((vectors.shape[0], points.shape[0]))
    for i in range(vectors.shape[0]):
        evaluate(ready, i, vectors[i], points, found[i])
    return found


@njit(inline="always")
def most_beyond(i, ready, near, side=math.inf):  # type: ignore[no-untyped-def]
    """Return the most that a trigger's density can be at a chord of `near` and beyond.

    With `side` only that of components for which four directions of such a cell do not do.
    """
    numbers, kappas, _, peaks, reach, limits = ready
    away = 0.5 * near * near
    most = 0.0
    for c in range(numbers[i]):
        x = kappas[i, c] * away
        if x > limits[i, c]:
            break
        if reach[i, c] < side:
            most += peaks[i, c] * _exp(x)
    return most
