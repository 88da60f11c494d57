"""The joint false-alarm rate: how often chance coincides so well with any alert of one kind."""

import math
from collections.abc import Mapping

from llama.event.classes import is_early_warning
from llama.event.results import Significance
from llama.event.skymap_info import EventInfo
from llama.units import YEAR_S, rate_words

# kinds of alert, and the setting of `alert_rates` that has the rate of each
RATES = {
    "significant CBC": "significant_cbc_per_year",
    "low-significance CBC": "low_significance_cbc_per_year",
    "significant burst": "significant_burst_per_year",
    "low-significance burst": "low_significance_burst_per_year",
    "sub-solar-mass": "sub_solar_mass_per_year",
    "early-warning": "early_warning_per_year",
}
_NOT_SENT = {name: name for name in ("injection", "gstlal-offline")} | {"catalogue": "a catalogue"}


def alert_kind(info: EventInfo) -> tuple[str | None, str | None]:
    """Return the kind of an event's alert, one of `RATES`, and else None and why there is none."""
    group, search = str(info.group or "").lower(), str(info.search or "").lower()
    if info.alert_type in _NOT_SENT:
        return None, f"it comes from {_NOT_SENT[info.alert_type]}, and nobody was alerted to it"
    early = "early-warning" if is_early_warning(info) else None
    if kind := early or ("sub-solar-mass" if search == "ssm" else None):
        if info.significant:
            return kind, None
        return None, f"the rate of low-significance {kind} alerts is not known: none are sent"
    # the search of bursts for binary black holes shares threshold and trials with those of binaries
    is_binary = group == "cbc" or (group, search) == ("burst", "bbh")
    if not is_binary and group != "burst":
        return None, "its alert does not say which group of searches found it, CBC or Burst"
    level = "significant" if info.significant else "low-significance"
    return f"{level} {'CBC' if is_binary else 'burst'}", None


def joint_far(
    p_value: float | None,
    p_value_effective: float | None,
    info: EventInfo,
    rates: Mapping[str, float],
) -> dict[str, object]:
    """Return p times the rate of alerts of the event's kind, for significance_*.json.

    p_value_effective: effective number of injections that decide p, below 1 where it is only a
    limit; rates: settings block `alert_rates`. Source: docs/method.md (23).
    """
    kind, reason = alert_kind(info)
    rate = None if kind is None else rates[RATES[kind]]
    if p_value is None:
        reason = "there is no p-value"
    per_year = None if rate is None or p_value is None else p_value * rate
    return {
        "alert_kind": kind,
        "alert_rate_per_year": rate,
        "joint_far_per_year": per_year,
        "joint_far_hz": None if per_year is None else per_year / YEAR_S,
        "joint_far_is_limit": per_year is not None and (p_value_effective or 0.0) < 1,
        "joint_far_reason": reason,
    }


def joint_far_text(result: Significance) -> str:
    """Return the joint false-alarm rate in words, with no more digits than p has; "" if none."""
    per_year, p = result.joint_far_per_year, result.p_value
    if per_year is None or not p:
        return ""
    relative = 0.0 if result.joint_far_is_limit else (result.p_value_error or 0.0) / p
    shown = per_year if per_year >= 1 else 1 / per_year
    # p = 1 has no error: the rate of the alerts themselves
    digits = 3 if p == 1 else _digits(shown, relative)
    return rate_words(per_year, digits, is_limit=result.joint_far_is_limit)


def alert_rate_text(result: Significance) -> str:
    """Return how many alerts of its kind there are, `127 significant CBC alerts per year`."""
    rate = result.alert_rate_per_year
    if rate is None:
        return ""
    number = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
    return f"{number} {result.alert_kind} alert{'' if rate == 1 else 's'} per year"


def _digits(value: float, relative_error: float) -> int:
    """Return how many digits of a value its error leaves: 1, or 2 at most."""
    if not relative_error > 0:
        return 2
    first, last = (math.floor(math.log10(x)) for x in (value, value * relative_error))
    return min(max(first - last + 1, 1), 2)
