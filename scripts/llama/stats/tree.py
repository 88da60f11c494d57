"""The tree of HEALPix cells over the tiles of a sky map, with the weight's moments in each."""

import math

import numpy as np

from llama.stats.compiled import njit
from llama.stats.healpix import sphere_point, tile_position

# Tiles in a cell that is not divided further: few for speed, more for the memory of huge maps.
BUCKET, BUCKET_HUGE, HUGE = 12, 48, 300_000
_HALF = 0.5 / math.sqrt(3.0)  # two Gauss-Legendre points hold first and second moments exactly


@njit()
def build_tree(order, ipix, start, weights):  # type: ignore[no-untyped-def]
    """Return cells (m, 5), centres (m, 3) and moments (5, m, 10) as in `overlap.PreparedMap`.

    order, ipix: disjoint tiles along the NESTED curve; start: their first pixels of order 29;
    weights (5, n). Parents come before children, and the children of a cell are neighbours.
    """
    bucket = BUCKET if order.size < HUGE else BUCKET_HUGE
    cells = np.empty((64, 5), dtype=np.int64)
    count = 0
    for face in range(12):
        first, last = np.searchsorted(start, np.array([face << 58, (face + 1) << 58]))
        if last > first:
            cells[count] = (0, first, last, 0, 0)
            count += 1
    faces = count
    c = 0
    while c < count:
        depth, first, last = cells[c, 0], cells[c, 1], cells[c, 2]
        if last - first > bucket:
            if count + 4 > cells.shape[0]:
                cells = np.concatenate((cells, np.empty_like(cells)))
            cells[c, 3] = count
            step = 2 * (28 - depth)
            while first < last:
                child = start[first] >> step
                end = first + np.searchsorted(start[first:last], (child + 1) << step)
                cells[count] = (depth + 1, first, end, 0, 0)
                count += 1
                first = end
            cells[c, 4] = count - cells[c, 3]
        c += 1
    cells = cells[:count].copy()
    vectors = np.empty((count, 3))
    for c in range(count):
        depth = cells[c, 0]
        face, x, y = tile_position(depth, start[cells[c, 1]] >> (2 * (29 - depth)))
        vectors[c] = sphere_point(face, x, y)
    return cells, faces, vectors, _moments(order, ipix, weights, cells)


@njit()
def _moments(order, ipix, weights, cells):  # type: ignore[no-untyped-def]
    moments = np.zeros((weights.shape[0], cells.shape[0], 10))
    for c in range(cells.shape[0] - 1, -1, -1):  # children before parents
        if cells[c, 4] > 0:
            for child in range(cells[c, 3], cells[c, 3] + cells[c, 4]):
                moments[:, c] += moments[:, child]
            continue
        for k in range(cells[c, 1], cells[c, 2]):
            of_tile = _tile_moments(np.int64(order[k]), ipix[k])
            for n in range(weights.shape[0]):
                for i in range(10):
                    moments[n, c, i] += weights[n, k] * of_tile[i]
    for n in range(weights.shape[0]):
        for c in range(cells.shape[0]):
            m = moments[n, c]
            if m[0] > 0.0:
                m[1:] /= m[0]
                m[4] -= m[1] * m[1]
                m[5] -= m[2] * m[2]
                m[6] -= m[3] * m[3]
                m[7] -= m[1] * m[2]
                m[8] -= m[1] * m[3]
                m[9] -= m[2] * m[3]
    return moments


@njit()
def _tile_moments(order, ipix):  # type: ignore[no-untyped-def]
    """Return 1 and the means over a tile of x, y, z, xx, yy, zz, xy, xz, yz."""
    face, x, y = tile_position(order, ipix)
    side = _HALF / (1 << order)
    moments = np.zeros(10)
    moments[0] = 1.0
    for i in (-1.0, 1.0):
        for j in (-1.0, 1.0):
            px, py, pz = sphere_point(face, x + i * side, y + j * side)
            moments[1] += 0.25 * px
            moments[2] += 0.25 * py
            moments[3] += 0.25 * pz
            moments[4] += 0.25 * px * px
            moments[5] += 0.25 * py * py
            moments[6] += 0.25 * pz * pz
            moments[7] += 0.25 * px * py
            moments[8] += 0.25 * px * pz
            moments[9] += 0.25 * py * pz
    return moments
