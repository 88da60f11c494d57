"""The neutrino detectors behind a result: one archive, or the archives of a network.

Their tables are one path, or a list with one for each of `neutrinos.detectors` by name.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama.event.parameters import SearchBlock, member_of
from llama.neutrinos.archive import Archive
from llama.neutrinos.likeness import unlike_background
from llama.neutrinos.local import load_local
from llama.neutrinos.network import Network, joined_events, tells_energy
from llama.neutrinos.response import Response, load_response
from llama.neutrinos.table import ICECUBE, Columns, Neutrino, Rows, to_columns
from llama.neutrinos.truth import Sampler, archive_truth
from llama.stats.healpix import tiles_geometry, unit_vectors
from llama.stats.parameters import SearchParameters

if TYPE_CHECKING:
    from llama.neutrinos.detector import Detector
    from llama.neutrinos.network import AnyResponse
    from llama.stats.direction_map import DirectionMap

Floats = NDArray[np.float64]
Tables = str | Path | Sequence[str | Path]
Truth = Sampler | tuple[Sampler | None, ...] | None


class Site(NamedTuple):
    """What injections are drawn from: tables of the detectors, and the archives beside them."""

    response: "AnyResponse"
    directories: tuple[Path, ...]

    @property
    def identity(self) -> str:
        """That of the archive; of all of a network, with the rates at which events are drawn."""
        found = [Archive.open(directory).identity for directory in self.directories]
        if not isinstance(self.response, Network):
            return found[0]
        rates = [f"{member.ratebgnu:.6g}" for member in self.response.members]
        named = zip(self.response.names, found, rates, strict=True)
        return " ".join(f"{name}={identity}@{rate}" for name, identity, rate in named)

    def events(self) -> Columns:
        """Return the events that background is drawn from."""
        found = [Archive.open(directory).events() for directory in self.directories]
        if not isinstance(self.response, Network):
            return found[0]
        return joined_events(found, [member.ratebgnu for member in self.response.members])

    def truth(self) -> Truth:
        """Return what draws a source's neutrinos, of a network one for each member."""
        if not isinstance(self.response, Network):
            return archive_truth(self.directories[0], self.response)
        # of detectors away from the pole at any time
        both = zip(self.directories, self.response.at(0.0).seeing, strict=True)
        return tuple(archive_truth(directory, response) for directory, response in both)


def open_site(
    tables: Tables,
    search: SearchBlock,
    observing: Sequence[str] | None = None,
    gps: float | None = None,
) -> Site:
    """Return the detectors of `tables`; observing: names of those that are on, None for all.

    gps: of the trigger, at which those away from the pole see the sky; None for means over a day.
    """
    if isinstance(tables, str | Path):
        if "detectors" not in search:
            return Site(load_response(tables), (Path(tables).parent,))
        tables = [tables]
    named = zip(search["detectors"], map(Path, tables), strict=True)
    some = [(name, path) for name, path in named if observing is None or name in observing]
    members = [member_of(name, load_response(p), search) for name, p in some]
    local = {name: found for name, p in some if (found := load_local(p))}
    network = Network(tuple(name for name, _ in some), tuple(members), local)
    if gps is not None:
        network = network.at(gps)
    return Site(network, tuple(path.parent for _, path in some))


def observing(listed: Mapping[str, object]) -> list[str]:
    """Return the names of the detectors that a list says were on, of all if none was.

    A list without detectors is IceCube's alone.
    """
    told = listed.get("detectors")
    if not isinstance(told, Mapping):
        return [ICECUBE]
    return sorted(name for name, one in told.items() if one["on"]) or sorted(told)


def event_columns(events: Rows, response: "AnyResponse") -> Columns:
    """Return the neutrinos of a list as the statistic takes them."""
    columns = to_columns([Neutrino.of(event) for event in events])
    if isinstance(response, Network):
        columns["detector"] = response.numbers(events)
    return columns


def energy_is_missing(columns: Columns, response: "AnyResponse") -> NDArray[np.bool_]:
    """Return which neutrinos have no energy, though their detector tells energies."""
    missing = np.isnan(columns["energy_gev"])
    if isinstance(response, Network):
        tells = np.array([tells_energy(one) for one in response.responses], dtype=bool)
        return np.asarray(missing & tells[columns["detector"]])
    return missing & tells_energy(response)


def misfits(
    columns: Columns, live_s: float, response: "AnyResponse", params: SearchParameters
) -> list[str]:
    """Return how neutrinos in the window are unlike the background of their detector."""
    if not isinstance(response, Network):
        return _misfits(columns, params.ratebgnu * live_s, response)
    found = []
    for number, (name, member) in enumerate(zip(response.names, response.members, strict=True)):
        own = columns["detector"] == number
        of_one = {key: values[own] for key, values in columns.items()}
        expected = member.ratebgnu * live_s
        tables = response.responses[number]
        if response.turned and (seen := response.turned[number]).axis is not None:
            along = seen.along(unit_vectors(of_one["ra_deg"], of_one["dec_deg"]).reshape(-1, 3))
            of_one["dec_deg"], tables = np.degrees(np.arcsin(along)), response.locals[name].response
        said = _misfits(of_one, expected, tables)
        found += [f"{name}: {sentence}" for sentence in said]
    return found


def _misfits(columns: Columns, expected: float, response: "Response | Detector") -> list[str]:
    energy, dec = columns["energy_gev"], np.radians(columns["dec_deg"])
    return unlike_background(np.log10(energy), np.sin(dec), expected, response)


def detector_factor(
    members: Sequence[int],
    columns: Columns,
    response: "AnyResponse",
    maps: Mapping[int, "DirectionMap"],
) -> float | None:
    """Return what the detectors of some neutrinos say: signal over background at their places.

    How probable each one's is for a source at its declination, over that for background there;
    of one whose direction is a map, by its index in `maps`, means over it. None where there is
    only one.
    """
    if not isinstance(response, Network):
        return None
    factors, rates = [], np.array([member.ratebgnu for member in response.members])
    for i in members:
        number = columns["detector"][i]
        if i in maps:
            one = maps[i]
            vectors, shares = tiles_geometry(one.order, one.ipix)[0], one.prob / one.prob.sum()
        else:
            direction = unit_vectors(columns["ra_deg"][i], columns["dec_deg"][i])
            vectors, shares = direction.reshape(1, 3), np.ones(1)
        part = response.fractions_in(vectors)[number] @ shares
        background = rates * (response.background_in(vectors) @ shares)
        factors.append(float(part * background.sum() / background[number]))
    return math.prod(factors)
