"""How an event's odds rank among those of backgrounds: its p-values."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from llama.event.bursts import Bursts
from llama.event.populations import Background
from llama.neutrinos.table import Columns
from llama.stats.arrays import Floats
from llama.stats.odds import Odds
from llama.stats.overlap import PreparedMap
from llama.stats.parameters import SearchParameters
from llama.stats.pvalue import PValues, weighted_p_values

if TYPE_CHECKING:
    from llama.neutrinos.network import AnyResponse

_NOT_IN_CLASSES = "the odds count gamma-ray bursts, which backgrounds of classes do not have"


class Seen(NamedTuple):
    """An event as a background would have it.

    columns: neutrinos in the window, as of `draw_background`; hidden: whether energies are not
    compared, since one is not known; odds_at: what the event's odds are at a p_astro, compared so;
    with_bursts: for a background of these, all else being without them.
    """

    prepared: PreparedMap
    columns: Columns
    hidden: bool
    odds_at: Callable[[float], Odds]
    with_bursts: "SeenBursts | None" = None


class SeenBursts(NamedTuple):
    """Bursts that count in an event's odds, and what the background of these is made of.

    vectors: of the neutrinos, in the order of their odds; odds_at: joint odds at a p_astro.
    """

    bursts: Bursts
    gps: float
    vectors: Floats
    odds_at: Callable[[float], Odds]


class Rank(NamedTuple):
    """Where an event, and each of its neutrinos, is in a background; None and empty without one.

    p: of the event, then those of its neutrinos' odds alone among odds of whole windows; singles:
    among odds of single neutrinos.
    """

    background: Background
    odds: Odds | None = None
    p: PValues | None = None
    singles: Floats = np.empty(0)

    def of_window(self, key: str) -> float | None:
        """Return the p-value (p), its error or how many injections decide it (effective)."""
        return None if self.p is None else float(getattr(self.p, key)[0])


def rank(
    seen: Seen,
    background: Background,
    response: "AnyResponse",
    params: SearchParameters,
) -> Rank:
    """Return the p-values of an event in a background; params: those that it was made with."""
    if seen.hidden:
        background = without_energy(background)
    if "odds" not in background:
        return Rank(background)
    odds = (seen.with_bursts or seen).odds_at(background["p_astro"])
    own, given = _own_weight(seen, background, response, params), background.get("weights", {})
    among, single = background["odds"], background["single"]
    of_each = given.get("weights", np.ones(among.shape))
    maps = given["maps"].astype(np.int64) if "maps" in given else None
    whole = np.append(odds.odds_ratio, odds.single_odds)
    p = weighted_p_values(whole, np.full(whole.shape, own), among, of_each, maps)
    singles = np.empty(0)
    if single.size:  # a background from a table has none
        of_each = given.get("weights/single", np.ones(single.shape))
        # those of a list all have its weight, here in units of the mean
        mine = np.full(odds.single_odds.shape, own / of_each.mean())
        singles = weighted_p_values(odds.single_odds, mine, single, of_each / of_each.mean()).p
    return Rank(background, odds, p, singles)


def without_energy(background: Background) -> Background:
    """Return the background of events whose neutrinos have no energy: its energies are hidden."""
    if "reason" in background:
        return background
    if "odds_without_energy" not in background or not background["odds_without_energy"].size:
        reason = (
            f"the energy of a neutrino is not known, and {background['class']} has no background "
            "without energies; give the energies, or delete its shards and run: "
            "snakemake populations.hdf5"
        )
        return {"class": background["class"], "reason": reason}
    hidden: Background = {
        **background,
        "odds": background["odds_without_energy"],
        "single": background["single_without_energy"],
    }
    if "weights" in background:
        names = "weights", "weights/single", "maps"
        places = "weights/without_energy", "weights/without_energy/single", "maps/without_energy"
        given = background["weights"]
        both = zip(names, places, strict=True)
        hidden["weights"] = {name: given[place] for name, place in both if place in given}
    return hidden


def _own_weight(
    seen: Seen,
    background: Background,
    response: "AnyResponse",
    params: SearchParameters,
) -> float:
    """Return the weight of an event's neutrinos in a background: 1 if that is plain."""
    if "weights" not in background:
        return 1.0
    # an event with a plain background does not wait for them
    from llama.background.cells import build_cells
    from llama.background.draws import WEIGHTED, Draws
    from llama.background.tilts import tilt_map, weights

    events = background["events"]
    draws = Draws(background["seed"], WEIGHTED, events, response, params, hides_energy=seen.hidden)
    cells = build_cells(events, response, params, seen.hidden)
    tilt = tilt_map(seen.prepared, draws, cells)
    counts = np.array([seen.columns["dt_s"].size])
    own = float(weights(draws, counts, seen.columns, cells, tilt)[0])
    if seen.with_bursts is None:
        return own
    from llama.background.bursts import Neighbors, chance_bursts

    bursts, gps, vectors, _ = seen.with_bursts
    chance = chance_bursts(seen.prepared, cells, bursts.model, bursts.marks)
    near = Neighbors(vectors, seen.odds_at(background["p_astro"]).single_odds)
    return own * chance.weight(bursts.places(gps), near)


def joint_p_value_keys(
    own: Rank, of_class: str, hidden: bool
) -> dict[str, float | str | list[str] | None]:
    """Return `p_value_keys` of joint odds, which only a background of the map with bursts ranks."""
    none: Background = {"class": of_class, "reason": _NOT_IN_CLASSES}
    return p_value_keys(own, Rank(none), hidden, "map")


def p_value_keys(
    own: Rank, of_class: Rank, hidden: bool, method: str | None = None
) -> dict[str, float | str | list[str] | None]:
    """Return the p-values of an event, their standard errors and what they were taken from.

    method: "map", or else the class where it has a background.
    """
    is_of_map = method == "map" or (of_class.p is None and own.p is not None)
    method = "map" if is_of_map else "class"
    used = of_class if method == "class" else own
    maps = of_class.background.get("n_maps")
    return {
        **{f"p_value{end}": used.of_window(key) for end, key in _OF_EACH.items()},
        "p_value_method": None if used.p is None else method,
        "p_value_reason": None if used.p is not None else used.background.get("reason"),
        **{f"p_value_map{end}": own.of_window(key) for end, key in _OF_EACH.items()},
        "p_value_map_reason": own.background.get("reason"),
        "n_map_background": 0 if own.p is None else int(own.background["odds"].size),
        **{f"p_value_class{end}": of_class.of_window(key) for end, key in _OF_EACH.items()},
        "p_value_class_reason": of_class.background.get("reason"),
        "p_value_class_near": of_class.background.get("near", []),
        "p_value_class_maps": None if of_class.p is None else maps,
        "p_value_population": of_class.background["class"],
        "p_value_p_astro": used.background.get("p_astro"),
        "p_value_odds": None if used.odds is None else used.odds.odds_ratio,
        "p_value_without_energy": hidden,
        "n_background": 0 if used.p is None else int(used.background["odds"].size),
    }


_OF_EACH = {"": "p", "_error": "error", "_effective": "effective"}
