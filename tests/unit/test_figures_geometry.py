import figure_samples as sample
import healpy
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llama.figures import geometry as sky

RA = st.floats(0, 360, exclude_max=True)
DEC = st.floats(-90, 90)


def separation(ra, dec, ra0, dec0):
    a, b = sky.unit_vector(ra, dec), sky.unit_vector(ra0, dec0)
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), a @ b))


@settings(max_examples=60, deadline=None)
@given(RA, DEC, st.floats(0.01, 179))
@example(0.0, 90.0, 5.0)
@example(359.99, -90.0, 30.0)
@example(0.1, 0.0, 10.0)
def test_every_point_of_a_circle_is_at_its_radius(ra, dec, radius):
    x, y = sky.circle(ra, dec, radius)
    assert separation(x, y, ra, dec) == pytest.approx(radius, abs=1e-9)
    assert (x >= 0).all()
    assert (x <= 360).all()


@settings(max_examples=60, deadline=None)
@given(RA, DEC, st.floats(0.5, 120))
@example(0.5, 10.0, 11.0)
@example(10.0, 88.0, 9.0)
@example(180.0, -89.9, 11.0)
def test_a_line_on_the_map_never_crosses_it_from_rim_to_rim(ra, dec, radius):
    lon, lat = sky.mollweide_line(*sky.circle(ra, dec, radius, n=2001))
    assert np.nanmax(np.abs(lon)) <= np.pi + 1e-12
    step = np.abs(np.diff(lon))
    assert not (step[np.isfinite(step)] > np.pi + 1e-9).any()
    for cut in np.flatnonzero(np.isnan(lon)):
        assert lon[cut - 1] == pytest.approx(-lon[cut + 1])
        assert abs(lon[cut - 1]) == pytest.approx(np.pi)
        assert lat[cut - 1] == lat[cut + 1]


def test_a_circle_across_the_rim_is_cut_twice_and_one_round_the_pole_once():
    for place, cuts in (((0.0, 0.0), 2), ((77.0, 85.0), 1), ((180.0, 0.0), 0)):
        lon, _ = sky.mollweide_line(*sky.circle(*place, 10.0))
        assert np.isnan(lon).sum() == cuts


def test_mollweide_inverse_undoes_matplotlibs_projection():
    from matplotlib.figure import Figure

    axes = Figure().add_axes((0, 0, 1, 1), projection="mollweide")
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(0.1, 359.9, 200), rng.uniform(-89, 89, 200)
    lon, lat = np.radians(180 - ra), np.radians(dec)
    xy = axes.transProjection.transform(np.stack([lon, lat], axis=1)) / np.sqrt(2)
    back = sky.mollweide_inverse(xy[:, 0], xy[:, 1])
    assert back[0] == pytest.approx(ra, abs=0.1)  # Matplotlib iterates to 1e-3 rad of theta
    assert back[1] == pytest.approx(dec, abs=0.1)
    assert np.isnan(sky.mollweide_inverse(np.array([1.9]), np.array([0.9]))).all()


@settings(max_examples=60, deadline=None)
@given(RA, DEC, st.floats(-60, 60), st.floats(-60, 60))
@example(12.0, 90.0, 3.0, -4.0)
def test_the_tangent_plane_and_back(ra, dec, x, y):
    there = sky.gnomonic_inverse(np.array([x]), np.array([y]), (ra, dec))
    back = sky.gnomonic(*there, (ra, dec))
    assert np.concatenate(back) == pytest.approx([x, y], abs=1e-8)
    angle = np.degrees(np.arctan(np.hypot(np.radians(x), np.radians(y))))
    assert separation(*there, ra, dec) == pytest.approx(angle, abs=1e-9)


def test_east_is_positive_north_is_positive_and_the_far_side_is_not_drawn():
    assert sky.gnomonic(11.0, 0.0, (10.0, 0.0))[0] > 0
    assert sky.gnomonic(10.0, 1.0, (10.0, 0.0))[1] > 0
    assert np.isnan(sky.gnomonic(190.0, 0.0, (10.0, 0.0))).all()


def test_look_up_finds_the_tile_of_every_direction():
    tiles = sample.refined_map()
    density = sky.SkyDensity(tiles)
    top = 6
    pixels = np.arange(12 * 4**top)
    ra, dec = healpy.pix2ang(2**top, pixels, nest=True, lonlat=True)
    expected = np.empty(len(pixels))
    for order, ipix, prob in zip(tiles.order, tiles.ipix, tiles.prob, strict=True):
        width = 4 ** (top - int(order))
        area = sky.FULL_SKY_DEG2 / (12 * 4.0 ** int(order))
        expected[ipix * width : (ipix + 1) * width] = prob / area
    assert density.at(ra, dec) == pytest.approx(expected, rel=1e-6)


def test_a_map_of_part_of_the_sky_is_zero_elsewhere():
    density = sky.SkyDensity(sample.tiles([1, 3], [5, 700], [0.5, 0.5]))
    inside = healpy.pix2ang(2, 5, nest=True, lonlat=True)
    values = density.at(*(np.array([a, b]) for a, b in zip(inside, (10.0, -80.0), strict=True)))
    assert values[0] > 0
    assert values[1] == 0


@pytest.mark.parametrize("tiles", [sample.refined_map(), sample.gaussian_map(30, 40, 8)])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_credible_regions_agree_with_sorting(tiles, level):
    density = sky.SkyDensity(tiles)
    area = sky.FULL_SKY_DEG2 / 12 / 4.0**tiles.order
    along = np.argsort(-tiles.prob / area)
    mass = np.cumsum(tiles.prob[along])
    expected = np.interp(level, np.r_[0, mass], np.r_[0, np.cumsum(area[along])])
    assert density.area_deg2(level) == pytest.approx(expected, rel=5e-3)
    held = tiles.prob[density.density >= density.threshold(level)].sum()
    assert held == pytest.approx(mass[np.searchsorted(mass, level)], rel=5e-3)


def test_a_round_gaussian_has_the_area_of_the_formula():
    density = sky.SkyDensity(sample.gaussian_map(200, -30, 5, order=7))
    for level in (0.5, 0.9):
        expected = -2 * np.pi * 5**2 * np.log(1 - level)
        assert density.area_deg2(level) == pytest.approx(expected, rel=0.01)


def test_regions_of_a_uniform_map():
    density = sky.SkyDensity(sample.tiles(np.zeros(12, int), np.arange(12), np.ones(12)))
    assert density.area_deg2(0.9) == pytest.approx(0.9 * sky.FULL_SKY_DEG2)
    assert (density.density >= density.threshold(0.9)).all()
