"""A sky map and neutrinos as the statistic takes them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from llama.errors import for_users
from llama.neutrinos.network import Network, area_of
from llama.neutrinos.table import Columns
from llama.sky.tiles import SkyTiles
from llama.stats.area import AnyArea, area_in
from llama.stats.arrays import Floats, Integers
from llama.stats.direction_map import DirectionMap
from llama.stats.division import divide_tiles
from llama.stats.healpix import tiles_geometry
from llama.stats.network import prepare_in_network
from llama.stats.odds import Neutrinos, prepare_neutrinos
from llama.stats.overlap import PreparedMap, prepare_map
from llama.stats.parameters import SearchParameters, WeightModel
from llama.stats.weights import weight_moments
from llama.stats.windows import WindowOdds, odds_of_windows

if TYPE_CHECKING:
    from llama.background.draws import Draws
    from llama.neutrinos.network import AnyResponse


# Probability of a tile that is none. Sky maps are smoothed from some thousand samples, yet have
# tails down to 1e-320, whose sums take ten times as long; together they give odds below 1e-15.
_NO_PROBABILITY = 1e-30


@for_users("check the sky map")
def prepare_skymap(tiles: SkyTiles, area_relative: AnyArea, params: WeightModel) -> PreparedMap:
    """Return the map with its weights, ready for the statistic.

    Tiles across which A changes are divided: the prepared map can have more tiles.
    """
    divided, weights = weigh_tiles(tiles, area_relative, params)
    return prepare_map(divided.order, divided.ipix, weights[0])


def weigh_tiles(
    tiles: SkyTiles, area_relative: AnyArea, params: WeightModel, powers: int = 1
) -> tuple[SkyTiles, Floats]:
    """Return tiles divided where A changes, and their weights (powers, 5, n).

    Those are w_{n,k} times powers of the distance, from 0 on.
    """
    order, ipix, parent = divide_tiles(tiles.order, tiles.ipix, area_relative)
    prob = np.where(tiles.prob < _NO_PROBABILITY, 0.0, tiles.prob)[parent]
    prob *= 0.25 ** (order - tiles.order[parent]).astype(float)
    distmu, distsigma = (c if c is None else c[parent] for c in (tiles.distmu, tiles.distsigma))
    relative = area_in(area_relative, tiles_geometry(order, ipix)[0])
    weights = weight_moments(prob, relative, distmu, distsigma, params, powers=powers)
    return SkyTiles(order, ipix, prob, distmu, distsigma), weights


@for_users("check the list")
def prepare_columns(
    dt_s: Floats, columns: Columns, response: "AnyResponse", params: SearchParameters
) -> Neutrinos:
    """Return neutrinos as the statistic takes them; dt_s = t_nu - t_gw [s]."""
    ra, dec, sigma = columns["ra_deg"], columns["dec_deg"], columns["sigma_deg"]
    energy = columns["energy_gev"]
    if isinstance(response, Network):
        shares = response.turned_area if response.turned else response.fractions
        own = response.of(columns), response.turned or response.members, shares
        return prepare_in_network((dt_s, ra, dec, sigma, energy), *own, params)
    return prepare_neutrinos(dt_s, ra, dec, sigma, energy, response, params)


def prepare_mapped(
    dt_s: Floats,
    columns: Columns,
    response: "AnyResponse",
    params: SearchParameters,
    maps: Mapping[int, DirectionMap],
) -> Neutrinos:
    """Return what `prepare_columns` does, some neutrinos with the background of their maps.

    maps: by index. That background's density is the mean over the map of the one at each
    declination, with which the signal's is compared (docs/method.md).
    """
    neutrinos = prepare_columns(dt_s, columns, response, params)
    for i, one in maps.items():
        probability = one.along_sin_dec(response.sin_dec.size)
        nodes = np.flatnonzero(probability)
        same = {name: np.repeat(column[i], nodes.size) for name, column in columns.items()}
        same["dec_deg"] = np.degrees(np.arcsin(response.sin_dec[nodes]))
        if isinstance(response, Network) and response.turned:
            same["ra_deg"] = one.mean_ra_deg(response.sin_dec.size)[nodes]
        at = prepare_columns(np.repeat(dt_s[i], nodes.size), same, response, params).intensity
        # signal over the mean of backgrounds, which is the harmonic mean of the ratios
        with np.errstate(divide="ignore"):
            inverse = np.tensordot(probability[nodes], 1 / at, axes=1) / probability.sum()
        neutrinos.intensity[i] = 1 / inverse
    return neutrinos


def prepare_drawn(draws: "Draws", columns: Columns) -> Neutrinos:
    """Return neutrinos of injections as the statistic takes them."""
    if draws.hides_energy:
        columns = {**columns, "energy_gev": np.full(columns["energy_gev"].size, np.nan)}
    return prepare_columns(columns["dt_s"], columns, draws.response, draws.params)


def odds_of_drawn(
    prepared: PreparedMap, draws: "Draws", counts: Integers, columns: Columns, p_astro: float
) -> WindowOdds:
    """Return the odds of injections with one map; counts, columns: neutrinos as drawn."""
    neutrinos, area = prepare_drawn(draws, columns), area_of(draws.response)
    return odds_of_windows(prepared, neutrinos, np.cumsum(counts), p_astro, draws.params, area)
