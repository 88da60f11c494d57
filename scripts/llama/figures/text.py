"""Words and numbers of the figures and the summary page.

Alerts are written by others: every text of theirs passes through `clean` before it is shown.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping

from llama.event.compared import Compared, Number
from llama.event.joint_far import alert_rate_text, joint_far_text
from llama.event.located import Combined
from llama.event.results import (
    Neutrino,
    Significance,
    gaussian_circle_deg,
)
from llama.event.skymap_info import EventInfo
from llama.event.vetoes import signs_of_test
from llama.neutrinos.table import OF_EACH
from llama.stats.window import PUBLISHED
from llama.units import YEAR_S, p_value_text, rate_words

MISSING = "–"


def clean(text: object, limit: int = 80) -> str:
    """Return `text` on one line of about `limit`, without control, format or private characters."""
    words = "".join(
        character if unicodedata.category(character)[0] != "C" else " "
        for character in str(text)[: 4 * limit]
    ).split()
    shown = " ".join(words)
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"


def plain(text: object, limit: int = 80) -> str:
    """Return `text` as `clean` does, with `?` for what the fonts of the figures do not have."""
    return clean(text, limit).encode("ascii", "replace").decode()


def number(value: Number | None, style: str = ".3g") -> str:
    """Return a number in the given format, a dash when there is none."""
    return MISSING if value is None else format(value, style)


def area_text(area_deg2: Number | None) -> str:
    """Return an area with its unit: whole square degrees, three digits below 100."""
    if area_deg2 is None:
        return MISSING
    return f"{area_deg2:.0f} deg²" if area_deg2 >= 100 else f"{area_deg2:.3g} deg²"


def three_digits(value: Number | None) -> str:
    """Return a number to three digits: `23,000`, from 1e6 on `2.5e+07`."""
    if value is None or not 1000 <= value < 1e6:
        return number(value)
    return f"{float(f'{value:.3g}'):,.0f}"


def share_text(probability: Number | None) -> str:
    """Return a probability so that it is never rounded to 0 or 1."""
    if probability is None:
        return MISSING
    if 0 < probability < 1e-12:
        return "below 1e-12"
    if 0.9999995 < probability < 1:
        return "above 0.999999"
    return f"{probability:.6f}" if probability > 0.99 else f"{probability:.3g}"


def p_text(
    p_value: Number | None, error: Number | None = None, effective: Number | None = None
) -> str:
    """Return a p-value as `p_value_text` does, a dash when there is none."""
    return MISSING if p_value is None else p_value_text(p_value, error, effective)


def p_value_rows(s: Significance) -> list[tuple[str, str]]:
    """Return the rows of both p-values, the reported one first; neither counts trials."""
    of_map = s.p_value_map, s.p_value_map_error, s.p_value_map_effective
    of_class = s.p_value_class, s.p_value_class_error, s.p_value_class_effective
    rows = []
    for label, values, reason in (
        (f"p-value for a sky map of class {_class(s)}", of_class, s.p_value_class_reason),
        ("p-value for this sky map", of_map, s.p_value_map_reason),
    ):
        shown = f"none: {clean(reason or s.p_value_reason or 'it was not computed', 400)}"
        if values[0] is not None:
            shown = p_with_error(values[0], *values[1:])
        rows.append((label, shown))
    return rows[::-1] if s.is_of_map else rows


def _class(s: Significance) -> str:
    name = clean(s.p_value_population or MISSING, 60)
    return f"{name} ({s.p_value_class_maps:.0f} of them)" if s.p_value_class_maps else name


def share_of_background(result: Compared) -> str:
    """Return which part of its background a p-value is, `0.56 % of triggers with this sky map`."""
    percent = 100 * float((result.p_text or "1").removeprefix("< "))
    less = "less than " if result.p_is_limit else ""
    which = "with this sky map" if result.is_of_map else "of the same class"
    return f"{less}{percent:.{2 if percent < 99 else 3}g} % of background triggers {which}"


def p_with_error(p_value: Number, error: Number | None, effective: Number | None) -> str:
    """Return a p-value with its standard error, and how few injections decide it if ten do not."""
    if not error or not effective:
        return p_text(p_value, error, effective)
    few = f", decided by {effective:.1f} injections" if effective < 10 else ""
    return f"{p_value:.2g} ± {error:.1g}{few}"


def utc_text(iso: object) -> str:
    """Return an ISO time as `2019-04-25 08:18:05.017 UTC`, milliseconds at most."""
    if not iso:
        return MISSING
    shown = clean(str(iso).strip().removesuffix("Z").replace("T", " "), 30)
    return re.sub(r"(\.\d{3})\d+$", r"\1", shown) + " UTC"


def marks(
    info: EventInfo, neutrinos: Iterable[Neutrino] = (), flags: Mapping[str, object] | None = None
) -> list[str]:
    """Return the words beside the event's name; real only if alert and flags (else info) say so."""
    kinds, flags = {neutrino.type for neutrino in neutrinos}, flags or {}
    real = not signs_of_test(info, flags.get("ROLE", "observation"))
    blind = flags.get("BLINDED_NEUTRINOS") or "blinded" in kinds
    return [
        *(["RETRACTED"] if info.retracted else []),
        "REAL" if real else "TEST",
        *(["BLINDED NEUTRINOS"] if blind else []),
        *(["SIMULATED NEUTRINOS"] if "simulated" in kinds else []),
        *(["VETOED"] if flags.get("VETOED") else []),
    ]


def rate_text(far_hz: Number | None) -> tuple[str, str]:
    """Return a false-alarm rate in Hz, and in words that need no calculator."""
    if far_hz is None:
        return MISSING, ""
    return f"{far_hz:.2g} Hz", rate_words(far_hz * YEAR_S)


