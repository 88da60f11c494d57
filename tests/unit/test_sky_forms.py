"""Every published form of one sky map gives the same tiles, and the same odds."""

import gzip

import healpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sky_samples import DISTANCE, fits_map, flat, flat_columns, multiorder, pixel_list, random_tiles
from stats_samples import parameters

from llama.errors import LlamaError
from llama.event.prepared import prepare_skymap
from llama.neutrinos.release import EffectiveArea
from llama.neutrinos.response import build_response
from llama.sky import read_skymap
from llama.sky.tiles import merge_blocks
from llama.stats.odds import event_odds, prepare_neutrinos

TILES = random_tiles(seed=3)
FORMS = {
    "multi-order": lambda: multiorder(TILES),
    "multi-order, unsigned": lambda: multiorder(TILES, unsigned=True),
    "NESTED": lambda: flat(TILES),
    "RING": lambda: flat(TILES, ring=True),
    "NESTED, 1024 a row": lambda: flat(TILES, width=1024),
    "RING, 1024 a row": lambda: flat(TILES, ring=True, width=1024),
    "gzip": lambda: gzip.compress(flat(TILES)),
    "gzip of gzip": lambda: gzip.compress(gzip.compress(multiorder(TILES))),
    "no NSIDE": lambda: fits_map(flat_columns(TILES), "NESTED"),
    "no COORDSYS": lambda: fits_map(flat_columns(TILES), "NEST", COORDSYS=""),
}
LISTS = {
    "NESTED pixels": lambda: pixel_list(TILES),
    "RING pixels": lambda: pixel_list(TILES, ring=True),
    "IPIX": lambda: pixel_list(TILES, name="IPIX"),
}


def check_tiles(read, expected=TILES):
    np.testing.assert_array_equal(read.order, expected["order"])
    np.testing.assert_array_equal(read.ipix, expected["ipix"])
    area = np.pi / 3 * 4.0 ** -expected["order"]
    np.testing.assert_allclose(read.prob, expected["PROBDENSITY"] * area, rtol=1e-12)
    np.testing.assert_array_equal(read.distmu, expected["DISTMU"])
    np.testing.assert_array_equal(read.distsigma, expected["DISTSIGMA"])
    np.testing.assert_array_equal(read.distnorm, expected["DISTNORM"])
    assert read.prob.sum() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_tiles(form):
    check_tiles(read_skymap(FORMS[form](), form))


@pytest.mark.parametrize("form", LISTS)
def test_a_list_of_pixels_keeps_its_pixels(form):
    read = read_skymap(LISTS[form](), form)
    np.testing.assert_array_equal(read.order, np.full(3072, 4))
    np.testing.assert_array_equal(read.ipix, np.arange(3072))
    np.testing.assert_allclose(read.prob, flat_columns(TILES)["PROB"], rtol=1e-12)
    np.testing.assert_array_equal(read.distmu, flat_columns(TILES)["DISTMU"])


def test_a_part_of_the_sky_is_a_map_when_its_probability_is_all():
    tiles = random_tiles(seed=5, distance=False)
    tiles["PROBDENSITY"][: tiles["order"].size // 2] = 0.0
    area = np.pi / 3 * 4.0 ** -tiles["order"]
    tiles["PROBDENSITY"] /= (tiles["PROBDENSITY"] * area).sum()
    kept = {name: column[tiles["order"].size // 2 :] for name, column in tiles.items()}
    read = read_skymap(multiorder(kept), "half the sky")
    np.testing.assert_array_equal(read.ipix, kept["ipix"])
    assert read.prob.sum() == pytest.approx(1, abs=1e-14)
    assert not read.has_distance
    assert read.distmu is None


@pytest.mark.parametrize("nest", [True, False])
@pytest.mark.parametrize("partial", [True, False])
def test_what_healpy_writes_is_read(tmp_path, nest, partial):
    columns = flat_columns(TILES, ring=not nest)
    columns["DISTMU"][~np.isfinite(columns["DISTMU"])] = healpy.UNSEEN
    if partial:
        columns["PROB"][::2] = healpy.UNSEEN
    path = tmp_path / "map.fits"
    healpy.write_map(
        path, list(columns.values()), nest=nest, coord="C", partial=partial, dtype=np.float64,
        column_names=list(columns), column_units=["pix-1", "Mpc", "Mpc", "Mpc-2"],
    )  # fmt: skip
    if partial:  # its probability is not 1, and that is noticed
        with pytest.raises(LlamaError, match="sum to 0"):
            read_skymap(path.read_bytes(), "map.fits")
    else:
        check_tiles(read_skymap(path.read_bytes(), "map.fits"))


def test_the_finest_tiles_there_are():
    # order 29: 3 * 4**30 + ... needs all 62 bits, beyond the precision of double
    path = [(3 * 4**level + 4**level - 1) for level in range(1, 30)]  # last pixel of face 3
    order = np.array([*range(1, 30), 29])
    siblings = [3 * 4**level + 4**level - 2 for level in range(1, 30)]
    ipix = np.array([*siblings, path[-1]])
    density = np.full(30, 1.0)
    density /= (density * np.pi / 3 * 4.0**-order).sum()
    read = read_skymap(multiorder({"order": order, "ipix": ipix, "PROBDENSITY": density}), "deep")
    np.testing.assert_array_equal(read.order, order)
    np.testing.assert_array_equal(read.ipix, ipix)


def test_what_the_header_says_is_kept():
    said = {
        "CREATOR": "BAYESTAR", "INSTRUME": "H1,L1", "OBJECT": "S190425z",
        "DATE-OBS": "2019-04-25T08:18:05", "DISTMEAN": 156.0, "DISTSTD": 41.0,
    }  # fmt: skip
    read = read_skymap(multiorder(TILES, **said), "map")
    assert read.meta.pop("prob_sum") == pytest.approx(1, abs=1e-12)
    assert read.meta == {
        "creator": "BAYESTAR", "instruments": "H1,L1", "object": "S190425z",
        "date_obs": "2019-04-25T08:18:05", "distmean_mpc": 156.0, "diststd_mpc": 41.0,
    }  # fmt: skip
    summary = read.summary()
    assert (summary["distmean_mpc"], summary["diststd_mpc"]) == (156.0, 41.0)
    assert summary["tiles_distmean_mpc"] != 156.0


@pytest.fixture(scope="module")
def response():
    rng = np.random.default_rng(7)
    area = EffectiveArea(
        "toy", np.linspace(1, 8, 8), np.degrees(np.arcsin(np.linspace(-1, 1, 5))),
        rng.uniform(1, 10, (7, 4)),
    )  # fmt: skip
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, 2000)))
    return build_response(area, 10 ** rng.uniform(2, 5, 2000), dec)


