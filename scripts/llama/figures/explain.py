"""What drove an odds ratio, in words: one line per factor, and their product is the odds ratio."""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypedDict

from msgspec import UNSET

from llama.errors import LlamaError
from llama.event.compared import Number
from llama.event.joint_far import alert_rate_text, joint_far_text
from llama.event.page_files import EventFiles
from llama.event.results import Distances, Neutrino, NeutrinoList, Significance, Why
from llama.figures import text
from llama.figures.text import clean, number
from llama.neutrinos.table import list_window
from llama.topics import instruments_in_words

_TITLES = {
    "p_astro": "Reality of the wave",
    "distance": "Distance",
    "background_rate": "Background",
    "time": "Time",
    "position": "Position",
    "energy": "Energy",
    "detector": "Detector",
    "other_sets": "Other neutrinos",
    "bursts": "Gamma-ray bursts",
}
_NUMBERS = ("no", "one", "two", "three", "four")


class Factor(NamedTuple):
    """A factor of the odds ratio: as text, why, and whether it is `for`, `against` or `even`."""

    title: str
    factor: str
    words: str
    side: str


class Explanation(TypedDict):
    """Why an odds ratio is what it is; the product of the factors is the odds ratio."""

    summary: list[str]
    factors: list[Factor]


class Explained(Explanation):
    """The same as a section of a page."""

    heading: str
    odds: str


def explain(event: EventFiles) -> Explanation:
    """Return why the odds are what they are; `LlamaError` for an older version's significance."""
    significance, distances, neutrinos = event.significance, event.distances, event.neutrinos
    why, events, info = significance.explanation, neutrinos.events, significance.info
    if why is UNSET:
        raise LlamaError(
            "the significance does not say what it is made of, an older version made it; "
            "run snakemake for this event again"
        )
    if why is None:
        return {"summary": [_nothing(significance, neutrinos)], "factors": []}
    numbers = {str(one.id): k for k, one in enumerate(events, start=1)}
    members = [numbers[str(i)] for i in why.members if i in numbers]
    chosen = [events[k - 1] for k in members]
    words = {"bursts": _bursts(significance)}
    if why.members:
        words |= {
            "p_astro": "The wave is from a real source with probability "
            f"{number(significance.p_astro, '.4g')}.",
            "distance": _distance(why, distances, significance),
            "background_rate": _background(why),
            "time": _time([text.time_difference(one, info) for one in chosen]),
            "position": _position(chosen, significance),
            "energy": _energy(chosen, why.factors["energy"], significance.simulated),
            "detector": _detector(chosen),
            "other_sets": _others(why),
        }
    factors = []
    for name, title in _TITLES.items():
        if name in why.factors:
            factor = why.factors[name]
            side = "even" if 0.9 < factor < 1.1 else "for" if factor > 1 else "against"
            factors.append(Factor(title, _times(factor), words[name], side))
    return {"summary": _summary(significance, why, members), "factors": factors}


def explanation_section(event: EventFiles) -> Explained:
    """Return what `explain` does as a section of a page, whatever version made the event."""
    why: Explanation
    try:
        why = explain(event)
    except LlamaError:
        why = {"summary": ["Made by a version that did not say."], "factors": []}
    odds = number(event.significance.odds_ratio)
    return {"heading": "What drove the odds ratio", "odds": odds, **why}


def explain_lines(explanation: Explanation, odds_ratio: Number | None) -> list[str]:
    """Return the explanation as lines for a terminal."""
    lines = list(explanation["summary"])
    if explanation["factors"]:
        lines.append("")
        lines += [f"  {t:<20} {f:>10}  {words}" for t, f, words, _ in explanation["factors"]]
        lines.append(f"  {'= odds ratio':<20} {text.three_digits(odds_ratio):>10}")
    return lines


def _times(factor: float) -> str:
    return f"× {text.three_digits(factor)}"


def _summary(significance: Significance, why: Why, members: Sequence[int]) -> list[str]:
    odds = significance.odds_ratio or 0.0
    which = " and ".join(f"neutrino {k}" for k in members)
    which = which or ("a neutrino" if why.members else "a gamma-ray burst")
    if why.members and why.factors.get("bursts", 0.0) >= 1.1:
        which += " and a gamma-ray burst"
    compared = f"{'' if odds >= 1 else 'only '}{text.three_digits(odds)} times"
    sentences = [
        f"One source of the wave and of {which} is {compared} as probable as everything else."
    ]
    factors = {name: f for name, f in why.factors.items() if name != "other_sets"}
    best, worst = max(factors, key=lambda n: factors[n]), min(factors, key=lambda n: factors[n])
    if not why.members:
        sentences.append("No neutrino has a part in it.")
    elif factors[best] >= 1.1:
        most, least = (f"{_TITLES[n].lower()} ({_times(factors[n])})" for n in (best, worst))
        sentences.append(f"What speaks most for it is the {most}, and most against it the {least}.")
    else:
        sentences.append("Nothing speaks for it.")
    if significance.p_value is None:
        sentences.append("How often chance does as well is not known: there is no p-value.")
    else:
        sentences.append(
            f"Chance does at least as well in {text.share_of_background(significance)} "
            f"({significance.p_words})."
        )
    if joint := joint_far_text(significance):
        sentences.append(f"With {alert_rate_text(significance)}, that is {joint}.")
    return sentences


