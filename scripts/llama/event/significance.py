"""The significance of an event, from its files to the content of significance_*.json."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Required, TypedDict

import numpy as np
from numpy.typing import NDArray

from llama.errors import for_users
from llama.event.bursts import Burst, Bursts
from llama.event.names import run_name
from llama.event.populations import Background, PAstro
from llama.event.skymap_info import EventInfo
from llama.neutrinos.mixture import radii_deg
from llama.neutrinos.response import Response
from llama.neutrinos.table import Columns, Neutrino, Rows, to_columns
from llama.sky.tiles import SkyTiles
from llama.stats.direction import flux_sensitivity, joint_p_astro, most_probable_direction
from llama.stats.explain import Explanation, explain_odds
from llama.stats.healpix import tiles_geometry
from llama.stats.messengers import Messenger
from llama.stats.odds import Neutrinos, Odds, event_odds, prepare_neutrinos
from llama.stats.overlap import PreparedMap, prepare_map
from llama.stats.parameters import YEAR_S, SearchParameters, WeightModel
from llama.stats.pvalue import p_value, p_values
from llama.stats.weights import divide_tiles, tile_weights

Floats = NDArray[np.float64]
if TYPE_CHECKING:
    from llama.neutrinos.detector import Detector

# settings: horizons by source class
SearchBlock = Mapping[str, float | str | Mapping[str, float]]


def search_parameters(search: SearchBlock, population: str) -> SearchParameters:
    """Return the statistic's parameters from the settings block `search` and the source class."""
    values = {name: v for name, v in search.items() if not isinstance(v, Mapping | str)}
    values.pop("far_signal_rate_hz")
    values["ndotgwnu"] = values.pop("ndotgwnu_gpc3_yr") * 1e-9 / YEAR_S
    horizons, size = search["assumed_horizon_mpc"], int(values.pop("max_set_size"))
    if not isinstance(horizons, Mapping):
        raise ValueError("assumed_horizon_mpc must have a value for every source class")
    horizon = horizons[population]
    return SearchParameters(**values, max_set_size=size, assumed_horizon_mpc=horizon)


def background_class(info: EventInfo, p_astro: PAstro, run: str | None) -> str:
    """Return the class whose background gives the event's p-value, like `bns-o3-H1L1V1`."""
    detectors = "".join(sorted(info.instruments))
    return f"{p_astro['population']}-{run or run_name(info.trigger_gps)}-{detectors}"


@for_users("check the sky map")
def prepare_skymap(tiles: SkyTiles, area_relative: Floats, params: WeightModel) -> PreparedMap:
    """Return the map with its weights, ready for the statistic.

    Tiles across which A(dec) changes are divided: the prepared map can have more tiles.
    """
    order, ipix, parent = divide_tiles(tiles.order, tiles.ipix, area_relative)
    prob = tiles.prob[parent] * 0.25 ** (order - tiles.order[parent]).astype(float)
    distmu, distsigma = (c if c is None else c[parent] for c in (tiles.distmu, tiles.distsigma))
    sin_dec = tiles_geometry(order, ipix)[0][:, 2]
    weights = tile_weights(prob, sin_dec, distmu, distsigma, area_relative, params)
    return prepare_map(order, ipix, weights)


@for_users("check the list")
def prepare_columns(
    dt_s: Floats, columns: Columns, response: "Response | Detector", params: SearchParameters
) -> Neutrinos:
    """Return neutrinos as the statistic takes them; dt_s = t_nu - t_gw [s]."""
    ra, dec, sigma = columns["ra_deg"], columns["dec_deg"], columns["sigma_deg"]
    return prepare_neutrinos(dt_s, ra, dec, sigma, columns["energy_gev"], response, params)


@for_users("check p_astro.json and the background")
def compute_significance(
    tiles: SkyTiles,
    info: EventInfo,
    p_astro: PAstro,
    neutrino_list: Mapping[str, Rows],
    response: "Response | Detector",
    search: SearchBlock,
    background: Background,
    bursts: Bursts | None = None,
) -> dict[str, object]:
    """Return the content of significance_*.json, without its provenance.

    search: settings block `search`; bursts: a third messenger, or None if there is no list that
    counts. With one, `without_bursts` holds what the event has without it, and the p-value is
    null: the background has no bursts. `LlamaError` for what the statistic refuses.
    """
    params = search_parameters(search, p_astro["population"])
    prepared = prepare_skymap(tiles, response.area_relative, params)
    events, gps = list(neutrino_list["events"]), info.trigger_gps
    columns = to_columns([Neutrino.of(event) for event in events])
    dt_s = columns["gps"] - gps
    neutrinos = prepare_columns(dt_s, columns, response, params)
    p, area = p_astro["p_astro"], response.area_relative
    odds = event_odds(prepared, neutrinos, p, params, area)
    # ranks are those of one p_astro, the background's: p-values do not depend on the event's
    ranked = None
    if "odds" in background:
        ranked = event_odds(prepared, neutrinos, background["p_astro"], params, area)
    # under the keys that readers of the published file know
    values = params.as_dict()
    published = {
        "εmin": values.pop("epsilon_min_gev"),
        "εmax": values.pop("epsilon_max_gev"),
        **values,
        "instruments": list(info.instruments),
        "population": p_astro["population"],
        "sensitivity": run_name(info.trigger_gps),
    }
    inputs = {
        "gw_skymap_info": info.as_json(),
        "neutrino_info": events,
        "search_parameters": published,
    }
    result = _odds(prepared, neutrinos, odds, p, events)
    why = explain_odds(prepared, neutrinos, p, odds, params, response)
    explanation = _explanation(why, events, params)
    significance: dict[str, object] = {**_p_values(ranked, background)}
    if bursts:
        significance["without_bursts"] = {name: result[name] for name in _WITHOUT} | significance
        significance |= _NO_P_VALUE
        triggers = [bursts.messenger(gps, params, area.size)]
        joint = event_odds(prepared, neutrinos, p, params, area, triggers)
        result = _odds(prepared, neutrinos, joint, p, events, bursts.events, triggers)
        explanation = _with_bursts(explanation, odds.odds_ratio, joint.odds_ratio)
        inputs |= {"burst_info": bursts.events, "grb_parameters": asdict(bursts.model)}
    return (
        result
        | significance
        | {
            "inputs": inputs,
            "explanation": explanation,
            "single_neutrino": _single_neutrinos(neutrinos, odds, events, ranked, background),
            "energy_response": response.energy_response,
            "psf": response.psf,
            "distance": "map" if tiles.has_distance else "assumed",
            "neutrino_flux_sensitivity_range": flux_sensitivity(
                response.sin_dec,
                response.flux_area_cm2_gev,
                response.true_per_dex,
                response.log10_energy,
                _credible_sin_dec(tiles),
            ),
        }
    )


