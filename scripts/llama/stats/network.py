"""Several neutrino detectors in one likelihood, docs/method.md (28, 29).

A source gives detector d a Poisson number of neutrinos of mean mu_d = nu_d E (100 Mpc / r)^2
A_d / <A_d>. Together they are one detector of the sum of these, of which detector d has the part
f_d(dec): only the intensity of its neutrinos is multiplied by that.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from llama.stats.arrays import Floats, Integers
from llama.stats.messengers import join_components
from llama.stats.odds import Neutrinos, Response, prepare_neutrinos
from llama.stats.parameters import SearchParameters


class Member(NamedTuple):
    """One detector of a network: its tables, and what of `SearchParameters` is its own."""

    response: Response
    nu_51_100: float
    ratebgnu: float
    sigma_floor_deg: float

    def parameters(self, params: SearchParameters) -> SearchParameters:
        """Return the model with this detector alone."""
        own = self._asdict()
        return replace(params, **{name: own[name] for name in own if name != "response"})


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


def prepare_in_network(
    columns: Sequence[Floats],
    detector: Integers,
    members: Sequence[Member],
    fractions: Floats,
    params: SearchParameters,
) -> Neutrinos:
    """Return what `prepare_neutrinos` does of neutrinos of several detectors.

    columns: dt, ra, dec, sigma, energy as there; detector (n,): number of each one's member;
    fractions: f_d of `network_area`; params: of the network. ValueError as there, and for a
    neutrino of no member.
    """
    if detector.shape != columns[0].shape or not np.isin(detector, range(len(members))).all():
        raise ValueError("every neutrino must be of a detector of the network")
    parts, places = [], []
    for number, member in enumerate(members):
        of = np.flatnonzero(detector == number)
        dt, ra, dec, sigma, energy = (column[of] for column in columns)
        own = member.response, member.parameters(params)
        part = prepare_neutrinos(dt, ra, dec, sigma, energy, *own)
        part.intensity[...] *= fractions[number]
        parts.append(part)
        places.append(of)
    along = np.argsort(np.concatenate(places), kind="stable")
    kappa, intensity = join_components(parts)
    dt_s, vectors = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    return Neutrinos(dt_s[along], vectors[along], kappa[along], intensity[along])
