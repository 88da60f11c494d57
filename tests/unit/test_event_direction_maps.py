"""Maps of neutrinos: files and URLs, taken, checked and kept; what is no such map is refused."""

import gzip
import json
import math

import healpy
import numpy as np
import pytest
from direction_map_samples import (
    DEC,
    NSIDE,
    RA,
    SIGMA,
    gaussian,
    multiorder,
    probabilities,
    row,
    scan,
    take,
)
from event_samples import INFO, NONE, P_ASTRO, THREE
from https_server import LOGIN_PAGE
from sky_samples import fits_map
from stats_samples import vmf_map

from llama.errors import LlamaError
from llama.event.direction_maps import circle_90_deg, load_map, load_maps, take_maps, thinned
from llama.event.significance import compute_significance
from llama.neutrinos.given import check_rows
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky.mock import mock_skymap
from llama.sky.scan import read_direction
from llama.sky.tiles import SkyTiles
from llama.stats.direction_map import DirectionMap
from llama.units import R90_PER_SIGMA

AREA_90 = 2 * math.pi * (R90_PER_SIGMA * SIGMA) ** 2 / 2


@pytest.mark.parametrize(
    "content",
    [
        probabilities(),
        gzip.compress(probabilities(column="PROB")),
        fits_map(
            {"PROBDENSITY": gaussian() / gaussian().mean() / 4 / math.pi}, "RING", NSIDE=NSIDE
        ),
        probabilities(np.where(gaussian() < 1e-30, 0, gaussian())),
        multiorder(),
        scan(),
    ],
    ids=["probability", "gzip", "density", "zeros", "multiorder", "scan"],
)
def test_every_published_form_is_the_same_map(tmp_path, content):
    taken, said = take(tmp_path, content)
    assert not said
    assert taken["map_area_90_deg2"] == pytest.approx(AREA_90, rel=0.05)
    assert taken["sigma"] == pytest.approx(SIGMA, rel=0.03)
    assert taken["sigma_stated"] == 0.8
    assert taken["direction"] == "map"
    kept = tmp_path / taken["map"]
    assert kept.read_bytes() == content
    assert kept.name.startswith(taken["map_sha256"][:16])
    one = load_map(taken, tmp_path)
    assert one.prob.sum() == pytest.approx(1, abs=1e-12)
    assert len(one.prob) < 12 * NSIDE**2 / 3  # what is alike is one tile
    exact = vmf_map(RA, DEC, SIGMA)
    nodes = one.along_sin_dec(201)
    assert np.cumsum(nodes) == pytest.approx(np.cumsum(exact.along_sin_dec(201)), abs=0.02)
    kept.with_suffix("").with_suffix(".hdf5").unlink()
    again = load_map(taken, tmp_path)
    assert np.array_equal(again.prob, one.prob)
    kept.write_bytes(content[:-1])
    with pytest.raises(LlamaError, match="gone or damaged"):
        load_map(taken, tmp_path)


def test_a_scan_holds_what_its_levels_say():
    tiles = read_direction(scan(), "scan.fits")
    wilks = -2 * np.log(np.maximum(gaussian(), 1e-300))
    assert tiles.prob.sum() == pytest.approx(1)
    density = np.zeros(wilks.size)
    for o, p, w in zip(tiles.order, tiles.ipix, tiles.prob, strict=True):
        parts = 4 ** (6 - int(o))
        density[healpy.nest2ring(NSIDE, np.arange(p * parts, (p + 1) * parts))] = w / parts
    assert density[wilks <= 2 * math.log(2)].sum() == pytest.approx(0.5, abs=0.01)
    assert density[wilks <= 2 * math.log(10)].sum() == pytest.approx(0.9, abs=0.01)


def test_thinning_keeps_what_a_map_says():
    tiles = mock_skymap(RA, DEC, (3.0, 1.0), (100.0, 30.0))
    thin = thinned(tiles)
    assert thin.prob.sum() == pytest.approx(1, abs=1e-12)
    assert thin.order.size < tiles.order.size
    for level in (0.5, 0.9):
        assert thin.credible_area_deg2(level) == pytest.approx(
            tiles.credible_area_deg2(level), rel=0.02
        )


def test_a_narrow_wave_in_a_wide_map_is_where_that_is_as_dense_as_published():
    """Wherever it is, its odds change by no more than the density there."""
    pixels = np.arange(12 * 4**6)
    order = np.full(pixels.size, 6, dtype=np.int8)
    prob = gaussian(sigma_deg=12.0)[healpy.nest2ring(NSIDE, pixels)]
    thin = thinned(SkyTiles(order, pixels, prob / prob.sum()))
    assert thin.order.size < pixels.size / 2
    found = DirectionMap(thin.order, thin.ipix, thin.prob).density(order, pixels)
    published = prob / prob.sum() * pixels.size / (4 * math.pi)
    wrong = abs(found / published - 1)
    assert wrong[prob > 0.5].max() < 0.017  # four alike within 20 % were wrong by 20 %
    assert wrong[prob > 0.1].max() < 0.06


