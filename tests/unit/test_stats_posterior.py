"""Where the source is: limits, and brute force over fine pixels."""

import numpy as np
import pytest
from posterior_samples import weighted
from stats_samples import flat_response, grb_parameters, parameters, steep_response, vmf_map

from llama.stats.healpix import directions_deg, tiles_geometry
from llama.stats.mapped import MappedNeutrinos
from llama.stats.messengers import prepare_bursts
from llama.stats.odds import event_odds, prepare_neutrinos
from llama.stats.overlap import log_vmf_norm
from llama.stats.posterior import locate

RESPONSE, PARAMS = steep_response(), parameters(Enumin=1e-4)
AREA = RESPONSE.area_relative
COLUMNS = {
    "dt_s": [10.0, 100.0, 300.0],
    "ra_deg": [101.0, 103.0, 97.0],
    "dec_deg": [21.0, 20.0, 26.0],
    "sigma_deg": [0.3, 1.0, 3.0],
    "energy_gev": [2e4, 3e4, 1e4],
}


def neutrinos(*which, response=RESPONSE, params=PARAMS):
    columns = (np.array(column)[list(which)] for column in COLUMNS.values())
    return prepare_neutrinos(*columns, response, params)


def located(*which, params=PARAMS, bursts=(), **how):
    tiles, prepared = weighted(RESPONSE, params, **how)
    some = neutrinos(*which, params=params)
    odds = event_odds(prepared, some, 0.3, params, AREA, bursts)
    return tiles, odds, locate(tiles, some, odds, params, bursts)


def in_tiles(order, ipix, values, fine, pixels):
    """Return sums of values of tiles, and of fine pixels in them; finer tiles are joined."""
    joined = np.minimum(order, fine).astype(np.int64)
    first = (ipix >> (2 * (order.astype(np.int64) - joined))) << (2 * (fine - joined))
    first, which = np.unique(first, return_inverse=True)
    ends = np.append(first[1:], pixels.size)
    below = np.concatenate([[0.0], np.cumsum(pixels)])
    return np.bincount(which, values), below[ends] - below[first]


def test_a_neutrino_with_a_map_is_where_its_gaussian_is():
    tiles, prepared = weighted(RESPONSE, PARAMS)
    some = neutrinos(1, 2)
    maps = {1: vmf_map(*(COLUMNS[name][2] for name in ("ra_deg", "dec_deg", "sigma_deg")))}
    odds = MappedNeutrinos(prepared, some, maps, PARAMS, AREA).odds(0.3)
    found = locate(tiles, some, odds, PARAMS, maps=maps)
    expected = locate(tiles, some, event_odds(prepared, some, 0.3, PARAMS, AREA), PARAMS)
    assert found.sum_over_tiles == pytest.approx(1, abs=0.01)
    for mine, usual in (
        (found.combined, expected.combined),
        (found.coincidence, expected.coincidence),
    ):
        for prob in (mine.prob, usual.prob):
            assert prob.sum() == pytest.approx(1, abs=1e-12)
        vectors = [
            (each.prob[:, None] * tiles_geometry(where.order, where.ipix)[0]).sum(axis=0)
            for each, where in ((mine, found), (usual, expected))
        ]
        assert vectors[0] == pytest.approx(vectors[1], abs=2e-3)


def test_without_neutrinos_it_is_where_one_without_them_is():
    tiles, _, found = located()
    expected = 0.9 * tiles.plain + 0.1 * tiles.weights[:, 0]
    assert found.combined.prob == pytest.approx(expected[0] / expected[0].sum(), rel=1e-12)
    assert found.combined.mean_mpc == pytest.approx(expected[1] / expected[0], rel=1e-12)
    assert found.coincidence is None
    # nothing seen: rather far than near, rather where the detector is blind
    assert (found.combined.mean_mpc > tiles.plain[1] / tiles.plain[0]).all()


def test_without_exposure_it_is_the_map_itself():
    blind = parameters(nu_51_100=1e-30)
    tiles, _, found = located(params=blind)
    assert found.combined.prob == pytest.approx(tiles.plain[0], rel=1e-9)
    assert found.combined.mean_mpc == pytest.approx(tiles.plain[1] / tiles.plain[0], rel=1e-9)


