"""Frames and units of other people's maps: read, converted or refused, never guessed."""

import contextlib
import io
import math

import numpy as np
import pytest
from astropy.io import fits
from sky_samples import (
    fits_map,
    flat,
    flat_columns,
    multiorder,
    per_pixel,
    random_tiles,
    refusal,
)

from llama.sky import read_skymap

TILES = random_tiles(seed=4)
PROB = flat_columns(TILES)["PROB"]
AREA = 4 * math.pi / PROB.size
GOOD = flat(TILES)

# -- frames ------------------------------------------------------------------------------------

EQUATORIAL = [
    "C", "c", "Q", "EQ", "Equatorial", "EQUATORIAL", "celestial", "CEL", "celestial2000", "ICRS",
    "icrs", "FK5", "fk5", "J2000", "J2000.0", "FK5/J2000", "RA/DEC", "RADEC", "Equatorial (J2000)",
    "celestial (ICRS)", "ICRS coordinates", "", "unknown", "None",
]  # fmt: skip
NOT_EQUATORIAL = [
    "G", "g", "GAL", "galactic", "Galactic coordinates", "E", "ECL", "ecliptic", "Ecliptic J2000",
    "supergalactic", "FK4", "B1950", "Equatorial B1950", "AltAz", "ITRS", "geographic", "nonsense",
    "(l, b)",
]  # fmt: skip
KEYS = ["COORDSYS", "COORD", "COORDS", "COORDTYP", "SKYCOORD", "RADESYS", "RADECSYS", "FRAME"]
KEYS += ["REFFRAME", "COORDINATE_SYSTEM", "HIPS_FRAME", "SYSTEM"]


def framed(key, value, primary=False):
    with fits.open(io.BytesIO(GOOD)) as hdus:
        del hdus[1].header["COORDSYS"]
        with pytest.warns() if len(key) > 8 else contextlib.nullcontext():
            hdus[0 if primary else 1].header[key] = value
        stream = io.BytesIO()
        hdus.writeto(stream)
        return stream.getvalue()


@pytest.mark.parametrize("key", KEYS)
def test_every_key_can_say_that_a_map_is_equatorial(key):
    for value in EQUATORIAL:
        assert read_skymap(framed(key, value), "map.fits").prob.size == TILES["order"].size, value


@pytest.mark.parametrize("key", KEYS)
def test_no_key_lets_another_frame_through(key):
    for value in NOT_EQUATORIAL:
        for primary in (False, True):
            text = refusal(framed(key, value, primary))
            assert f"has {key} {value!r}; LLAMA needs equatorial coordinates" in text


def test_frames_that_disagree_are_refused():
    assert "COORD 'G'" in refusal(flat(TILES, COORD="G"))
    assert "FRAME 'galactic'" in refusal(flat(TILES, FRAME="galactic"))
    assert "EQUINOX 1950" in refusal(flat(TILES, EQUINOX=1950.0))
    assert "EQUINOX 'B1950" in refusal(flat(TILES, EQUINOX="B1950"))


def test_axes_tell_the_frame_where_nothing_else_does():
    for value in ("GLON-HPX", "GLAT-CAR", "ELON-HPX", "SLON"):
        assert f"CTYPE1 {value!r}" in refusal(framed("CTYPE1", value))
        assert read_skymap(flat(TILES, CTYPE1=value), "map.fits")  # COORDSYS says C
    assert read_skymap(framed("CTYPE1", "RA---HPX"), "map.fits")


def test_what_is_not_a_frame_of_the_sky_does_not_matter():
    read = {"FRAME": "detector", "TIMESYS": "UTC", "SPECSYS": "BARYCENT", "EQUINOX": 2000.0}
    read |= {
        "COORD_X": 1e-5,
        "NCOORD": 3,
        "SYSTEM": None,
        "RADESYS": "ICRS",
        "COORDUNI": "deg",
        "MASSFRAM": "source",
    }
    np.testing.assert_allclose(per_pixel(flat(TILES, **read)), PROB, rtol=1e-12)
    for equinox in ("J2000", "", None):
        np.testing.assert_allclose(per_pixel(flat(TILES, EQUINOX=equinox)), PROB, rtol=1e-12)


# -- units -------------------------------------------------------------------------------------

PER_PIXEL = ["pix-1", "1/pix", "/pix", "pixel^-1", "prob/pix", "Probability per pixel", "[pix-1]"]
PER_SR = ["sr-1", "1/sr", "sr^-1", "[sr-1]", "probability/sr", "per steradian", "PROB/SR"]
PER_DEG2 = ["deg-2", "deg^-2", "1/deg2", "probability/deg^2", "prob / sq deg", "[1/deg**2]"]
DEG2 = math.radians(1) ** 2


def in_unit(content, **units):
    """The same rows with other units in the header."""
    with fits.open(io.BytesIO(content)) as hdus:
        for column, unit in units.items():
            number = hdus[1].columns.names.index(column) + 1
            hdus[1].header[f"TUNIT{number}"] = unit
        stream = io.BytesIO()
        hdus.writeto(stream)
        return stream.getvalue()


