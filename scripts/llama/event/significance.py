"""The significance of an event, from its files to the content of significance_*.json."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama.event.names import run_name
from llama.neutrinos.response import Response
from llama.sky.tiles import SkyTiles
from llama.stats.direction import flux_sensitivity, joint_p_astro, most_probable_direction
from llama.stats.explain import explain_odds
from llama.stats.odds import Neutrinos, Odds, event_odds, prepare_neutrinos
from llama.stats.overlap import PreparedMap, prepare_map
from llama.stats.parameters import YEAR_S, SearchParameters
from llama.stats.pvalue import p_value
from llama.stats.weights import tile_weights

Floats = NDArray[np.float64]


def search_parameters(search: Mapping[str, Any], population: str) -> SearchParameters:
    """Return the statistic's parameters from the settings block `search` and the source class."""
    values = dict(search)
    values.pop("far_signal_rate_hz")
    values["ndotgwnu"] = values.pop("ndotgwnu_gpc3_yr") * 1e-9 / YEAR_S
    values["assumed_horizon_mpc"] = values["assumed_horizon_mpc"][population]
    return SearchParameters(**values)


def background_class(info: Mapping[str, Any], p_astro: Mapping[str, Any], run: str | None) -> str:
    """Return the class whose background gives the event's p-value, like `bns-o3-H1L1V1`."""
    detectors = "".join(sorted(info["instruments"]))
    return f"{p_astro['population']}-{run or run_name(info['gps_time'])}-{detectors}"


def prepare_skymap(tiles: SkyTiles, area_relative: Floats, params: SearchParameters) -> PreparedMap:
    """Return the map with its weights, ready for the statistic."""
    # the declination of a NESTED tile's centre comes with its geometry; weights follow the tiles
    from llama.stats.healpix import tiles_geometry

    vectors, _ = tiles_geometry(tiles.order, tiles.ipix)
    weights = tile_weights(
        tiles.prob, vectors[:, 2], tiles.distmu, tiles.distsigma, area_relative, params
    )
    return prepare_map(tiles.order, tiles.ipix, weights)


def neutrinos_of(
    events: list[Mapping[str, Any]], gps: float, response: Response, params: SearchParameters
) -> Neutrinos:
    """Return the neutrinos of a list as the statistic takes them; dt = t_nu - t_gw."""
    times, ra, dec, sigma, energy = (
        np.array([float(e[key]) for e in events]) for key in ("gps", "ra", "dec", "sigma", "energy")
    )
    return prepare_neutrinos(times - gps, ra, dec, sigma, energy, response, params)


