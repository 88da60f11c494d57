"""The overlap of point-spread functions with a map is exact: against healpy's pixels."""

import healpy
import numpy as np
import pytest
from stats_samples import (
    KINDS,
    blob_map,
    brute_force,
    contrast_map,
    parameters,
    random_point,
    vmf_exponent,
)

from llama.sky import read_skymap
from llama.stats.healpix import sphere_point, tile_position, tiles_geometry, unit_vectors
from llama.stats.odds import Neutrinos, event_odds
from llama.stats.overlap import log_vmf_norm, overlap, prepare_map

NODES = np.linspace(-1, 1, 201)
SMOOTH = 1 + 0.6 * np.sin(3 * NODES) + 0.3 * NODES
HORIZON = 0.01 + 1 / (1 + np.exp(-25 * NODES))  # as steep as a real effective area
FINENESS = {0.2: 4096, 0.5: 4096, 1.0: 4096, 3.0: 1024, 10.0: 256, 30.0: 128}


def maps():
    yield "one degree", blob_map(40.0, 12.0, 1.0)
    yield "across RA 0, south", blob_map(359.5, -61.0, 4.0, floor=1e-4)
    yield "at the pole", blob_map(100.0, 89.0, 6.0)
    yield "coarse", contrast_map()


def compare(order, ipix, prob, table, rng, sigmas, repeat=1):
    """Relative errors [(error, what)] where brute force is exact enough to tell."""
    prepared = prepare_map(order, ipix, np.tile(prob, (5, 1)))
    found = []
    for sigma in sigmas:
        kappa = 1 / np.radians(sigma) ** 2
        for kind in KINDS * repeat:
            v = random_point(rng, kind, order, ipix, prob)
            exact = brute_force(
                order,
                ipix,
                prob,
                vmf_exponent(kappa, v),
                lambda z: np.interp(z, NODES, table),
                FINENESS[sigma],
            )
            # the midpoint rule is wrong by slope^2 / 24 where the exponent is steep; sums below
            # 1e-80 of their mean over all directions are not promised (docs/method.md)
            mean = prob.sum() * table.mean() * 0.5 / kappa
            if exact is None or exact[1] > 0.2 or exact[0] < 1e-78 * mean:
                continue
            # pass every argument: Numba compiles a call that omits one again, for ten seconds
            value = overlap(prepared, 1, kappa, v, table[None], 0.0)
            found.append((abs(value / exact[0] - 1), sigma, kind, exact))
    return found


@pytest.mark.parametrize("table", [SMOOTH, HORIZON], ids=["smooth", "horizon"])
@pytest.mark.parametrize("name", [name for name, _ in maps()])
def test_against_brute_force(name, table):
    order, ipix, prob = dict(maps())[name]
    found = compare(order, ipix, prob, table, np.random.default_rng(3), FINENESS)
    assert len(found) >= 12
    worst = max(found)
    assert worst[0] < 0.005, worst


BENT_DEG = np.degrees(np.arcsin(2 / 3))  # where HEALPix's polar caps meet its equatorial zone


@pytest.mark.parametrize("sigma", [0.2, 0.5, 1.0])
def test_where_the_projection_is_bent(sigma):
    """Tiles on the border of the polar caps, seen from a few sigma away."""
    kappa = 1 / np.radians(sigma) ** 2
    for level, dec in ((4, BENT_DEG), (5, BENT_DEG), (5, -BENT_DEG), (4, 84.0), (4, -88.0)):
        centre = unit_vectors(np.array(33.0), np.array(dec))
        ipix = np.array([healpy.vec2pix(2**level, *centre, nest=True)])
        order = np.array([level], np.int8)
        prepared = prepare_map(order, ipix, np.ones((5, 1)))
        for away in (0.5, 1.5, 4.0):
            for turn in (2.0, 5.2):
                offset = np.radians(away * sigma) * np.array([np.cos(turn), np.sin(turn), 0.3])
                v = (centre + offset) / np.linalg.norm(centre + offset)
                exact, slope = brute_force(
                    order, ipix, np.ones(1), vmf_exponent(kappa, v), np.ones_like, 4096
                )
                value = overlap(prepared, 1, kappa, v, np.ones((1, 2)), 0.0)
                error = 0.003 + slope**2 / 24  # the latter of the midpoint rule
                assert value == pytest.approx(exact, rel=error), (level, dec, away, turn)


