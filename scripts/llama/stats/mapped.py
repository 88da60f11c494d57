"""Odds of neutrinos whose direction is a map.

The density of such neutrinos multiplies the weights of the sky map's tiles, on the union of all
tilings. On that product the other members of a set are summed as on the sky map itself, with the
source times that the neutrinos with maps leave.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from llama.stats.alternatives import neutrino_only
from llama.stats.area import AnyArea, Area
from llama.stats.arrays import Floats, Integers
from llama.stats.direction import most_probable_direction
from llama.stats.direction_map import DirectionMap, ends, fours_sin_dec
from llama.stats.division import divide_tiles
from llama.stats.healpix import directions_deg, tiles_geometry
from llama.stats.messengers import Messenger, given_messengers
from llama.stats.odds import Neutrinos, Odds, event_odds
from llama.stats.overlap import PreparedMap, prepare_map
from llama.stats.parameters import SearchParameters
from llama.stats.sets import LEFT_OUT

MOST_MAPS = 4  # in a window; products grow with the subsets of them
_NOTHING = 1e-10  # of a product's sum: tiles below are left out
_LITTLE = 1e-3  # of a product's sum: tiles that together give less are not divided


class MappedNeutrinos:
    """Neutrinos of a trigger, some of which have maps, on one sky map.

    maps: by index in `neutrinos`, whose intensities are compared with the background's mean over
    the map. ValueError for more than `MOST_MAPS`.
    """

    def __init__(
        self,
        prepared: PreparedMap,
        neutrinos: Neutrinos,
        maps: Mapping[int, DirectionMap],
        params: SearchParameters,
        area_relative: AnyArea,
    ) -> None:
        if len(maps) > MOST_MAPS:
            raise ValueError(
                f"at most {MOST_MAPS} neutrinos in a window may have maps, not {len(maps)}"
            )
        self._prepared, self._neutrinos, self._maps = prepared, neutrinos, maps
        self._params, self._area = params, area_relative
        of_rest = [i for i in range(neutrinos.dt_s.size) if i not in maps]
        self._of_rest = np.array(of_rest, dtype=np.int64)
        self._rest = Neutrinos(*(column[self._of_rest] for column in neutrinos))
        self._products: dict[tuple[int, ...], PreparedMap | None] = {}

    def odds(
        self, p_astro: float, messengers: Sequence[Messenger] = (), left_out: float = LEFT_OUT
    ) -> Odds:
        """Return what `event_odds` does; without maps it is that."""
        given = p_astro, self._params, self._area, messengers, left_out
        if not self._maps:
            return event_odds(self._prepared, self._neutrinos, *given)
        found = event_odds(self._prepared, self._rest, *given)
        sets, largest = self._numbered(found, (), self._of_rest.size), found.largest_set
        for size in range(1, self._params.max_set_size + 1):
            for members in itertools.combinations(sorted(self._maps), size):
                more = self._with(members, p_astro, messengers, left_out)
                sets |= more[0]
                largest = min(largest, more[1])
        sets = {which: value for which, value in sets.items() if value > 0}
        cnu = {i: self._unseen(i) for i in self._maps}
        lambda_cnu = found.lambda_cnu
        single = np.zeros(self._neutrinos.dt_s.size)
        single[self._of_rest] = found.single_odds
        unseen = math.prod(1 - m.efficiency for m in messengers)
        seen = given_messengers(*self._neutrinos, messengers, self._params)
        for i, value in cnu.items():
            alone = 1.0 + found.lambda_cgw + value * unseen
            single[i] = sets.get((i,), 0.0) / alone
            lambda_cnu += value * float(seen[i])
        lambda_s = math.fsum(sets.values())
        ratio = lambda_s / (1.0 + found.lambda_cgw + lambda_cnu)
        return Odds(ratio, lambda_s, found.lambda_cgw, lambda_cnu, single, sets, largest)

    def most_probable(
        self, sets: Mapping[tuple[int, ...], float], messengers: Sequence[Messenger] = ()
    ) -> tuple[float, float]:
        """Return ra, dec [deg] as `most_probable_direction` does."""
        best = max(sets, key=lambda which: sets[which]) if sets else ()
        mapped = tuple(i for i in best if i in self._maps)
        product = self._product(mapped) if mapped else None
        if product is None:
            return most_probable_direction(self._prepared, self._neutrinos, sets, messengers)
        if rest := tuple(i for i in best if i not in self._maps):
            return most_probable_direction(product, self._neutrinos, {rest: 1.0}, messengers)
        densest = np.argmax(product.weights[0] * 4.0 ** product.order.astype(float))
        ra, dec = directions_deg(product.vectors[densest])
        return float(ra), float(dec)

    def _numbered(
        self, found: Odds, mapped: tuple[int, ...], count: int
    ) -> dict[tuple[int, ...], float]:
        """Return sets by the indices of all: of `count` others, and of neutrinos that have maps."""
        n, most = self._neutrinos.dt_s.size, max((max(which) for which in found.sets), default=0)
        index = [*self._of_rest.tolist()[:count], *range(n, n + 1 + most)]
        return {
            tuple(sorted((*mapped, *(index[i] for i in which)))): value
            for which, value in found.sets.items()
        }

    def _with(
        self,
        mapped: tuple[int, ...],
        p_astro: float,
        messengers: Sequence[Messenger],
        left_out: float,
    ) -> tuple[dict[tuple[int, ...], float], int]:
        """Return the sets whose neutrinos with maps are these, and the largest size."""
        params, most = self._params, self._params.max_set_size
        dt = self._neutrinos.dt_s[list(mapped)]
        low = max(-params.tgwplus, float((dt - params.tnuplus).max()))
        high = min(-params.tgwminus, float((dt - params.tnuminus).min()))
        product = self._product(mapped) if low < high else None
        if product is None:
            return {}, most
        spread_s = (params.tnuplus - params.tnuminus) ** len(mapped)
        time_density = (high - low) / ((params.tgwplus - params.tgwminus) * spread_s)
        alone = p_astro / (1.0 - p_astro) / params.fb * float(product.weights[0].sum())
        sets = {mapped: math.prod((alone, *(1 - m.efficiency for m in messengers)))}
        largest = most
        rest = self._rest if most > len(mapped) else Neutrinos(*(c[:0] for c in self._rest))
        if rest.dt_s.size or messengers:
            # others see a wave of these source times, and rows of weights that count from here
            size = max(1, most - len(mapped))
            fewer = replace(params, tgwminus=-high, tgwplus=-low, max_set_size=size)
            found = event_odds(product, rest, p_astro, fewer, self._area, messengers, left_out)
            sets |= self._numbered(found, mapped, rest.dt_s.size)
            largest = found.largest_set + len(mapped) if rest.dt_s.size else most
        return {which: value * time_density for which, value in sets.items()}, largest

    def _unseen(self, i: int) -> float:
        """Return `neutrino_only` of a neutrino with a map: its mean over the map."""
        if isinstance(self._area, Area):
            one = self._maps[i]
            vectors, probability = tiles_geometry(one.order, one.ipix)[0], one.prob
            return self._mean(i, vectors, probability / probability.sum())
        probability = self._maps[i].along_sin_dec(self._area.size)
        nodes = np.flatnonzero(probability)
        z = np.linspace(-1.0, 1.0, self._area.size)[nodes]
        return self._mean(i, np.stack([np.sqrt(1 - z * z), 0.0 * z, z], 1), probability[nodes])

    def _mean(self, i: int, vectors: Floats, probability: Floats) -> float:
        """Return the mean of `neutrino_only` of a neutrino in directions (n, 3)."""
        column = (np.repeat(c[i : i + 1], probability.size, 0) for c in self._neutrinos)
        same = Neutrinos(*column)._replace(vectors=vectors)
        return float(neutrino_only(same, self._params, self._area) @ probability)

    def _product(self, mapped: tuple[int, ...]) -> PreparedMap | None:
        """Return the sky map times what these neutrinos say, None if they have nothing in common.

        Its weights of n neutrinos are those of so many besides these.
        """
        if mapped not in self._products:
            tables = [self._neutrinos.intensity[i].sum(axis=0) for i in mapped]
            maps = [self._maps[i] for i in mapped]
            self._products[mapped] = product_map(self._prepared, maps, tables)
        return self._products[mapped]


def product_map(
    prepared: PreparedMap, maps: Sequence[DirectionMap], tables: Sequence[Floats]
) -> PreparedMap | None:
    """Return the map whose weights w_n are w_{n + len(maps)} times densities and responses.

    tables: response of each map's neutrino on uniform nodes of sin(dec), which multiplies its
    density [sr^-1]; None if the product is 0 everywhere.
    """
    order, ipix, weights = prepared.order, prepared.ipix, prepared.weights[len(maps) :]
    for one in maps:
        order, ipix, weights = _kept(*_times(order, ipix, weights, one))
    for table in tables:
        if order.size and table.any():
            order, ipix, weights = _divided(order, ipix, weights, table)
    response, z = np.ones(4 * order.size), fours_sin_dec(order, ipix)
    for table in tables:
        response *= np.interp(z, np.linspace(-1.0, 1.0, table.size), table)
    order, ipix, weights = _kept(order, ipix, weights * response.reshape(-1, 4).mean(axis=1))
    if not order.size:
        return None
    rows = np.zeros((5, order.size))
    rows[: len(weights)] = weights
    return prepare_map(order, ipix, rows)


_Tiles = tuple[NDArray[np.int8], Integers, Floats]  # order, ipix, weights (n, tiles)


def _kept(order: NDArray[np.int8], ipix: Integers, weights: Floats) -> _Tiles:
    """Return the tiles that are not nothing in the sums."""
    least = weights.sum(axis=1, keepdims=True) * (_NOTHING / max(order.size, 1))
    kept = (weights > least).any(axis=0)
    return order[kept], ipix[kept], weights[:, kept]


def _times(order: NDArray[np.int8], ipix: Integers, weights: Floats, one: DirectionMap) -> _Tiles:
    """Return weights times a density, on the finer of the tiles where both have some."""
    first, last = ends(order, ipix)
    its_first, its_last = ends(one.order, one.ipix)
    if (its_first[1:] <= its_last[:-1]).any():
        raise ValueError("tiles of a neutrino's map must be along the curve and not overlap")
    around = np.searchsorted(its_first, first, "right") - 1
    inside = np.flatnonzero((around >= 0) & (its_last[around] >= last))
    holding = np.searchsorted(first, its_first, "right") - 1
    within = (holding >= 0) & (last[holding] >= its_last)
    finer = np.flatnonzero(within & (order[holding] < one.order))
    ours, its = np.append(inside, holding[finer]), np.append(around[inside], finer)
    orders, pixels = np.append(order[inside], one.order[finer]), ipix[inside]
    pixels = np.append(pixels, one.ipix[finer])
    density = one.prob * (3.0 / math.pi * 4.0 ** one.order.astype(float))
    part = density[its] * 0.25 ** (orders - order[ours]).astype(float)
    along = np.argsort(ends(orders, pixels)[0], kind="stable")
    return orders[along], pixels[along], (weights[:, ours] * part)[:, along]


def _divided(order: NDArray[np.int8], ipix: Integers, weights: Floats, table: Floats) -> _Tiles:
    """Return the tiles, those divided in which a response changes and that matter."""
    share = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    matters = share.max(axis=0) > _LITTLE / order.size
    orders, pixels, parent = divide_tiles(order[matters], ipix[matters], table / table.mean())
    parent = np.flatnonzero(matters)[parent]
    part = 0.25 ** (orders - order[parent]).astype(float)
    orders, pixels = np.append(orders, order[~matters]), np.append(pixels, ipix[~matters])
    return orders, pixels, np.append(weights[:, parent] * part, weights[:, ~matters], axis=1)
