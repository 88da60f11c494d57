"""The internal form of a sky map: disjoint HEALPix tiles, and what follows from them."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama.files import atomic_hdf5, reading_hdf5
from llama.stats.arrays import Flags, Floats, Integers
from llama.stats.distance import distance_moments

Columns = dict[str, NDArray[Any]]
Meta = dict[str, str | float]
Merged = tuple[NDArray[np.int8], Integers, Columns]  # order, ipix and columns of tiles

COLUMNS = ("order", "ipix", "prob", "distmu", "distsigma", "distnorm")
BLOCK_ORDER = 8  # 4**8 pixels stay in the processor's cache, with all columns


@dataclass(frozen=True)
class SkyTiles:
    """A sky map as tiles along the NESTED curve.

    order (int8) and ipix (int64, NESTED); prob sums to 1; distmu, distsigma [Mpc] and distnorm
    [Mpc^-2], or None for a map without distance (a tile without has distmu = inf and
    distnorm = 0); meta: creator, instruments, object, date_obs, distmean_mpc, diststd_mpc
    and prob_sum of the file, where it has them.
    """

    order: NDArray[np.int8]
    ipix: Integers
    prob: Floats
    distmu: Floats | None = None
    distsigma: Floats | None = None
    distnorm: Floats | None = None
    meta: Meta = field(default_factory=dict)

    @classmethod
    def of(cls, columns: Mapping[str, NDArray[Any]], meta: Meta | None = None) -> "SkyTiles":
        """Return the tiles whose `columns` these are."""
        order, ipix, prob = (columns[name] for name in COLUMNS[:3])
        mu, sigma, norm = map(columns.get, COLUMNS[3:])
        return cls(order, ipix, prob, mu, sigma, norm, meta or {})

    @property
    def columns(self) -> Columns:
        """All columns that the map has."""
        known = {name: getattr(self, name) for name in COLUMNS}
        return {name: column for name, column in known.items() if column is not None}

    @property
    def area_deg2(self) -> Floats:
        """Area of each tile [deg^2]."""
        return (180 / math.pi) ** 2 * math.pi / 3 * 4.0 ** -self.order.astype(float)

    @property
    def has_distance(self) -> bool:
        """Whether any tile that holds probability has a distance."""
        return self.distmu is not None and bool((np.isfinite(self.distmu) & (self.prob > 0)).any())

    def save(self, path: str | Path) -> None:
        """Write the tiles as `lvc_skymap.hdf5`: contiguous datasets that can be memory-mapped."""
        with atomic_hdf5(path) as file:
            for name, column in self.columns.items():
                file.create_dataset(name, data=column, track_times=False)
            file.attrs.update(self.meta)

    @classmethod
    def load(cls, path: str | Path) -> "SkyTiles":
        """Read what `save` wrote; `LlamaError` if it is not there or not whole."""
        problem = f"{path} is missing or no sky map; delete it and run snakemake again"
        with reading_hdf5(path, problem) as file:
            # NumPy scalars back to what JSON and figures expect
            meta = {k: v.item() if hasattr(v, "item") else v for k, v in file.attrs.items()}
            return cls.of({name: file[name][()] for name in COLUMNS if name in file}, meta)

    def credible_area_deg2(self, level: float) -> float:
        """Return the area [deg^2] of the smallest region that holds `level` of the probability."""
        along = np.argsort(-self.prob / self.area_deg2, kind="stable")
        held, area = np.cumsum(self.prob[along]), np.cumsum(self.area_deg2[along])
        return float(np.interp(level, np.concatenate([[0], held]), np.concatenate([[0], area])))

    def summary(self) -> dict[str, str | float | None]:
        """Return the content of lvc_skymap_distances.json, without its provenance.

        distmean_mpc and diststd_mpc are the publisher's, who knows the posterior itself, where
        the file has them, else those of the tiles; tiles_* are always computed; null without
        distance. area_50_deg2, area_90_deg2: credible areas.
        """
        moments = self.distance_moments_mpc()
        mean, std = moments or (None, None)
        return {
            "distance": "map" if moments else "assumed",
            "distmean_mpc": self.meta.get("distmean_mpc", mean) if moments else None,
            "diststd_mpc": self.meta.get("diststd_mpc", std) if moments else None,
            "tiles_distmean_mpc": mean,
            "tiles_diststd_mpc": std,
            "area_50_deg2": self.credible_area_deg2(0.5),
            "area_90_deg2": self.credible_area_deg2(0.9),
            "tiles": int(self.order.size),
        }

    def distance_moments_mpc(self) -> tuple[float, float] | None:
        """Return mean and standard deviation of the all-sky distance [Mpc], None without distance.

        Marginal over the tiles that have a distance, r^2 N(r; distmu, distsigma) in each
        (Singer et al. 2016, ApJL 829, L15, eq. 1).
        """
        if not self.has_distance or self.distmu is None or self.distsigma is None:
            return None
        known = np.isfinite(self.distmu) & (self.prob > 0)
        sums = distance_moments(self.distmu[known], self.distsigma[known]) @ self.prob[known]
        mean = sums[1] / sums[0]
        return float(mean), float(math.sqrt(max(0.0, sums[2] / sums[0] - mean**2)))

    def distance_mode_mpc(self, mean_mpc: float, std_mpc: float) -> float:
        """Return the most probable distance over the whole sky, whose mean and spread are known.

        Within 0.01 standard deviations.
        """
        if self.distmu is None or self.distsigma is None or self.distnorm is None:
            raise ValueError("the map has no distance")
        known = np.isfinite(self.distmu) & (self.prob > 1e-4 * self.prob.max())
        mu, sigma = self.distmu[known], self.distsigma[known]
        height, narrow = self.prob[known] * self.distnorm[known] / sigma, math.sqrt(0.5) / sigma
        away = np.empty(mu.size)
        r = np.linspace(max(0.0, mean_mpc - 3 * std_mpc), mean_mpc + 3 * std_mpc, 41)
        heights = np.empty(r.size)
        for i, x in enumerate(r):  # in place, which is several times as fast
            np.multiply(np.subtract(x, mu, out=away), narrow, out=away)
            # exponents that are nothing are slow
            np.minimum(np.multiply(away, away, out=away), 50, out=away)
            np.exp(np.negative(away, out=away), out=away)
            heights[i] = x * x * np.multiply(away, height, out=away).sum()
        best = min(max(int(np.argmax(heights)), 1), r.size - 2)
        left, top, right = np.log(np.maximum(heights[best - 1 : best + 2], 1e-300))
        bend = left - 2 * top + right  # of a parabola through these
        aside = 0.5 * (left - right) / bend if bend < 0 else 0.0
        return float(r[best] + min(max(aside, -1.0), 1.0) * (r[1] - r[0]))


def merge_blocks(
    blocks: Iterable[Columns], order: int, depth: int, most: float = math.inf
) -> Merged:
    """Return order, ipix and columns of a full flat NESTED map with equal siblings merged.

    blocks: numbers of 4**depth pixels at a time, of order `order`, as they are stored. Flattened
    multi-order maps come back to their tiles, without any loss; other maps stay as they are.
    `OverflowError` once more than `most` tiles are left.
    """
    parts: list[Merged] = []
    whole: list[Merged] = []
    tiles = 0
    for number, block in enumerate(blocks):
        for orders, ipix, columns in _merge_block(block, order, depth):
            tiles += ipix.size
            ipix += number << 2 * (orders.astype(np.int64) - order + depth)
            if tiles > most:
                raise OverflowError
            (whole if orders[0] == order - depth else parts).append((orders, ipix, columns))
    if whole:
        _, ipix, columns = _joined(whole)
        parts += _merge(ipix, columns, order - depth, 0)
    return _joined(parts)


def _merge_block(block: Columns, order: int, depth: int) -> Iterator[Merged]:
    if depth == 0:
        yield from _merge(np.arange(1), block, order, order)
        return
    # all pixels: no need to look for siblings, nor to swap bytes, nor to number them
    same = _equal_fours(block)
    alone = np.flatnonzero(np.repeat(~same, 4))
    if alone.size:
        orders = np.full(alone.size, order, dtype=np.int8)
        yield orders, alone, {name: column[alone] for name, column in block.items()}
    parents = {name: column[::4][same] for name, column in block.items()}
    yield from _merge(np.flatnonzero(same), parents, order - 1, order - depth)


def _equal_fours(columns: Columns) -> Flags:
    """Return for each four numbers in a row whether they are the same bits, in all columns."""
    same = np.ones(next(iter(columns.values())).size // 4, dtype=bool)
    for column in columns.values():
        bits = np.ascontiguousarray(column).view(f"u{column.itemsize}").reshape(-1, 4)
        for sibling in (1, 2, 3):
            same &= bits[:, 0] == bits[:, sibling]
    return same


def _merge(ipix: Integers, columns: Columns, level: int, last: int) -> Iterator[Merged]:
    """Yield, for each order from `level` down to `last`, the tiles that no others like them join.

    ipix: tiles of order `level`, ascending.
    """
    for order in range(level, last - 1, -1):
        whole = np.zeros(ipix.size, dtype=bool)
        if order > last and ipix.size >= 4:
            first = np.flatnonzero((ipix[:-3] & 3 == 0) & (ipix[3:] == ipix[:-3] + 3))
            same = np.ones(first.size, dtype=bool)
            for column in columns.values():
                four = column[first]
                for sibling in (1, 2, 3):
                    same &= four == column[first + sibling]
            first = first[same]
            for sibling in range(4):
                whole[first + sibling] = True
        alone = ~whole
        if alone.any():
            orders = np.full(int(alone.sum()), order, dtype=np.int8)
            yield orders, ipix[alone], {name: column[alone] for name, column in columns.items()}
        parents = whole & (ipix & 3 == 0)
        columns = {name: column[parents] for name, column in columns.items()}
        ipix = ipix[parents] >> 2


def _joined(parts: list[Merged]) -> Merged:
    orders, pixels, columns = zip(*parts, strict=True)
    names = columns[0]
    joined = {name: np.concatenate([part[name] for part in columns]) for name in names}
    return np.concatenate(orders), np.concatenate(pixels), joined