GALACTIC = probabilities(COORDSYS="G")
ELSEWHERE = probabilities(np.roll(gaussian(), 12 * NSIDE**2 // 3))
UNSEEN = np.where(gaussian() > 0.5, healpy.UNSEEN, gaussian() / gaussian().sum())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (GALACTIC, "needs equatorial coordinates"),
        (scan(COORDSYS="G"), "needs equatorial coordinates"),
        (fits_map({"PROB": UNSEEN}, "RING", NSIDE=NSIDE), "sum to"),
        (fits_map({"PROB": gaussian()}, "RING", NSIDE=NSIDE), "not to 1"),
        (scan(levels="as it is"), "which levels hold 50"),
        (ELSEWHERE, "next to nothing at the direction of its neutrino"),
        (LOGIN_PAGE, "HTML page"),
        (b"", "not a FITS file"),
        (probabilities()[:-5000], "cut short"),
        (None, "cannot be read"),
    ],
    ids=["galactic", "galactic scan", "unseen", "not normalised", "no levels", "elsewhere", "html",
         "empty", "cut", "missing"],
)  # fmt: skip
def test_what_is_no_map_of_the_neutrino_is_refused(tmp_path, content, says):
    with pytest.raises(LlamaError, match=says) as caught:
        take(tmp_path, content)
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)
    assert not list(tmp_path.glob("neutrino_maps/*.fits"))
    # a list that nobody has written keeps the neutrino, and says so
    kept, said = take(tmp_path, None, given=None)
    assert (kept["sigma"], "map_sha256" in kept, len(said)) == (0.8, False, 1)
    assert "is taken as a circle" in said[0]


def test_a_file_that_claims_4_gb_takes_no_memory(tmp_path):
    content = bytearray(probabilities())
    at = content.index(b"NAXIS2  =")
    content[at : at + 30] = b"NAXIS2  = %20d" % (4 * 10**9 // 8)
    with pytest.raises(LlamaError, match=r"at most 3,200,000 pixels|cut short|more than"):
        take(tmp_path, bytes(content))


@pytest.mark.parametrize("said", ["http://a.b/c.fits", "../map.fits", "/etc/passwd", ".m", 7, ""])
def test_a_map_is_a_url_or_a_file_beside_the_list(said):
    given = {"mjd": 58577.3, "ra": 1.0, "dec": 2.0, "sigma": 1.0, "map": said}
    with pytest.raises(LlamaError, match="neither an address over https"):
        check_rows([given], "list.json")


def test_more_maps_than_may_be_leave_circles(tmp_path):
    take(tmp_path, probabilities())
    rows = [row(id=str(k)) for k in range(6)]
    with pytest.raises(LlamaError, match="only 4 may have maps"):
        take_maps([dict(each) for each in rows], tmp_path, neutrino_file="alerts/1-neutrinos.json")


def test_another_events_list_is_one_of_circles(tmp_path):
    taken, _ = take(tmp_path, probabilities())
    (read,) = check_rows([taken], "list.json")
    assert not {key for key in read if key.startswith("map")}
    assert (read["sigma"], read.get("direction")) == (taken["sigma"], None)


def test_errors_to_four_sides_are_a_circle_of_equal_area():
    sides = {"ra_plus": 1.2, "ra_minus": -0.8, "dec_plus": 0.5, "dec_minus": 0.3}
    given = {"mjd": 58577.3, "ra": 1.0, "dec": 60.0, **sides}
    (read,) = check_rows([given], "list.json")
    area = math.pi / 4 * 2.0 * math.cos(math.radians(60)) * 0.8
    assert math.pi * (read["sigma"] * R90_PER_SIGMA) ** 2 == pytest.approx(area)
    assert read["direction"] == "circle of equal area"
    with pytest.raises(LlamaError, match="not all of ra_plus"):
        check_rows([given | {"dec_minus": 0}], "list.json")
    with pytest.raises(LlamaError, match="out of range"):
        check_rows([given | {"ra_plus": 400}], "list.json")


def test_the_circle_of_equal_area_is_that_of_the_sphere():
    assert circle_90_deg(4 * math.pi * math.degrees(1) ** 2) == pytest.approx(180)
    assert circle_90_deg(math.pi * 1e-6) == pytest.approx(1e-3)
    assert circle_90_deg(2 * math.pi * math.degrees(1) ** 2) == pytest.approx(90)


def test_the_result_tells_of_the_map(tmp_path, archive):
    search = from_dict(defaults(), "defaults").search_parameters()
    taken, _ = take(tmp_path, probabilities(np.maximum(gaussian(), 1e-7)))
    rows = [taken, *THREE[1:]]
    skymap = mock_skymap(60.0, 25.0, (6.0, 3.0), (120.0, 30.0))
    fixed = skymap, INFO, P_ASTRO
    rest = archive.response(), search, NONE
    maps = load_maps(rows, tmp_path)
    result = compute_significance(*fixed, {"events": rows}, *rest, maps=maps)
    circle = compute_significance(*fixed, {"events": rows}, *rest)
    assert result["odds_ratio"] == pytest.approx(circle["odds_ratio"], rel=0.06)
    assert result["odds_ratio"] != circle["odds_ratio"]
    assert result["p_value_circles"] == [taken["id"]]
    assert circle["p_value_circles"] == []
    (single,) = (one for one in result["single_neutrino"] if one["id"] == taken["id"])
    assert single["map_sha256"] == taken["map_sha256"]
    assert single["radius_90_deg"] == pytest.approx(SIGMA * R90_PER_SIGMA, rel=0.03)
    assert sum(result["posterior"].values()) == pytest.approx(1, abs=1e-12)
    assert math.prod(result["explanation"]["factors"].values()) == pytest.approx(
        result["odds_ratio"], rel=1e-9
    )
    json.dumps(result, allow_nan=False)
