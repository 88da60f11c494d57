"""The statistic's parameters: what the settings say, and what they leave to the archive."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llama.neutrinos.network import Network
from llama.neutrinos.response import (
    PUBLISHED_51_100,
    PUBLISHED_FLOOR_DEG,
    PUBLISHED_RATE_HZ,
    Response,
    expected_events,
)
from llama.neutrinos.table import ICECUBE
from llama.settings.search import Search
from llama.stats.cosmology import REDSHIFTS
from llama.stats.parameters import YEAR_S, SearchParameters, WeightParameters

if TYPE_CHECKING:
    from llama.neutrinos.detector import Detector
    from llama.neutrinos.network import AnyResponse
    from llama.stats.network import Member

SearchBlock = Mapping[str, Any]  # `Settings.search_parameters`


def search_parameters(
    search: SearchBlock,
    population: str,
    response: "AnyResponse",
    from_archive: bool = False,
) -> SearchParameters:
    """Return the statistic's parameters from the settings block `search` and the source class.

    What is null there follows from the archive: the expected events from its effective area, the
    errors' floor, and the rate of a list from it (`from_archive`) or where no other stream is
    asked. With `response: published` all of it is as published. A network knows its own.
    """
    if isinstance(response, Network):
        weights = weight_parameters(search, population, response)
        return _parameters(search, weights, response.rate_hz, response.sigma_floor_deg)
    if search["response"] == "published":
        return published_parameters(population, search)
    stream = {**search, "real_time": search["real_time"] and not from_archive}
    return _parameters(
        search,
        weight_parameters(search, population, response),
        stream_rate_hz(stream) or response.rate_hz,
        search["sigma_floor_deg"] or response.sigma_floor_deg,
    )


def published_parameters(population: str, search: SearchBlock | None = None) -> SearchParameters:
    """Return the parameters of the published search, with what `search` says else."""
    search = search or Search(response="published").model_dump(mode="json")
    return _parameters(
        search,
        _weights(search, population, PUBLISHED_51_100),
        search["ratebgnu"] or PUBLISHED_RATE_HZ,
        search["sigma_floor_deg"] or PUBLISHED_FLOOR_DEG,
    )


def stream_rate_hz(search: SearchBlock) -> float | None:
    """Return the background rate of the stream that neutrinos are from, None for the archive's."""
    live = search["real_time"] or search["response"] == "published"
    return search["ratebgnu"] or (PUBLISHED_RATE_HZ if live else None)


def weight_parameters(
    search: SearchBlock, population: str, response: "AnyResponse"
) -> WeightParameters:
    """Return what the weights of a sky map depend on, of the settings in `WEIGHT_SETTINGS`."""
    static = search["response"] == "published"
    if isinstance(response, Network):
        seen = () if static else _network_events_by_redshift(response, search)
        return _weights({**search, "nu_51_100": response.nu_51_100}, population, 0.0, seen)
    if static:
        return _weights(search, population, PUBLISHED_51_100)
    expected, seen = _events_by_redshift(response, search)
    return _weights(search, population, expected, seen)


def _events_by_redshift(
    response: "Response | Detector", search: SearchBlock
) -> tuple[float, tuple[float, ...]]:
    spectrum = search["epsilon_min_gev"], search["epsilon_max_gev"]
    expected = expected_events(response, *spectrum)
    seen = (expected_events(response, *spectrum, z) / expected for z in REDSHIFTS.tolist())
    return expected, tuple(seen)


def _network_events_by_redshift(network: Network, search: SearchBlock) -> tuple[float, ...]:
    """Return what a redshifted spectrum leaves of the events of all members, at `REDSHIFTS`."""
    shares = [member.nu_51_100 / network.nu_51_100 for member in network.members]
    seen = [_events_by_redshift(response, search)[1] for response in network.responses]
    columns = zip(*seen, strict=True)
    return tuple(sum(a * b for a, b in zip(shares, c, strict=True)) for c in columns)


def member_of(name: str, response: "Response | Detector", search: SearchBlock) -> "Member":
    """Return a detector of `neutrinos.detectors`, with its settings or what is null there.

    The numbers of `search` itself, the published ones and the rate of other streams are IceCube's,
    that rate also where an event's list is the archive's.
    """
    from llama.stats.network import Member  # compiles

    own, alone = search["detectors"][name], {**search, "ratebgnu": None, "real_time": False}
    if name == ICECUBE:
        alone |= {name: search.get(name) for name in ("ratebgnu", "real_time")}
    else:
        alone |= {"response": "matrix", "nu_51_100": None}
    population = next(iter(search["assumed_horizon_mpc"]))
    nu_51_100 = own["nu_51_100"] or weight_parameters(alone, population, response).nu_51_100
    rate_hz = own["rate_hz"] or stream_rate_hz(alone) or response.rate_hz
    published = PUBLISHED_FLOOR_DEG if alone["response"] == "published" else None
    floor_deg = search.get("sigma_floor_deg") or published or response.sigma_floor_deg
    return Member(response, nu_51_100, rate_hz, floor_deg)


WEIGHT_SETTINGS = (
    *("response", "fb", "nu_51_100", "Enumin", "Enumax", "epsilon_min_gev", "epsilon_max_gev"),
    "assumed_horizon_mpc",
)
_AS_SET = (
    *("tgwminus", "tgwplus", "tnuminus", "tnuplus", "epsilon_min_gev", "epsilon_max_gev"),
    "max_set_size",
)


def _weights(
    search: SearchBlock, population: str, expected: float, seen: tuple[float, ...] = ()
) -> WeightParameters:
    return WeightParameters(
        search["fb"],
        search["nu_51_100"] or expected,
        search["Enumin"],
        search["Enumax"],
        search["assumed_horizon_mpc"][population],
        seen,
    )


def _parameters(
    search: SearchBlock, weights: WeightParameters, rate_hz: float, floor_deg: float
) -> SearchParameters:
    return SearchParameters(
        **weights._asdict(),
        **{name: search[name] for name in _AS_SET},
        ratebgnu=rate_hz,
        ndotgwnu=search["ndotgwnu_gpc3_yr"] * 1e-9 / YEAR_S,
        sigma_floor_deg=floor_deg,
    )
