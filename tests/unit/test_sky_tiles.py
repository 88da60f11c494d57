"""Distances, areas and the internal file of sky maps, generated and real."""

import json
import math

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sky_samples import DISTANCE, multiorder, random_tiles

from llama.errors import LlamaError
from llama.sky import SkyTiles, read_skymap

COLUMNS = ("order", "ipix", "prob", *(name.lower() for name in DISTANCE))


def skymap(seed=0, distance=True, **header):
    return read_skymap(multiorder(random_tiles(seed, distance=distance), **header), "map")


def one_tile(mu, sigma):
    columns = (np.array([value]) for value in (1.0, mu, sigma, 1.0))
    return SkyTiles(np.zeros(1, dtype=np.int8), np.zeros(1, dtype=np.int64), *columns)


def brute_force_area(tiles, level):
    """Area [deg^2] of the densest pixels of the finest order that hold `level`."""
    finest = int(tiles.order.max())
    repeat = 4 ** (finest - tiles.order.astype(int))
    pixels = np.sort(np.repeat(tiles.prob / repeat, repeat))[::-1]
    full_sky = 4 * math.pi * (180 / math.pi) ** 2
    pixel = full_sky / (12 * 4**finest)
    return pixel * (np.searchsorted(np.cumsum(pixels), level) + 1), pixel


def brute_force_moments(mu, sigma):
    from scipy.integrate import quad

    def integral(power):
        def integrand(r):
            return r ** (2 + power) * math.exp(-0.5 * ((r - mu) / sigma) ** 2 + peak)

        return quad(integrand, 0, high, points=[mode], epsabs=0, epsrel=1e-10, limit=200)[0]

    # the mode of r^2 N(r; mu, sigma), so that the exponent stays in range
    mode = (mu + math.sqrt(mu**2 + 8 * sigma**2)) / 2
    peak = 0.5 * ((mode - mu) / sigma) ** 2
    high = mode + 30 * min(sigma, mode) if mu < 0 else mode + 12 * sigma
    norm, first, second = (integral(power) for power in range(3))
    return first / norm, math.sqrt(second / norm - (first / norm) ** 2)


@given(st.floats(-18, 30), st.floats(0.1, 1e4))
@settings(max_examples=60)
def test_moments_of_one_tile_against_quadrature(ratio, sigma):
    mean, std = one_tile(ratio * sigma, sigma).distance_moments_mpc()
    expected = brute_force_moments(ratio, 1.0)
    assert mean == pytest.approx(expected[0] * sigma, rel=1e-7)
    assert std == pytest.approx(expected[1] * sigma, rel=1e-5)


def test_very_negative_distmu_has_the_limit_of_a_gamma_distribution():
    # far below 0 the Gaussian is an exponential: r^2 exp(mu r / sigma^2), mean 3 sigma^2 / |mu|
    mean, std = one_tile(-9e6, 1e3).distance_moments_mpc()
    assert mean == pytest.approx(3e6 / 9e6, rel=1e-6)
    assert std == pytest.approx(math.sqrt(3) * 1e6 / 9e6, rel=1e-5)


