"""Several neutrino detectors in one likelihood, docs/method.md (28, 29).

A source gives detector d a Poisson number of neutrinos of mean mu_d = nu_d E (100 Mpc / r)^2
A_d / <A_d>. Together they are one detector of the sum of these, of which detector d has the part
f_d: only the intensity of its neutrinos is multiplied by that. A detector away from the pole sees
the sky turn: its tables are functions of axis . direction, its zenith at the time of the trigger.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from llama.stats.area import POLE, Area
from llama.stats.arrays import Floats, Integers
from llama.stats.compiled import inner, njit
from llama.stats.healpix import unit_vectors
from llama.stats.messengers import join_components
from llama.stats.odds import Neutrinos, Response, prepare_neutrinos
from llama.stats.parameters import SearchParameters

# right ascensions that a table in sin(dec) is a mean over, in units of the point spread (those of
# Gauss-Hermite), and how far in declination; beyond, it is that at the neutrino's own
_STEP, _NEAR = math.sqrt(3.0), 4.0


class Member(NamedTuple):
    """One detector of a network: its tables, and what of `SearchParameters` is its own.

    axis (3,): of a detector away from the pole its zenith, from which its tables' axis counts in
    place of the pole: sin(altitude) for sin(dec).
    """

    response: Response
    nu_51_100: float
    ratebgnu: float
    sigma_floor_deg: float
    axis: Floats | None = None

    def parameters(self, params: SearchParameters) -> SearchParameters:
        """Return the model with this detector alone."""
        own = self._asdict()
        return replace(params, **{name: own[name] for name in _OWN})

    def along(self, vectors: Floats) -> Floats:
        """Return where directions (n, 3) are on the axis of its tables, -1 to 1."""
        if self.axis is None:
            return vectors[:, 2]
        x, y, z = self.axis
        cos = x * vectors[:, 0] + y * vectors[:, 1] + z * vectors[:, 2]
        return np.asarray(np.clip(cos, -1.0, 1.0))


_OWN = "nu_51_100", "ratebgnu", "sigma_floor_deg"


def network_area(members: Sequence[Member]) -> tuple[Floats, Floats]:
    """Return A(dec)/<A> of the network, and f_d (members, nodes); 0 where none of them sees.

    ValueError for members whose nodes of sin(dec) differ.
    """
    nodes = members[0].response.sin_dec
    if any(not np.array_equal(member.response.sin_dec, nodes) for member in members):
        raise ValueError("the detectors of a network must be tabulated at the same declinations")
    expected = np.array([member.nu_51_100 for member in members])
    relative = np.array([member.response.area_relative for member in members])
    parts = (expected / expected.sum())[:, None] * relative
    area = parts.sum(axis=0)
    return area, np.divide(parts, area, out=np.zeros_like(parts), where=area > 0)


def turned_area(members: Sequence[Member]) -> Area:
    """Return A/<A> of a network of which some members see the sky turn."""
    expected = np.array([member.nu_51_100 for member in members])
    relative = np.array([member.response.area_relative for member in members])
    axes = [POLE if member.axis is None else member.axis for member in members]
    return Area(np.array(axes), (expected / expected.sum())[:, None] * relative)


def prepare_in_network(
    columns: Sequence[Floats],
    detector: Integers,
    members: Sequence[Member],
    fractions: Floats | Area,
    params: SearchParameters,
) -> Neutrinos:
    """Return what `prepare_neutrinos` does of neutrinos of several detectors.

    columns: dt, ra, dec, sigma, energy as there; detector (n,): number of each one's member;
    fractions: f_d of `network_area`, or `turned_area` of members that see the sky turn; params: of
    the network. ValueError as there, and for a neutrino of no member.
    """
    if detector.shape != columns[0].shape or not np.isin(detector, range(len(members))).all():
        raise ValueError("every neutrino must be of a detector of the network")
    parts, places = [], []
    for number, member in enumerate(members):
        of = np.flatnonzero(detector == number)
        dt, ra, dec, sigma, energy = (column[of] for column in columns)
        own = member.response, member.parameters(params)
        if isinstance(fractions, Area):
            vectors = unit_vectors(ra, dec).reshape(-1, 3)
            altitude = np.degrees(np.arcsin(member.along(vectors)))
            where = dec if member.axis is None else altitude
            part = prepare_neutrinos(dt, ra, where, sigma, energy, *own)
            part = part._replace(vectors=vectors)
            _turn(part.intensity, part.kappa, vectors, fractions, number)
        else:
            part = prepare_neutrinos(dt, ra, dec, sigma, energy, *own)
            part.intensity[...] *= fractions[number]
        parts.append(part)
        places.append(of)
    along = np.argsort(np.concatenate(places), kind="stable")
    kappa, intensity = join_components(parts)
    dt_s, vectors = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    return Neutrinos(dt_s[along], vectors[along], kappa[along], intensity[along])


@njit()
def _turn(intensity, kappa, vectors, area, number):  # type: ignore[no-untyped-def]
    """Replace tables along a detector's axis by those along sin(dec), times f_d.

    At each declination the mean over right ascension, with the point spread as weight: exact where
    the map does not change within it.
    """
    nodes = intensity.shape[2]
    found = np.empty(nodes)
    # at the neutrino's own right ascension, and at one of those around it
    own, other = np.empty((2, nodes)), np.empty((2, nodes))
    for i in range(intensity.shape[0]):
        v_x, v_y, v_z = vectors[i]
        phi, own_s = math.atan2(v_y, v_x), max(math.hypot(v_x, v_y), 1e-6)
        _along_meridian(area, number, phi, 0, nodes, own)
        for c in range(intensity.shape[1]):
            table = intensity[i, c]
            if not table.any():
                continue
            # as far as this is anything, from the middle of a point spread on the pole, too
            width = 1.0 / math.sqrt(kappa[i, c])
            away = min(_NEAR * width, math.pi)
            dec = math.atan2(v_z, own_s)
            south = math.sin(max(dec - away, -0.5 * math.pi))
            north = math.sin(min(dec + away, 0.5 * math.pi))
            first = math.floor(0.5 * (south + 1.0) * (nodes - 1))
            last = min(math.ceil(0.5 * (north + 1.0) * (nodes - 1)) + 1, nodes)
            step = min(_STEP * width / own_s, 2.0 * math.pi / 3.0)
            share = 0.25 ** ((2.0 * own_s * math.sin(0.5 * step) / (_STEP * width)) ** 2)
            middle = 1.0 / (1.0 + 2.0 * share)
            _add_products(table, own, 1.0, 0, nodes, found, True)
            for node in range(first, last):
                found[node] *= middle
            for turn in (-step, step):
                _along_meridian(area, number, phi + turn, first, last, other)
                _add_products(table, other, share * middle, first, last, found, False)
            table[:] = found


@inner()
def _along_meridian(area, number, phi, first, last, found):  # type: ignore[no-untyped-def]
    """Write f_d and the place on a detector's axis at nodes of sin(dec) of a right ascension."""
    nodes = found.shape[1]
    half = 0.5 * (area.tables.shape[1] - 1)
    cos, sin = math.cos(phi), math.sin(phi)
    for node in range(first, last):
        z = -1.0 + 2.0 * node / (nodes - 1)
        s = math.sqrt(max(0.0, (1.0 - z) * (1.0 + z)))
        whole = 0.0
        for d in range(area.axes.shape[0]):
            up = s * (area.axes[d, 0] * cos + area.axes[d, 1] * sin) + area.axes[d, 2] * z
            place = half * (min(max(up, -1.0), 1.0) + 1.0)
            at = min(int(place), area.tables.shape[1] - 2)
            low, high = area.tables[d, at], area.tables[d, at + 1]
            here = low + (place - at) * (high - low)
            whole += here
            if d == number:
                found[0, node], found[1, node] = here, place
        found[0, node] = found[0, node] / whole if whole > 0.0 else 0.0


@inner()
def _add_products(table, along, share, first, last, found, is_first):  # type: ignore[no-untyped-def]
    """Write, or add, f_d times a table along the axis at nodes of sin(dec)."""
    for node in range(first, last):
        at = min(int(along[1, node]), table.size - 2)
        value = table[at] + (along[1, node] - at) * (table[at + 1] - table[at])
        value *= share * along[0, node]
        found[node] = value if is_first else found[node] + value
