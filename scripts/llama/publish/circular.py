"""A text for a GCN Circular, for a human to read, correct and send. LLAMA sends none itself."""

import textwrap
from collections.abc import Mapping
from typing import Any

from llama.errors import LlamaError
from llama.publish.notice import (
    HALF_WINDOW_S,
    R90_PER_SIGMA,
    bayesian_p_value,
    coincident_neutrinos,
    is_observation,
)
from llama.times import gps_to_iso, iso_to_gps

PUBLIC_BELOW = 0.01  # circulars are for p-values below 1 %

# GCN takes a subject that has one of these words (ours are a part of its list) ...
SUBJECT_KEYWORDS = ("GW", "IceCube", "KAGRA", "LIGO", "LVC", "LVK", "Virgo")
# ... and none of these, which mark automatic replies and forwarded mail.
SUBJECT_FORBIDDEN = (
    "auto reply",
    "automatic reply",
    "autoreply",
    "away from",
    "delivery failure",
    "draft",
    "fwd: ",
    "out of office",
    "out of the office",
    "out of town",
    " r: ",
    "re: ",
    "returned mail",
    " ris: ",
    "subject:",
    "vacation",
)


def subject_is_accepted(subject: str) -> bool:
    """Return whether GCN would accept a subject line."""
    lower = subject.lower()
    return any(word.lower() in lower for word in SUBJECT_KEYWORDS) and not any(
        word in lower for word in SUBJECT_FORBIDDEN
    )


def draft_circular(
    info: Mapping[str, Any],
    significance: Mapping[str, Any],
    neutrino_list: Mapping[str, Any],
    sensitivity: Mapping[str, Any] | None = None,
) -> str:
    """Return the draft: a warning for the reader, the subject and the text.

    The subject of a test event is one that GCN refuses, so that such a draft cannot become a
    circular by mistake. `LlamaError` for an event without a time.
    """
    if not info.get("event_time"):
        raise LlamaError(
            f"{info.get('graceid')} has no event time; a text can be made once its alert has come"
        )
    real = is_observation(info, neutrino_list)
    p_value = bayesian_p_value(info, significance)
    listed = coincident_neutrinos(info, significance)
    head = ["DRAFT - not sent. Read it, correct it, and send it by hand if it is to be sent."]
    if info.get("retracted"):
        head.append("The gravitational-wave alert was RETRACTED.")
    if not neutrino_list.get("complete"):
        head.append("The neutrino list is PROVISIONAL: wait for the final result.")
    if p_value is None or p_value >= PUBLIC_BELOW:
        head.append("Circulars are sent for p-values below 0.01: this result does not ask for one.")
    parts = [
        "\n".join(f"# {line}" for line in head),
        f"SUBJECT: {_subject(info, len(listed), real)}",
        *([] if real else ["THIS IS A TEST. It does not describe a real observation."]),
        "[reporting collaboration] reports:",
        _wrap(_search(info)),
        *_result(info, p_value, listed, real),
        *map(_wrap, _sensitivity(sensitivity)),
        "[1] Bartos et al. 2019, Phys. Rev. D 100, 083017\n"
        "[2] Countryman et al. 2019, arXiv:1901.05486",
    ]
    return "\n\n".join(parts) + "\n"


def _wrap(paragraph: str) -> str:
    return textwrap.fill(paragraph, 80, break_long_words=False, break_on_hyphens=False)


def _subject(info: Mapping[str, Any], n: int, real: bool) -> str:
    found = "no" if n == 0 else str(n)
    what = f"{found} counterpart neutrino candidate{'' if n == 1 else 's'} from a neutrino search"
    if real:
        return f"LIGO/Virgo/KAGRA {info['graceid']}: {what}"
    return f"[TEST, do not submit] {info['graceid']}: {what}"


def _search(info: Mapping[str, Any]) -> str:
    trigger = iso_to_gps(info["event_time"])
    start, stop = (
        gps_to_iso(trigger + shift, 0).replace("T", " ").removesuffix("Z")
        for shift in (-HALF_WINDOW_S, HALF_WINDOW_S)
    )
    level = "" if info.get("significant", True) else "low-significance "
    return (
        "We have searched for track-like muon neutrino candidates that agree in direction with "
        f"the {level}gravitational-wave candidate {info['graceid']} and lie in the 1000 seconds "
        f"centred on its time ({start} UTC to {stop} UTC). The search is Bayesian: it assumes a "
        "binary merger as the source of both messengers and uses the distance that the sky map "
        "gives as a prior [1,2]."
    )


def _result(
    info: Mapping[str, Any], p_value: float | None, listed: list[Mapping[str, Any]], real: bool
) -> list[str]:
    notice = info.get("notice") or info["graceid"]
    if p_value is None:
        return [_wrap(f"No p-value is available for the sky map of {notice}.")]
    count = {0: "No neutrino candidate is", 1: "One neutrino candidate is"}.get(
        len(listed), f"{len(listed)} neutrino candidates are"
    )
    result = (
        f"{count} found in coincidence with the sky map of {notice}. The overall p-value of the "
        f"Bayesian search is {_p_text(p_value)}. It states how often the atmospheric background "
        "alone gives a coincidence at least as convincing for a map of this kind; it is not "
        "corrected for trials over several gravitational-wave candidates. The false-alarm rate "
        "of the coincidence is the p-value times the rate of such candidates."
    )
    if not listed:
        return [_wrap(result)]
    return [
        _wrap(result),
        "Neutrino candidates with a p-value of their own below 0.1:",
        _table(listed, real),
        _wrap(
            "where dt is the time of the neutrino minus the time of the gravitational wave, "
            "and the radius is that of the circle that holds the true direction with 90 % "
            "probability (statistical error only)."
        ),
    ]


def _table(listed: list[Mapping[str, Any]], real: bool) -> str:
    title = "    dt (s)   RA (deg)  Dec (deg)   90 % radius (deg)   p-value"
    rows = [
        f"{s['dt']:+10.2f} {s['ra']:10.2f} {s['dec']:+10.2f} {s['sigma'] * R90_PER_SIGMA:19.2f}"
        f" {_p_text(s['p_value']):>9}"
        for s in listed
    ]
    return "\n".join([title + ("" if real else "   (TEST)"), "-" * len(title), *rows])


def _p_text(p_value: float) -> str:
    return f"{p_value:.1e}" if p_value < 1e-4 else f"{p_value:.4f}"


def _sensitivity(sensitivity: Mapping[str, Any] | None) -> list[str]:
    if not sensitivity or not sensitivity["flux_sensitivity"]:
        return []
    low, high = sensitivity["flux_sensitivity"]
    bottom, top = sensitivity["sensitive_energy_range"]
    return [
        "For an E^-2 spectrum (E^2 dN/dE) the time-integrated sensitivity within the 90 % region "
        f"of the sky map ranges from {low:.3g} to {high:.3g} GeV cm^-2; the central 90 % of "
        f"the events of such a source have energies from {bottom:.3g} to {top:.3g} GeV."
    ]
