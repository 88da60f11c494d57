"""The explanation of an event's odds, as its result tells it."""

from collections.abc import Mapping, Sequence
from typing import Required, TypedDict

from llama.stats.explain import Explanation
from llama.stats.parameters import SearchParameters


class Told(TypedDict, total=False):
    """The key `explanation` of a result."""

    members: Required[list[object]]
    factors: Required[dict[str, float]]
    probability_of_count: float
    expected_background: float
    fb: float


def told_explanation(
    why: Explanation | None, events: Sequence[Mapping[str, object]], params: SearchParameters
) -> Told | None:
    """Return why the odds are what they are, as a result tells it."""
    if why is None:
        return None
    return {
        "members": [events[i]["id"] for i in why.members],
        "factors": why.factors,
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
