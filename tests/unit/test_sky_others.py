"""Maps as other people write them, compared with what healpy and astropy read from them."""

import gzip
import io
import math
import zlib

import healpy
import numpy as np
import pytest
from astropy.io import fits
from sky_samples import (
    fits_map,
    flat,
    flat_columns,
    multiorder,
    per_pixel,
    pixel_list,
    random_tiles,
    refusal,
)

TILES = random_tiles(seed=4)
NSIDE = 16
PIXELS = 12 * NSIDE**2
COLUMNS = flat_columns(TILES)
PROB = COLUMNS["PROB"]
AREA = 4 * math.pi / PIXELS
FAINT = np.argsort(PROB)[:20]  # less than 1e-4 together
GOOD = flat(TILES)
_EMPTY_MEMBER = gzip.compress(b"", mtime=0)


def rows_end(content):
    with fits.open(io.BytesIO(content)) as hdus:
        header = hdus[1].header
        return hdus[1].fileinfo()["datLoc"] + header["NAXIS1"] * header["NAXIS2"]


def carded(*cards, drop=()):
    """The flat map with cards of 80 characters just as given, where LLAMA's tests put COORDSYS."""
    head, rest = GOOD[: 2 * 2880], GOOD[2 * 2880 :]
    table = [head[at : at + 80].decode() for at in range(2880, 5760, 80)]
    kept = [card for card in table if card[:8].strip() not in (*drop, "END", "")]
    text = "".join([*kept, *(card.ljust(80) for card in cards), "END".ljust(80)])
    assert len(text) <= 2880
    return head[:2880] + text.ljust(2880).encode("latin-1") + rest


