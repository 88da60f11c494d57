"""Where the source of a GW is, given neutrinos: the posterior of each tile and of its distance.

Source: docs/method.md (24-27). Plain NumPy, as it is made once an event, after the odds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama.stats.arrays import Flags, Floats, Integers
from llama.stats.direction_map import DirectionMap
from llama.stats.healpix import RADIUS, tiles_geometry
from llama.stats.messengers import Messenger, join_components
from llama.stats.odds import Neutrinos, Odds
from llama.stats.overlap import log_vmf_norm
from llama.stats.parameters import SearchParameters

_FINENESS = 0.25  # width of tiles in a point spread, in units of its sigma
_FAR = 5.0  # sigmas from its centre where a component of it ends
_NOTHING = 1e-4  # of the source's probability: a tile with less is not divided
_MOST_MORE = 200_000  # tiles; beyond, `_NOTHING` is laxer
_CHUNK = 16_384  # tiles whose densities are evaluated together
_EVEN = 1e-9  # kappa of what is the same everywhere
_LEFT_OUT = 1e-3  # of Lambda_s, of sets that are passed over


class Weighted(NamedTuple):
    """NESTED tiles with the weights of each number of neutrinos and powers of the distance.

    weights (3, 5, n): w_{n,k}, alone and times r and r^2 [Mpc]; plain (3, n): p_k, likewise, NaN
    where the map has no distance.
    """

    order: NDArray[np.int8]
    ipix: Integers
    weights: Floats
    plain: Floats


class Posterior(NamedTuple):
    """Probability of each tile (n,), and its distance [Mpc]: mean, standard deviation, or NaN."""

    prob: Floats
    mean_mpc: Floats
    std_mpc: Floats


class Located(NamedTuple):
    """Where a source is, on one set of tiles.

    combined: of a real GW; coincidence: of a source that gave some of the triggers, or None where
    no set of them can be from one; sum_over_tiles: Lambda_s as their sum,
    relative to the odds' own.
    """

    order: NDArray[np.int8]
    ipix: Integers
    combined: Posterior
    coincidence: Posterior | None
    sum_over_tiles: float | None


@dataclass(frozen=True)
class _Triggers:
    """Triggers that are in sets, neutrinos first; sets: members, neutrinos among them, factor.

    maps: of those whose direction is one, by index; their vMF is a bound, the same everywhere.
    vectors (n, 3); kappa (n, components); norms: densities of vMF at the centre, 0 for none;
    tables (n, components, sin dec nodes). The factor is that of time and efficiency.
    """

    vectors: Floats
    kappa: Floats
    norms: Floats
    tables: Floats
    sets: list[tuple[list[int], int, float]]
    maps: dict[int, DirectionMap]

    @classmethod
    def of(
        cls,
        neutrinos: Neutrinos,
        odds: Odds,
        params: SearchParameters,
        messengers: Sequence[Messenger],
        maps: Mapping[int, DirectionMap],
    ) -> "_Triggers":
        lists: list[Neutrinos | Messenger] = [neutrinos, *messengers]
        first, last = params.tnuminus, params.tnuplus
        dt = neutrinos.dt_s
        own = dt - last, dt - first, np.full(dt.size, last - first)
        starts, stops, spreads = (
            np.concatenate(each) for each in zip(own, *(m[:3] for m in messengers), strict=True)
        )
        messenger = np.repeat(np.arange(len(lists)), [each.vectors.shape[0] for each in lists])
        kept, missing = [], _LEFT_OUT * odds.lambda_s
        for which, value in sorted(odds.sets.items(), key=lambda item: item[1]):
            missing -= value
            if missing < 0:
                kept.append(list(which))
        used = sorted({i for which in kept for i in which})
        sets = []
        for i in kept:
            low, high = max(-params.tgwplus, *starts[i]), min(-params.tgwminus, *stops[i])
            factor = (high - low) / ((params.tgwplus - params.tgwminus) * spreads[i].prod())
            for number, m in enumerate(messengers, 1):
                factor *= m.efficiency if number in messenger[i] else 1 - m.efficiency
            sets.append(
                ([used.index(each) for each in i], int((messenger[i] == 0).sum()), float(factor))
            )
        kappa, tables = (each[used] for each in join_components(lists))
        norms = np.exp([[log_vmf_norm(float(k)) for k in row] for row in kappa])
        norms = np.where(tables.any(axis=2), norms.reshape(kappa.shape), 0.0)
        vectors = np.concatenate([each.vectors for each in lists])[used]
        mapped = {k: maps[i] for k, i in enumerate(used) if i in maps}
        for k, one in mapped.items():
            tables[k, 0] = tables[k].sum(axis=0)
            tables[k, 1:], norms[k], kappa[k] = 0.0, 0.0, _EVEN
            norms[k, 0] = one.density(one.order, one.ipix).max()
        return cls(vectors, kappa, norms, tables, sets, mapped)

    def together(self, each: Floats) -> Floats:
        """Return sums of products of `each` (triggers, n) over sets, by numbers of neutrinos."""
        total = np.zeros((5, each.shape[1]))
        for members, count, factor in self.sets:
            total[count] += factor * each[members].prod(axis=0)
        return total

    def densities(self, order: NDArray[np.int8], ipix: Integers) -> Floats:
        """Return signal over background of each trigger in tiles (n,), shape (triggers, n)."""
        points = tiles_geometry(order, ipix)[0]
        nodes = self.tables.shape[2]
        position = (points[:, 2] + 1) * (0.5 * (nodes - 1))
        node = np.clip(position.astype(np.int64), 0, nodes - 2)
        part = position - node
        found = np.zeros((len(self.vectors), len(points)))
        for i, vector in enumerate(self.vectors):
            away = 0.5 * ((points - vector) ** 2).sum(axis=1)
            for c in np.flatnonzero(self.norms[i]):
                table = self.tables[i, c]
                here = table[node] + part * np.diff(table)[node]
                if i in self.maps:
                    found[i] = here * self.maps[i].density(order, ipix)
                    continue
                found[i] += here * (self.norms[i, c] * np.exp(-self.kappa[i, c] * away))
        return found


def locate(
    tiles: Weighted,
    neutrinos: Neutrinos,
    odds: Odds,
    params: SearchParameters,
    messengers: Sequence[Messenger] = (),
    maps: Mapping[int, DirectionMap] | None = None,
) -> Located:
    """Return where the source of a GW is that is real.

    odds: of these triggers at any p_astro but 0. maps: of neutrinos whose direction is one. Tiles
    are divided in point spreads that are narrower than they are, and where a map's are finer.
    """
    unseen = float(np.prod([1 - m.efficiency for m in messengers]))
    alone = _alone(tiles, params, unseen)
    if odds.lambda_s > 0:
        triggers = _Triggers.of(neutrinos, odds, params, messengers, maps or {})
        for one in triggers.maps.values():
            tiles = _as_fine(tiles, one)
        per_q = odds.lambda_s / odds.lambda_cgw * float(alone[0].sum())
        finer = _divided(tiles, triggers, per_q * params.fb)
        source = _joint(finer, triggers)
        if (total := float(source[0].sum())) > 0:
            both = _alone(finer, params, unseen) + per_q / total * source
            found = _posterior(both), _posterior(source)
            return Located(finer.order, finer.ipix, *found, total / (per_q * params.fb))
    return Located(tiles.order, tiles.ipix, _posterior(alone), None, None)


def _alone(tiles: Weighted, params: SearchParameters, unseen: float) -> Floats:
    """Return Lambda_cgw / Q of each tile, alone and times r and r^2, (3, n)."""
    seen_nowhere = tiles.weights[:, 0] * (unseen / params.fb)
    return np.asarray((1 - 1 / params.fb) * tiles.plain + seen_nowhere)


def _joint(tiles: Weighted, triggers: _Triggers) -> Floats:
    """Return Lambda_s fb / Q of each tile, alone and times r and r^2, (3, n)."""
    found = np.empty((3, tiles.order.size))
    for start in range(0, tiles.order.size, _CHUNK):
        some = slice(start, start + _CHUNK)
        order, ipix = _parts(tiles.order[some], tiles.ipix[some])
        densities = triggers.densities(order, ipix)
        joint = triggers.together(densities).reshape(5, -1, 4).mean(axis=2)
        found[:, some] = (joint * tiles.weights[:, :, some]).sum(axis=1)
    found[np.isnan(tiles.plain)] = np.nan  # weights assume a distance where there is none
    return found


def _as_fine(tiles: Weighted, one: DirectionMap) -> Weighted:
    """Return the tiles divided where those of a neutrino's map are finer."""
    order, ipix, parent = one.divide(tiles.order, tiles.ipix)
    part = 0.25 ** (order - tiles.order[parent]).astype(float)
    return Weighted(order, ipix, tiles.weights[:, :, parent] * part, tiles.plain[:, parent] * part)


