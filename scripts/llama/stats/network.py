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
from llama.stats.compiled import njit
from llama.stats.healpix import unit_vectors
from llama.stats.messengers import join_components
from llama.stats.odds import Neutrinos, Response, prepare_neutrinos
from llama.stats.parameters import SearchParameters
from llama.stats.tile_average import response_at

# right ascensions that a table in sin(dec) is a mean over, in units of the point spread, and how
# far in declination; beyond, it is that at the neutrino's own right ascension
_STEPS, _STEP, _NEAR = 5, 1.1, 4.0


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
    for i in range(intensity.shape[0]):
        own_phi, own_z = math.atan2(vectors[i, 1], vectors[i, 0]), vectors[i, 2]
        own_s = math.hypot(vectors[i, 0], vectors[i, 1])
        for c in range(intensity.shape[1]):
            table, reach = intensity[i, c], _NEAR / math.sqrt(kappa[i, c])
            if not table.any():
                continue
            for node in range(nodes):
                z = -1.0 + 2.0 * node / (nodes - 1)
                s = math.sqrt(max(0.0, (1.0 - z) * (1.0 + z)))
                chord2 = (z - own_z) ** 2 + (s - own_s) ** 2
                steps = _STEPS if chord2 < reach * reach and s > 0.0 else 1
                narrow = max(kappa[i, c] * s * own_s, 1e-30)
                step = min(_STEP / math.sqrt(narrow), 2.0 * math.pi / _STEPS)
                total = weight = 0.0
                for k in range(steps):
                    turn = (k - 0.5 * (steps - 1)) * step
                    share = math.exp(-2.0 * narrow * math.sin(0.5 * turn) ** 2)
                    phi = own_phi + turn
                    x, y = s * math.cos(phi), s * math.sin(phi)
                    total += share * _fraction_times(table, area, number, x, y, z)
                    weight += share
                found[node] = total / weight
            table[:] = found


@njit(inline="always")
def _fraction_times(table, area, number, x, y, z):  # type: ignore[no-untyped-def]
    """Return f_d of a detector in a direction, times a table along its axis."""
    whole = part = value = 0.0
    for d in range(area.axes.shape[0]):
        along = area.axes[d, 0] * x + area.axes[d, 1] * y + area.axes[d, 2] * z
        along = min(max(along, -1.0), 1.0)
        here = response_at(area.tables[d], along)
        whole += here
        if d == number:
            part, value = here, response_at(table, along)
    return part / whole * value if whole > 0.0 else 0.0
