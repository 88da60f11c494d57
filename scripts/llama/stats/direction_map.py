"""Where a neutrino may be from, as a map."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama.stats.arrays import Floats, Integers
from llama.stats.compiled import njit
from llama.stats.healpix import sphere_angles, tile_position, tiles_geometry


class DirectionMap(NamedTuple):
    """Where a neutrino may be from: NESTED tiles along the curve, their probability sums to 1.

    The density is the same all over a tile, and 0 where there is none.
    """

    order: NDArray[np.int8]
    ipix: Integers
    prob: Floats

    def along_sin_dec(self, nodes: int) -> Floats:
        """Return the probability at uniform nodes of sin(dec): means of what is linear between."""
        z, share = fours_sin_dec(self.order, self.ipix), np.repeat(0.25 * self.prob, 4)
        position = np.clip(0.5 * (nodes - 1) * (z + 1.0), 0.0, nodes - 1)
        node = np.minimum(position.astype(np.int64), nodes - 2)
        part = position - node
        below = np.bincount(node, share * (1 - part), nodes)
        return np.asarray(below + np.bincount(node + 1, share * part, nodes), dtype=float)

    def mean_ra_deg(self, nodes: int) -> Floats:
        """Return the mean right ascension [deg] at uniform nodes of sin(dec), 0 where none is."""
        vectors = tiles_geometry(self.order, self.ipix)[0]
        node = np.clip(0.5 * (nodes - 1) * (vectors[:, 2] + 1.0), 0, nodes - 2).astype(np.int64)
        both = np.concatenate([node, node + 1])
        x, y = (np.bincount(both, np.tile(self.prob * vectors[:, k], 2), nodes) for k in (0, 1))
        return np.asarray(np.degrees(np.arctan2(y, x)) % 360.0)

    def density(self, order: NDArray[np.int8], ipix: Integers) -> Floats:
        """Return the density [sr^-1] in tiles that are no larger than these, 0 where there is none.

        A larger one has that of its first part.
        """
        first, (its_first, its_last) = ends(order, ipix)[0], ends(self.order, self.ipix)
        k = np.searchsorted(its_first, first, "right") - 1
        known = (k >= 0) & (its_last[k] >= first)
        each = self.prob * (3.0 / math.pi * 4.0 ** self.order.astype(float))
        return np.where(known, each[k], 0.0)

    def divide(
        self, order: NDArray[np.int8], ipix: Integers
    ) -> tuple[NDArray[np.int8], Integers, Integers]:
        """Return tiles along the curve, divided until none holds a finer one of these, and parents.

        parents: which of the tiles each is of, or a part of.
        """
        parent = np.arange(order.size)
        while True:
            first, last = ends(order, ipix)
            k = np.searchsorted(ends(self.order, self.ipix)[0], first)
            k = np.minimum(k, self.order.size - 1)  # the first of these that begins in the tile
            begins = ends(self.order, self.ipix)[0][k]
            wide = (begins >= first) & (begins <= last) & (self.order[k] > order)
            if not wide.any():
                return order, ipix, parent
            fours = np.where(wide, 4, 1)
            within = np.arange(fours.sum()) - np.repeat(np.cumsum(fours) - fours, fours)
            order = np.repeat(order + wide, fours).astype(np.int8)
            ipix = np.repeat(ipix * fours, fours) + within
            parent = np.repeat(parent, fours)


def ends(order: NDArray[np.int8], ipix: Integers) -> tuple[Integers, Integers]:
    """Return the first and the last pixel of order 29 in tiles."""
    depth = 2 * (29 - order.astype(np.int64))
    return ipix << depth, ((ipix + 1) << depth) - 1


@njit()
def fours_sin_dec(order, ipix):  # type: ignore[no-untyped-def]
    """Return sin(dec) of four points in each NESTED tile, one tile after the other."""
    z = np.empty(4 * order.size)
    for k in range(order.size):
        face, x, y = tile_position(np.int64(order[k]), ipix[k])
        quarter = 0.25 / (1 << np.int64(order[k]))
        at = 4 * k
        for dx in (-quarter, quarter):
            for dy in (-quarter, quarter):
                z[at] = sphere_angles(face, x + dx, y + dy)[0]
                at += 1
    return z
