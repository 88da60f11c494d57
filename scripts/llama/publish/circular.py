"""A text for a GCN Circular, for a human to read, correct and send. LLAMA sends none itself."""

import textwrap

from llama.errors import LlamaError
from llama.event.joint_far import alert_rate_text, joint_far_text
from llama.event.located import Combined
from llama.event.results import NeutrinoList, Sensitivity, Significance, Single
from llama.event.skymap_info import EventInfo
from llama.neutrinos.table import list_window
from llama.publish.notice import bayesian_p_value, coincident_neutrinos, is_observation
from llama.times import gps_to_iso, iso_to_gps

PUBLIC_BELOW = 0.01  # circulars are for p-values below 1 %
_FEW = 10  # injections that decide a p-value: with fewer its error is a third of it and more

# GCN takes a subject that has one of these words (ours are a part of its list) ...
SUBJECT_KEYWORDS = ("GW", "IceCube", "KAGRA", "LIGO", "LVC", "LVK", "Virgo")
# ... and none of these, which mark automatic replies and forwarded mail.
SUBJECT_FORBIDDEN = (
    *("auto reply", "automatic reply", "autoreply", "away from", "delivery failure", "draft"),
    *("fwd: ", "out of office", "out of the office", "out of town", " r: ", "re: "),
    *("returned mail", " ris: ", "subject:", "vacation"),
)


def subject_is_accepted(subject: str) -> bool:
    """Return whether GCN would accept a subject line."""
    lower = subject.lower()
    return any(word.lower() in lower for word in SUBJECT_KEYWORDS) and not any(
        word in lower for word in SUBJECT_FORBIDDEN
    )


def draft_circular(
    info: EventInfo,
    significance: Significance,
    neutrinos: NeutrinoList,
    role: str = "observation",
    combined: Combined | None = None,
) -> str:
    """Return the draft: a warning for the reader, the subject and the text.

    `combined` tells where the source is, which is said if neutrinos are listed.
    The subject of a test event is one that GCN refuses, so that such a draft cannot become a
    circular by mistake; `role` is the flag ROLE. `LlamaError` for an event without a time.
    """
    if not info.event_time:
        raise LlamaError(
            f"{info.graceid} has no event time; a text can be made once its alert has come"
        )
    joint, significance = significance, significance.of_neutrinos
    real = is_observation(info, neutrinos, role)
    p_value = bayesian_p_value(info, significance)
    head = ["DRAFT - not sent. Read it, correct it, and send it by hand if it is to be sent."]
    if info.retracted:
        head.append("The gravitational-wave alert was RETRACTED.")
    complete, unusable = neutrinos.complete, "; ".join(neutrinos.unusable)
    if unusable:
        head.append(f"The neutrino list is INCOMPLETE: {' '.join(unusable.split())[:500]}.")
    elif not complete:
        head.append("The neutrino list is PROVISIONAL: wait for the final result.")
    livetime_s = neutrinos.livetime_s
    if livetime_s is None:
        head.append(
            f"The neutrino list does not say how long {neutrinos.observer} observed; find out and "
            "add it."
        )
    if assumed := significance.assumed_distance:
        head.append(f"The sky map has no distance: {assumed.words}.")
    if misfit := significance.misfit:
        head.append(misfit)
    if bursts := joint.bursts_of:
        head.append(
            f"p-values here are of neutrinos alone. With the gamma-ray bursts of {bursts}: "
            f"odds ratio {joint.odds_ratio:.3g}, p-value {joint.p_text or 'not available'}."
        )
    head += _few(significance)
    if p_value is None:
        head.append("There is no p-value: this text neither reports nor excludes a counterpart.")
        head.append(f"Reason: {_no_p_value(info, significance)}.")
        if significance.odds_ratio is not None:
            head.append(f"The odds ratio of a common source is {significance.odds_ratio:.3g}.")
    elif p_value >= PUBLIC_BELOW:
        head.append(
            "Circulars are sent for p-values below 0.01; this result does not meet that threshold."
        )
    parts = [
        "\n".join(f"# {line}" for line in head),
        f"SUBJECT: {_subject(info, significance, complete, real)}",
        *([] if real else ["THIS IS A TEST. It does not describe a real observation."]),
        "[reporting collaboration] reports:",
        _wrap(_search(info, significance, neutrinos)),
        *_result(info, significance, real),
        *_source(combined if coincident_neutrinos(info, significance) else None, bursts),
        *_sensitivity(significance.neutrino_flux_sensitivity_range),
        "[1] Bartos et al. 2019, Phys. Rev. D 100, 083017\n"
        "[2] Countryman et al. 2019, arXiv:1901.05486",
    ]
    return "\n\n".join(parts) + "\n"