def joint_rate_text(result: Significance) -> tuple[str, str]:
    """Return the joint false-alarm rate in words, and what it is made of.

    A dash where there is none, with the reason where there is a p-value nevertheless.
    """
    if words := joint_far_text(result):
        return words, f"p times {alert_rate_text(result)}"
    if result.p_value is None or not result.joint_far_reason:
        return MISSING, ""
    return MISSING, clean(f"not known: {result.joint_far_reason}", 200)


def background_text(result: Compared) -> str:
    """Return what a p-value is for and of how many injections; empty if there is none.

    For example `this sky map, n = 2500` or `bns-o3-H1L1, 24 sky maps, n = 20000`.
    """
    name, n = result.p_value_population, result.n_background
    if not n or not (name or result.is_of_map):
        return ""
    maps = f", {result.p_value_class_maps:.0f} sky maps" if result.p_value_class_maps else ""
    what = "this sky map" if result.is_of_map else plain(name, 60) + maps
    energies = ", energies not used" if result.p_value_without_energy else ""
    return f"{what}, n = {n:.0f}{energies}"


def reason_text(result: Significance) -> str:
    """Return why there is no p-value, as a sentence."""
    reason = clean(result.p_value_reason or "no background for this class of event", 400)
    return reason[:1].upper() + reason[1:].rstrip(".") + "."


def earlier_notice(info: EventInfo, result: Significance) -> str | None:
    """Return notice and revision of an older result, or None; retractions make no new result."""
    used = result.info
    if info.retracted or used.revision in (None, info.revision):
        return None
    return f"{clean(used.notice, 40)}, revision {clean(used.revision, 10)}"


def result_line(result: Compared) -> str:
    """Return odds ratio and p-value in one line."""
    odds, background = f"odds ratio {number(result.odds_ratio)}", background_text(result)
    if result.p_value is None:
        return f"{odds}, no p-value"
    return f"{odds}, {result.p_words}" + (f" ({background})" if background else "")


def distance_text(mean_mpc: Number | None, std_mpc: Number | None) -> str:
    """Return a distance with its standard deviation, a dash when there is none."""
    if mean_mpc is None:
        return MISSING
    return f"{mean_mpc:.0f} Mpc" if std_mpc is None else f"{mean_mpc:.0f} ± {std_mpc:.0f} Mpc"


def combined_notes(combined: Combined | None) -> tuple[str, str]:
    """Return what neutrinos make of 90 % area and distance, two notes; empty if nothing."""
    if combined is None or combined.coincidence is None:
        return "", ""
    areas = [area_text(each.area_90_deg2) for each in (combined.combined, combined.coincidence)]
    mode_mpc = combined.coincidence.distmode_mpc
    far = "" if mode_mpc is None else f"most probably {mode_mpc:.0f} Mpc given a common source"
    return f"{areas[0]} with the neutrinos, {areas[1]} given a common source", far


def located_rows(combined: Combined | None) -> list[tuple[str, str]]:
    """Return where the source is, with and without the neutrinos, as label and words."""
    said = combined.said() if combined else []
    return [(f"Source, {given}", words.replace("deg^2", "deg²")) for given, words in said]


def in_window(neutrino: Neutrino, info: EventInfo) -> bool:
    """Return whether a neutrino of the list takes part: it came in the window of the search."""
    if neutrino.in_window is not None:
        return neutrino.in_window
    dt_s = time_difference(neutrino, info)
    return dt_s is not None and PUBLISHED.holds(dt_s)


def circles_deg(neutrinos: Iterable[Neutrino], result: Significance) -> list[float]:
    """Return the radius that holds 90 % of the point spread of each neutrino of a list.

    Of one that the result does not have it is that of its sigma's Gaussian.
    """
    known = {one.key: one.circle_deg for one in result.single_neutrino}
    return [
        known.get(str(neutrino.id), gaussian_circle_deg(neutrino.sigma or 0.0))
        for neutrino in neutrinos
    ]


def map_text(result: Significance) -> str:
    """Return sentences on the neutrinos whose direction is a map, "" if there is none."""
    said = [
        f"of {clean(one.key, 64)} is {clean(one.map_words.replace('^2', '²'), 300)}"
        for one in result.single_neutrino
        if one.map_words
    ]
    if not said:
        return ""
    return (
        f"The direction {', that '.join(said)}: odds are those with the map, p-values those with a "
        "circle of equal area, which is drawn."
    )


def circle_text(result: Significance) -> str:
    """Return in two or three words what `circles_deg` are from."""
    if result.psf is None:
        return "2.146 σ"
    if result.psf == OF_EACH:
        return OF_EACH
    return result.response if result.simulated else "Gaussian"


def neutrino_name(neutrino: Neutrino) -> str:
    """Return the id of a neutrino, after its detector where there are several."""
    name = clean(neutrino.id or MISSING, 40)
    return f"{clean(neutrino.detector, 20)} {name}" if neutrino.detector else name


def time_difference(neutrino: Neutrino, info: EventInfo) -> float | None:
    """Return dt = t_nu - t_gw in seconds, None when one of the times is missing."""
    if neutrino.dt is None and neutrino.gps is not None and info.gps_time is not None:
        return neutrino.gps - info.gps_time
    return neutrino.dt


def best_direction(result: Significance) -> tuple[float, float] | None:
    """Return RA and Dec [deg] of the most probable common source, None without a coincidence."""
    place = result.most_probable_direction
    if place.ra is None or place.dec is None or not result.odds_ratio:
        return None
    return place.ra, place.dec
