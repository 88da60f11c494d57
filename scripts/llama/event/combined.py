"""The sky maps that point at the source: of a real wave, and of one that the neutrinos share.

combined_skymap.multiorder.fits     given that the wave is real, whatever the neutrinos are
coincidence_skymap.multiorder.fits  given that wave and neutrinos have one source
combined_skymap.json                areas and distances of both, beside those of the wave's own map

Source: docs/method.md (24-27).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from llama.errors import for_users
from llama.event.bursts import Bursts, read_bursts
from llama.event.detectors import event_columns, observing, open_site
from llama.event.direction_maps import load_maps
from llama.event.make import read_neutrinos
from llama.event.parameters import SearchBlock, search_parameters
from llama.event.populations import read_p_astro
from llama.event.prepared import prepare_mapped, weigh_tiles
from llama.event.provenance import Provenance, inputs_by_name, provenance
from llama.event.results import Significance, read
from llama.event.skymap_info import EventInfo, read_info
from llama.files import write_bytes, write_json
from llama.neutrinos.event_list import is_from_archive
from llama.neutrinos.network import area_of
from llama.neutrinos.table import ICECUBE
from llama.sky.tiles import Meta, SkyTiles
from llama.sky.write import Cards, skymap_fits
from llama.stats.direction_map import DirectionMap
from llama.stats.distance import distance_moments, distance_norm, distance_parameters
from llama.stats.mapped import MappedNeutrinos
from llama.stats.overlap import prepare_map
from llama.stats.posterior import Located, Posterior, Weighted, locate

if TYPE_CHECKING:
    from llama.neutrinos.network import AnyResponse

_INSTRUMENTS = {ICECUBE: "IceCube"}  # other detectors have the names of the settings
_EVEN_ODDS = 0.5  # a p_astro, which cancels
_NOTHING = 1e-30  # neutrinos of a detector that is off; not 0, as its logarithm is taken
_MOST = 20  # neutrinos that a header names


@for_users("check the sky map and the neutrinos")
def locate_source(
    tiles: SkyTiles,
    gps: float,
    population: str,
    neutrino_list: Mapping[str, Any],
    response: "AnyResponse",
    search: SearchBlock,
    bursts: Bursts | None = None,
    maps: Mapping[int, DirectionMap] | None = None,
) -> Located:
    """Return where the source of the event is; arguments as of `compute_significance`."""
    from_archive = is_from_archive(neutrino_list.get("source"))
    params = search_parameters(search, population, response, from_archive)
    if _is_off(neutrino_list):
        params = replace(params, nu_51_100=_NOTHING)
    area = area_of(response)
    divided, weights = weigh_tiles(tiles, area, params, powers=3)
    prepared = prepare_map(divided.order, divided.ipix, weights[0])
    columns = event_columns(list(neutrino_list["events"]), response)
    maps = maps or {}
    neutrinos = prepare_mapped(columns["gps"] - gps, columns, response, params, maps)
    triggers = [bursts.messenger(gps, params, area.size)] if bursts else []
    odds = MappedNeutrinos(prepared, neutrinos, maps, params, area).odds(_EVEN_ODDS, triggers)
    plain = np.full((3, divided.prob.size), np.nan)
    plain[0] = 1.0
    if divided.distmu is not None and divided.distsigma is not None:
        known = np.isfinite(divided.distmu)
        plain[:, known] = distance_moments(divided.distmu[known], divided.distsigma[known])
    weighted = Weighted(divided.order, divided.ipix, weights, plain * divided.prob)
    return locate(weighted, neutrinos, odds, params, triggers, maps)


def _is_off(neutrino_list: Mapping[str, Any]) -> bool:
    return neutrino_list.get("livetime_s") == 0 and not neutrino_list["events"]


def as_tiles(found: Located, posterior: Posterior) -> SkyTiles:
    """Return a posterior as a sky map, whose distances are refitted by their moments."""
    order, ipix, prob = found.order, found.ipix, posterior.prob
    known = posterior.std_mpc > 0  # not where it is NaN
    if not known.any():
        return SkyTiles(order, ipix, prob)
    mean, std, share = (each[known] for each in (posterior.mean_mpc, posterior.std_mpc, prob))
    mu, sigma, norm = np.full(prob.size, np.inf), np.ones(prob.size), np.zeros(prob.size)
    mu[known], sigma[known] = distance_parameters(mean, std)
    norm[known] = distance_norm(mu[known], sigma[known])
    # no products of BLAS, whose bits depend on the number of cores
    of_sky = float((share * mean).sum() / share.sum())
    spread = float(np.sqrt((share * (mean**2 + std**2)).sum() / share.sum() - of_sky**2))
    meta: Meta = {"distmean_mpc": of_sky, "diststd_mpc": spread}
    return SkyTiles(order, ipix, prob, mu, sigma, norm, meta)


def make_combined(
    inputs: Mapping[str, Any],
    outputs: Mapping[str, str],
    search: SearchBlock,
    grb: Mapping[str, float] | None,
) -> None:
    """Write the maps `combined` and `coincidence` and the `summary` of both.

    inputs: paths of skymap (tiles), p_astro, neutrinos, info, response (of a network a list),
    significance and, if they count, bursts; search, grb: settings of these names, `grb` None
    without bursts.
    """
    info = read_info(Path(inputs["info"]).parent)
    tiles, listed = SkyTiles.load(inputs["skymap"]), read_neutrinos(inputs["neutrinos"])
    significance = read(Path(inputs["significance"]), Significance)
    bursts = read_bursts(Path(inputs["bursts"]), grb) if grb else None
    population = read_p_astro(inputs["p_astro"])["population"]
    on = observing(listed)
    response = open_site(inputs["response"], search, on, info.trigger_gps).response
    maps = load_maps(listed["events"], Path(inputs["neutrinos"]).parent)
    found = locate_source(
        tiles, info.trigger_gps, population, listed, response, search, bursts, maps
    )
    made = provenance(inputs_by_name(inputs), dict(search) | ({"grb": grb} if grb else {}))
    made_maps = source_maps(found, info, listed, tiles, significance, made)
    for name, each in made_maps.items():
        write_bytes(outputs[name], skymap_fits(*each))
    summary: dict[str, object] = {name: _summary(each.tiles) for name, each in made_maps.items()}
    if not found.coincidence:
        summary["coincidence"] = None
    summary |= {"gw": _summary(tiles), "provenance": made}
    write_json(outputs["summary"], summary)


class SourceMap(NamedTuple):
    """A sky map, and what `skymap_fits` writes into its header."""

    tiles: SkyTiles
    cards: Cards
    history: Sequence[str]


def source_maps(
    found: Located,
    info: EventInfo,
    neutrino_list: Mapping[str, Any],
    wave: SkyTiles,
    significance: Significance,
    made: Provenance,
) -> dict[str, SourceMap]:
    """Return the maps `combined` and `coincidence`; wave: the map that they were made from.

    Without a set of neutrinos that can be from one source, the map of a coincidence is the
    combined one.
    """
    on = [] if _is_off(neutrino_list) else observing(neutrino_list)
    instruments = [*info.instruments, *(_INSTRUMENTS.get(name, name) for name in on)]
    combined = as_tiles(found, found.combined)
    shared = as_tiles(found, found.coincidence) if found.coincidence else combined
    history = list(_history(significance, made))
    maps = {}
    for name, tiles in (("combined", combined), ("coincidence", shared)):
        meaning = _MEANING[name if found.coincidence else "alone"]
        cards = _cards(info, instruments, wave, tiles, made)
        maps[name] = SourceMap(tiles, cards, [meaning, *history])
    return maps


_MEANING = {
    "combined": "source of a gravitational wave that is real, given the neutrinos",
    "coincidence": "source of the gravitational wave and of neutrinos in the list",
    "alone": "source of a wave that is real: no neutrino can be from it",
}


def _summary(tiles: SkyTiles) -> dict[str, float | int | None]:
    far: dict[str, float | None] = dict.fromkeys(("distmean_mpc", "diststd_mpc", "distmode_mpc"))
    if moments := _distance(tiles):
        far = dict(zip(far, (*moments, tiles.distance_mode_mpc(*moments)), strict=True))
    return {
        "area_50_deg2": tiles.credible_area_deg2(0.5),
        "area_90_deg2": tiles.credible_area_deg2(0.9),
        "tiles": int(tiles.order.size),
        **far,
    }


def _distance(tiles: SkyTiles) -> tuple[float, float] | None:
    """Return mean and standard deviation [Mpc], the publisher's where the file has them."""
    mean, std = tiles.meta.get("distmean_mpc"), tiles.meta.get("diststd_mpc")
    if tiles.has_distance and isinstance(mean, float) and isinstance(std, float):
        return mean, std
    return tiles.distance_moments_mpc()


