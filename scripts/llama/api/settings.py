"""The settings of a search as keyword arguments, checked as those of `config.yaml` are."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from llama.errors import LlamaError
from llama.event.parameters import SearchBlock
from llama.settings import from_dict
from llama.settings.problems import find_problems


class SearchSettings(TypedDict, total=False):
    """The block `search` of the settings, whose units and defaults are in docs/settings.md."""

    response: Literal["matrix", "published"]
    fb: float
    nu_51_100: float | None
    Enumin: float
    Enumax: float
    ratebgnu: float | None
    ndotgwnu_gpc3_yr: float
    tgwminus: float
    tgwplus: float
    tnuminus: float
    tnuplus: float
    epsilon_min_gev: float
    epsilon_max_gev: float
    sigma_floor_deg: float | None
    far_signal_rate_hz: float
    max_set_size: int
    assumed_horizon_mpc: dict[str, float]


def search_block(settings: Mapping[str, Any], archives: Mapping[str, str]) -> SearchBlock:
    """Return the settings block `search`; archives: of each detector of a network, by name."""
    raw: dict[str, object] = {"search": dict(settings)}
    if archives:
        detectors = {name: {"archive": archive} for name, archive in archives.items()}
        raw["neutrinos"] = {"detectors": detectors}
    if problems := find_problems(raw):
        raise LlamaError("; ".join(problem.sentence for problem in problems))
    return from_dict(raw).search_parameters()