def _few(significance: Significance) -> list[str]:
    """Return a warning where few injections decide a p-value that is not 1."""
    effective, p_value = significance.p_value_effective, significance.p_value
    if p_value is None or p_value >= 1 or effective is None:
        return []
    error = significance.p_value_error or 0.0
    if effective >= _FEW and error <= p_value / _FEW**0.5:
        return []
    return [
        f"p = {p_value:.1g} ± {error:.1g}, and {effective:.1f} injections decide it: "
        "make more before it is sent (background.map_injections, or a study of the class)."
    ]


def _wrap(paragraph: str) -> str:
    return textwrap.fill(paragraph, 80, break_long_words=False, break_on_hyphens=False)


def _subject(info: EventInfo, significance: Significance, complete: bool, real: bool) -> str:
    listed, p_value = coincident_neutrinos(info, significance), bayesian_p_value(info, significance)
    if info.retracted:
        what = "neutrino search for a retracted candidate"
    elif p_value is None:
        what = "neutrino search without a p-value"
    elif listed is None:
        what = f"neutrino search with a p-value of {significance.p_text}"
    else:
        n = len(listed)
        what = f"{n or 'no'} counterpart neutrino candidate{'' if n == 1 else 's'} "
        what += "from a neutrino search" if complete else "so far from a neutrino search"
    if real:
        return f"LIGO/Virgo/KAGRA {info.graceid}: {what}"
    return f"[TEST, do not submit] {info.graceid}: {what}"


def _no_p_value(info: EventInfo, significance: Significance) -> str:
    if info.retracted:
        return "the alert was retracted"
    if significance.p_value is not None:
        return "the search assumes a binary merger, and this candidate is a burst"
    return " ".join(str(significance.p_value_reason or "none was computed").split())[:300]


def _search(info: EventInfo, significance: Significance, neutrinos: NeutrinoList) -> str:
    window, livetime_s = list_window(neutrinos.window), neutrinos.livetime_s
    detectors = f" Neutrinos are those of {neutrinos.observed}." if neutrinos.observed else ""
    trigger = iso_to_gps(info.event_time or "")
    start, stop = (
        gps_to_iso(trigger + end_s, 0).replace("T", " ").removesuffix("Z") for end_s in window
    )
    level = "" if info.significant else "low-significance "
    window_s = round(window.length_s)
    live = ""
    if livetime_s is not None:
        live = (
            f" {neutrinos.observer.capitalize()} observed during {neutrinos.least}"
            f"{round(livetime_s)} of these {window_s} s."
        )
    response = ""
    if significance.response and significance.odds_ratio is not None:
        response = f" Neutrino energies and point spread: {significance.response}."
    return (
        "We have searched for track-like muon neutrino candidates that agree in direction with "
        f"the {level}gravitational-wave candidate {info.graceid} and lie in the {window_s} "
        f"seconds {window.words('centered on')} its time ({start} UTC to {stop} UTC). The search "
        "is Bayesian: it assumes a binary merger as the source of both messengers and uses the "
        "distance that the sky map "
        "gives as a prior [1,2]."
        + response
        + detectors
        + live
        + ("" if neutrinos.complete else " More neutrinos may still come.")
    )