def _cards(
    info: EventInfo, instruments: list[str], wave: SkyTiles, tiles: SkyTiles, made: Provenance
) -> Cards:
    cards: dict[str, str | float | bool] = {
        "MOC": True,
        "OBJECT": info.graceid,
        "INSTRUME": ",".join(instruments),
        "DATE-OBS": info.event_time or str(wave.meta.get("date_obs", "")),
        "CREATOR": made["software"],
    }
    for card, key in (("DISTMEAN", "distmean_mpc"), ("DISTSTD", "diststd_mpc")):
        if key in tiles.meta:
            cards[card] = tiles.meta[key]
    return cards


def _history(significance: Significance, made: Provenance) -> Iterator[str]:
    """Yield what a header tells of neutrinos, odds and inputs."""
    if significance.odds_ratio is not None:
        yield f"odds ratio of a common source: {significance.odds_ratio:.6g}"
    if significance.p_text:
        yield f"p-value: {significance.p_text}, for {significance.p_is_for}"
    for one in significance.single_neutrino[:_MOST]:
        yield f"neutrino {one.key[:40]}: dt {one.dt:+.2f} s,"
        yield f"  RA {one.ra:.3f}, Dec {one.dec:+.3f}, sigma {one.sigma:.3f} deg"
        if one.map_words:
            yield f"  direction: {one.map_words[:100]}"
        yield f"  odds ratio of it alone {one.odds_ratio or 0.0:.6g}"
    for name, sha256 in made["inputs"].items():
        yield f"input {name}, sha256"
        yield f"  {sha256}"
