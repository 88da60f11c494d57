"""What is no sky map: one clear sentence each, and never another exception."""

import gzip
import io
import json
import math
import re

import numpy as np
import pytest
from alert_samples import outcome
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from sky_samples import fits_map, flat, flat_columns, multiorder, pixel_list, random_tiles

from llama.errors import LlamaError
from llama.sky import read_skymap, unpack

TILES = random_tiles(seed=2, finest=3)
GOOD = multiorder(TILES, DISTMEAN=150.0, DISTSTD=40.0, CREATOR="BAYESTAR")
FLAT = flat_columns(TILES)
PIXELS = FLAT["PROB"].size


def sentence(content):
    """The one sentence that refuses the map."""
    with pytest.raises(LlamaError) as caught:
        read_skymap(content, "map.fits")
    text = str(caught.value)
    assert text.startswith("map.fits ")
    assert "\n" not in text
    assert len(text) < 300
    assert "; " in text or ", not a sky map; " in text  # what to do follows what is wrong
    return text


def changed(column, values):
    return fits_map(FLAT | {column: values}, "NESTED", NSIDE=8)


def with_probability(value, at=0):
    prob = FLAT["PROB"].copy()
    prob[at] = value
    return changed("PROB", prob)


def uniq(values, density=None):
    density = np.ones(len(values)) if density is None else density
    return fits_map({"UNIQ": np.array(values), "PROBDENSITY": density}, "NUNIQ")