@pytest.mark.parametrize("which", [(0,), (1, 2), (0, 1, 2)])
def test_a_common_source_is_where_brute_force_finds_it(which):
    tiles, odds, found = located(*which, coarsest=3, finest=4)
    assert found.sum_over_tiles == pytest.approx(1, abs=5e-3)
    for each in (found.combined, found.coincidence):
        assert abs(each.prob.sum() - 1) < 1e-12
    fine = 9
    ipix = np.arange(12 << (2 * fine))
    some = neutrinos(*which)
    parts = 4 ** (fine - tiles.order.astype(int))  # tiles cover the sphere, along the curve
    parent = np.repeat(np.arange(parts.size), parts)
    ipix = ipix[tiles.plain[0][parent] * 4.0 ** tiles.order[parent] > 1e-4]  # but the floor
    parent = parent[ipix]
    vectors = tiles_geometry(np.full(ipix.size, fine, np.int8), ipix)[0]
    densities = []
    for i in range(len(which)):
        away = 0.5 * ((vectors - some.vectors[i]) ** 2).sum(axis=1)
        kappa = some.kappa[i, 0]
        table = np.interp(vectors[:, 2], RESPONSE.sin_dec, some.intensity[i, 0])
        densities.append(table * np.exp(log_vmf_norm(kappa) - kappa * away))
    weights = tiles.weights[0][:, parent] / 4.0 ** (fine - tiles.order[parent].astype(float))
    brute = np.zeros(12 << (2 * fine))
    for members in odds.sets:
        times = [0.0, *some.dt_s[list(members)]]
        factor = (500 - (max(times) - min(times))) / 500 ** (len(members) + 1)
        product = np.prod([densities[i] for i in members], axis=0)
        brute[ipix] += factor * weights[len(members)] * product
    assert brute.sum() * 0.3 / 0.7 / PARAMS.fb == pytest.approx(odds.lambda_s, rel=1e-2)
    brute /= brute.sum()
    ours, theirs = in_tiles(found.order, found.ipix, found.coincidence.prob, fine, brute)
    assert abs(ours - theirs).sum() < 0.01
    share = odds.lambda_s / (odds.lambda_s + odds.lambda_cgw)
    alone = 0.9 * tiles.plain[0] + 0.1 * tiles.weights[0, 0]
    mixed = share * brute + (1 - share) * np.repeat(alone / alone.sum() / parts, parts)
    ours, theirs = in_tiles(found.order, found.ipix, found.combined.prob, fine, mixed)
    assert abs(ours - theirs).sum() < 0.01 * share + 1e-9


def test_a_narrow_neutrino_in_wide_tiles_divides_them():
    _, _, found = located(0, coarsest=3, finest=3)
    vectors, area = tiles_geometry(found.order, found.ipix)
    best = np.argmax(found.coincidence.prob / area)
    assert np.degrees(np.sqrt(area[best])) < 0.3 / 4
    ra, dec = directions_deg(vectors[best])
    assert abs(ra - 101) * np.cos(np.radians(21)) < 0.2
    assert abs(dec - 21) < 0.2
    assert found.order.size < 768 + 10_000


def test_a_neutrino_makes_the_source_nearer():
    tiles, _, found = located(1)
    there = found.coincidence.prob > 0  # elsewhere, densities are below the least of numbers
    assert (found.coincidence.mean_mpc[there] < (tiles.plain[1] / tiles.plain[0])[0]).all()
    assert (found.coincidence.std_mpc[there] > 0).all()


def test_a_burst_counts_as_well():
    grb = grb_parameters(efficiency=0.5, delay_max_s=5.0)
    burst = prepare_bursts(*(np.array([x]) for x in (1.0, 99.0, 22.0, 2.0)), grb, PARAMS, AREA.size)
    _, odds, found = located(1, bursts=[burst])
    assert {(0,), (1,), (0, 1)} == set(odds.sets)
    assert found.sum_over_tiles == pytest.approx(1, abs=5e-3)
    vectors = tiles_geometry(found.order, found.ipix)[0]
    alone = located(1)[2]
    ra = directions_deg(found.coincidence.prob @ vectors)[0]
    assert (
        ra < directions_deg(alone.coincidence.prob @ tiles_geometry(alone.order, alone.ipix)[0])[0]
    )


def test_tiles_without_a_distance_have_none():
    tiles, prepared = weighted(flat_response(), PARAMS)
    tiles.plain[1:, :5] = np.nan
    some = neutrinos(1, response=flat_response())
    odds = event_odds(prepared, some, 0.3, PARAMS, flat_response().area_relative)
    found = locate(tiles, some, odds, PARAMS)
    lost = np.isin(found.ipix >> (2 * (found.order - 3).astype(int)), tiles.ipix[:5])
    assert (np.isnan(found.combined.mean_mpc) == lost).all()
    assert np.isfinite(found.combined.prob).all()
    assert np.isnan(found.coincidence.mean_mpc[lost]).all()
