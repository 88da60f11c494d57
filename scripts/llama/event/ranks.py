"""How an event's odds rank among those of its class's background: the p-value and its words."""

from llama.event.populations import Background
from llama.stats.odds import Odds
from llama.stats.pvalue import p_value

NO_P_VALUE = {
    "p_value": None,
    "p_value_reason": "the odds count gamma-ray bursts, of which the background has none; odds and "
    "p-value of the neutrinos alone are beside them (without_bursts)",
    "p_value_p_astro": None,
    "p_value_odds": None,
    "n_background": 0,
}


def without_energy(background: Background) -> Background:
    """Return the background of events whose neutrinos have no energy: its energies are hidden."""
    if "odds_without_energy" not in background or not background["odds_without_energy"].size:
        reason = (
            f"the energy of a neutrino is not known, and {background['class']} has no background "
            "without energies; give the energies, or delete its shards and run: "
            "snakemake populations.hdf5"
        )
        return {"class": background["class"], "reason": background.get("reason", reason)}
    return {
        **background,
        "odds": background["odds_without_energy"],
        "single": background["single_without_energy"],
    }


def event_p_value(
    ranked: Odds | None, background: Background, hidden: bool
) -> dict[str, float | str | None]:
    """Return the p-value and what it was taken from.

    ranked: the event's odds at the p_astro of the background; hidden: both without energies.
    """
    event = None if ranked is None else ranked.odds_ratio
    return {
        "p_value": None if event is None else p_value(event, background["odds"]),
        "p_value_population": background["class"],
        "p_value_reason": background.get("reason"),
        "p_value_p_astro": background.get("p_astro"),
        "p_value_odds": event,
        "p_value_without_energy": hidden,
        "n_background": 0 if ranked is None else int(background["odds"].size),
    }
