"""Cells of a map that wait to be summed over, or divided into their parts."""

import math

import numpy as np

from llama.stats.compiled import inner, loop
from llama.stats.directions import four_around, four_with
from llama.stats.healpix import RADIUS

FINEST = 28  # order
GROUP = 4  # order of the cells that each have four directions
PARTS = 48  # at most, of a cell or tile
_TILES = 16  # of a cell that is divided into tiles at once
_GAUSS = 0.5 / math.sqrt(3.0)
_SIDE = 0.5 ** np.arange(FINEST + 2.0)  # of cells, where a face's is 1
_NEAR = RADIUS * _SIDE  # of any point of a cell to its centre [rad]
_SIDE2 = math.pi / 3.0 * 0.25 ** np.arange(FINEST + 2.0)  # squared sides of cells [rad^2]


@inner()
def queue_of_faces(prepared, most):  # type: ignore[no-untyped-def]
    """Return a queue for up to so many cells, with the faces of the map.

    places: a cell or -1 - k for (a part of) tile k, order, NESTED index of what is of a tile, the
    group of order 4 or -1; numbers: centre, radius, squared side; bounds: as of `_bound`.
    """
    places, numbers = np.empty((4, most), dtype=np.int64), np.empty((5, most))
    for c in range(prepared.faces):
        places[0, c], places[1, c], places[2, c], places[3, c] = c, 0, 0, -1
        numbers[3, c], numbers[4, c] = _NEAR[0], _SIDE2[0]
        for i in range(3):
            numbers[i, c] = prepared.cell_vectors[c, i]
    return places, numbers, np.empty((5, most))


@loop()
def weight_of(prepared, row, index, order):  # type: ignore[no-untyped-def]
    """Return the weight of a cell, or of a tile or a part of it."""
    if index >= 0:
        return prepared.cell_shares[index, row]
    k = -1 - index
    return prepared.shares[k, row] * _SIDE[order - prepared.order[k]] ** 2


@loop()
def divide(prepared, queue, q, tail):  # type: ignore[no-untyped-def]
    """Put the parts of cell q at the end of the queue, and return where that is then."""
    places, numbers = queue[0], queue[1]
    index, order, ipix, group = places[0, q], places[1, q], places[2, q], places[3, q]
    cells = prepared.cells
    if index < 0:
        centre = numbers[0, q], numbers[1, q], numbers[2, q]
        four_around(order, ipix, centre, 0.25 * _SIDE[order], numbers, tail)
        for child in range(4):
            new = tail + child
            places[0, new], places[1, new] = index, order + 1
            places[2, new], places[3, new] = 4 * ipix + child, group
            numbers[3, new], numbers[4, new] = _NEAR[order + 1], _SIDE2[order + 1]
        return tail + 4
    begin, end = cells[index, 1], cells[index, 2]
    if cells[index, 4] > 0 and (order < GROUP or end - begin > _TILES):
        begin, end = cells[index, 3], cells[index, 3] + cells[index, 4]
        near, side2 = _NEAR[order + 1], _SIDE2[order + 1]
        for c in range(begin, end):
            places[0, tail], places[1, tail], places[3, tail] = c, order + 1, group
            numbers[0, tail] = prepared.cell_vectors[c, 0]
            numbers[1, tail] = prepared.cell_vectors[c, 1]
            numbers[2, tail] = prepared.cell_vectors[c, 2]
            numbers[3, tail], numbers[4, tail] = near, side2
            tail += 1
        return tail
    for k in range(begin, end):
        o = np.int64(prepared.order[k])
        places[0, tail], places[1, tail] = -1 - k, o
        places[2, tail], places[3, tail] = prepared.ipix[k], group
        numbers[0, tail] = prepared.vectors[k, 0]
        numbers[1, tail] = prepared.vectors[k, 1]
        numbers[2, tail] = prepared.vectors[k, 2]
        numbers[3, tail], numbers[4, tail] = _NEAR[o], _SIDE2[o]
        tail += 1
    return tail


@loop()
def four_of(prepared, row, queue, q, points, at):  # type: ignore[no-untyped-def]
    """Write the four directions of a cell or (part of) a tile from `at` on."""
    places, numbers = queue[0], queue[1]
    index, order = places[0, q], places[1, q]
    if index >= 0:
        m = prepared.moments
        covariance = (
            m[row, index, 4],
            m[row, index, 5],
            m[row, index, 6],
            m[row, index, 7],
            m[row, index, 8],
            m[row, index, 9],
        )
        mean = m[row, index, 1], m[row, index, 2], m[row, index, 3]
        four_with(mean[0], mean[1], mean[2], covariance, points, at)
    else:
        centre = numbers[0, q], numbers[1, q], numbers[2, q]
        four_around(order, places[2, q], centre, _GAUSS * _SIDE[order], points, at)