SAME = np.full(PIXELS, 1 / PIXELS)
BAD = {
    "an HTML page": (lambda: b"<!DOCTYPE html>\n<html><body>404</body></html>", "is an HTML page"),
    "HTML, gzipped": (lambda: gzip.compress(b"\n <html>login</html>"), "is an HTML page"),
    "nothing": (lambda: b"", "not a FITS file"),
    "JSON": (lambda: b'{"event": null}', "not a FITS file"),
    "three times gzip": (
        lambda: gzip.compress(gzip.compress(gzip.compress(GOOD))),
        "gzipped more than 2 times; unpack it",
    ),
    "four times gzip": (
        lambda: gzip.compress(gzip.compress(gzip.compress(gzip.compress(GOOD)))),
        "gzipped more than 2 times",
    ),
    "gzip, cut": (lambda: gzip.compress(GOOD)[:-9], "cut short; download the map again"),
    "gzip, only its magic number": (lambda: b"\x1f\x8b", "cut short; download"),
    "gzip with a wrong checksum": (lambda: gzip.compress(GOOD)[:-8] + bytes(8), "broken gzip file"),
    "sums to 0.3": (lambda: changed("PROB", 0.3 * FLAT["PROB"]), "sum to 0.3, not to 1"),
    "sums to 0": (lambda: changed("PROB", 0 * FLAT["PROB"]), "sum to 0, not to 1"),
    "sums to 1.002": (lambda: changed("PROB", 1.002 * FLAT["PROB"]), "sum to 1.002, not to 1"),
    "sums beyond double": (lambda: changed("PROB", np.full(PIXELS, 1e308)), "sum to inf, not to 1"),
    "negative": (lambda: with_probability(-1e-5), "negative probabilities"),
    "UNSEEN where most of it is": (
        lambda: with_probability(-1.6375e30, FLAT["PROB"].argmax()),
        "sum to 0.",
    ),
    "NaN": (lambda: with_probability(math.nan), "not finite"),
    "infinite": (lambda: with_probability(math.inf), "not finite"),
    "wrong ORDERING": (lambda: fits_map(FLAT, "SPIRAL", NSIDE=8), "ORDERING 'SPIRAL'"),
    "no ORDERING": (lambda: fits_map(FLAT, None, NSIDE=8), "ORDERING ''"),
    "ORDERING NUNIQ without UNIQ": (lambda: fits_map(FLAT, "NUNIQ", NSIDE=8), "ORDERING 'NUNIQ'"),
    "no probability column": (
        lambda: fits_map({"TEMPERATURE": SAME, "DISTMU": SAME}, "RING", NSIDE=8),
        "no probability column (PROB or PROBDENSITY), only TEMPERATURE, DISTMU; give a sky map",
    ),
    "probability as text": (
        lambda: changed("PROB", np.full(PIXELS, b"0.1")),
        "no numbers in column PROB",
    ),
    "distance as text": (
        lambda: changed("DISTMU", np.full(PIXELS, b"far")),
        "no numbers in column DISTMU",
    ),
    "galactic": (lambda: fits_map(FLAT, "NESTED", NSIDE=8, COORDSYS="G"), "COORDSYS 'G'"),
    "ecliptic": (lambda: fits_map(FLAT, "NESTED", NSIDE=8, COORDSYS="ECL"), "COORDSYS 'ECL'"),
    "another NSIDE": (
        lambda: fits_map(FLAT, "NESTED", NSIDE=16),
        "768 pixels where NSIDE 16 needs 3072",
    ),
    "NSIDE 12": (lambda: fits_map(FLAT, "NESTED", NSIDE=12), "NSIDE 12, which is not a power of 2"),
    "NSIDE 0": (lambda: fits_map(FLAT, "NESTED", NSIDE=0), "NSIDE 0, which is not a power of 2"),
    "NSIDE -8": (lambda: fits_map(FLAT, "NESTED", NSIDE=-8), "NSIDE -8, which is not a power of 2"),
    "NSIDE as text": (lambda: fits_map(FLAT, "NESTED", NSIDE="eight"), "NSIDE 'eight'"),
    "NSIDE 2**40": (lambda: fits_map(FLAT, "NESTED", NSIDE=2**40), "NSIDE 1099511627776"),
    "no NSIDE, 767 pixels": (lambda: fits_map({"PROB": SAME[1:]}, "RING"), "NSIDE 7"),
    "a list without NSIDE": (
        lambda: fits_map({"PIXEL": np.arange(PIXELS), "PROB": SAME}, "NESTED"),
        "a list of pixels and no NSIDE",
    ),
    "a pixel twice": (
        lambda: fits_map({"PIXEL": np.arange(PIXELS) // 2, "PROB": SAME}, "RING", NSIDE=8),
        "tiles that overlap",
    ),
    "a pixel outside": (
        lambda: fits_map({"PIXEL": np.arange(PIXELS) + 1, "PROB": SAME}, "RING", NSIDE=8),
        "pixel numbers outside NSIDE 8",
    ),
    "pixel numbers that are not whole": (
        lambda: fits_map({"PIXEL": np.arange(PIXELS) + 0.5, "PROB": SAME}, "RING", NSIDE=8),
        "no numbers in column PIXEL",
    ),
    "half of the pixels": (lambda: pixel_list(TILES, keep=PIXELS // 2), "sum to 0."),
    "tiles inside others": (lambda: uniq([4, *range(16, 64)]), "tiles that overlap"),
    "UNIQ 3": (lambda: uniq([3, *range(5, 16)]), "UNIQ indices below 4"),
    "UNIQ negative": (lambda: uniq([-(2**62), 5]), "UNIQ indices below 4"),
    "UNIQ beyond int64": (
        lambda: uniq(np.array([2**63 + 7], dtype=np.uint64)),
        "UNIQ indices below 4",
    ),
    "UNIQ of order 30": (lambda: uniq([4**31]), "UNIQ indices outside the sphere"),
    "UNIQ after the last tile": (
        lambda: uniq([4**30 + 12 * 4**29]),
        "UNIQ indices outside the sphere",
    ),
    "UNIQ with a fraction": (lambda: uniq([4.0, 5.5]), "no numbers in column UNIQ"),
    "vectors of different width": (
        lambda: fits_map({"PROB": SAME.reshape(-1, 4), "DISTMU": SAME[::4]}, "RING", NSIDE=8),
        "columns of different length",
    ),
    "an empty table": (lambda: fits_map({"PROB": np.empty(0)}, "RING", NSIDE=8), "an empty table"),
    "an empty multi-order table": (lambda: uniq(np.empty(0, dtype=int)), "an empty table"),
    "no table": (
        lambda: fits_map({}, None, table=False),
        "no binary table; give a HEALPix sky map",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_map_is_refused_in_one_sentence(kind):
    make, says = BAD[kind]
    assert says in sentence(make())


def test_the_page_that_is_named_bayestar(shared_data):
    page = (shared_data / "bad" / "html_page_named_bayestar.fits.gz").read_bytes()
    assert "is an HTML page, not a sky map; download the FITS file again" in sentence(page)


@pytest.mark.parametrize("content", [GOOD, flat(TILES, width=64)], ids=["multi-order", "flat"])
def test_a_truncated_map_is_refused_wherever_it_is_cut(content):
    with fits.open(io.BytesIO(content)) as hdus:
        stop = hdus[1].fileinfo()["datLoc"] + hdus[1].header["NAXIS1"] * hdus[1].header["NAXIS2"]
    cuts = {0, 1, 8, 9, 80, stop - 1, *range(0, stop, 997), *range(0, stop, 2880)}
    for cut in sorted(cuts):
        sentence(content[:cut])
    assert "cut short" in sentence(content[: stop - 1])
    for cut in (stop, stop + 1, len(content) - 1):  # only what fills the last block is missing
        assert read_skymap(content[:cut], "map.fits").meta["prob_sum"] == pytest.approx(1)


def test_a_truncated_gzip_file_is_refused_wherever_it_is_cut():
    packed = gzip.compress(GOOD)
    for cut in range(0, len(packed), 211):
        assert re.search("not a FITS file|cut short", sentence(packed[:cut]))
    twice = gzip.compress(packed)
    for cut in range(2, len(twice), 997):
        assert "cut short" in sentence(twice[:cut])


def test_a_file_that_grows_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(unpack, "MAX_BYTES", 100_000)
    assert "larger than" in sentence(gzip.compress(GOOD + bytes(1_000_000)))
    assert read_skymap(gzip.compress(GOOD), "map.fits").prob.size == TILES["order"].size


@pytest.mark.parametrize(
    "distance",
    [
        {"DISTMU": math.nan},
        {"DISTMU": -math.inf},
        {"DISTMU": 1e300},
        {"DISTMU": -1e7, "DISTSIGMA": 1.0},  # more sigma below 0 than can be computed with
        {"DISTSIGMA": 0.0},
        {"DISTSIGMA": -5.0},
        {"DISTSIGMA": math.nan},
        {"DISTSIGMA": math.inf},
        {"DISTSIGMA": 1e-300},
        {"DISTNORM": 0.0},
        {"DISTNORM": math.nan},
        {"DISTNORM": math.inf},
    ],
)
def test_a_tile_with_an_impossible_distance_has_none(distance):
    tiles = {name: column.copy() for name, column in TILES.items()}
    tiles["DISTMU"][:], tiles["DISTSIGMA"][:], tiles["DISTNORM"][:] = 100.0, 20.0, 1e-4
    for name, value in distance.items():
        tiles[name][5] = value
    skymap = read_skymap(multiorder(tiles), "map.fits")
    assert (skymap.distmu[5], skymap.distsigma[5], skymap.distnorm[5]) == (math.inf, 1.0, 0.0)
    assert np.isfinite(np.delete(skymap.distmu, 5)).all()
    one = read_skymap(multiorder({k: v for k, v in tiles.items() if k != "DISTMU"}), "map.fits")
    assert one.distmu is None
    # r^2 N(r; 100, 20): <r> = (mu^3 + 3 mu sigma^2) / (mu^2 + sigma^2), up to the cut at 0
    assert skymap.distance_moments_mpc()[0] == pytest.approx(1.12e6 / 1.04e4, rel=1e-5)


def test_a_map_whose_tiles_all_lack_a_distance_has_none():
    tiles = TILES | {"DISTMU": np.full(TILES["order"].size, math.inf)}
    skymap = read_skymap(multiorder(tiles, DISTMEAN=100.0), "map.fits")
    assert not skymap.has_distance
    assert skymap.summary()["distance"] == "assumed"
    assert skymap.summary()["distmean_mpc"] is None


def outcome_is_a_map_or_a_sentence(content, path):
    skymap = outcome(read_skymap, content, "map.fits")
    if isinstance(skymap, str):
        assert skymap.startswith("map.fits ")
        assert "\n" not in skymap
        return
    assert np.isfinite(skymap.prob).all()
    assert (skymap.prob >= 0).all()
    assert skymap.prob.sum() == pytest.approx(1, abs=1e-12)
    json.dumps(skymap.summary() | skymap.meta, allow_nan=False)
    skymap.save(path)


@settings(max_examples=400)
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 2880 * 2 - 1),
    st.booleans(),
)
def test_flipped_bytes_give_a_map_or_a_sentence(tmp_path_factory, flips, anywhere, header):
    content = bytearray(GOOD)
    for at, byte in flips:
        content[2880 + (at + anywhere) % 2880 if header else at] = byte
    outcome_is_a_map_or_a_sentence(bytes(content), tmp_path_factory.getbasetemp() / "flip.hdf5")


@settings(max_examples=100)
@given(st.binary(max_size=300), st.integers(0, len(GOOD)), st.integers(0, len(GOOD)))
def test_anything_in_between_gives_a_map_or_a_sentence(tmp_path_factory, inside, start, stop):
    content = GOOD[:start] + inside + GOOD[stop:]
    outcome_is_a_map_or_a_sentence(content, tmp_path_factory.getbasetemp() / "inside.hdf5")
    outcome_is_a_map_or_a_sentence(inside, tmp_path_factory.getbasetemp() / "inside.hdf5")


@settings(max_examples=100)
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_broken_gzip_file_gives_a_map_or_a_sentence(tmp_path_factory, at, byte):
    packed = bytearray(PACKED)
    packed[at % len(packed)] = byte
    outcome_is_a_map_or_a_sentence(bytes(packed), tmp_path_factory.getbasetemp() / "gzip.hdf5")


PACKED = gzip.compress(GOOD, mtime=0)