def bintable(fields, rows, **header):
    """A map of raw big-endian `rows`, its keys not checked by astropy."""
    cards = {"XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": len(rows) // PIXELS}
    cards |= {"NAXIS2": PIXELS, "PCOUNT": 0, "GCOUNT": 1, "TFIELDS": len(fields)}
    for k, (name, form) in enumerate(fields, 1):
        cards |= {f"TTYPE{k}": name, f"TFORM{k}": form}
    cards |= {"ORDERING": "NESTED", "NSIDE": NSIDE} | header
    lines = [
        f"{key:8}= " + (f"'{value:8}'" if isinstance(value, str) else f"{value!r:>20}")
        for key, value in cards.items()
    ]
    text = "".join(line.ljust(80) for line in [*lines, "END"])
    text = text.ljust(-(-len(text) // 2880) * 2880)
    return GOOD[:2880] + text.encode() + rows + bytes(-len(rows) % 2880)


def with_hdus(*before):
    with fits.open(io.BytesIO(GOOD)) as hdus:
        stream = io.BytesIO()
        fits.HDUList([*before, hdus[1]]).writeto(stream)
        return stream.getvalue()


def bgzip(content, block=5000):
    """As bgzip does it: many members with an extra field, and an empty one at the end."""
    packed = b""
    for at in range(0, len(content) + block, block):
        piece = content[at : at + block]
        deflate = zlib.compressobj(wbits=-15)
        body = deflate.compress(piece) + deflate.flush()
        size = len(body) + 25
        packed += b"\x1f\x8b\x08\x04" + bytes(4) + b"\0\xff\6\0BC\2\0" + size.to_bytes(2, "little")
        packed += body + zlib.crc32(piece).to_bytes(4, "little") + len(piece).to_bytes(4, "little")
    return packed


def cut_in_two(content):
    return gzip.compress(content[:9000]) + gzip.compress(content[9000:])


DOUBLES = PROB.astype(">f8").tobytes()
WHOLE = {
    "newline at the end": GOOD + b"\n",
    "junk at the end": GOOD + b"junk" * 1000,
    "zeros at the end": GOOD + bytes(100_000),
    "no fill": GOOD[: rows_end(GOOD)],
    "half of the fill": GOOD[: rows_end(GOOD) + 700],
    "two gzip members": cut_in_two(GOOD),
    "two gzip members twice": gzip.compress(cut_in_two(GOOD)),
    "three gzip members, one empty": _EMPTY_MEMBER + cut_in_two(GOOD) + _EMPTY_MEMBER,
    "bgzip": bgzip(GOOD),
    "gzip with 20,000 empty members": _EMPTY_MEMBER * 20_000 + gzip.compress(GOOD),
    "cards without a value": carded("EQUINOX =", "ORIGIN  =", "SKYCOORD="),
    "gzip, padded with zeros": gzip.compress(GOOD) + bytes(4096),
    "gzip, then a newline": gzip.compress(GOOD) + b"\n",
    "gzip, no fill": gzip.compress(GOOD[: rows_end(GOOD)]),
    "TNULL of doubles": flat(TILES, TNULL1=-1),
    "TDISP, TDIM and TUNIT without sense": carded("TDISP1  = 'wide'", "TDIM1   = '(x)'"),
    "letters that are not ASCII": carded("OBSERVER= 'Mu\xf1oz'", "COMMENT \xa7\xdf"),
    "cards that are none": carded("X=3", "key with blanks", "'", "= 5", "NAN     =  NaN"),
    "a text that does not end": carded("REMARK  = 'unterminated"),
    "ORDERING without quotes": carded("ORDERING= NESTED", drop=["ORDERING"]),
    "keys in small letters": carded("ordering= 'nested'", drop=["ORDERING"]),
    "a form in small letters": bintable([("PROB", "1d")], DOUBLES),
    "a form with blanks": bintable([("PROB", "D   ")], DOUBLES),
    "no EXTNAME, no PIXTYPE": bintable([("PROB", "D")], DOUBLES),
    "a large image first": with_hdus(fits.PrimaryHDU(np.zeros((300, 300)))),
    "another table first": with_hdus(
        fits.PrimaryHDU(),
        fits.BinTableHDU.from_columns([fits.Column("TIME", "D", array=[1.0])]),
        fits.ImageHDU(np.ones((5, 5))),
    ),
    "another table behind": GOOD
    + fits_map({"PROB": np.ones(7)}, "RING", NSIDE=2)[2880:],
    "a distance that is text, no other": carded("DISTMEAN= 'near'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_map_is_read_whatever_is_odd_about_it(kind):
    np.testing.assert_allclose(per_pixel(WHOLE[kind]), PROB, rtol=1e-12)


@pytest.mark.parametrize("content", [GOOD, multiorder(TILES)], ids=["flat", "multi-order"])
@pytest.mark.parametrize("missing", [1, 100, 2880, 5000])
def test_a_map_that_lacks_bytes_of_its_rows_is_refused(content, missing):
    cut = content[: rows_end(content) - missing]
    for packed in (cut, gzip.compress(cut), cut_in_two(cut), bgzip(cut)):
        assert "cut short" in refusal(packed)
    assert "cut short" in refusal(gzip.compress(content[:9000]))  # the second member is missing
    assert "cut short" in refusal(cut_in_two(content)[:-1])


# -- what healpy writes ------------------------------------------------------------------------


@pytest.mark.parametrize("nest", [True, False])
@pytest.mark.parametrize("coord", ["C", None])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("partial", [True, False])
@pytest.mark.parametrize("name", ["PROB", "Probability", "prob"])
def test_what_healpy_writes_is_read_as_healpy_reads_it(tmp_path, nest, coord, dtype, partial, name):
    prob = np.where(PROB < 1e-7, 0.0, PROB)
    prob /= prob.sum()
    if partial:  # healpy leaves out what is UNSEEN
        prob[prob == 0] = healpy.UNSEEN
    path = tmp_path / "map.fits.gz"
    order = slice(None) if nest else healpy.ring2nest(NSIDE, np.arange(PIXELS))
    healpy.write_map(
        path, prob[order], nest=nest, coord=coord, dtype=dtype, partial=partial, column_names=[name]
    )
    truth = healpy.read_map(path, nest=True, dtype=np.float64)
    truth[truth == healpy.UNSEEN] = 0.0
    np.testing.assert_allclose(per_pixel(path.read_bytes()), truth / truth.sum(), rtol=1e-6)


def test_unseen_pixels_of_a_full_map_have_no_probability():
    prob = PROB.copy()
    prob[FAINT] = healpy.UNSEEN
    content = fits_map({"PROB": prob.astype(np.float32)}, "NESTED", NSIDE=NSIDE)
    expected = np.where(prob > 0, prob, 0)
    np.testing.assert_allclose(per_pixel(content), expected / expected.sum(), rtol=1e-6, atol=1e-15)
    prob[PROB.argmax()] = healpy.UNSEEN
    assert "sum to 0." in refusal(fits_map({"PROB": prob}, "NESTED", NSIDE=NSIDE))


def test_rounding_below_zero_is_zero():
    prob = PROB.copy()
    prob[FAINT] = -1e-9
    read = per_pixel(fits_map({"PROB": prob}, "NESTED", NSIDE=NSIDE))
    np.testing.assert_array_equal(read[FAINT], 0)
    prob[FAINT] = -1e-7
    assert "negative" in refusal(fits_map({"PROB": prob}, "NESTED", NSIDE=NSIDE))


@pytest.mark.parametrize("nside", [16.0, "16", " 16 ", "16.0"])
def test_nside_may_be_written_otherwise(nside):
    np.testing.assert_allclose(per_pixel(flat(TILES, NSIDE=nside)), PROB, rtol=1e-12)


@pytest.mark.parametrize("nside", [16.5, "sixteen", True, "nan", -16.0, 1e300])
def test_nside_that_is_none_is_refused(nside):
    assert "NSIDE" in refusal(flat(TILES, NSIDE=nside))


@pytest.mark.parametrize("ordering", ["nested", "NEST", "Nested  ", "RING", "ring", "RINGED"])
def test_spellings_of_ordering(ordering):
    content = flat(TILES, ring="ring" in ordering.lower(), ORDERING=ordering)
    np.testing.assert_allclose(per_pixel(content), PROB, rtol=1e-12)


def test_a_column_uniq_says_that_a_map_is_multi_order():
    columns = {"UNIQ": TILES["ipix"] + (4 << (2 * TILES["order"]))}
    columns |= {"PROBDENSITY": TILES["PROBDENSITY"]}
    for ordering in (None, "", "UNIQ", "nuniq"):
        np.testing.assert_allclose(per_pixel(fits_map(columns, ordering)), PROB, rtol=1e-12)
    for ordering in ("NESTED", "RING"):
        assert "and a column UNIQ" in refusal(fits_map(columns, ordering))


@pytest.mark.parametrize("name", ["PIXEL", "pixel", "IPIX", "HPXINDEX", "PIX", "index"])
def test_an_explicit_list_has_its_pixels_in_the_first_column(name):
    np.testing.assert_allclose(per_pixel(pixel_list(TILES, name=name)), PROB, rtol=1e-12)


def test_pixel_numbers_may_be_doubles():
    content = fits_map({"PIXEL": np.arange(PIXELS) * 1.0, "PROB": PROB}, "NESTED", NSIDE=NSIDE)
    np.testing.assert_allclose(per_pixel(content), PROB, rtol=1e-12)


@pytest.mark.parametrize(
    ("form", "dtype", "scale", "zero"),
    [
        ("J", ">i4", 1e-9, 0.0), ("K", ">i8", 1e-17, 0.0), ("J", ">i4", 5e-10, 1e-6),
        ("E", ">f4", 0.5, 0.0), ("D", ">f8", 2.0, -1e-3), ("I", ">i2", 1e-6, 0.01),
    ],
)  # fmt: skip
def test_scaled_columns_are_those_that_astropy_reads(form, dtype, scale, zero):
    stored = (PROB - zero) / scale
    stored = np.round(stored) if "i" in dtype else stored
    rows = stored.astype(dtype).tobytes()
    content = bintable([("PROB", form)], rows, TSCAL1=scale, TZERO1=zero)
    truth = fits.getdata(io.BytesIO(content), 1)["PROB"].astype(float)
    assert truth.sum() == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(per_pixel(content), np.maximum(truth, 0) / truth.sum(), rtol=1e-6)


def test_a_whole_number_that_stands_for_nothing_is_no_probability():
    stored = np.round(PROB / 1e-9).astype(">i4")
    stored[FAINT[0]] = 0
    for scale in ({"TSCAL1": 1e-9}, {"TSCAL1": 1e-9, "TZERO1": 0.0}):
        content = bintable([("PROB", "J")], stored.tobytes(), TNULL1=0, **scale)
        assert "not finite" in refusal(content)
        assert (
            per_pixel(bintable([("PROB", "J")], stored.tobytes(), TNULL1=-5, **scale))[FAINT[0]]
            == 0
        )


def test_rows_that_are_wider_than_their_columns_are_refused():
    rows = np.column_stack([PROB, PROB]).astype(">f8").tobytes()
    assert "columns of 8 bytes in rows of 16" in refusal(bintable([("PROB", "D")], rows))


def test_two_columns_of_one_meaning_are_refused():
    content = fits_map({"PROB": PROB, "prob_": PROB}, "NESTED", NSIDE=NSIDE)
    assert "two columns PROB" in refusal(content)


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"BZh91AY&SY", "bunzip2"),
        (b"\xfd7zXZ\0", "unxz"),
        (b"\x28\xb5\x2f\xfd", "unzstd"),
        (b"PK\x03\x04", "unzip"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"U0lNUExFICA9", "base64 -d"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_another_file_is_named_with_what_to_do(content, remedy):
    assert remedy in refusal(content)
    assert remedy in refusal(gzip.compress(content))
