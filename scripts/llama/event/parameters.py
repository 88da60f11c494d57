"""The statistic's parameters: what the settings say, and what they leave to the archive."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llama.neutrinos.response import (
    PUBLISHED_51_100,
    PUBLISHED_FLOOR_DEG,
    PUBLISHED_RATE_HZ,
    Response,
    expected_events,
)
from llama.settings.search import Search
from llama.stats.cosmology import REDSHIFTS
from llama.stats.parameters import YEAR_S, SearchParameters, WeightParameters

if TYPE_CHECKING:
    from llama.neutrinos.detector import Detector

SearchBlock = Mapping[str, Any]  # `Settings.search_parameters`


def search_parameters(
    search: SearchBlock,
    population: str,
    response: "Response | Detector",
    from_archive: bool = False,
) -> SearchParameters:
    """Return the statistic's parameters from the settings block `search` and the source class.

    What is null there follows from the archive: the expected events from its effective area, the
    errors' floor, and the rate of a list from it (`from_archive`) or where no other stream is
    asked. With `response: published` all of it is as published.
    """
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
    search: SearchBlock, population: str, response: "Response | Detector"
) -> WeightParameters:
    """Return what the weights of a sky map depend on, of the settings in `WEIGHT_SETTINGS`."""
    if search["response"] == "published":
        return _weights(search, population, PUBLISHED_51_100)
    spectrum = search["epsilon_min_gev"], search["epsilon_max_gev"]
    expected = expected_events(response, *spectrum)
    seen = tuple(expected_events(response, *spectrum, z) / expected for z in REDSHIFTS.tolist())
    return _weights(search, population, expected, seen)


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
