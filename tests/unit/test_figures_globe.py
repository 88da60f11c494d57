"""The few tiles that the globe draws are the map: its regions, its places, its neutrinos."""

import base64
import functools

import figure_samples as sample
import healpy
import numpy as np
import pytest

from llama.event.results import NeutrinoList, Significance
from llama.figures.geometry import FULL_SKY_DEG2, SkyDensity
from llama.figures.globe import _COARSEST, LEVELS, _cells, globe_data, places

RESULT = sample.form(sample.significance(), Significance)
NONE = sample.form(sample.significance(odds_ratio=0.0), Significance)
MAPS = {
    "flat": lambda: sample.gaussian_map(240.0, 36.0, 12.0, order=6),
    "small": lambda: sample.gaussian_map(10.0, -70.0, 0.8, order=8),
    "refined": sample.refined_map,
    "pole": lambda: sample.gaussian_map(0.0, 90.0, 5.0, order=5),
}


@functools.cache
def skymap(name):
    return MAPS[name]()


@pytest.mark.parametrize("name", MAPS)
def test_the_cells_are_disjoint_and_have_the_areas_of_the_regions(name):
    density = SkyDensity(skymap(name))
    order, ipix, level = _cells(density)
    assert order.min() >= _COARSEST
    first = ipix << 2 * (29 - order)
    along = np.argsort(first)
    assert (np.diff(first[along]) >= (1 << 2 * (29 - order[along[:-1]]))).all()
    area = FULL_SKY_DEG2 / 12 / 4.0**order
    for k, wanted in enumerate(LEVELS):
        cell = area.min()
        expected = density.area_deg2(wanted)
        assert area[level <= k].sum() == pytest.approx(expected, rel=0.12, abs=40 * cell)


def test_every_cell_has_the_level_of_the_map_at_its_centre():
    density = SkyDensity(skymap("flat"))
    order, ipix, level = _cells(density)
    ra, dec = healpy.pix2ang(1 << order, ipix, nest=True, lonlat=True)
    thresholds = np.array([density.threshold(x) for x in LEVELS])
    here = (density.at(ra, dec)[:, None] < thresholds).sum(axis=1)
    assert (here == level).all()


@pytest.mark.parametrize("name", MAPS)
def test_the_corners_are_those_of_the_cells(name):
    data = globe_data(skymap(name), [], sample.info(), RESULT)
    codes = np.frombuffer(base64.b64decode(data["corners"]), dtype="<u2").reshape(-1, 4, 2)
    assert len(codes) == sum(data["counts"])
    assert len(data["counts"]) == len(data["levels"]) == len(LEVELS)
    ra, dec = codes[..., 0] / 65535 * 360, codes[..., 1] / 65535 * 180 - 90
    centre = healpy.ang2vec(ra, dec, lonlat=True).mean(axis=0)  # it turns the axes round
    order, ipix, level = _cells(SkyDensity(skymap(name)))
    along = np.argsort(level, kind="stable")
    wanted = np.stack(healpy.pix2vec(1 << order[along], ipix[along], nest=True), axis=-1)
    away = np.degrees(
        np.linalg.norm(centre / np.linalg.norm(centre, axis=1)[:, None] - wanted, axis=1)
    )
    assert away.max() < 60 / 2.0 ** order.min()
    assert np.median(away * 2.0 ** order[along]) < 3


def test_neutrinos_are_where_the_list_has_them():
    events = sample.form(sample.neutrino_list(), NeutrinoList).events
    data = globe_data(skymap("flat"), events, sample.info(), RESULT)
    assert [n["number"] for n in data["neutrinos"]] == [1, 2, 3]
    assert [n["aside"] for n in data["neutrinos"]] == [False, False, True]
    assert data["neutrinos"][0]["r90"] == pytest.approx(1.8 * 2.145966, abs=1e-3)
    assert data["best"] == [240.4, 36.2]
    assert data["peak"] == pytest.approx([240.0, 36.0], abs=1.0)
    assert data["radius"] == pytest.approx(12 * 2.146, rel=0.1)


def test_places_in_words():
    events = sample.form(sample.neutrino_list(), NeutrinoList).events
    words = places(skymap("flat"), events, sample.info(), RESULT)
    assert words[0].startswith("The most probable place is RA 2")
    assert words[1:] == [
        "Neutrino 1, RA 240.5 deg, Dec +36.1 deg, 90 % radius 3.86 deg: in the 10 % region.",
        "Neutrino 2, RA 0.4 deg, Dec -12.0 deg, 90 % radius 8.58 deg: outside of the 99 % region.",
    ]


def test_a_map_of_one_tile_and_an_even_sky_can_be_drawn():
    one = sample.tiles([0], [4], [1.0])
    even = sample.tiles(np.zeros(12, int), np.arange(12), np.ones(12))
    for tiles in (one, even):
        data = globe_data(tiles, [], sample.info(), NONE)
        assert sum(data["counts"]) in (256, 12 * 256)
        assert data["best"] is None
