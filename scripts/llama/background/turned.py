"""Background of detectors that see the sky turn: right ascensions given time and declination.

An archive's event is drawn with its declination, as over a whole day. At the time of the trigger
its right ascension is then as frequent as the background is dense at the altitude it makes.
"""

import math
from collections.abc import Iterator

import numpy as np

from llama.neutrinos.network import Network
from llama.neutrinos.table import Columns
from llama.stats.arrays import Floats, Integers, bracket
from llama.stats.compiled import inner, njit
from llama.stats.tile_average import response_at

_BINS = 360  # of right ascension
_RA = 2 * math.pi * (np.arange(_BINS) + 0.5) / _BINS
_COS, _SIN = np.cos(_RA), np.sin(_RA)


def turned_ra_deg(network: Network, columns: Columns, u: Floats) -> Floats:
    """Return right ascensions [deg] at quantiles u of what each neutrino's detector sees."""
    ra_deg = 360.0 * u
    for own, axis, tables in _members(network, columns):
        ra_deg[own] = _quantiles(columns["dec_deg"][own], tables, axis, u[own])
    return ra_deg


def turned_density(network: Network, columns: Columns) -> Floats:
    """Return how much denser neutrinos are at their right ascensions than over a day (n,)."""
    found = np.ones(columns["ra_deg"].size)
    for own, axis, tables in _members(network, columns):
        places = columns["dec_deg"][own], columns["ra_deg"][own]
        found[own] = _denser(*places, tables, axis)
    return found


def _members(network: Network, columns: Columns) -> Iterator[tuple[Integers, Floats, Floats]]:
    """Yield which neutrinos a turning member has, its axis, and their background's table each."""
    detector = network.of(columns)
    for number, member in enumerate(network.turned):
        own = np.flatnonzero(detector == number)
        if member.axis is None or not own.size:
            continue
        energy = np.asarray(columns["energy_gev"], dtype=float)[own]
        x = np.log10(np.where(energy > 0, energy, 1.0))
        grid, table = member.response.log10_energy, member.response.background_per_dex
        row, part = bracket(x, grid[0], grid[-1], grid.size)
        tables = (1 - part[:, None]) * table[row] + part[:, None] * table[row + 1]
        unknown = ~(energy > 0)
        tables[unknown] = np.trapezoid(table, grid, axis=0)
        yield own, member.axis, tables


@inner()
def _density(table, axis, z, s, b):  # type: ignore[no-untyped-def]
    """Return the background's density in a bin of right ascension at sin and cos of declination."""
    up = s * (axis[0] * _COS[b] + axis[1] * _SIN[b]) + axis[2] * z
    return response_at(table, min(max(up, -1.0), 1.0))


@njit()
def _denser(dec_deg, ra_deg, tables, axis):  # type: ignore[no-untyped-def]
    found = np.empty(dec_deg.size)
    for k in range(dec_deg.size):
        z, s = math.sin(math.radians(dec_deg[k])), math.cos(math.radians(dec_deg[k]))
        total = 0.0
        for b in range(_BINS):
            total += _density(tables[k], axis, z, s, b)
        own = min(int(ra_deg[k] * (_BINS / 360.0)), _BINS - 1)
        found[k] = _density(tables[k], axis, z, s, own) * _BINS / total
    return found


@njit()
def _quantiles(dec_deg, tables, axis, u):  # type: ignore[no-untyped-def]
    found, densities = np.empty(u.size), np.empty(_BINS)
    for k in range(u.size):
        z, s = math.sin(math.radians(dec_deg[k])), math.cos(math.radians(dec_deg[k]))
        total = 0.0
        for b in range(_BINS):
            densities[b] = _density(tables[k], axis, z, s, b)
            total += densities[b]
        left, b = u[k] * total, 0
        while b < _BINS - 1 and left >= densities[b]:
            left -= densities[b]
            b += 1
        found[k] = (b + min(left / densities[b], 1.0)) * (360.0 / _BINS) % 360.0
    return found