@pytest.mark.parametrize("column", ["PROB", "PROBABILITY", "PROBDENSITY", "Prob_Density"])
@pytest.mark.parametrize("multi", [True, False])
def test_probability_may_be_per_pixel_or_area(column, multi):
    area = math.pi / 3 * 4.0 ** -TILES["order"] if multi else AREA
    density = TILES["PROBDENSITY"] if multi else PROB / AREA
    forms = [(unit, density * area) for unit in PER_PIXEL if "Density" not in column]
    forms += [(unit, density) for unit in PER_SR]
    forms += [(unit, density * DEG2) for unit in PER_DEG2]
    uniq = {"UNIQ": TILES["ipix"] + (4 << (2 * TILES["order"]))} if multi else {}
    for unit, values in forms:
        content = fits_map(
            uniq | {column: values},
            "NUNIQ" if multi else "NESTED",
            **({} if multi else {"NSIDE": 16}),
        )
        np.testing.assert_allclose(
            per_pixel(in_unit(content, **{column: unit})), PROB, rtol=1e-9, err_msg=unit
        )
    wrong = in_unit(
        fits_map(uniq | {column: values}, "NUNIQ" if multi else "NESTED"), **{column: "K"}
    )
    assert "'K'; correct its TUNIT" in refusal(wrong)


@pytest.mark.parametrize("unit", ["", "probability", "prob", "none", "1"])
def test_without_a_unit_the_name_counts(unit):
    np.testing.assert_allclose(per_pixel(in_unit(GOOD, PROB=unit)), PROB, rtol=1e-12)
    content = in_unit(multiorder(TILES), PROBDENSITY=unit)
    np.testing.assert_allclose(per_pixel(content), PROB, rtol=1e-12)


def test_a_unit_that_the_numbers_contradict_is_refused():
    assert "sum to" in refusal(in_unit(GOOD, PROB="sr-1"))
    assert "sum to" in refusal(in_unit(multiorder(TILES), PROBDENSITY="deg-2"))


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("Mpc", 1), ("MPC", 1), ("[Mpc]", 1), ("kpc", 1e3), ("Gpc", 1e-3), ("gpc", 1e-3), ("pc", 1e6)],
)
def test_distances_may_have_another_unit(unit, factor):
    inverse = f"{unit.strip('[]')}^-2"
    tiles = TILES | {"DISTMU": TILES["DISTMU"] * factor, "DISTSIGMA": TILES["DISTSIGMA"] * factor}
    tiles["DISTNORM"] = TILES["DISTNORM"] / factor**2
    content = in_unit(multiorder(tiles), DISTMU=unit, DISTSIGMA=unit, DISTNORM=inverse)
    read = read_skymap(content, "map.fits")
    known = np.isfinite(TILES["DISTMU"])
    for name in ("DISTMU", "DISTSIGMA", "DISTNORM"):
        np.testing.assert_allclose(
            getattr(read, name.lower())[known], TILES[name][known], rtol=1e-9
        )
    truth = read_skymap(multiorder(TILES), "map.fits").distance_moments_mpc()
    assert read.distance_moments_mpc() == pytest.approx(truth, rel=1e-9)


def test_a_distance_whose_unit_is_not_one_or_only_half_given_is_refused():
    assert "correct its TUNIT" in refusal(in_unit(multiorder(TILES), DISTMU="GeV"))
    assert "correct its TUNIT" in refusal(in_unit(multiorder(TILES), DISTNORM="Mpc"))
    half = in_unit(multiorder(TILES), DISTMU="kpc", DISTSIGMA="", DISTNORM="")
    assert "add TUNIT to the others" in refusal(half)


@pytest.mark.parametrize(
    ("card", "mpc"),
    [
        ((150.0, "Posterior mean distance (Mpc)"), 150.0),
        ((150, "Posterior mean distance [Mpc]"), 150.0),
        ((0.15, "[Gpc] mean"), 0.15e3),
        ((150.0, ""), 150.0),
        ((150.0, "mean [furlongs]"), None),
        (("far", ""), None),
        ((True, ""), None),
    ],
)
def test_the_mean_distance_has_the_unit_of_its_comment(card, mpc):
    meta = read_skymap(multiorder(TILES, DISTMEAN=card), "map.fits").meta
    assert meta.get("distmean_mpc") == (None if mpc is None else pytest.approx(mpc))
    there = TILES | {"DISTMU": TILES["DISTMU"] * 1e3, "DISTSIGMA": TILES["DISTSIGMA"] * 1e3}
    there["DISTNORM"] = TILES["DISTNORM"] / 1e6
    content = in_unit(
        multiorder(there, DISTMEAN=150_000.0), DISTMU="kpc", DISTSIGMA="kpc", DISTNORM="kpc-2"
    )
    assert read_skymap(content, "map.fits").meta["distmean_mpc"] == pytest.approx(150)
