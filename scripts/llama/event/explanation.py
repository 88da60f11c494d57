"""The explanation of an event's odds, as its result tells it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Required, TypedDict

from llama.event.detectors import detector_factor
from llama.neutrinos.table import Columns
from llama.stats.direction_map import DirectionMap
from llama.stats.explain import Explanation
from llama.stats.parameters import SearchParameters

if TYPE_CHECKING:
    from llama.neutrinos.network import AnyResponse


class Told(TypedDict, total=False):
    """The key `explanation` of a result."""

    members: Required[list[object]]
    factors: Required[dict[str, float]]
    probability_of_count: float
    expected_background: float
    fb: float


def told_explanation(
    why: Explanation | None,
    events: Sequence[Mapping[str, object]],
    params: SearchParameters,
    columns: Columns,
    response: "AnyResponse",
    maps: Mapping[int, DirectionMap],
) -> Told | None:
    """Return what odds are made of, with the ids of the neutrinos; None of odds of 0.

    columns, maps: of all neutrinos `events`.
    """
    if why is None:
        return None
    factors, detector = why.factors, detector_factor(why.members, columns, response, maps)
    if detector:  # what energies seem to say otherwise
        factors = factors | {"energy": factors["energy"] / detector, "detector": detector}
    return {
        "members": [events[i]["id"] for i in why.members],
        "factors": factors,
        "probability_of_count": why.probability_of_count,
        "expected_background": why.expected_background,
        "fb": params.fb,
    }


def explanation_with_bursts(explanation: Told | None, alone: float, joint: float) -> Told | None:
    """Return the explanation with what bursts, there or not, change: one more factor.

    Odds that bursts give without any neutrino are that factor alone.
    """
    if not joint > 0:
        return None
    known: Told = explanation or {"members": [], "factors": {}}
    gain = joint / alone if explanation else joint
    return {**known, "factors": known["factors"] | {"bursts": gain}}