def _parts(order: NDArray[np.int8], ipix: Integers) -> tuple[NDArray[np.int8], Integers]:
    """Return the four parts of each tile."""
    return np.repeat(order + 1, 4).astype(np.int8), (4 * ipix[:, None] + np.arange(4)).ravel()


def _posterior(moments: Floats) -> Posterior:
    prob, first, second = moments
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = first / prob
        std = np.sqrt(np.maximum(second / prob - mean**2, 0.0))
    prob = prob / prob.sum()
    return Posterior(prob / prob.sum(), mean, std)


def _divided(tiles: Weighted, triggers: _Triggers, whole: float) -> Weighted:
    """Return the tiles divided where point spreads are narrow; whole: Lambda_s fb / Q."""
    nothing = _NOTHING * whole
    while (found := _division(tiles, triggers, nothing)) is None:
        nothing *= 10
    along = np.argsort(found[1] << (2 * (29 - found[0].astype(np.int64))))
    order, (ipix, parent) = found[0][along].astype(np.int8), (each[along] for each in found[1:])
    part = 0.25 ** (order - tiles.order[parent]).astype(float)
    return Weighted(order, ipix, tiles.weights[:, :, parent] * part, tiles.plain[:, parent] * part)


def _division(tiles: Weighted, triggers: _Triggers, nothing: float) -> list[Integers] | None:
    """Return order, ipix, parent of the divided tiles, in no order; None if they are too many."""
    kept = []
    order, ipix, parent = tiles.order, tiles.ipix, np.arange(tiles.order.size)
    left = tiles.order.size + _MOST_MORE
    while order.size:
        left -= order.size
        if left < 0:
            return None
        weights = tiles.weights[0][:, parent] * 0.25 ** (order - tiles.order[parent])
        wide = _is_wide(order, ipix, weights, triggers, nothing)
        kept.append([order[~wide], ipix[~wide], parent[~wide]])
        order, ipix = _parts(order[wide], ipix[wide])
        parent = np.repeat(parent[wide], 4)
    return [np.concatenate(each) for each in zip(*kept, strict=True)]


