"""The significance of an event, from its files to the content of significance_*.json."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llama.errors import for_users
from llama.event.bursts import Burst, Bursts
from llama.event.detectors import energy_is_missing, event_columns, misfits
from llama.event.direction_maps import MAP_KEYS, circle_90_deg
from llama.event.explanation import explanation_with_bursts, told_explanation
from llama.event.names import run_name
from llama.event.parameters import SearchBlock, search_parameters
from llama.event.populations import Background, PAstro
from llama.event.prepared import prepare_columns, prepare_mapped, prepare_skymap
from llama.event.ranks import (
    Rank,
    Seen,
    SeenBursts,
    joint_p_value_keys,
    p_value_keys,
    rank,
)
from llama.event.results import NO_UPTIME
from llama.event.skymap_info import EventInfo
from llama.neutrinos.event_list import is_from_archive
from llama.neutrinos.mixture import radii_deg
from llama.neutrinos.network import Network, area_of
from llama.neutrinos.table import Rows
from llama.sky.tiles import SkyTiles
from llama.stats.area import AnyArea
from llama.stats.direction import flux_sensitivity, joint_p_astro
from llama.stats.direction_map import DirectionMap
from llama.stats.explain import explain_odds
from llama.stats.healpix import tiles_geometry
from llama.stats.mapped import MappedNeutrinos
from llama.stats.messengers import Messenger
from llama.stats.odds import Neutrinos, Odds, event_odds
from llama.stats.parameters import SearchParameters

Floats = NDArray[np.float64]
if TYPE_CHECKING:
    from llama.neutrinos.network import AnyResponse


# 0 is a rounded value, which would hide what its neutrinos have to say
LEAST_P_ASTRO = 1e-30
_OTHER_STREAM = "its background is for neutrinos of another stream; run snakemake once more"
NO_MAP_BACKGROUND: Background = {"class": "map", "reason": "it has no background of its own map"}


@for_users("check p_astro.json and the background")
def compute_significance(
    tiles: SkyTiles,
    info: EventInfo,
    p_astro: PAstro,
    neutrino_list: Mapping[str, Any],
    response: "AnyResponse",
    search: SearchBlock,
    background: Background,
    bursts: Bursts | None = None,
    own_map: Background = NO_MAP_BACKGROUND,
    method: str | None = None,
    joint: Background = NO_MAP_BACKGROUND,
    maps: Mapping[int, DirectionMap] | None = None,
) -> dict[str, object]:
    """Return the content of significance_*.json, without its provenance.

    search: settings block `search`; background: of the event's class; own_map: of its sky map;
    method: which of the two `p_value` is from ("class", "map"), None for the class where it has
    one. bursts: a third messenger, or None if there is no list that counts. With one,
    `without_bursts` holds what the event has without it, and the p-value is that of its sky map
    with chance bursts, of which the background is `joint`. maps: of neutrinos whose direction is
    one, by their place in the list. `LlamaError` for what the statistic refuses.
    """
    from_archive = is_from_archive(neutrino_list.get("source"))
    params = search_parameters(search, p_astro["population"], response, from_archive)
    prepared = prepare_skymap(tiles, area_of(response), params)
    events, gps = list(neutrino_list["events"]), info.trigger_gps
    columns = event_columns(events, response)
    dt_s = columns["gps"] - gps
    maps = maps or {}
    neutrinos = prepare_mapped(dt_s, columns, response, params, maps)
    p, area = max(p_astro["p_astro"], LEAST_P_ASTRO), area_of(response)
    here = MappedNeutrinos(prepared, neutrinos, maps, params, area)
    odds = here.odds(p)
    start_s, stop_s = params.window
    inside = (dt_s > start_s) & (dt_s < stop_s)
    # what is compared must know as little: the background has circles only
    compared = prepare_columns(dt_s, columns, response, params) if maps else neutrinos
    if hidden := bool(energy_is_missing(columns, response)[inside].any()):
        blank = {**columns, "energy_gev": np.full(dt_s.size, np.nan)}
        compared = prepare_columns(dt_s, blank, response, params)
    seen = Seen(
        prepared,
        {name: values[inside] for name, values in {"dt_s": dt_s, **columns}.items()},
        hidden,
        lambda p_astro: event_odds(prepared, compared, p_astro, params, area),
    )
    # those of a class have the rate of the settings, whatever this event's list is from
    drawn = search_parameters(search, p_astro["population"], response)
    if own_map.get("rate_hz", params.ratebgnu) != params.ratebgnu:
        own_map = joint = {"class": own_map["class"], "reason": _OTHER_STREAM}
    live_s = neutrino_list.get("livetime_s")
    if live_s == 0 and not inside.any():
        background = {"class": background["class"], "reason": NO_UPTIME}
        own_map = joint = {"class": own_map["class"], "reason": NO_UPTIME}
    in_class, in_map = (
        rank(seen, background, response, drawn),
        rank(seen, own_map, response, params),
    )
    # under the keys that readers of the published file know
    values = params.as_dict()
    expanding = bool(values.pop("events_by_redshift"))
    published = {
        "εmin": values.pop("epsilon_min_gev"),
        "εmax": values.pop("epsilon_max_gev"),
        **values,
        "instruments": list(info.instruments),
        "population": p_astro["population"],
        "sensitivity": run_name(info.trigger_gps),
        "cosmology": "Planck18" if expanding else "static",
    }
    inputs = {
        "gw_skymap_info": info.as_json(),
        "neutrino_info": events,
        "search_parameters": published,
    }
    if scrambled := (neutrino_list.get("source") or {}).get("scrambled"):
        inputs["neutrino_source"] = {"scrambled": scrambled}
    result = _odds(here, odds, p, events)
    why = explain_odds(prepared, neutrinos, p, odds, params, response, maps)
    explanation = told_explanation(why, events, params, columns, response, maps)
    significance: dict[str, object] = {**p_value_keys(in_map, in_class, hidden, method)}
    among = in_class if significance["p_value_method"] == "class" else in_map
    triggers: list[Messenger] = []
    if bursts:
        significance["without_bursts"] = {name: result[name] for name in _WITHOUT} | significance
        triggers = [bursts.messenger(gps, params, area.size)]
        with_bursts = SeenBursts(
            *(bursts, gps, compared.vectors),
            lambda p_astro: event_odds(prepared, compared, p_astro, params, area, triggers),
        )
        in_joint = rank(seen._replace(with_bursts=with_bursts), joint, response, params)
        significance |= joint_p_value_keys(in_joint, in_class.background["class"], hidden)
        of_all = here.odds(p, triggers)
        result = _odds(here, of_all, p, events, bursts.events, triggers)
        explanation = explanation_with_bursts(explanation, odds.odds_ratio, of_all.odds_ratio)
        inputs |= {"burst_info": bursts.events, "grb_parameters": asdict(bursts.model)}
        if bursts.instruments:
            inputs["grb_instruments"] = dict(bursts.instruments)
    return (
        result
        | significance
        | {
            "inputs": inputs,
            "explanation": explanation,
            "single_neutrino": _single_neutrinos(neutrinos, odds, events, among),
            "unlike_background": misfits(
                seen.columns, params.window.length_s if live_s is None else live_s, response, params
            ),
            "energy_response": response.energy_response,
            "psf": response.psf,
            "p_value_circles": [events[i]["id"] for i in maps],
            **_distance(tiles, neutrinos, maps, p, params, area, triggers),
            "neutrino_flux_sensitivity_range": flux_sensitivity(
                _seen_in(response, _credible_region(tiles)),
                response.sin_dec,
                response.log10_energy,
            ),
        }
    )


def _distance(
    tiles: SkyTiles,
    neutrinos: Neutrinos,
    maps: Mapping[int, DirectionMap],
    p_astro: float,
    params: SearchParameters,
    area: AnyArea,
    messengers: Sequence[Messenger],
) -> dict[str, object]:
    """Return where the distance is from and, if it is assumed, what ten times it would give."""
    if tiles.has_distance:
        return {"distance": "map"}
    near_mpc = params.assumed_horizon_mpc
    far = replace(params, assumed_horizon_mpc=10 * near_mpc)
    there = MappedNeutrinos(prepare_skymap(tiles, area, far), neutrinos, maps, far, area)
    odds = there.odds(p_astro, messengers)
    assumed = {
        "horizon_mpc": near_mpc,
        "farther_mpc": 10 * near_mpc,
        "odds_ratio_farther": odds.odds_ratio,
    }
    return {"distance": "assumed", "assumed_distance": assumed}


# What an event has twice, with bursts and without.
_WITHOUT = ("odds_ratio", "posterior", "p_astro_joint", "p_h_c", "p_h_s1", "p_h_s2")


def _odds(
    here: MappedNeutrinos,
    odds: Odds,
    p_astro: float,
    events: Sequence[Mapping[str, object]],
    bursts: Sequence[Burst] | None = None,
    messengers: Sequence[Messenger] = (),
) -> dict[str, object]:
    q = p_astro / (1 - p_astro) if p_astro > 0 else 0.0
    ratio = (odds.lambda_cgw + odds.lambda_s) / q if q > 0 else 1.0
    ra, dec = here.most_probable(odds.sets, messengers)
    sets, n = [], len(events)
    for which, value in sorted(odds.sets.items(), key=lambda item: -item[1])[:50]:
        members = {"neutrinos": [events[i]["id"] for i in which if i < n], "lambda_s": value}
        if bursts is not None:
            members["bursts"] = [bursts[i - n]["id"] for i in which if i >= n]
        sets.append(members)
    return {
        "odds_ratio": odds.odds_ratio,
        "p_h_0": 1.0,
        "p_h_c": odds.lambda_cgw + odds.lambda_cnu,
        "p_h_s1": odds.lambda_s,
        "p_h_s2": odds.lambda_cgw,
        "posterior": odds.posterior(),
        "p_astro": p_astro,
        "p_astro_joint": joint_p_astro(p_astro, ratio),
        "most_probable_direction": {"ra": ra, "dec": dec},
        "dump": {"largest_set": odds.largest_set, "sets": sets},
    }


_TOLD = "id", "detector", "ra", "dec", "sigma", "direction", *MAP_KEYS


def _single_neutrinos(neutrinos: Neutrinos, odds: Odds, events: Rows, among: Rank) -> Rows:
    """Return a row for every neutrino, the least probable by chance first: what it has alone."""
    radii = radii_deg(neutrinos.kappa, neutrinos.shares, neutrinos.vectors[:, 2], 0.9)
    for i, event in enumerate(events):
        if "map_area_90_deg2" in event:
            radii[i] = circle_90_deg(float(str(event["map_area_90_deg2"])))
    without = [(None, None, None)] * len(events)
    rows = [
        {
            "i3event": neutrino.get("event"),
            "dt": dt,
            "odds_ratio": ratio,
            **dict(zip(("p_value", "p_value_error", "p_value_effective"), p, strict=True)),
            "p_value_neutrino": single,
            "radius_90_deg": None if math.isnan(radius) else radius,
            **{key: neutrino[key] for key in _TOLD if key in neutrino},
        }
        for neutrino, dt, ratio, p, single, radius in zip(
            events,
            neutrinos.dt_s.tolist(),
            odds.single_odds.tolist(),
            without if among.p is None else np.transpose(among.p)[1:].tolist(),
            among.singles.tolist() or [None] * len(events),
            radii.tolist(),
            strict=True,
        )
    ]
    return sorted(
        rows, key=lambda row: (1 if row["p_value"] is None else row["p_value"], -row["odds_ratio"])
    )


def _seen_in(response: "AnyResponse", vectors: Floats) -> list[tuple[Floats, Floats, Floats]]:
    """Return what `flux_sensitivity` takes of the detectors in directions (n, 3)."""
    if not isinstance(response, Network) or not response.turned:
        return [(response.flux_area_cm2_gev, response.true_per_dex, vectors[:, 2])]
    both = zip(response.seeing, response.turned, strict=True)
    return [(one.flux_area_cm2_gev, one.true_per_dex, m.along(vectors)) for one, m in both]


def _credible_region(tiles: SkyTiles) -> Floats:
    """Return the directions (n, 3) of the tiles of the 90 % region."""
    along = np.argsort(-tiles.prob / tiles.area_deg2, kind="stable")
    count = int(np.searchsorted(np.cumsum(tiles.prob[along]), 0.9)) + 1
    return np.asarray(tiles_geometry(tiles.order, tiles.ipix)[0][along[:count]])