def _result(info: EventInfo, significance: Significance, real: bool) -> list[str]:
    notice = info.notice or info.graceid
    listed, p_value = coincident_neutrinos(info, significance), bayesian_p_value(info, significance)
    if info.retracted:
        return [_wrap(f"The candidate was retracted ({notice}): no result is reported for it.")]
    coincidence = f"in coincidence with the sky map of {notice}"
    if p_value is None:
        found = f"No p-value is available for the sky map of {notice}. A counterpart is neither "
        return [_wrap(f"{found}reported nor excluded.")]
    if listed is None:
        found = f"Which neutrinos are {coincidence} was not tested one by one."
    else:
        n = len(listed)
        words = {0: "No neutrino candidate is", 1: "One neutrino candidate is"}
        found = f"{words.get(n, f'{n} neutrino candidates are')} found {coincidence}."
    result = (
        f"{found} The overall p-value of the Bayesian search is {significance.p_text}. "
        "It states how often the atmospheric background alone gives a coincidence at least as "
        f"convincing for {significance.p_is_for}; it is not corrected for trials over several "
        f"gravitational-wave candidates. {_false_alarm_rate(significance, listed)}"
    )
    if not listed:
        return [_wrap(result)]
    where = "in IceCube's simulation " if significance.simulated else ""
    return [
        _wrap(result),
        "Neutrino candidates, with the p-value that each has by itself:",
        _table(listed, real),
        _wrap(
            "where dt is the time of the neutrino minus the time of the gravitational wave, "
            "and the radius is that of the circle that holds the true direction with 90 % "
            f"probability {where}(statistical error only)."
        ),
        *[
            _wrap(
                f"The direction of the neutrino of dt = {one.dt:+.2f} s is {one.map_words}; radius "
                "and p-values are those of a circle of equal area."
            )
            for one in listed
            if one.map_words
        ],
    ]


def _false_alarm_rate(significance: Significance, listed: list[Single] | None) -> str:
    words = joint_far_text(significance)
    which = "of such a result" if listed == [] else "of this coincidence"
    if not words:
        return (
            f"The false alarm rate {which} can be obtained by multiplying the p-value "
            "with the corresponding GW trigger rate."
        )
    return (
        f"The false alarm rate {which} is {words}: the p-value multiplied with the "
        f"corresponding GW trigger rate, {alert_rate_text(significance)}."
    )


def _table(listed: list[Single], real: bool) -> str:
    title = "    dt (s)   RA (deg)  Dec (deg)   90 % radius (deg)   p-value"
    title += "   detector" if any(s.detector for s in listed) else ""
    rows = [
        f"{s.dt:+10.2f} {s.ra:10.2f} {s.dec:+10.2f} {s.circle_deg:19.2f} {s.p_text:>9}"
        + (f"   {s.detector}" if s.detector else "")
        for s in listed
        if s.p_text is not None
    ]
    return "\n".join([title + ("" if real else "   (TEST)"), "-" * len(title), *rows])


def _source(combined: Combined | None, bursts: str) -> list[str]:
    said = "; ".join(f"{given}: {words}" for given, words in combined.said()) if combined else ""
    count = f" The last two count the gamma-ray bursts of {bursts}." if bursts else ""
    return [_wrap(f"Credible regions of the source, {said}.{count}")] if said else []


def _sensitivity(sensitivity: Sensitivity | None) -> list[str]:
    if not sensitivity or not sensitivity.flux_sensitivity:
        return []
    low, high = sensitivity.flux_sensitivity
    bottom, top = sensitivity.sensitive_energy_range
    text = (
        "For an E^-2 spectrum (E^2 dN/dE) the time-integrated sensitivity within the 90 % region "
        f"of the sky map ranges from {low:.3g} to {high:.3g} GeV cm^-2; the central 90 % of "
        f"the events of such a source have energies from {bottom:.3g} to {top:.3g} GeV."
    )
    return [_wrap(text)]