def _nothing(significance: Significance, neutrinos: NeutrinoList) -> str:
    events, info = neutrinos.events, significance.info
    near = [event for event in events if text.in_window(event, info)]
    if not events:
        why = "the list holds no neutrino"
    elif not near:
        when = list_window(neutrinos.window).words("less than {} s before or after")
        why = f"none of the {len(events)} neutrinos of the list came {when} the wave"
    else:
        one = len(near) == 1
        why = (
            f"the {'one neutrino' if one else f'{len(near)} neutrinos'} near the wave in time "
            f"{'is' if one else 'are'} too far from the sky map to have its source"
        )
    return f"The odds ratio is 0: {why}."


def _distance(why: Why, distances: Distances, significance: Significance) -> str:
    where, n = text.distance_text(distances.distmean_mpc, distances.diststd_mpc), len(why.members)
    if where == text.MISSING or distances.distance == "assumed":
        assumed = significance.assumed_distance
        how = assumed.words if assumed else "one is assumed"
        where = f"The sky map has no distance ({how}). There"
    else:
        where = f"At {where}"
    return (
        f"{where} a source that points at us gives exactly {_NUMBERS[n]} neutrino{'s' * (n > 1)} "
        f"with probability {why.probability_of_count:.2g}; one in {why.fb:.3g} points at us."
    )


def _background(why: Why) -> str:
    n, expected = len(why.members), why.expected_background
    word = (
        "one of them is nothing special"
        if n == 1 and expected > 1
        else f"that is what {_NUMBERS[n]} of them weigh{'s' * (n == 1)}"
    )
    return f"{expected:.3g} neutrinos are expected around any wave by chance; {word}."


def _time(differences: Sequence[float | None]) -> str:
    known = [dt for dt in differences if dt is not None]
    when = " and ".join(f"{abs(dt):.1f} s {'before' if dt < 0 else 'after'}" for dt in known)
    best = "2 at the same instant" if len(known) == 1 else "more the closer they are"
    return f"{'It' if len(known) == 1 else 'They'} came {when} the wave ({best}, 0 at the edges)."


def _position(chosen: Sequence[Neutrino], significance: Significance) -> str:
    maps = {one.key: one.map_words for one in significance.single_neutrino}
    places = " and ".join(
        f"{number(event.ra, '.1f')}, {number(event.dec, '+.1f')} deg "
        f"({maps.get(str(event.id)) or f'90 % radius {radius:.2g} deg'})"
        for event, radius in zip(chosen, text.circles_deg(chosen, significance), strict=True)
    )
    return (
        f"At {places}: how much more often a source of this sky map than background is found there."
    )


def _energy(events: Sequence[Neutrino], factor: float, simulated: bool) -> str:
    """Return what the factor compares: of a simulation also the stated errors."""
    known = [_energy_text(event.energy) for event in events if event.energy is not None]
    unknown = len(events) - len(known)
    which = " and ".join(known)
    if known and simulated:
        which += " proxies" if len(known) > 1 else " proxy"
    if not known:
        which = "Energy not known" if unknown == 1 else "Energies not known"
    elif unknown:
        which += f", {_NUMBERS[unknown]} not known"
    such = ["an energy" if len(known) == 1 else "energies"] if known else []
    if simulated:
        such.append("errors" if len(events) > 1 else "error" if known else "an error")
    if not such:
        return f"{which}: source and background are averaged over all energies."
    return (
        f"{clean(which)}: a source gives such {' and '.join(such)} here "
        f"{text.three_digits(factor)} times as often as background."
    )


def _detector(events: Sequence[Neutrino]) -> str:
    which = " and ".join(clean(event.detector or text.MISSING, 20) for event in events)
    return (
        f"Seen by {which}: its share of a source's neutrinos, at this declination, over its share "
        "of the background."
    )


def _energy_text(energy_gev: float) -> str:
    for unit, name in ((1e6, "PeV"), (1e3, "TeV")):
        if energy_gev >= unit:
            return f"{energy_gev / unit:.3g} {name}"
    return f"{energy_gev:.3g} GeV"


def _bursts(significance: Significance) -> str:
    count, heard = len(significance.inputs.burst_info), significance.inputs.grb_instruments
    of = f" heard of {instruments_in_words(heard)}" if heard else ""
    if not count:
        return f"A list of bursts{of} was searched and holds none."
    return f"The list{of} has {count} burst{'s' * (count > 1)}, at any time: what it changes."


def _others(why: Why) -> str:
    if math.isclose(why.factors["other_sets"], 1.0, abs_tol=5e-3):
        return "No other neutrino, and no other combination of them, adds anything."
    return "Other neutrinos, and other combinations of them, add to the probability."