def compute_significance(
    tiles: SkyTiles,
    info: Mapping[str, Any],
    p_astro: Mapping[str, Any],
    neutrino_list: Mapping[str, Any],
    response: Response,
    search: Mapping[str, Any],
    background: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the content of significance_*.json, without its provenance.

    background: {"class", "odds", "single", "p_astro"} with ascending arrays, or {"class",
    "reason"} when there is none; search: settings block `search`. LlamaError as the statistic.
    """
    params = search_parameters(search, p_astro["population"])
    prepared = prepare_skymap(tiles, response.area_relative, params)
    events = list(neutrino_list["events"])
    neutrinos = neutrinos_of(events, info["gps_time"], response, params)
    p = p_astro["p_astro"]
    odds = event_odds(prepared, neutrinos, p, params, response.area_relative)
    q = p / (1 - p) if p > 0 else 0.0
    ratio = (odds.lambda_cgw + odds.lambda_s) / q if q > 0 else 1.0
    ra, dec = most_probable_direction(prepared, neutrinos, odds.sets)
    region = _credible_sin_dec(tiles, prepared)
    why = explain_odds(prepared, neutrinos, p, odds, params, response)
    result: dict[str, Any] = {
        "odds_ratio": odds.odds_ratio,
        "explanation": why
        and why._asdict() | {"members": [events[i]["id"] for i in why.members], "fb": params.fb},
        "p_h_0": 1.0,
        "p_h_c": odds.lambda_cgw + odds.lambda_cnu,
        "p_h_s1": odds.lambda_s,
        "p_h_s2": odds.lambda_cgw,
        "posterior": odds.posterior(),
        "p_astro": p,
        "p_astro_joint": joint_p_astro(p, ratio),
        "distance": "map" if tiles.has_distance else "assumed",
        "most_probable_direction": {"ra": ra, "dec": dec},
        "neutrino_flux_sensitivity_range": flux_sensitivity(
            response.sin_dec,
            response.flux_area_cm2_gev,
            response.signal_per_dex,
            response.log10_energy,
            region,
        ),
        "inputs": {
            "gw_skymap_info": dict(info),
            "neutrino_info": events,
            "search_parameters": _published(params, info, p_astro),
        },
        "dump": {
            "largest_set": odds.largest_set,
            "sets": [
                {"neutrinos": [events[i]["id"] for i in which], "lambda_s": value}
                for which, value in sorted(odds.sets.items(), key=lambda item: -item[1])[:50]
            ],
        },
    }
    result |= _p_values(odds, events, info["gps_time"], p, background)
    return result


def at_p_astro(odds: Odds, p_astro: float, reference: float) -> tuple[float, Floats]:
    """Return the event's and the single odds as a trigger of p_astro = `reference` would have them.

    Lambda_s and Lambda_cgw are proportional to Q, so that a background made at one p_astro
    serves triggers of any: p-values compare like with like.
    """
    if p_astro == 0:
        return 0.0, np.zeros_like(odds.single_odds)
    scale = reference / (1 - reference) * (1 - p_astro) / p_astro
    value = np.array([odds.sets.get((i,), 0.0) for i in range(odds.single_odds.size)])
    # Q appears in Lambda_cgw only; the rest of the denominator stays
    denominator = np.full_like(value, 1 + odds.lambda_cgw)
    np.divide(value, odds.single_odds, out=denominator, where=odds.single_odds > 0)
    denominator += odds.lambda_cgw * (scale - 1)
    event = odds.lambda_s * scale / (1 + odds.lambda_cgw * scale + odds.lambda_cnu)
    return event, value * scale / denominator


def _p_values(
    odds: Odds,
    events: list[Mapping[str, Any]],
    gps: float,
    p_astro: float,
    background: Mapping[str, Any],
) -> dict[str, Any]:
    known = "odds" in background
    event, single = (
        at_p_astro(odds, p_astro, background["p_astro"]) if known else (0.0, odds.single_odds)
    )
    rows = []
    for i, neutrino in enumerate(events):
        p_single = None  # a background taken from a table has no single-neutrino odds
        if known and background["single"].size:
            p_single = p_value(float(single[i]), background["single"])
        rows.append(
            {
                "i3event": neutrino.get("event"),
                "id": neutrino["id"],
                "dt": neutrino["gps"] - gps,
                "ra": neutrino["ra"],
                "dec": neutrino["dec"],
                "sigma": neutrino["sigma"],
                "odds_ratio": float(odds.single_odds[i]),
                "p_value": p_single,
            }
        )
    return {
        "p_value": p_value(event, background["odds"]) if known else None,
        "p_value_population": background["class"],
        "p_value_reason": background.get("reason"),
        "p_value_p_astro": background.get("p_astro"),
        "p_value_odds": event if known else None,
        "n_background": int(background["odds"].size) if known else 0,
        "single_neutrino": rows,
    }


def _published(
    params: SearchParameters, info: Mapping[str, Any], p_astro: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the parameters under the keys that readers of the published file know."""
    values = params.as_dict()
    values["εmin"], values["εmax"] = values.pop("epsilon_min_gev"), values.pop("epsilon_max_gev")
    return values | {
        "instruments": list(info["instruments"]),
        "population": p_astro["population"],
        "sensitivity": run_name(info["gps_time"]),
    }


def _credible_sin_dec(tiles: SkyTiles, prepared: PreparedMap) -> Floats:
    """Return sin(dec) of the tiles in the 90 % region of the map."""
    along = np.argsort(-tiles.prob / tiles.area_deg2, kind="stable")
    count = int(np.searchsorted(np.cumsum(tiles.prob[along]), 0.9)) + 1
    return prepared.vectors[along[:count], 2]
