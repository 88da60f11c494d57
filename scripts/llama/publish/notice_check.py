"""The strict reading of a notice, as IceCube's live ones are; GCN's schema requires nothing."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from llama.errors import LlamaError
from llama.graceid import EVENT_PATTERN, is_mock
from llama.times import iso_to_gps

TYPE = "IceCube LVK Alert Nu Track Search"
_MOST_S = 2e5  # from the event to an end of the window that the settings permit

Check = tuple[Callable[[Any], bool], str]


def _number(low: float, high: float) -> Check:
    def good(value: Any) -> bool:
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and low <= value <= high
        )

    return good, f"a number from {low:g} to {high:g}"


def _nullable(check: Check) -> Check:
    return lambda value: value is None or check[0](value), f"null or {check[1]}"


def _one_of(*values: Any) -> Check:
    names = ", ".join(str(value) for value in values)
    return lambda value: any(value is v or value == v for v in values), f"one of {names}"


def _text(pattern: str, meaning: str) -> Check:
    return lambda v: isinstance(v, str) and re.fullmatch(pattern, v, re.ASCII) is not None, meaning


def _is_time(value: Any) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9-]{10}T[0-9:]{8}(\.[0-9]+)?Z", value):
        return False
    try:
        iso_to_gps(value)
    except LlamaError:
        return False
    return True


def _pair(high: float) -> Check:
    inside = _number(0, high)[0]

    def good(value: Any) -> bool:
        return (
            isinstance(value, list)
            and len(value) == 2
            and all(inside(item) for item in value)
            and 0 < value[0] <= value[1]
        )

    return good, "two positive numbers, the smaller first"


_TIME: Check = (_is_time, "a UTC time like 2023-09-14T11:14:01.000Z")
_P_VALUE = _nullable(_number(0, 1))
_RA, _DEC = _number(0, 360), _number(-90, 90)
_ID = _text(r"[A-Za-z0-9_.:+-]{1,64}", "an id of at most 64 letters, digits and _")
_LIST: Check = (lambda value: isinstance(value, list) and bool(value), "a list that is not empty")
_OBJECT: Check = (lambda value: isinstance(value, dict), "an object")
_COUNT: Check = (lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 0, "a count")

_REQUIRED: dict[str, Check] = {
    "$schema": _text(
        r"https://gcn\.nasa\.gov/schema/(main|v\d+\.\d+\.\d+)/gcn/notices/icecube/"
        r"lvk_nu_track_search\.schema\.json",
        "the address of the lvk_nu_track_search schema",
    ),
    "type": _one_of(TYPE),
    "reference": _OBJECT,
    "ref_ID": _text(EVENT_PATTERN, "the id of an event"),
    "alert_datetime": _TIME,
    "trigger_time": _TIME,
    "observation_start": _TIME,
    "observation_stop": _TIME,
    "pval_generic": _P_VALUE,
    "pval_bayesian": _P_VALUE,
}
_OPTIONAL: dict[str, Check] = {
    "observation_livetime": _number(0, 2 * _MOST_S),
    "n_events_coincident": _COUNT,
    "coincident_events": _LIST,
    "most_probable_direction": _OBJECT,
    "neutrino_flux_sensitivity_range": _OBJECT,
    "alert_tense": _one_of("current", "test"),
    "alert_type": _one_of("initial", "update", "retraction"),
    "record_number": _COUNT,
    "additional_info": _text(r"[\x20-\x7e]{1,1000}", "a line of at most 1000 letters"),
}
_EVENT: dict[str, Check] = {
    "event_dt": _number(-_MOST_S, _MOST_S),
    "localization": _OBJECT,
    "id": _LIST,
    "event_pval_generic": _P_VALUE,
    "event_pval_bayesian": _P_VALUE,
}
_LOCALIZATION: dict[str, Check] = {
    "ra": _RA,
    "dec": _DEC,
    "ra_dec_error": _number(0, 180),
    "containment_probability": _one_of(0.9),
    "systematic_included": (lambda value: isinstance(value, bool), "true or false"),
}
_REFERENCE: dict[str, Check] = {
    "gcn.notices.LVK.alert": _text(
        rf"{EVENT_PATTERN}-\d+-[A-Za-z]+", "a name like S230914ak-2-Preliminary"
    )
}
# what is inside of fields that are objects
_NESTED: dict[str, dict[str, Check]] = {
    "reference": _REFERENCE,
    "most_probable_direction": {"ra": _RA, "dec": _DEC},
    "neutrino_flux_sensitivity_range": {
        "flux_sensitivity": _pair(1e12),
        "sensitive_energy_range": _pair(1e12),
    },
}


def check_notice(content: object) -> None:
    """Raise `LlamaError` unless `content` is complete, in range, consistent and nothing more."""
    notice = _check_fields("", content, _REQUIRED, _OPTIONAL)
    for name, fields in _NESTED.items():
        if name in notice:
            _check_fields(f"{name}.", notice[name], fields)
    events = notice.get("coincident_events", [])
    for k, event in enumerate(events):
        where = f"coincident_events[{k}]."
        _check_fields(where, event, _EVENT)
        _check_fields(f"{where}localization.", event["localization"], _LOCALIZATION)
        for identity in event["id"]:
            _check_field(f"{where}id", identity, _ID)
    _check_consistency(notice, events)


def _check_fields(
    where: str, value: Any, required: dict[str, Check], optional: dict[str, Check] | None = None
) -> Mapping[str, Any]:
    _check_field(where or "the notice", value, _OBJECT)
    known = required | (optional or {})
    for name in required:
        if name not in value:
            raise _refusal(f"lacks {where}{name}")
    for name, content in value.items():
        if name not in known:
            raise _refusal(f"has the unknown field {where}{str(name)[:40]}")
        _check_field(f"{where}{name}", content, known[name])
    return dict(value)


def _check_field(name: str, value: Any, check: Check) -> None:
    if not check[0](value):
        raise _refusal(f"has {name} = {repr(value)[:40]}, which is not {check[1]}")


def _check_consistency(notice: Mapping[str, Any], events: list[Any]) -> None:
    trigger = iso_to_gps(notice["trigger_time"])
    start, stop = (iso_to_gps(notice[f"observation_{end}"]) for end in ("start", "stop"))
    if not trigger - _MOST_S <= start < stop <= trigger + _MOST_S:
        raise _refusal("has an observation that is not about trigger_time")
    if notice.get("observation_livetime", 0) > stop - start + 0.5:
        raise _refusal("has an observation_livetime longer than its observation")
    if not all(start - 0.01 <= trigger + event["event_dt"] <= stop + 0.01 for event in events):
        raise _refusal("has an event_dt outside of its observation")
    # a set that only together is unlikely is listed, and its members are not counted
    if notice.get("n_events_coincident", -len(events)) > len(events):
        raise _refusal("has a larger n_events_coincident than its list of events")
    if (
        "n_events_coincident" in notice
        and notice["pval_bayesian"] is notice["pval_generic"] is None
    ):
        raise _refusal("has an n_events_coincident without any p-value")
    if not notice["reference"]["gcn.notices.LVK.alert"].startswith(f"{notice['ref_ID']}-"):
        raise _refusal("has a reference to an alert of another event than ref_ID")
    if is_mock(notice["ref_ID"]) and notice.get("alert_tense") == "current":
        raise _refusal("calls a mock event current")


def _refusal(problem: str) -> LlamaError:
    return LlamaError(
        f"the notice {problem}; correct the event's files and make gcn_notice.json again"
    )
