"""Mixtures of von Mises-Fisher (vMF) densities, divided into wide and narrow components.

Wide ones are smooth in a cell of the base (`llama.stats.mesh`), so that densities at its directions
suffice; of a narrow one, what the map leaves is a small region (`llama.stats.region`), in which
wide ones are smooth in their turn.
"""

import math

import numpy as np

from llama.stats.compiled import inner, loop, njit
from llama.stats.mesh import BANDS
from llama.stats.overlap import log_vmf_norm

WIDE_KAPPA = math.radians(3.0) ** -2.0  # components with less are wide
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


@loop()
def _highest(intensity, i, c):  # type: ignore[no-untyped-def]
    """Return the most of a table, which is never negative or NaN."""
    a = b = 0.0
    last = intensity.shape[2] - 1
    for node in range(0, last, 2):
        a = intensity[i, c, node] if intensity[i, c, node] > a else a
        b = intensity[i, c, node + 1] if intensity[i, c, node + 1] > b else b
    return max(a, b, intensity[i, c, last])


@inner()
def sort_components(kappa, intensity):  # type: ignore[no-untyped-def]
    """Return the components that there are of each trigger, the widest first.

    numbers (n,) of components, and of wide ones; kappa (n, components); densities of their vMF at
    the centre; intensity (n, components, sin dec nodes); its highest value times the vMF's; its
    values at the edges of bands.
    """
    n, components, nodes = intensity.shape
    numbers, wide = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    kappas, norms = np.ones((n, components)), np.zeros((n, components))
    tops, tables = np.zeros((n, components)), np.zeros((n, components, nodes))
    edges = np.zeros((n, components, BANDS + 1))
    for i in range(n):
        for c in range(components):
            top = _highest(intensity, i, c)
            if top == 0.0:
                continue
            k = numbers[i]
            while k > 0 and kappas[i, k - 1] > kappa[i, c]:
                kappas[i, k], norms[i, k] = kappas[i, k - 1], norms[i, k - 1]
                tops[i, k], tables[i, k] = tops[i, k - 1], tables[i, k - 1]
                k -= 1
            kappas[i, k], norms[i, k] = kappa[i, c], math.exp(log_vmf_norm(kappa[i, c]))
            tops[i, k], tables[i, k] = norms[i, k] * top, intensity[i, c]
            numbers[i] += 1
            wide[i] += kappa[i, c] < WIDE_KAPPA
        for k in range(wide[i]):
            _at_edges(tables[i, k], edges[i, k])
    return numbers, wide, kappas, norms, tables, tops, edges


@inner()
def _at_edges(table, found):  # type: ignore[no-untyped-def]
    """Write a table's values at the edges of bands."""
    half = 0.5 * (table.size - 1)
    for edge in range(BANDS + 1):
        position = edge * (2.0 / BANDS) * half
        node = min(int(position), table.size - 2)
        found[edge] = table[node] + (position - node) * (table[node + 1] - table[node])


@loop(error_model="numpy")
def densities_of_base(prepared, ready, i, v, found, away):  # type: ignore[no-untyped-def]
    """Write the sum of the wide components of trigger i, which is at v, at the base; return a unit.

    In that unit they are of order 1 where they are most. Single precision is twice as fast. away:
    room for as many numbers.
    """
    single = np.float32
    wide, kappa, norm, top, edges = (
        ready[1][i],
        ready[2][i],
        ready[3][i],
        ready[5][i],
        ready[6][i],
    )
    unit = 1e-300
    for c in range(wide):
        unit = max(unit, top[c])
    v2, v_s = v[2], math.hypot(v[0], v[1])
    a0, a1, a2 = single(v[0]), single(v[1]), single(v[2])
    one, half, least_root = single(1.0), single(0.5), single(_LEAST)
    c3, c4, c5 = single(_C3), single(_C4), single(_C5)
    # rows by number: what is unpacked is not known to be contiguous
    x, y, z, beyond = prepared.base[0], prepared.base[1], prepared.base[2], prepared.base[3]
    bands = prepared.bands
    # loops without branches, which processors do eight at a time
    for p in range(found.size):
        away[p] = one - (a0 * x[p] + a1 * y[p] + a2 * z[p])
        found[p] = 0.0
    for band in range(BANDS):
        near = min(max(v2, -1.0 + band * (2.0 / BANDS)), -1.0 + (band + 1) * (2.0 / BANDS))
        least = 1.0 - v2 * near - v_s * math.sqrt(max(0.0, 1.0 - near * near))
        first, last = bands[band], bands[band + 1]
        there, far, part = found[first:last], away[first:last], beyond[first:last]
        for c in range(wide):  # the widest first
            if kappa[c] * least > REACH:
                break
            steep = single(-kappa[c] / 64.0)
            here = single(norm[c] * edges[c, band] / unit)
            step = single(norm[c] * edges[c, band + 1] / unit) - here
            for p in range(there.size):
                # the 64th root of the exponential: for exponents up to 36, to a part in 10^5
                a = max(steep * far[p], least_root)
                e = one + a * (one + a * (half + a * (c3 + a * (c4 + a * c5))))
                e *= e
                e *= e
                e *= e
                e *= e
                e *= e
                e *= e
                there[p] += (here + part[p] * step) * e
    return unit


