"""Background of detectors that see the sky turn: right ascensions given time and declination.

An archive's event is drawn with its declination, as over a whole day. At the time of the trigger
its right ascension is then as frequent as the background is dense at the altitude it makes.
"""

import math

import numpy as np

from llama.neutrinos.network import Network
from llama.neutrinos.table import Columns
from llama.stats.arrays import Floats, bracket
from llama.stats.compiled import njit
from llama.stats.tile_average import response_at

_BINS = 720  # of right ascension


def turned_ra_deg(network: Network, columns: Columns, u: Floats) -> Floats:
    """Return right ascensions [deg] at quantiles u of what each neutrino's detector sees."""
    ra_deg = 360.0 * u
    for own, axis, tables in _members(network, columns):
        densities = _densities(columns["dec_deg"][own], tables, axis)
        ra_deg[own] = _quantiles(densities, u[own])
    return ra_deg


def turned_density(network: Network, columns: Columns) -> Floats:
    """Return how much denser neutrinos are at their right ascensions than over a day (n,)."""
    found = np.ones(columns["ra_deg"].size)
    for own, axis, tables in _members(network, columns):
        densities = _densities(columns["dec_deg"][own], tables, axis)
        where = np.minimum(columns["ra_deg"][own] * (_BINS / 360.0), _BINS - 1).astype(np.int64)
        found[own] = densities[np.arange(where.size), where] / densities.mean(axis=1)
    return found


def _members(network: Network, columns: Columns):  # type: ignore[no-untyped-def]
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


@njit()
def _densities(dec_deg, tables, axis):  # type: ignore[no-untyped-def]
    """Return the background's density in bins of right ascension at declinations (n, bins)."""
    found = np.empty((dec_deg.size, _BINS))
    for k in range(dec_deg.size):
        z, s = math.sin(math.radians(dec_deg[k])), math.cos(math.radians(dec_deg[k]))
        for b in range(_BINS):
            ra = 2.0 * math.pi * (b + 0.5) / _BINS
            up = s * (axis[0] * math.cos(ra) + axis[1] * math.sin(ra)) + axis[2] * z
            found[k, b] = response_at(tables[k], min(max(up, -1.0), 1.0))
    return found


@njit()
def _quantiles(densities, u):  # type: ignore[no-untyped-def]
    found = np.empty(u.size)
    for k in range(u.size):
        left, b = u[k] * densities[k].sum(), 0
        while b < _BINS - 1 and left >= densities[k, b]:
            left -= densities[k, b]
            b += 1
        found[k] = (b + min(left / densities[k, b], 1.0)) * (360.0 / _BINS) % 360.0
    return found