class _Told(TypedDict, total=False):
    members: Required[list[object]]
    factors: Required[dict[str, float]]
    probability_of_count: float
    expected_background: float
    fb: float


def _explanation(
    why: Explanation | None, events: Sequence[Mapping[str, object]], params: SearchParameters
) -> _Told | None:
    if why is None:
        return None
    return {
        "members": [events[i]["id"] for i in why.members],
        "factors": why.factors,
        "probability_of_count": why.probability_of_count,
        "expected_background": why.expected_background,
        "fb": params.fb,
    }


def _with_bursts(explanation: _Told | None, alone: float, joint: float) -> _Told | None:
    """Return the explanation with what bursts, there or not, change: one more factor.

    Odds that bursts give without any neutrino are that factor alone.
    """
    if not joint > 0:
        return None
    known: _Told = explanation or {"members": [], "factors": {}}
    gain = joint / alone if explanation else joint
    return {**known, "factors": known["factors"] | {"bursts": gain}}


# What an event has twice, with bursts and without.
_WITHOUT = ("odds_ratio", "posterior", "p_astro_joint", "p_h_c", "p_h_s1", "p_h_s2")
_NO_P_VALUE = {
    "p_value": None,
    "p_value_reason": "the odds count gamma-ray bursts, of which the background has none; odds and "
    "p-value of the neutrinos alone are beside them (without_bursts)",
    "p_value_p_astro": None,
    "p_value_odds": None,
    "n_background": 0,
}


def _odds(
    prepared: PreparedMap,
    neutrinos: Neutrinos,
    odds: Odds,
    p_astro: float,
    events: Sequence[Mapping[str, object]],
    bursts: Sequence[Burst] | None = None,
    messengers: Sequence[Messenger] = (),
) -> dict[str, object]:
    q = p_astro / (1 - p_astro) if p_astro > 0 else 0.0
    ratio = (odds.lambda_cgw + odds.lambda_s) / q if q > 0 else 1.0
    ra, dec = most_probable_direction(prepared, neutrinos, odds.sets, messengers)
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


def _p_values(ranked: Odds | None, background: Background) -> dict[str, float | str | None]:
    event = None if ranked is None else ranked.odds_ratio
    return {
        "p_value": None if event is None else p_value(event, background["odds"]),
        "p_value_population": background["class"],
        "p_value_reason": background.get("reason"),
        "p_value_p_astro": background.get("p_astro"),
        "p_value_odds": event,
        "n_background": 0 if ranked is None else int(background["odds"].size),
    }


def _single_neutrinos(
    neutrinos: Neutrinos, odds: Odds, events: Rows, ranked: Odds | None, background: Background
) -> Rows:
    """Return a row for every neutrino: the odds and the p-value that it has alone."""
    single: list[float | None] = [None] * len(events)
    # a background taken from a table has no single-neutrino odds
    if ranked is not None and background["single"].size:
        single = p_values(ranked.single_odds, background["single"]).tolist()
    radii = radii_deg(neutrinos.kappa, neutrinos.shares, neutrinos.vectors[:, 2], 0.9)
    return [
        {
            "i3event": neutrino.get("event"),
            "dt": dt,
            "odds_ratio": ratio,
            "p_value": p,
            "radius_90_deg": None if math.isnan(radius) else radius,
            **{key: neutrino[key] for key in ("id", "ra", "dec", "sigma")},
        }
        for neutrino, dt, ratio, p, radius in zip(
            events,
            neutrinos.dt_s.tolist(),
            odds.single_odds.tolist(),
            single,
            radii.tolist(),
            strict=True,
        )
    ]


def _credible_sin_dec(tiles: SkyTiles) -> Floats:
    along = np.argsort(-tiles.prob / tiles.area_deg2, kind="stable")
    count = int(np.searchsorted(np.cumsum(tiles.prob[along]), 0.9)) + 1
    return tiles_geometry(tiles.order, tiles.ipix)[0][along[:count], 2]
