"""The machine-readable notice: GCN's `lvk_nu_track_search` form."""

import re
from collections.abc import Sequence

from msgspec.structs import asdict

from llama.errors import LlamaError
from llama.event.compared import PValue
from llama.event.joint_far import alert_rate_text, joint_far_text
from llama.event.located import Combined
from llama.event.results import NeutrinoList, Significance, Single
from llama.event.skymap_info import EventInfo
from llama.event.vetoes import signs_of_test
from llama.neutrinos.table import list_window
from llama.publish.notice_check import TYPE, check_notice
from llama.times import gps_to_iso, iso_to_gps, now_gps

SCHEMA = "https://gcn.nasa.gov/schema/v7.2.3/gcn/notices/icecube/lvk_nu_track_search.schema.json"
LISTED_BELOW = 0.1  # neutrinos are listed when the overall p-value and their own are below this


def is_observation(info: EventInfo, neutrinos: NeutrinoList, role: str) -> bool:
    """Return whether every sign says that event and neutrinos are real; role: the flag ROLE."""
    return not signs_of_test(info, role, (neutrino.type for neutrino in neutrinos.events))


def rounded_p(result: PValue) -> float | None:
    """Return a p-value rounded as IceCube does, a limit upwards; None where there is none."""
    return None if result.p_text is None else float(result.p_text.removeprefix("< "))


def bayesian_p_value(info: EventInfo, significance: Significance) -> float | None:
    """Return the p-value to publish: none for bursts (no merger to assume) and retractions."""
    if info.retracted or str(info.group).lower() == "burst":
        return None
    return significance.p_value


def coincident_neutrinos(info: EventInfo, significance: Significance) -> list[Single] | None:
    """Return the single neutrinos to list, best first, None when nobody can say which.

    Those with their own and the overall p-value below 0.1; where none of them is so by itself,
    the members of the set that gives most of the odds. Without an overall p-value, or one of each
    neutrino where that matters, nothing was tested.
    """
    significance = significance.of_neutrinos
    overall = bayesian_p_value(info, significance)
    if overall is None:
        return None
    if overall >= LISTED_BELOW:
        return []
    singles = significance.single_neutrino
    known = [(single, single.p_value) for single in singles if single.p_value is not None]
    if len(known) < len(singles):
        return None
    members = significance.explanation.members if significance.explanation else []
    known.sort(key=lambda pair: pair[1])
    return [single for single, p_value in known if p_value < LISTED_BELOW] or [
        single for single, _ in known if single.id in members
    ]


def build_notice(
    info: EventInfo,
    significance: Significance,
    neutrinos: NeutrinoList,
    *,
    alert_datetime: str | None = None,
    role: str = "observation",
    combined: Combined | None = None,
) -> dict[str, object]:
    """Return the content of `gcn_notice.json`, checked: of neutrinos, without gamma-ray bursts.

    `alert_datetime` is the notice's own time (UTC, default now); `role` is the flag ROLE;
    `combined` tells where the source is, which is said if neutrinos are listed. `LlamaError` when
    the event's data cannot make a valid notice.
    """
    if not info.event_time:
        raise LlamaError(
            f"{info.graceid} has no event time; a notice can be made once its alert has come"
        )
    bursts, significance = significance.bursts_of, significance.of_neutrinos
    trigger = iso_to_gps(info.event_time)
    created = now_gps() if alert_datetime is None else iso_to_gps(alert_datetime)
    listed, overall = coincident_neutrinos(info, significance), bayesian_p_value(info, significance)
    revision = int(info.revision or 1)
    window = list_window(neutrinos.window)
    notice: dict[str, object] = {
        "$schema": SCHEMA,
        "type": TYPE,
        "alert_tense": "current" if is_observation(info, neutrinos, role) else "test",
        "alert_type": "retraction" if info.retracted else "initial" if revision == 1 else "update",
        "record_number": revision,
        "reference": {"gcn.notices.LVK.alert": info.notice},
        "ref_ID": info.graceid,
        "alert_datetime": gps_to_iso(created, 3),
        "trigger_time": gps_to_iso(trigger, 3),
        "observation_start": gps_to_iso(trigger + window.start_s, 3),
        "observation_stop": gps_to_iso(trigger + window.stop_s, 3),
        "pval_generic": None,  # IceCube's own likelihood search, which LLAMA does not run
        "pval_bayesian": None if overall is None else rounded_p(significance),
    }
    # what is not known is left out: the schema permits that, and 0 would deny what was not tested
    if neutrinos.livetime_s is not None:
        notice["observation_livetime"] = round(neutrinos.livetime_s)
    if listed is not None:
        notice["n_events_coincident"] = sum(map(_is_listed, listed))
    said = _said(significance, overall, listed or [])
    if observed := neutrinos.observed:
        said.append(f"neutrinos of {_line(observed)}")
    if not neutrinos.complete:
        said.append("the list of neutrinos is not complete")
    if listed and combined:
        said += [f"source {given}: {words}" for given, words in combined.said()]
        if bursts and combined.coincidence:
            said.append(f"the last two count gamma-ray bursts of {_line(bursts)}")
    if said and not info.retracted:
        notice["additional_info"] = "; ".join(said)
    if listed:
        notice["coincident_events"] = [_coincident_event(single) for single in listed]
    sensitivity = significance.neutrino_flux_sensitivity_range
    if sensitivity and sensitivity.flux_sensitivity:
        notice["neutrino_flux_sensitivity_range"] = {
            name: [float(f"{value:.3g}") for value in values]
            for name, values in asdict(sensitivity).items()
        }
    check_notice(notice)
    return notice


def _id(single: Single) -> str:
    name = f"{single.detector}:{single.key}" if single.detector else single.key
    return re.sub(r"[^A-Za-z0-9_.:+-]", "_", name)[:64]


def _line(text: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "_", text)[:300]


def _is_listed(single: Single) -> bool:
    return single.p_value is not None and single.p_value < LISTED_BELOW


def _said(significance: Significance, overall: float | None, listed: Sequence[Single]) -> list[str]:
    """Return what the schema has no field for."""
    said = []
    if overall is not None:
        said.append(f"p-values are for {significance.p_is_for}")
        if significance.p_is_limit:
            said.append("pval_bayesian is an upper limit")
        if limits := [_id(one) for one in listed if one.p_is_limit and _is_listed(one)]:
            said.append(f"event_pval_bayesian is an upper limit for {', '.join(limits[:5])}")
        if words := joint_far_text(significance):
            said.append(
                f"false alarm rate of the coincidence: {words}, pval_bayesian times the GW trigger "
                f"rate, {alert_rate_text(significance)}"
            )
    maps = [f"{_id(one)} is {one.map_words}" for one in listed if one.map_words]
    if maps:
        said.append(f"the direction of {', of '.join(maps[:2])}")
        said.append("p-values and ra_dec_error are those of circles of equal area")
    if significance.response:
        said.append(f"energies and point spread: {significance.response}")
    return said


def _coincident_event(single: Single) -> dict[str, object]:
    return {
        "event_dt": round(single.dt, 2),
        "localization": {
            "ra": round(single.ra, 2) % 360,
            "dec": round(single.dec, 2),
            "ra_dec_error": round(single.circle_deg, 2),
            "containment_probability": 0.9,
            "systematic_included": False,
        },
        "id": [_id(single)],
        "event_pval_generic": None,
        # of a set that only together is unlikely, as the notice's definition says
        "event_pval_bayesian": rounded_p(single) if _is_listed(single) else None,
    }