def test_moments_of_a_map_are_those_of_its_tiles():
    tiles = skymap(4)
    known = np.isfinite(tiles.distmu)
    assert 0 < known.sum() < known.size
    pairs = np.array(
        [
            brute_force_moments(m, s)
            for m, s in zip(tiles.distmu[known], tiles.distsigma[known], strict=True)
        ]
    )
    weights = tiles.prob[known] / tiles.prob[known].sum()
    mean = weights @ pairs[:, 0]
    std = math.sqrt(weights @ (pairs**2).sum(axis=1) - mean**2)
    assert tiles.distance_moments_mpc() == pytest.approx((mean, std), rel=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_areas_against_counting_pixels(seed):
    tiles = skymap(seed, distance=False)
    assert tiles.area_deg2.sum() == pytest.approx(41252.96, rel=1e-6)
    for level in (0.1, 0.5, 0.9, 0.99):
        area, pixel = brute_force_area(tiles, level)
        assert tiles.credible_area_deg2(level) == pytest.approx(area, abs=pixel)
    summary = tiles.summary()
    assert 0 < summary["area_50_deg2"] < summary["area_90_deg2"] < 41253
    assert summary["area_50_deg2"] == tiles.credible_area_deg2(0.5)


def test_summary_without_distance_says_so():
    summary = skymap(distance=False).summary()
    assert summary["distance"] == "assumed"
    distances = [value for name, value in summary.items() if "mpc" in name]
    assert distances == [None] * 4


def test_summary_with_distance_prefers_the_publisher():
    summary = skymap(DISTMEAN=77.0, DISTSTD=7.0).summary()
    assert (summary["distance"], summary["distmean_mpc"]) == ("map", 77.0)
    own = skymap().summary()
    assert own["distmean_mpc"] == own["tiles_distmean_mpc"] == summary["tiles_distmean_mpc"]


# -- lvc_skymap.hdf5 ----


@pytest.mark.parametrize("distance", [True, False])
def test_what_is_saved_is_loaded(tmp_path, distance):
    tiles = skymap(distance=distance, CREATOR="BAYESTAR", DISTMEAN=77.0)
    tiles.meta["software"] = "llama"
    tiles.save(tmp_path / "lvc_skymap.hdf5")
    again = SkyTiles.load(tmp_path / "lvc_skymap.hdf5")
    for name in COLUMNS:
        saved, loaded = getattr(tiles, name), getattr(again, name)
        if saved is None:
            assert loaded is None
        else:
            assert loaded.dtype == saved.dtype
            np.testing.assert_array_equal(loaded, saved)
    assert again.meta == tiles.meta
    json.dumps(again.meta, allow_nan=False)
    assert again.summary() == tiles.summary()


def test_the_file_can_be_memory_mapped_and_is_the_same_every_time(tmp_path):
    tiles = skymap()
    for name in ("a.hdf5", "b.hdf5"):
        tiles.save(tmp_path / name)
    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert set(file) == set(COLUMNS)
        places = {name: (file[name].id.get_offset(), file[name].dtype) for name in file}
        assert all(file[name].chunks is None for name in file)
    for name, (offset, dtype) in places.items():
        assert offset is not None
        size = tiles.order.size
        mapped = np.memmap(tmp_path / "a.hdf5", dtype, mode="r", offset=offset, shape=(size,))
        np.testing.assert_array_equal(mapped, getattr(tiles, name))


def test_what_is_not_whole_is_refused(tmp_path):
    path = tmp_path / "lvc_skymap.hdf5"
    with pytest.raises(LlamaError, match="missing or no sky map; delete it and run snakemake"):
        SkyTiles.load(path)
    skymap().save(path)
    content = path.read_bytes()
    for cut in (0, 1, 100, 2000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(LlamaError, match="missing or no sky map"):
            SkyTiles.load(path)
    with h5py.File(path, "w") as file:
        file["order"] = np.zeros(12, dtype=np.int8)
    with pytest.raises(LlamaError, match="missing or no sky map"):
        SkyTiles.load(path)


# -- real maps ----


def real_maps(shared_data):
    yield from sorted((shared_data / "skymaps").glob("*.fits"))
    yield from sorted((shared_data / "events" / "S190425z").glob("*.fits*"))
    yield from sorted((shared_data / "population" / "allsky").glob("*.fits.gz"))[:2]


def test_distances_of_real_maps_are_the_published_ones(shared_data):
    # BAYESTAR's header comes from the tiles themselves; that of maps from samples does not
    tolerance = {"BAYESTAR": 0.02, "ligo-skymap-from-samples": 0.06}
    seen = set()
    for path in real_maps(shared_data):
        tiles = read_skymap(path.read_bytes(), path.name)
        summary, creator = tiles.summary(), tiles.meta["creator"]
        seen.add(creator)
        mean, std = tiles.meta["distmean_mpc"], tiles.meta["diststd_mpc"]
        assert (summary["distmean_mpc"], summary["diststd_mpc"]) == (mean, std), path.name
        assert summary["tiles_distmean_mpc"] == pytest.approx(mean, rel=tolerance[creator])
        assert summary["tiles_diststd_mpc"] == pytest.approx(std, rel=tolerance[creator])
    assert seen == set(tolerance)


def test_areas_of_real_maps_against_counting_pixels(shared_data):
    for path in real_maps(shared_data):
        tiles = read_skymap(path.read_bytes(), path.name)
        if tiles.order.max() > 8:  # millions of pixels take seconds
            continue
        for level in (0.5, 0.9):
            area, pixel = brute_force_area(tiles, level)
            assert tiles.credible_area_deg2(level) == pytest.approx(area, abs=pixel, rel=1e-6)


def test_a_real_map_without_distance(shared_data):
    path = shared_data / "events" / "G268562" / "gwemopt_G268562.fits"
    tiles = read_skymap(path.read_bytes(), path.name)
    assert (tiles.order.min(), tiles.order.max()) == (0, 8)
    assert tiles.summary()["distance"] == "assumed"
    # GW170104: LIGO's 90 % area at the time was 1600 deg^2 (LALInference 1200 deg^2)
    assert 1500 < tiles.credible_area_deg2(0.9) < 2000


@pytest.mark.parametrize(("mu", "sigma"), [(150.0, 45.0), (20.0, 80.0), (400.0, 4.0)])
def test_the_most_probable_distance(mu, sigma):
    tiles = one_tile(mu, sigma)  # of any norm
    mean, std = tiles.distance_moments_mpc()
    mode = 0.5 * (mu + np.sqrt(mu**2 + 8 * sigma**2))
    assert tiles.distance_mode_mpc(mean, std) == pytest.approx(mode, abs=0.01 * std)