def odds(content, response, ra, dec, sigma):
    params = parameters()
    prepared = prepare_skymap(read_skymap(content, "map"), response.area_relative, params)
    rows = (np.array(column) for column in ([30.0] * len(ra), ra, dec, sigma, [2e3] * len(ra)))
    neutrinos = prepare_neutrinos(*rows, response, params)
    return event_odds(prepared, neutrinos, 0.9, params, response.area_relative).odds_ratio


@pytest.mark.parametrize(
    "neutrinos",
    [
        ([40.0], [20.0], [0.5]),
        ([200.0], [-70.0], [5.0]),
        ([359.9, 0.4, 120.0], [-1.0, 0.5, 60.0], [1.0, 2.0, 0.3]),
    ],
)
def test_every_form_gives_the_same_odds(response, neutrinos):
    reference = odds(FORMS["multi-order"](), response, *neutrinos)
    assert reference > 0
    for form in ("NESTED", "RING", "multi-order, unsigned"):
        assert odds(FORMS[form](), response, *neutrinos) == pytest.approx(reference, rel=1e-9)
    # tiles are cut into pixels here, so that only the integral is the same
    assert odds(LISTS["RING pixels"](), response, *neutrinos) == pytest.approx(reference, rel=0.005)


@settings(max_examples=60)
@given(
    st.integers(0, 2**32), st.integers(0, 3), st.integers(0, 3), st.integers(1, 4), st.booleans()
)
def test_merging_equal_siblings_loses_nothing(seed, order, depth, values, second):
    rng = np.random.default_rng(seed)
    pixels = 12 * 4**order
    coarse = rng.integers(values, size=12 * 4 ** max(order - 1, 0)).astype(float)
    columns = {"density": np.repeat(coarse, pixels // coarse.size)}
    columns["density"][rng.integers(pixels, size=5)] += 1
    if second:
        columns["distmu"] = rng.choice([1.0, np.inf], size=pixels, p=[0.9, 0.1])
    step = 4 ** min(order, depth)
    blocks = (
        {name: column[start : start + step] for name, column in columns.items()}
        for start in range(0, pixels, step)
    )
    orders, ipix, merged = merge_blocks(blocks, order, min(order, depth))
    first = ipix << (2 * (order - orders.astype(np.int64)))
    along = np.argsort(first)
    repeat = 4 ** (order - orders[along].astype(np.int64))
    np.testing.assert_array_equal(first[along], np.cumsum(repeat) - repeat)  # covers all, once
    for name, column in columns.items():
        np.testing.assert_array_equal(np.repeat(merged[name][along], repeat), column)
    # nothing that could be merged is left
    for level in range(1, order + 1):
        at = np.flatnonzero(orders == level)
        parents, counts = np.unique(ipix[at] >> 2, return_counts=True)
        for parent in parents[counts == 4]:
            four = at[ipix[at] >> 2 == parent]
            assert any(len(set(column[four])) > 1 for column in merged.values())


def real_forms(shared_data):
    event = shared_data / "events" / "S190425z"
    return (event / "bayestar.multiorder.fits").read_bytes(), event / "bayestar.fits.gz"


def test_flat_and_multiorder_form_of_a_real_map_agree(shared_data, response):
    content, path = real_forms(shared_data)
    multi, flattened = read_skymap(content, "multi"), read_skymap(path.read_bytes(), "flat")
    np.testing.assert_array_equal(multi.order, flattened.order)
    np.testing.assert_array_equal(multi.ipix, flattened.ipix)
    np.testing.assert_allclose(multi.prob, flattened.prob, rtol=1e-9)
    for name in DISTANCE:
        column = name.lower()
        np.testing.assert_allclose(getattr(multi, column), getattr(flattened, column), rtol=1e-9)
    place = ([240.0, 75.0], [40.0, -20.0], [0.4, 1.5])
    reference = odds(content, response, *place)
    assert odds(path.read_bytes(), response, *place) == pytest.approx(reference, rel=0.005)
