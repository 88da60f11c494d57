"""Simulated sources: where the map says, as bright as the model says."""

import numpy as np
import pytest
from scipy.stats import kstest
from stats_samples import parameters

from llama.background.draws import KINDS, Draws, draw_signal, draw_sources
from llama.sky import SkyTiles
from llama.sky.mock import mock_skymap
from llama.stats.healpix import unit_vectors

PARAMS = parameters(assumed_horizon_mpc=200.0)
NUMBERS = np.arange(3000)


def drawn_from(archive, kind="signal"):
    return Draws(1, kind, archive.events(), archive.response(), PARAMS)


@pytest.fixture(scope="module")
def tiles():
    return mock_skymap(80.0, 30.0, (6.0, 3.0), (100.0, 20.0))


@pytest.fixture(scope="module")
def sources(tiles, archive):
    return draw_sources(drawn_from(archive), NUMBERS, tiles)


def test_sources_follow_the_map(tiles, sources):
    from llama.stats.healpix import tiles_geometry

    centres, _ = tiles_geometry(tiles.order, tiles.ipix)
    mean = tiles.prob @ centres
    assert np.allclose(np.linalg.norm(sources.vectors, axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(sources.vectors.mean(axis=0), mean, atol=5 * 0.15 / 3000**0.5)
    # the rank of the tile that each is in: uniform in probability
    nearest = np.array([np.argmax(centres @ v) for v in sources.vectors[:800]])
    cumulative = np.cumsum(tiles.prob) - tiles.prob / 2
    assert kstest(cumulative[nearest], "uniform").pvalue > 1e-3


def test_distances_follow_the_map(archive):
    tiles = mock_skymap(80.0, 30.0, (6.0, 3.0), (100.0, 20.0))
    one = np.full(tiles.prob.size, 20.0)
    tiles = SkyTiles(tiles.order, tiles.ipix, tiles.prob, one * 5, one, one)
    drawn = draw_sources(drawn_from(archive), NUMBERS, tiles).distance_mpc
    r = np.linspace(0, 300, 30_001)
    density = r**2 * np.exp(-0.5 * ((r - 100) / 20) ** 2)
    cumulative = np.cumsum(density) / density.sum()
    assert kstest(np.interp(drawn, r, cumulative), "uniform").pvalue > 1e-3


def test_a_map_without_distance_is_uniform_in_volume(tiles, archive):
    flat = SkyTiles(tiles.order, tiles.ipix, tiles.prob)
    drawn = draw_sources(drawn_from(archive), NUMBERS, flat).distance_mpc
    assert kstest((drawn / 200) ** 3, "uniform").pvalue > 1e-3


def test_expected_counts_are_those_of_the_model(sources, archive):
    response = archive.response()
    area = np.interp(sources.vectors[:, 2], response.sin_dec, response.area_relative)
    expected = PARAMS.nu_51_100 * (100 / sources.distance_mpc) ** 2 * area
    np.testing.assert_allclose(sources.expected, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["signal", "doublet"])
def test_neutrinos_come_from_their_source(archive, tiles, kind):
    code, draws = KINDS[kind], drawn_from(archive, kind)
    response, events = draws.response, draws.events
    sources = draw_sources(draws, NUMBERS, tiles)
    counts, columns = draw_signal(draws, NUMBERS, sources)
    assert (counts == code).all()
    seen = unit_vectors(columns["ra_deg"], columns["dec_deg"])
    true = np.repeat(sources.vectors, code, axis=0)
    away = 0.5 * ((seen - true) ** 2).sum(axis=1)  # 1 - cos
    # a von Mises-Fisher in 1 - cos is an exponential (sigma is small here)
    assert kstest(away / np.radians(columns["sigma_deg"]) ** 2, "expon").pvalue > 1e-3
    # isotropic about the source
    east = np.cross([0.0, 0.0, 1.0], true)
    side = np.einsum("ij,ij->i", seen, east)
    assert abs((side > 0).mean() - 0.5) < 4 * 0.5 / side.size**0.5
    # emission times: the difference of two uniform ones, the GW's being shared
    triangle = np.where(columns["dt_s"] < 0, 1, -1) * (columns["dt_s"] / 500) ** 2 / 2
    cumulative = 0.5 + columns["dt_s"] / 500 + triangle
    assert kstest(cumulative[::code], "uniform").pvalue > 1e-3
    if code == 2:
        both = columns["dt_s"].reshape(-1, 2)
        assert np.corrcoef(both.T)[0, 1] == pytest.approx(0.5, abs=0.06)
    # the spectrum at the source's declination
    steps = np.diff(response.log10_energy)[0]
    x = np.log10(columns["energy_gev"])
    quantile = np.empty(x.size)
    for i, s in enumerate(true[:, 2]):
        node = np.clip(np.interp(s, response.sin_dec, np.arange(201)), 0, 199.999)
        low, part = int(node), node - int(node)
        density = response.signal_per_dex[:, low] * (1 - part)
        density += response.signal_per_dex[:, low + 1] * part
        cdf = np.concatenate([[0], np.cumsum(steps * (density[1:] + density[:-1]) / 2)])
        quantile[i] = np.interp(x[i], response.log10_energy, cdf / cdf[-1])
    assert kstest(quantile[::code], "uniform").pvalue > 1e-3
    assert np.isin(columns["sigma_deg"], events["sigma_deg"]).all()


def test_a_source_that_the_detector_cannot_see_has_weight_0_and_an_energy(archive, tiles):
    response = archive.response()
    blind = np.zeros_like(response.area_relative)
    blind[:20] = 1.0  # far south only
    changed = type(response)(**{**vars(response), "area_relative": blind})
    draws = drawn_from(archive)._replace(response=changed)
    sources = draw_sources(draws, NUMBERS[:100], tiles)
    _, columns = draw_signal(draws, NUMBERS[:100], sources)
    assert (sources.expected == 0).mean() > 0.9
    assert np.isfinite(columns["energy_gev"]).all()
    assert (columns["energy_gev"] >= 10).all()
