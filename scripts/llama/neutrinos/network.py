"""Several neutrino detectors as one: the tables and the events of a network.

Detectors are in the order of their names, and numbered so in the column `detector` of neutrinos.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.neutrinos.response import LOG10_ENERGY, SIN_DEC, Response
from llama.neutrinos.table import ICECUBE, OF_EACH, Columns

if TYPE_CHECKING:
    from llama.neutrinos.detector import Detector
    from llama.stats.network import Member

    AnyResponse: TypeAlias = "Response | Detector | Network"

Floats = NDArray[np.float64]

EVENTS = "dec_deg", "sigma_deg", "energy_gev", "detector"


@dataclass(frozen=True)
class Network:
    """The tables of `Response`, of all members together; each neutrino has those of its own.

    members: as the statistic takes them, with rates and expected events as the settings choose.
    """

    names: tuple[str, ...]
    members: "tuple[Member, ...]"

    @property
    def responses(self) -> "tuple[Response | Detector, ...]":
        """The tables of each member."""
        return tuple(member.response for member in self.members)  # type: ignore[misc]

    def only(self, names: Sequence[str]) -> "Network":
        """Return the network of some of its members."""
        some = [k for k, name in enumerate(self.names) if name in names]
        return replace(
            self,
            names=tuple(self.names[k] for k in some),
            members=tuple(self.members[k] for k in some),
        )

    def numbers(self, rows: Sequence[Mapping[str, object]]) -> NDArray[np.int64]:
        """Return the number of the detector of each row of a list; -1 of one that is not here."""
        number = {name: k for k, name in enumerate(self.names)}
        given = [number.get(str(row.get("detector", ICECUBE)), -1) for row in rows]
        return np.array(given, dtype=np.int64)

    def of(self, columns: Columns) -> NDArray[np.int64]:
        """Return the numbers of the detectors of drawn or listed neutrinos.

        Lists that were made before for IceCube name none.
        """
        if "detector" not in columns and self.names == (ICECUBE,):
            return np.zeros(columns["dec_deg"].size, dtype=np.int64)
        if "detector" not in columns:
            raise LlamaError(
                "lists of neutrinos that were made before do not say which detector each is of; "
                "name the study without the detectors of neutrinos"
            )
        return columns["detector"]

    @property
    def energy_response(self) -> str:
        """What results say of it: IceCube's own, or that each detector has its own."""
        is_icecube = self.names == (ICECUBE,)
        return self.responses[0].energy_response if is_icecube else OF_EACH

    @property
    def psf(self) -> str:
        """Like `energy_response`."""
        return self.responses[0].psf if self.names == (ICECUBE,) else OF_EACH

    @property
    def season(self) -> str:
        """Seasons of the members' areas."""
        return " + ".join(response.season for response in self.responses)

    @property
    def log10_energy(self) -> Floats:
        """As of `Response`."""
        return LOG10_ENERGY

    @property
    def sin_dec(self) -> Floats:
        """As of `Response`."""
        return SIN_DEC

    @cached_property
    def _area(self) -> tuple[Floats, Floats]:
        from llama.stats.network import network_area  # compiles

        return network_area(self.members)

    @property
    def area_relative(self) -> Floats:
        """A(dec)/<A> of the network [s]."""
        return self._area[0]

    @property
    def fractions(self) -> Floats:
        """Share of each member in a source's neutrinos [member, s]."""
        return self._area[1]

    @property
    def flux_area_cm2_gev(self) -> Floats:
        """A(dec) of all members together [s]."""
        return np.sum([response.flux_area_cm2_gev for response in self.responses], axis=0)

    @property
    def true_per_dex(self) -> Floats:
        """Density of the true energy of a source's neutrinos in all members [x, s]."""
        flux, whole = [r.flux_area_cm2_gev for r in self.responses], self.flux_area_cm2_gev
        return _mean([r.true_per_dex for r in self.responses], flux, whole)

    @property
    def signal_per_dex(self) -> Floats:
        """Density of the energy of a source's neutrinos [x, s]."""
        tables = [response.signal_per_dex for response in self.responses]
        return _mean(tables, self.fractions, np.ones(SIN_DEC.size))

    @property
    def background_per_dex(self) -> Floats:
        """Density of background neutrinos of all members [x, s]."""
        rates = np.array([member.ratebgnu for member in self.members])
        tables = [response.background_per_dex for response in self.responses]
        return _mean(tables, rates, rates.sum())

    @property
    def nu_51_100(self) -> float:
        """Expected events of all members."""
        return sum(member.nu_51_100 for member in self.members)

    @property
    def rate_hz(self) -> float:
        """Background of all members."""
        return sum(member.ratebgnu for member in self.members)

    @property
    def sigma_floor_deg(self) -> float:
        """The smallest error that a member states."""
        return min(member.sigma_floor_deg for member in self.members)


def _mean(tables: Sequence[Floats], weights: Any, total: Any) -> Floats:
    """Return the mean of tables; the share of one alone is 1, and its table unchanged."""
    shares = [np.divide(w, total, out=np.zeros_like(total), where=total > 0) for w in weights]
    return np.sum([share * table for share, table in zip(shares, tables, strict=True)], axis=0)


def tells_energy(response: "AnyResponse") -> bool:
    """Return whether a detector's events have energies; one of a network may have none."""
    return not isinstance(response, Response) or response.tells_energy


def joined_events(events: Sequence[Columns], rates_hz: Sequence[float]) -> Columns:
    """Return events of several archives such that any one of them is drawn as often as it happens.

    All get the longest time that an archive's events last at its detector's rate: events of shorter
    archives are repeated. Columns `EVENTS`.
    """
    sizes = [len(columns["dec_deg"]) for columns in events]
    longest_s = max(size / rate for size, rate in zip(sizes, rates_hz, strict=True))
    parts = []
    for number, (columns, size, rate) in enumerate(zip(events, sizes, rates_hz, strict=True)):
        count = max(round(rate * longest_s), 1)
        which = np.arange(count) * size // count
        part = {name: columns[name][which] for name in EVENTS[:-1]}
        parts.append(part | {"detector": np.full(count, number)})
    return {name: np.concatenate([part[name] for part in parts]) for name in EVENTS}