def _is_wide(
    order: NDArray[np.int8], ipix: Integers, weights: Floats, triggers: _Triggers, nothing: float
) -> Flags:
    """Return which tiles are wider than a point spread in which they may hold more than nothing."""
    vectors, area = tiles_geometry(order, ipix)
    radius, side = RADIUS * 0.5 ** order.astype(float), np.sqrt(area)
    chord = np.linalg.norm(vectors[None] - triggers.vectors[:, None], axis=2)
    near = np.maximum(2 * np.arcsin(np.minimum(0.5 * chord, 1)) - radius, 0)[:, None]
    kappa, most = triggers.kappa[:, :, None], (triggers.norms * triggers.tables.max(axis=2))
    bounds = most[:, :, None] * np.exp(-2 * kappa * np.sin(0.5 * near) ** 2)
    steep = (side * np.sqrt(kappa) > _FINENESS) & (near * np.sqrt(kappa) < _FAR)
    each, wide = bounds.sum(axis=1), np.zeros(order.size, dtype=bool)
    for i in np.flatnonzero(steep.any(axis=(1, 2))):
        some = np.flatnonzero(steep[i].any(axis=0))
        held = sum(
            factor * weights[count, some] * each[members][:, some].prod(axis=0)
            for members, count, factor in triggers.sets
            if i in members
        )
        part = bounds[i][:, some] / np.maximum(each[i, some], 1e-300)
        wide[some] |= (steep[i][:, some] & (held * part > nothing)).any(axis=0)
    return wide