@pytest.mark.parametrize("sigma", [0.5, 3.0, 10.0])
def test_against_brute_force_where_the_response_has_steps(sigma):
    """As the effective area of a low energy has, which is tabulated in bins of declination."""
    rng = np.random.default_rng(11)
    steps = np.repeat(10.0 ** rng.uniform(-4, 0, 21), 10)[:201]
    order, ipix, prob = blob_map(40.0, -20.0, 2.0)
    found = compare(order, ipix, prob, steps, rng, (sigma,), repeat=6)
    assert len(found) >= 8
    worst = max(found)
    assert worst[0] < 0.005, worst


@pytest.mark.parametrize("which", range(4))
def test_against_brute_force_on_published_maps(shared_data, which):
    files = sorted((shared_data / "skymaps").glob("*.fits"))[::8]
    files += [shared_data / "events" / "S190425z" / "bayestar.multiorder.fits"]
    rng = np.random.default_rng(which)
    tiles = read_skymap(files[which].read_bytes(), files[which].name)
    found = compare(tiles.order, tiles.ipix, tiles.prob, SMOOTH, rng, (0.2, 1.0, 10.0))
    assert len(found) >= 8
    worst = max(found)
    assert worst[0] < 0.005, worst


@pytest.mark.parametrize("size", [2, 3, 4])
def test_products_of_point_spread_functions(size):
    rng = np.random.default_rng(size)
    params = parameters(fb=1.0)
    for order, ipix, prob in (blob_map(40.0, 12.0, 1.0), contrast_map()):
        weights = np.tile(prob, (5, 1))
        prepared = prepare_map(order, ipix, weights)
        for _ in range(3):
            centre = random_point(rng, "map", order, ipix, prob)
            sigma = np.radians(rng.uniform(0.4, 2.0, size))
            vectors = centre + rng.normal(size=(size, 3)) * 0.5 * sigma[:, None]
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            tables = rng.uniform(0.5, 1, (size, 1)) * (1 + 0.4 * np.sin(2 * NODES + size))
            kappas = 1 / sigma**2
            neutrinos = Neutrinos(np.zeros(size), vectors, kappas[:, None], tables[:, None])
            odds = event_odds(prepared, neutrinos, 0.5, params, np.ones(NODES.size))

            def log_density(x, reach, kappas=kappas, vectors=vectors):
                return sum(
                    vmf_exponent(k, v)(x, reach) for k, v in zip(kappas, vectors, strict=True)
                )

            exact, slope = brute_force(
                order,
                ipix,
                prob,
                log_density,
                lambda z, tables=tables: np.interp(z, NODES, tables.prod(axis=0)),
                4096,
            )
            assert slope < 0.2
            exact *= np.exp(sum(log_vmf_norm(k) for k in kappas)) / 500.0**size
            assert odds.sets[tuple(range(size))] == pytest.approx(exact, rel=0.01)


def test_geometry_is_that_of_healpy():
    for order in (0, 1, 5, 13):
        ipix = np.unique(np.linspace(0, 12 * 4**order - 1, 997).astype(np.int64))
        vectors, area = tiles_geometry(np.full(ipix.size, order, np.int8), ipix)
        expected = np.array(healpy.pix2vec(2**order, ipix, nest=True)).T
        np.testing.assert_allclose(vectors, expected, atol=1e-14)
        np.testing.assert_allclose(area, healpy.nside2pixarea(2**order))
    corners = healpy.boundaries(8, 100, nest=True).T
    face, x, y = tile_position(np.int64(3), np.int64(100))
    for dx, dy in ((0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)):
        point = sphere_point(face, x + dx / 8, y + dy / 8)
        assert np.abs(corners - point).sum(axis=1).min() < 1e-14


