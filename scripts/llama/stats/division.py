"""Tiles of a sky map divided where the detectors' area changes across them."""

import math

import numpy as np
from numpy.typing import NDArray

from llama.stats.area import POLE, AnyArea, Area, check_area
from llama.stats.arrays import Integers
from llama.stats.compiled import njit
from llama.stats.healpix import RADIUS, sphere_angles, sphere_point, tile_position
from llama.stats.tile_average import response_at

# A tile has one A(dec). It is divided where A changes by more than a part of itself across it:
# this part at order 4, twice as much at 5 and so on, as fewer neutrinos meet a smaller tile.
CHANGE, CHANGE_ORDER, FINEST_DIVIDED = 0.03, 4, 6
_BLIND = 1e-3  # A(dec)/<A> that counts as nothing
_MOST_TIMES, _MOST_MORE = 4, 50_000  # tiles; coarse maps get a laxer `CHANGE` that keeps both


def divide_tiles(
    order: NDArray[np.int8], ipix: Integers, area_relative: AnyArea
) -> tuple[NDArray[np.int8], Integers, Integers]:
    """Return order and ipix of tiles small enough to have one A(dec), and the tile each is of.

    order, ipix: NESTED tiles, whose sequence is kept; area_relative as in `tile_weights`.
    Nothing is divided beyond order 6, and a map grows to four times its tiles at most, by 50,000
    at most. Errors that are left: docs/method.md, "Limits of validity".
    """
    order, ipix = order.astype(np.int8), ipix.astype(np.int64)
    most = min(_MOST_TIMES * order.size, order.size + _MOST_MORE)
    check_area(area_relative)
    area = area_relative
    if not isinstance(area, Area):
        area = Area(POLE[None], np.ascontiguousarray(area, dtype=float)[None])
    change = CHANGE * 2.0**-CHANGE_ORDER
    while True:
        count, *made = _divide_tiles(order, ipix, area, change, FINEST_DIVIDED, most)
        if count <= most:
            return made[0][:count], made[1][:count], made[2][:count]
        change *= 2.0


@njit()
def _divide_tiles(order, ipix, area, change, finest, most):  # type: ignore[no-untyped-def]
    """Return how many tiles there are, and them; change: the part of A it may at order 0."""
    orders, pixels = np.empty(most, dtype=np.int8), np.empty(most, dtype=np.int64)
    parents = np.empty(most, dtype=np.int64)
    count = 0
    for k in range(order.size):
        level, pixel = np.int64(order[k]), ipix[k]
        last = (pixel + 1) << (2 * max(finest - level, 0))
        while True:  # along the NESTED curve: down while A changes, else on to the next tile
            if level < finest:
                low, high = _area_range(area, level, pixel)
                if high - low > change * (1 << level) * max(high, _BLIND):
                    level, pixel = level + 1, 4 * pixel
                    continue
            if count == most:
                return most + 1, orders, pixels, parents
            orders[count], pixels[count], parents[count] = level, pixel, k
            count += 1
            pixel += 1
            while level > order[k] and pixel & 3 == 0:
                level, pixel = level - 1, pixel >> 2
            if pixel << (2 * max(finest - level, 0)) >= last:
                break
    return count, orders, pixels, parents


@njit()
def _area_range(area, order, ipix):  # type: ignore[no-untyped-def]
    """Return the lowest and the highest A/<A> in a tile, or beyond, from those of each detector."""
    face, x, y = tile_position(order, ipix)
    half = 0.5 / (1 << order)
    low = high = 0.0
    for d in range(area.axes.shape[0]):
        a_x, a_y, a_z = area.axes[d]
        if a_z == 1.0:
            # the northern and the southern corner of a tile bound its declinations
            north = sphere_angles(face, x + half, y + half)[0]
            south = sphere_angles(face, x - half, y - half)[0]
        else:
            p_x, p_y, p_z = sphere_point(face, x, y)
            away = math.acos(min(max(a_x * p_x + a_y * p_y + a_z * p_z, -1.0), 1.0))
            north = math.cos(max(away - 2.0 * half * RADIUS, 0.0))
            south = math.cos(min(away + 2.0 * half * RADIUS, math.pi))
        least, most = _range_of(area.tables[d], south, north)
        low += least
        high += most
    return low, high


@njit()
def _range_of(table, south, north):  # type: ignore[no-untyped-def]
    """Return the lowest and the highest value of a table between two values of its axis."""
    here, there = response_at(table, south), response_at(table, north)
    low, high = min(here, there), max(here, there)
    step = 0.5 * (table.size - 1)
    for node in range(math.ceil((south + 1.0) * step), math.floor((north + 1.0) * step) + 1):
        low, high = min(low, table[node]), max(high, table[node])
    return low, high