@njit(inline="always", error_model="numpy")
def exponentials(kappa, away, count, found):  # type: ignore[no-untyped-def]
    """Write exp(-kappa away) to a part in 10^5; exponents beyond 36 count as 36."""
    steep = -kappa / 64.0
    for p in range(count):  # a loop without branches, which processors do four at a time
        a = max(steep * away[p], _LEAST)  # of the 64th root
        e = 1.0 + a * (1.0 + a * (0.5 + a * (_C3 + a * (_C4 + a * _C5))))
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        found[p] = e


@loop(error_model="numpy")
def add_densities(component, v, reach, points, count, room):  # type: ignore[no-untyped-def]
    """Write the densities of components at `count` directions x, y, z to room[0].

    component: kappa (k,) [rad^-2], the widest first, vMF densities at the centre, and a table each
    on uniform nodes of sin(dec). A single vMF can have several tables: it is times all of them.
    """
    kappas, norms, tables = component
    is_one = kappas.size == 1
    value, away, each, below, part = room[0], room[1], room[2], room[3], room[4]
    x, y, z = points
    v0, v1, v2 = v
    steps = tables.shape[1] - 1
    nearest = math.inf
    for p in range(count):
        dx, dy, dz = x[p] - v0, y[p] - v1, z[p] - v2
        away[p] = 0.5 * (dx * dx + dy * dy + dz * dz)
        below[p] = min(max(0.5 * steps * (z[p] + 1.0), 0.0), steps - 1e-9)
        value[p] = 0.0
        nearest = min(nearest, away[p])
    for p in range(count):
        node = math.floor(below[p])
        part[p] = below[p] - node
        below[p] = node
    for c in range(kappas.size):
        if kappas[c] * nearest > reach:
            break
        if reach > REACH:
            for p in range(count):
                each[p] = math.exp(-kappas[c] * away[p])
        else:
            exponentials(kappas[c], away, count, each)
        for p in range(count):
            each[p] *= norms[c]
        for m in range(0 if is_one else c, tables.shape[0] if is_one else c + 1):
            for p in range(count):
                i = np.uint32(below[p])  # no number that could count from the end
                here, there = tables[m, i], tables[m, i + np.uint32(1)]
                each[p] *= here + part[p] * (there - here)
        for p in range(count):
            value[p] += each[p]


@loop()
def wide_densities(ready, i, v, points, places, room):  # type: ignore[no-untyped-def]
    """Write the sum of the wide components of trigger i, which is at v, to room[0].

    places: first and last of the directions in points (3, n), no more than there is room for.
    """
    wide, (first, last) = ready[1][i], places
    component = ready[2][i, :wide], ready[3][i, :wide], ready[4][i, :wide]
    three = points[0, first:last], points[1, first:last], points[2, first:last]
    add_densities(component, (v[0], v[1], v[2]), REACH, three, last - first, room)


@loop()
def most_beyond(ready, i, near):  # type: ignore[no-untyped-def]
    """Return the most that a trigger's density can be at a chord of `near` and beyond."""
    numbers, _, kappas, _, _, tops, _ = ready
    away = 0.5 * near * near
    most = 0.0
    for c in range(numbers[i]):
        x = kappas[i, c] * away
        if x > REACH:
            break
        most += tops[i, c] * exp_minus(x)
    return most


@inner()
def wide_tops(ready):  # type: ignore[no-untyped-def]
    """Return the most that each trigger's wide part can be anywhere (n,)."""
    tops = np.zeros(ready[0].size)
    for i in range(tops.size):
        for c in range(ready[1][i]):
            tops[i] += ready[5][i, c]
    return tops