@pytest.mark.parametrize("sigma", [0.2, 1.0, 5.0, 20.0, 60.0])
def test_point_spread_function_integrates_to_one(sigma):  # invariant 7
    rng = np.random.default_rng(1)
    order, ipix = np.full(768, 3, np.int8), np.arange(768)
    prepared = prepare_map(order, ipix, np.tile(tiles_geometry(order, ipix)[1], (5, 1)))
    kappa = 1 / np.radians(sigma) ** 2
    for kind in KINDS:
        v = random_point(rng, kind, order, ipix, np.ones(768))
        value = overlap(prepared, 1, kappa, v, np.ones((1, 21)), 0.0) * np.exp(log_vmf_norm(kappa))
        assert value == pytest.approx(1, rel=2e-3)


def test_refined_tiles_change_nothing():  # invariant 8
    order, ipix, prob = blob_map(200.0, -20.0, 3.0, finest=6)
    fine = order + 1, ipix[:, None] * 4 + np.arange(4), prob[:, None] / 4 + np.zeros(4)
    fine = np.repeat(fine[0], 4), fine[1].ravel(), fine[2].ravel()
    one, other = (prepare_map(o, i, np.tile(p, (5, 1))) for o, i, p in ((order, ipix, prob), fine))
    rng = np.random.default_rng(0)
    for sigma in (0.2, 1.0, 5.0):
        kappa = 1 / np.radians(sigma) ** 2
        for kind in KINDS:
            v = random_point(rng, kind, order, ipix, prob)
            value = overlap(one, 1, kappa, v, SMOOTH[None], 0.0)
            assert overlap(other, 1, kappa, v, SMOOTH[None], 0.0) == pytest.approx(value, rel=5e-3)


def test_far_away_is_zero_not_an_error():
    one = unit_vectors(np.array(10.0), np.array(0.0))
    order, ipix = np.array([12], np.int8), np.array([healpy.vec2pix(4096, *one, nest=True)])
    prepared = prepare_map(order, ipix, np.ones((5, 1)))
    assert overlap(prepared, 1, 1 / np.radians(0.2) ** 2, -one, np.ones((1, 2)), 0.0) == 0
    assert overlap(prepared, 1, 1 / np.radians(0.2) ** 2, one, np.zeros((1, 2)), 0.0) == 0


@pytest.mark.parametrize("sigma_deg", [0.2, 1.0])
def test_where_the_detector_is_blind_little_is_looked_at(sigma_deg):
    """R = 0 around the neutrino: once all tiles there were divided again and again, for nothing."""
    blind = np.maximum(0.0, NODES + 0.6) ** 2
    order, ipix, prob = blob_map(60.0, 20.0, 20.0, coarsest=4, finest=6, floor=1e-3)
    prepared = prepare_map(order, ipix, np.tile(prob, (5, 1)))
    along = np.argsort(ipix << (2 * (6 - order.astype(int))))
    flat = np.repeat(prob[along] / 4.0 ** (6 - order[along]), 4 ** (6 - order[along].astype(int)))
    sigma = np.radians(sigma_deg)
    kappa, depth = 1 / sigma**2, 13 if sigma_deg == 0.2 else 11
    edge = np.degrees(np.arcsin(-0.6))
    rng = np.random.default_rng(5)
    for inside in (-1.0, 1.0, 2.0, 4.0):
        v = unit_vectors(np.array(rng.uniform(0, 360)), np.array(edge - inside * sigma_deg))
        pixels = healpy.query_disc(2**depth, v, 9 * sigma, nest=True)
        points = np.array(healpy.pix2vec(2**depth, pixels, nest=True))
        values = flat[pixels >> (2 * (depth - 6))] / 4 ** (depth - 6)
        values *= np.exp(kappa * (v @ points - 1)) * np.interp(points[2], NODES, blind)
        assert overlap(prepared, 1, kappa, v, blind[None], 0.0) == pytest.approx(
            values.sum(), rel=0.005
        )
    # far inside the sum is nothing; in the time of a few hundred overlaps it used to take a minute
    far = unit_vectors(rng.uniform(0, 360, 300), rng.uniform(-85, -60, 300))
    mean = prob.sum() * blind.mean() / (2 * kappa)
    for v in far:
        assert 0.0 <= overlap(prepared, 1, kappa, v, blind[None], 0.0) < 1e-20 * mean
