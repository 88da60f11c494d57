"""Mixtures of von Mises-Fisher (vMF) densities, divided into wide and narrow components.

Wide ones are smooth in a cell of the base (`llama.stats.mesh`), so that densities at its directions
suffice; of a narrow one, what the map leaves is a small region (`llama.stats.region`), in which
wide ones are smooth in their turn.
"""

import math

import numpy as np

from llama.stats.compiled import inner, njit
from llama.stats.mesh import BANDS
from llama.stats.overlap import log_vmf_norm

WIDE_KAPPA = math.radians(5.0) ** -2.0  # components with less are wide
REACH = 36.0  # exponents beyond count as infinite where wider components are beside
_STEPS = 64  # of the table of exponentials
_LEAST = -REACH / 64.0
_C3, _C4, _C5 = 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0
_EXP = np.exp(-np.arange(int(REACH) * _STEPS + 2) / _STEPS)


@njit(inline="always")
def exp_minus(x):  # type: ignore[no-untyped-def]
    """Return exp(-x) for x >= 0, to a part in a million, four times as fast as `exp` below 36."""
    if x > REACH:
        return math.exp(-x)
    x *= _STEPS
    i = int(x)
    f = (x - i) * (1.0 / _STEPS)
    return _EXP[i] * (1.0 - f * (1.0 - 0.5 * f))


@inner()
def sort_components(kappa, intensity):  # type: ignore[no-untyped-def]
    """Return the components that there are of each trigger, the widest first.

    numbers (n,) of components, and of wide ones; kappa (n, components); densities of their vMF at
    the centre; intensity (n, components, sin dec nodes); its highest value; its averages over what
    one direction of the base stands for, at the edges of bands.
    """
    n, components, nodes = intensity.shape
    numbers, wide = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    kappas, norms = np.ones((n, components)), np.zeros((n, components))
    highest, tables = np.zeros((n, components)), np.zeros((n, components, nodes))
    averages = np.zeros((n, components, BANDS + 1))
    for i in range(n):
        for c in range(components):
            top = intensity[i, c].max()
            if top == 0.0:
                continue
            k = numbers[i]
            while k > 0 and kappas[i, k - 1] > kappa[i, c]:
                kappas[i, k], norms[i, k] = kappas[i, k - 1], norms[i, k - 1]
                highest[i, k], tables[i, k] = highest[i, k - 1], tables[i, k - 1]
                k -= 1
            kappas[i, k], norms[i, k] = kappa[i, c], math.exp(log_vmf_norm(kappa[i, c]))
            highest[i, k], tables[i, k] = top, intensity[i, c]
            numbers[i] += 1
            wide[i] += kappa[i, c] < WIDE_KAPPA
        for k in range(wide[i]):
            _average(tables[i, k], averages[i, k])
    return numbers, wide, kappas, norms, tables, highest, averages


@inner()
def _average(table, averages):  # type: ignore[no-untyped-def]
    """Write a table's means about the edges of bands."""
    half = 0.5 * (table.size - 1)
    edges = np.empty(BANDS + 1)
    for edge in range(BANDS + 1):
        position = edge * (2.0 / BANDS) * half
        node = min(int(position), table.size - 2)
        edges[edge] = table[node] + (position - node) * (table[node + 1] - table[node])
    for edge in range(BANDS + 1):
        beside = edges[max(edge - 1, 0)] + edges[min(edge + 1, BANDS)]
        averages[edge] = 0.5 * edges[edge] + 0.25 * beside


@inner()
def only(ready, which):  # type: ignore[no-untyped-def]
    """Return what `sort_components` does for some of the triggers."""
    numbers, wide, kappas, norms, tables, highest, averages = ready
    shapes = kappas[which], norms[which], tables[which], highest[which], averages[which]
    return numbers[which], wide[which], shapes[0], shapes[1], shapes[2], shapes[3], shapes[4]


@inner(error_model="numpy", fastmath=True)
def densities_of_base(prepared, ready, i, v, found):  # type: ignore[no-untyped-def]
    """Write the sum of the wide components of trigger i, which is at v, at the base."""
    wide, kappa, norm, averages = ready[1][i], ready[2][i], ready[3][i], ready[6][i]
    v0, v1, v2 = v
    v_s = math.hypot(v0, v1)
    x, y, z, beyond = prepared.base
    bands = prepared.bands
    away = np.empty(found.size)
    # loops without branches, which processors do four at a time
    for p in range(found.size):
        away[p] = 1.0 - (v0 * x[p] + v1 * y[p] + v2 * z[p])
        found[p] = 0.0
    for c in range(wide):
        steep = -kappa[c] / 64.0
        for band in range(BANDS):
            here = norm[c] * averages[c, band]
            step = norm[c] * averages[c, band + 1] - here
            near = min(max(v2, -1.0 + band * (2.0 / BANDS)), -1.0 + (band + 1) * (2.0 / BANDS))
            least = 1.0 - v2 * near - v_s * math.sqrt(max(0.0, 1.0 - near * near))
            if kappa[c] * least > REACH:
                continue
            for p in range(bands[band], bands[band + 1]):
                # the 64th root of the exponential: for exponents up to 40, to a part in 10^5
                a = max(steep * away[p], _LEAST)
                e = 1.0 + a * (1.0 + a * (0.5 + a * (_C3 + a * (_C4 + a * _C5))))
                e *= e
                e *= e
                e *= e
                e *= e
                e *= e
                e *= e
                found[p] += (here + beyond[p] * step) * e


@inner()
def wide_densities(ready, i, v, points, found):  # type: ignore[no-untyped-def]
    """Write the sum of the wide components of trigger i, which is at v, at points (n, 3)."""
    wide, kappa, norm, tables = ready[1][i], ready[2][i], ready[3][i], ready[4][i]
    v0, v1, v2 = v
    steps = tables.shape[1] - 1
    half = 0.5 * steps
    for p in range(points.shape[0]):
        dx, dy, dz = points[p, 0] - v0, points[p, 1] - v1, points[p, 2] - v2
        away = 0.5 * (dx * dx + dy * dy + dz * dz)
        position = half * (points[p, 2] + 1.0)
        node = min(max(int(position), 0), steps - 1)
        f = position - node
        total = 0.0
        for c in range(wide):
            x = kappa[c] * away
            if x > REACH:
                break
            here = tables[c, node]
            total += norm[c] * (here + f * (tables[c, node + 1] - here)) * exp_minus(x)
        found[p] = total


@njit(inline="always")
def most_beyond(ready, i, near):  # type: ignore[no-untyped-def]
    """Return the most that a trigger's density can be at a chord of `near` and beyond."""
    numbers, _, kappas, norms, _, highest, _ = ready
    away = 0.5 * near * near
    most = 0.0
    for c in range(numbers[i]):
        x = kappas[i, c] * away
        if x > REACH:
            break
        most += norms[i, c] * highest[i, c] * exp_minus(x)
    return most
