"""How an event's odds rank among those of its class's background: the p-value and its words."""

from typing import TYPE_CHECKING

import numpy as np

from llama.event.populations import Background
from llama.neutrinos.response import Response
from llama.neutrinos.table import Columns
from llama.stats.arrays import Flags, Floats
from llama.stats.odds import Odds
from llama.stats.overlap import PreparedMap
from llama.stats.parameters import SearchParameters
from llama.stats.pvalue import weighted_p_values

if TYPE_CHECKING:
    from llama.neutrinos.detector import Detector

NO_P_VALUE = {
    "p_value": None,
    "p_value_reason": "the odds count gamma-ray bursts, of which the background has none; odds and "
    "p-value of the neutrinos alone are beside them (without_bursts)",
    "p_value_error": None,
    "p_value_effective": None,
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
    hidden: Background = {
        **background,
        "odds": background["odds_without_energy"],
        "single": background["single_without_energy"],
    }
    if "weights" in background:
        names = "weights", "weights/single", "maps"
        places = "weights/without_energy", "weights/without_energy/single", "maps/without_energy"
        given = background["weights"]
        hidden["weights"] = {name: given[place] for name, place in zip(names, places, strict=True)}
    return hidden


def own_weight(
    background: Background,
    prepared: PreparedMap,
    columns: Columns,
    inside: Flags,
    response: "Response | Detector",
    params: SearchParameters,
    hidden: bool,
) -> float:
    """Return the weight of an event's neutrinos in its background: 1 if that is plain.

    columns: of `draw_background`; inside: which of them are in the window. params: those of the
    background, whose rate is not always that of the event's list.
    """
    if "weights" not in background:
        return 1.0
    # an event with a plain background does not wait for them
    from llama.background.cells import build_cells
    from llama.background.draws import WEIGHTED, Draws
    from llama.background.tilts import tilt_map, weights

    events = background["events"]
    draws = Draws(background["seed"], WEIGHTED, events, response, params, hides_energy=hidden)
    cells = build_cells(events, response, params, hidden)
    tilt = tilt_map(prepared, draws, cells)
    seen = {name: values[inside] for name, values in columns.items()}
    return float(weights(draws, np.array([inside.sum()]), seen, cells, tilt)[0])


def event_p_value(
    ranked: Odds | None, background: Background, hidden: bool, own: float = 1.0
) -> dict[str, float | str | None]:
    """Return the p-value, its standard error, and what it was taken from.

    ranked: the event's odds at the p_astro of the background; hidden: both without energies; own:
    the weight of its neutrinos.
    """
    event, p = None if ranked is None else ranked.odds_ratio, None
    if event is not None:
        odds, given = background["odds"], background.get("weights", {})
        maps = given["maps"].astype(np.int64) if given else None
        of_each = given.get("weights", np.ones(odds.shape))
        p = weighted_p_values(np.array([event]), np.array([own]), odds, of_each, maps)
    return {
        "p_value": None if p is None else float(p.p[0]),
        "p_value_error": None if p is None else float(p.error[0]),
        "p_value_effective": None if p is None else float(p.effective[0]),
        "p_value_population": background["class"],
        "p_value_reason": background.get("reason"),
        "p_value_p_astro": background.get("p_astro"),
        "p_value_odds": event,
        "p_value_without_energy": hidden,
        "n_background": 0 if ranked is None else int(background["odds"].size),
    }


def single_p_values(ranked: Odds | None, background: Background, own: float) -> list[float | None]:
    """Return the p-value of each neutrino alone among all neutrinos of the background.

    Those of a list all have its weight, here in units of the mean. None without a background, as
    one that was taken from a table has no odds of single neutrinos.
    """
    if ranked is None:
        return []
    odds, single = ranked.single_odds, background["single"]
    if not single.size:
        return [None] * odds.size
    of_each = background.get("weights", {}).get("weights/single", np.ones(single.shape))
    mean = of_each.mean()
    mine: Floats = np.full(odds.shape, own / mean)
    return weighted_p_values(odds, mine, single, of_each / mean).p.tolist()
