"""What drove an odds ratio, in words: one line per factor, and their product is the odds ratio."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from llama.errors import LlamaError
from llama.event.skymap_info import EventInfo, info_used
from llama.figures import text
from llama.figures.text import clean, finite, number
from llama.neutrinos.table import list_window

Record = Mapping[str, Any]
_TITLES = {
    "p_astro": "Reality of the wave",
    "distance": "Distance",
    "background_rate": "Background",
    "time": "Time",
    "position": "Position",
    "energy": "Energy",
    "other_sets": "Other neutrinos",
    "bursts": "Gamma-ray bursts",
}
_NUMBERS = ("no", "one", "two", "three", "four")


def explain(significance: Record, distances: Record, neutrinos: Record) -> dict[str, Any]:
    """Return why the odds ratio is what it is: {"summary": [sentences], "factors": [rows]}.

    A row is title, factor as text, sentence, and `for`, `against` or `even`. The arguments are
    the event's JSON files. `LlamaError` for a significance that an older version made.
    """
    if "explanation" not in significance:
        raise LlamaError(
            "the significance does not say what it is made of, an older version made it; "
            "run snakemake for this event again"
        )
    events = neutrinos.get("events") or []
    info = info_used(significance)
    why = significance["explanation"]
    if not why:
        return {"summary": [_nothing(significance, neutrinos, info)], "factors": []}
    numbers = {str(event.get("id")): k for k, event in enumerate(events, start=1)}
    chosen = [(numbers.get(i), events[numbers[i] - 1]) for i in why["members"] if i in numbers]
    words = {"bursts": _bursts(significance)}
    words |= (
        {}
        if not why["members"]
        else {
            "p_astro": _reality(significance),
            "distance": _distance(why, distances),
            "background_rate": _background(why),
            "time": _time([text.time_difference(event, info) for _, event in chosen], why),
            "position": _position(chosen),
            "energy": _energy([event for _, event in chosen]),
            "other_sets": _others(why),
        }
    )
    rows = []
    for name, title in _TITLES.items():
        if name not in why["factors"]:
            continue
        factor = why["factors"][name]
        side = "even" if 0.9 < factor < 1.1 else "for" if factor > 1 else "against"
        rows.append((title, _times(factor), words[name], side))
    return {"summary": _summary(significance, why, chosen), "factors": rows}


def explanation_section(
    significance: Record, distances: Record, neutrinos: Record
) -> dict[str, Any]:
    """Return what `explain` does as a section of a page, whatever version made the event."""
    try:
        why = explain(significance, distances, neutrinos)
    except LlamaError:
        why = {"summary": ["Made by a version that did not say."], "factors": []}
    odds = number(significance.get("odds_ratio"))
    return {"heading": "What drove the odds ratio", "odds": odds, **why}


def explain_lines(explanation: Mapping[str, Any], odds_ratio: float) -> list[str]:
    """Return the explanation as lines for a terminal."""
    lines = list(explanation["summary"])
    if explanation["factors"]:
        lines.append("")
        lines += [f"  {t:<20} {f:>10}  {words}" for t, f, words, _ in explanation["factors"]]
        lines.append(f"  {'= odds ratio':<20} {text.three_digits(odds_ratio):>10}")
    return lines


def _times(factor: float) -> str:
    return f"× {text.three_digits(factor)}"


def _summary(
    significance: Record, why: Record, chosen: Sequence[tuple[int | None, Record]]
) -> list[str]:
    odds = significance["odds_ratio"]
    which = " and ".join(f"neutrino {k}" for k, _ in chosen)
    which = which or ("a neutrino" if why["members"] else "a gamma-ray burst")
    compared = (
        f"{text.three_digits(odds)} times" if odds >= 1 else f"only {text.three_digits(odds)} times"
    )
    sentences = [
        f"One source of the wave and of {which} is {compared} as probable as everything else."
    ]
    factors = {name: f for name, f in why["factors"].items() if name != "other_sets"}
    best, worst = max(factors, key=lambda n: factors[n]), min(factors, key=lambda n: factors[n])
    if not why["members"]:
        sentences.append("No neutrino has a part in it.")
    elif factors[best] >= 1.1:
        words = f"{_TITLES[best].lower()} ({_times(factors[best])})"
        sentences.append(f"What speaks most for it is the {words},")
        words = f"{_TITLES[worst].lower()} ({_times(factors[worst])})"
        sentences[-1] += f" and most against it the {words}."
    else:
        sentences.append("Nothing speaks for it.")
    p_value = finite(significance.get("p_value"))
    if p_value is None:
        sentences.append("How often chance does as well is not known: there is no p-value.")
    else:
        sentences.append(
            f"Chance does at least as well in {100 * p_value:.3g} % of background triggers "
            f"(p = {text.p_text(p_value)})."
        )
    return sentences


def _nothing(significance: Record, neutrinos: Record, info: EventInfo) -> str:
    events = neutrinos.get("events") or []
    near = [event for event in events if text.in_window(event, info)]
    if not events:
        why = "the list holds no neutrino"
    elif not near:
        when = list_window(neutrinos.get("window")).words("less than {} s before or after")
        why = f"none of the {len(events)} neutrinos of the list came {when} the wave"
    elif finite(significance.get("p_astro")) == 0:
        why = "the wave is noise with certainty (p_astro = 0)"
    else:
        one = len(near) == 1
        why = (
            f"the {'one neutrino' if one else f'{len(near)} neutrinos'} near the wave in time "
            f"{'is' if one else 'are'} too far from the sky map to have its source"
        )
    return f"The odds ratio is 0: {why}."


def _reality(significance: Record) -> str:
    return (
        f"The wave is from a real source with probability {number(significance['p_astro'], '.4g')}."
    )


def _distance(why: Record, distances: Record) -> str:
    mean, std = finite(distances.get("distmean_mpc")), finite(distances.get("diststd_mpc"))
    if mean is None or distances.get("distance") == "assumed":
        parameters = "The sky map has no distance; one is assumed."
    else:
        parameters = f"At {mean:.0f} ± {std or 0:.0f} Mpc"
    n = len(why["members"])
    probability = why["probability_of_count"]
    gives = (
        f"a source that points at us gives exactly {_NUMBERS[n]} neutrino{'s' * (n > 1)} with "
        f"probability {probability:.2g}; one in {why['fb']:.3g} points at us."
    )
    if parameters.endswith("."):
        return f"{parameters} There {gives}"
    return f"{parameters} {gives}"


def _background(why: Record) -> str:
    n = len(why["members"])
    expected = why["expected_background"]
    word = (
        "one of them is nothing special"
        if n == 1 and expected > 1
        else f"that is what {_NUMBERS[n]} of them weigh{'s' * (n == 1)}"
    )
    return f"{expected:.3g} neutrinos are expected around any wave by chance; {word}."


def _time(differences: Sequence[float | None], why: Record) -> str:
    known = [dt for dt in differences if dt is not None]
    when = " and ".join(f"{abs(dt):.1f} s {'before' if dt < 0 else 'after'}" for dt in known)
    best = "2 at the same instant" if len(known) == 1 else "more the closer they are"
    return f"{'It' if len(known) == 1 else 'They'} came {when} the wave ({best}, 0 at the edges)."


def _position(chosen: Sequence[tuple[int | None, Record]]) -> str:
    places = " and ".join(
        f"{number(event.get('ra'), '.1f')}, {number(event.get('dec'), '+.1f')} deg "
        f"(σ {number(event.get('sigma'), '.2g')} deg)"
        for _, event in chosen
    )
    return (
        f"At {places}: how much more often a source of this sky map than background is found there."
    )


def _energy(events: Sequence[Record]) -> str:
    known = [e for e in (finite(event.get("energy")) for event in events) if e is not None]
    energies = " and ".join(_energy_text(energy) for energy in known)
    if len(known) < len(events):
        energies += " and " * bool(known) + "not known"
    if not known:
        return "Energy not known: source and background are averaged over all energies."
    return (
        f"{clean(energies)}: how much more often a source than background gives such "
        f"{'an energy' if len(events) == 1 else 'energies'} there."
    )


def _energy_text(energy_gev: float) -> str:
    for unit, name in ((1e6, "PeV"), (1e3, "TeV")):
        if energy_gev >= unit:
            return f"{energy_gev / unit:.3g} {name}"
    return f"{energy_gev:.3g} GeV"


def _bursts(significance: Record) -> str:
    count = len((significance.get("inputs") or {}).get("burst_info") or [])
    if not count:
        return "A list of bursts was searched and holds none near the wave."
    return f"{count} burst{'s' * (count > 1)} of the list near the wave: what that changes."


def _others(why: Record) -> str:
    if math.isclose(why["factors"]["other_sets"], 1.0, abs_tol=5e-3):
        return "No other neutrino, and no other combination of them, adds anything."
    return "Other neutrinos, and other combinations of them, add to the probability."
