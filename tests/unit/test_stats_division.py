"""Tiles are divided where A(dec) changes: nothing is lost, and the odds become those of A(dec)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sky_samples import multiorder, random_tiles
from stats_samples import parameters

from llama.event.prepared import prepare_skymap
from llama.sky import read_skymap
from llama.sky.mock import mock_skymap
from llama.stats.division import FINEST_DIVIDED, divide_tiles
from llama.stats.healpix import tiles_geometry, unit_vectors
from llama.stats.overlap import overlap, prepare_map
from llama.stats.weights import tile_weights

NODES = np.linspace(-1, 1, 201)
PARAMS = parameters(assumed_horizon_mpc=200.0)
# as IceCube's public areas: three and a half times as much within six degrees, then less
JUMP = 0.6 + 1.5 * np.clip((NODES + 0.13) / 0.1, 0, 1) * (1 - 0.7 * np.maximum(NODES, 0))
JUMP /= np.trapezoid(JUMP, NODES) / 2


def whole(order, ipix, parent, tiles):
    """Whether the new tiles are the old ones, each cut into disjoint parts that fill it."""
    depth = 2 * (order - tiles.order[parent]).astype(np.int64)
    assert np.array_equal(ipix >> depth, tiles.ipix[parent])
    assert (np.diff(parent) >= 0).all()
    start = ipix << (2 * (29 - order.astype(np.int64)))
    assert (np.diff(start) > 0).all()
    return np.array_equal(np.bincount(parent, 0.25 ** (depth / 2.0)), np.ones(tiles.order.size))


@settings(max_examples=25)
@given(
    st.integers(0, 1000),
    st.lists(st.floats(0, 5), min_size=2, max_size=40),
    st.integers(2, 5),
)
def test_probability_is_kept_and_growth_is_bounded(seed, area, finest):
    tiles = read_skymap(multiorder(random_tiles(seed, finest=finest)), "map")
    order, ipix, parent = divide_tiles(tiles.order, tiles.ipix, np.array(area))
    assert whole(order, ipix, parent, tiles)
    assert tiles.order.size <= order.size <= 4 * tiles.order.size
    divided = order > tiles.order[parent]
    assert (order[divided] <= FINEST_DIVIDED).all()
    prepared = prepare_skymap(tiles, np.array(area), PARAMS)
    assert prepared.order.size == order.size
    blind = prepare_skymap(tiles, np.array(area) * 0, PARAMS)  # w_0 is then the probability
    assert blind.weights[0].sum() == pytest.approx(tiles.prob.sum(), rel=1e-12)
    prob = tiles.prob[parent] * 0.25 ** (order - tiles.order[parent]).astype(float)
    assert np.bincount(parent, prob) == pytest.approx(tiles.prob, rel=1e-12)


def test_a_large_map_grows_by_fifty_thousand_tiles_at_most():
    order, ipix = np.full(12 * 4**5, 5, np.int8), np.arange(12 * 4**5)
    steep = np.where(np.arange(2001) % 2, 0.5, 1.5)
    assert divide_tiles(order, ipix, steep)[0].size == 4 * order.size
    finer = np.full(12 * 4**6, 6, np.int8), np.arange(12 * 4**6)
    assert divide_tiles(*finer, steep)[0].size == finer[0].size
    mixed = np.concatenate([order[:6144], finer[0][4 * 6144 :]]).astype(np.int8)
    pixels = np.concatenate([ipix[:6144], finer[1][4 * 6144 :]])
    assert divide_tiles(mixed, pixels, steep)[0].size == 12 * 4**6
    coarse = np.full(3 * 4**6, 4, np.int8), np.arange(3 * 4**6) % 3072
    assert divide_tiles(*coarse, steep)[0].size <= coarse[0].size + 50_000


@pytest.mark.parametrize(
    "area",
    [np.ones(201), np.full(201, 3.7), np.zeros(201), 1 + 0.004 * NODES, 1e-6 * (1 + NODES)],
    ids=["constant", "another", "blind everywhere", "nearly constant", "nearly blind"],
)
def test_a_map_that_is_fine_stays_as_it_is(area):
    tiles = mock_skymap(130.0, 2.0, (20.0, 3.0), (150.0, 40.0))
    order, ipix, parent = divide_tiles(tiles.order, tiles.ipix, area)
    assert np.array_equal(order, tiles.order)
    assert np.array_equal(ipix, tiles.ipix)
    assert np.array_equal(parent, np.arange(order.size))
    sin_dec = tiles_geometry(order, ipix)[0][:, 2]
    plain = tile_weights(tiles.prob, sin_dec, tiles.distmu, tiles.distsigma, area, PARAMS)
    for one, other in zip(
        prepare_skymap(tiles, area, PARAMS), prepare_map(order, ipix, plain), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_what_is_between_the_corners_counts():
    # the same A at all corners of a tile around the equator, and a ridge between them
    ridge = 1 + np.exp(-0.5 * (NODES / 0.05) ** 2)
    order, ipix = np.full(3072, 4, np.int8), np.arange(3072)
    divided = divide_tiles(order, ipix, ridge)
    z = tiles_geometry(order, ipix)[0][:, 2]
    parts = np.bincount(divided[2])
    assert (parts[np.abs(z) < 0.02] > 1).all()
    assert (parts[np.abs(z) > 0.5] == 1).all()


def everywhere(tiles, finest):
    """The map with every tile divided to `finest`: weights with A(dec) as it is."""
    depth = np.maximum(finest - tiles.order.astype(np.int64), 0)
    parent = np.repeat(np.arange(depth.size), 4**depth)
    first = np.cumsum(4**depth) - 4**depth
    order = (tiles.order + depth)[parent].astype(np.int8)
    ipix = (tiles.ipix << (2 * depth))[parent] + np.arange(parent.size) - first[parent]
    prob = tiles.prob[parent] / 4.0 ** depth[parent]
    sin_dec = tiles_geometry(order, ipix)[0][:, 2]
    distance = tiles.distmu[parent], tiles.distsigma[parent]
    return prepare_map(order, ipix, tile_weights(prob, sin_dec, *distance, JUMP, PARAMS))


@pytest.mark.parametrize(
    ("sigma_deg", "centre", "hundredth", "most"),
    [(0.2, 0.0, 0.05, 0.06), (1.0, 0.0, 0.01, 0.012), (0.2, 60.0, 0.05, 0.06)],
)
def test_odds_where_the_effective_area_jumps(sigma_deg, centre, hundredth, most):
    tiles = mock_skymap(130.0, centre, (20.0, 5.0), (150.0, 40.0))
    rng = np.random.default_rng(3)
    # half of them in the jump, half anywhere
    z = np.concatenate([rng.uniform(-0.15, 0.0, 200), rng.uniform(-1, 1, 200)])
    vectors = unit_vectors(rng.uniform(0, 360, z.size), np.degrees(np.arcsin(z)))
    kappa, table = 1 / np.radians(sigma_deg) ** 2, np.ones((1, 201))

    def sums(prepared):
        return np.array([overlap(prepared, 1, kappa, v, table, 0.0) for v in vectors])

    truth = sums(everywhere(tiles, 7))
    divided = np.abs(sums(prepare_skymap(tiles, JUMP, PARAMS)) / truth - 1)
    sin_dec = tiles_geometry(tiles.order, tiles.ipix)[0][:, 2]
    columns = tiles.prob, sin_dec, tiles.distmu, tiles.distsigma
    plain = prepare_map(tiles.order, tiles.ipix, tile_weights(*columns, JUMP, PARAMS))
    whole_tiles = np.abs(sums(plain) / truth - 1)
    assert np.quantile(divided, 0.99) < hundredth
    assert divided.max() < most
    # tiles as they are in the file would not do
    assert np.quantile(whole_tiles, 0.99) > 4 * hundredth
    assert whole_tiles.max() > 4 * most
