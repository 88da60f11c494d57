"""Several neutrino detectors as one: the tables and the events of a network.

Detectors are in the order of their names, and numbered so in the column `detector` of neutrinos.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.neutrinos.response import LOG10_ENERGY, SIN_DEC, Response
from llama.neutrinos.table import ICECUBE, OF_EACH, Columns

if TYPE_CHECKING:
    from llama.neutrinos.detector import Detector
    from llama.neutrinos.local import Local
    from llama.stats.area import AnyArea, Area
    from llama.stats.network import Member

    AnyResponse: TypeAlias = "Response | Detector | Network"

Floats = NDArray[np.float64]

EVENTS = "dec_deg", "sigma_deg", "energy_gev", "detector"


@dataclass(frozen=True)
class Network:
    """The tables of `Response`, of all members together; each neutrino has those of its own.

    members: as the statistic takes them, with rates and expected events as the settings choose.
    Tables in sin(dec) are means over a sidereal day. locals: of those away from the pole, by name.
    turned: the members as they are at the time of `at`; none if it does not matter.
    """

    names: tuple[str, ...]
    members: "tuple[Member, ...]"
    locals: "Mapping[str, Local]" = field(default_factory=dict)
    turned: "tuple[Member, ...]" = ()

    def at(self, gps: float) -> "Network":
        """Return the network as it sees the sky at a time."""
        if not self.locals:
            return self
        turned = []
        for name, member in zip(self.names, self.members, strict=True):
            if local := self.locals.get(name):
                member = member._replace(response=local.response, axis=local.site.zenith(gps))
            turned.append(member)
        return replace(self, turned=tuple(turned))

    @cached_property
    def area(self) -> "AnyArea":
        """A/<A> of the network: a table in sin(dec), or of directions at the time of `at`."""
        return self.turned_area if self.turned else self.area_relative

    @cached_property
    def turned_area(self) -> "Area":
        """A/<A> of directions at the time of `at`."""
        from llama.stats.network import turned_area  # compiles

        return turned_area(self.turned)

    def fractions_in(self, vectors: Floats) -> Floats:
        """Return f_d (member, n) in directions (n, 3)."""
        if self.turned:
            return self.turned_area.fractions(vectors)
        return np.array([np.interp(vectors[:, 2], self.sin_dec, f) for f in self.fractions])

    def background_in(self, vectors: Floats) -> Floats:
        """Return the background of each member (member, n), all energies, in directions (n, 3).

        Densities as in `Response`, of which the integral over the sky is 2 pi.
        """
        found = []
        for member in self.turned or self.members:
            table = np.trapezoid(member.response.background_per_dex, LOG10_ENERGY, axis=0)
            found.append(np.interp(member.along(vectors), SIN_DEC, table))
        return np.array(found)

    @property
    def responses(self) -> "tuple[Response | Detector, ...]":
        """The tables of each member."""
        return tuple(member.response for member in self.members)  # type: ignore[misc]

    @property
    def seeing(self) -> "tuple[Response | Detector, ...]":
        """The tables of each member at the time of `at`."""
        return tuple(one.response for one in self.turned or self.members)  # type: ignore[misc]

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


def response_at(response: Any, gps: float | None) -> Any:
    """Return a response, or None, as it sees the sky at a time; None if that does not matter."""
    return response.at(gps) if isinstance(response, Network) and gps is not None else response


def area_of(response: "AnyResponse") -> "AnyArea":
    """Return A/<A> as the statistic takes it."""
    return response.area if isinstance(response, Network) else response.area_relative


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
