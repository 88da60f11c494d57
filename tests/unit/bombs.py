"""Small files that claim or unpack to more than any sky map has."""

import gzip
import struct
import zlib

import numpy as np


def cards(*lines):
    """One header: its lines, END and fill."""
    text = b"".join(line.encode().ljust(80) for line in [*lines, "END"])
    return text.ljust(-(-len(text) // 2880) * 2880)


PRIMARY = cards("SIMPLE  =                    T", "BITPIX  = 8", "NAXIS   = 0")
COLUMN = ("TTYPE1  = 'PROB'", "TFORM1  = 'D'")
MAP = ("ORDERING= 'NESTED'", "COORDSYS= 'C'")


def table(rows, width, *lines, fields=1, heap=0):
    """A header of a table, without its data."""
    return cards(
        "XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", f"NAXIS1  = {width}",
        f"NAXIS2  = {rows}", f"PCOUNT  = {heap}", "GCOUNT  = 1", f"TFIELDS = {fields}", *lines,
    )  # fmt: skip


def packed(start, piece, times):
    """gzip of `start` and `times` pieces, which are never held together and compressed once."""
    deflate = zlib.compressobj(wbits=-15)
    # what follows a full flush knows nothing of what was before: it may be repeated
    first = deflate.compress(start) + deflate.flush(zlib.Z_FULL_FLUSH)
    again = deflate.compress(piece) + deflate.flush(zlib.Z_FULL_FLUSH)
    check = zlib.crc32(start)
    for _ in range(times):
        check = zlib.crc32(piece, check)
    size = (len(start) + times * len(piece)) % 2**32
    head = gzip.compress(b"")[:10]
    return b"".join([head, first, again * times, deflate.flush(), struct.pack("<II", check, size)])


def flat(nside, columns=1):
    """A flat map of equal pixels in columns of doubles."""
    pixels = 12 * nside**2
    names = ("PROB", "DISTMU", "DISTSIGMA", "DISTNORM")[:columns]
    lines = [f"TTYPE{k}  = '{name}'" for k, name in enumerate(names, start=1)]
    lines += [f"TFORM{k}  = 'D'" for k in range(1, columns + 1)]
    start = PRIMARY + table(pixels, 8 * columns, *lines, *MAP, fields=columns)
    row = np.array([1 / pixels, 100.0, 20.0, 1e-4][:columns], ">f8").tobytes()
    return packed(start, row * (pixels // 768), 768)


def bombs():
    """Name: a function that makes the bytes, at most 2 MB, and what the sentence says."""
    huge = 10**15
    empty = cards("XTENSION= 'IMAGE'", "BITPIX  = 8", "NAXIS   = 0")
    long_text = ["CREATOR = 'a&'", *["CONTINUE  '&'"] * 5000]
    return {
        "TFIELDS": (
            lambda: PRIMARY + table(1, 8, *COLUMN, fields=10**9),
            "a table of 1,000,000,000 col",
        ),
        "HDUs": (lambda: packed(PRIMARY, empty * 100, 100), "more than 64 HDUs"),
        "lines": (
            lambda: packed(PRIMARY[:80], b"COMMENT ".ljust(80) * 10_000, 300),
            "more than 10,000",
        ),
        "lines of a table": (
            lambda: packed(PRIMARY + table(1, 8)[:640], b"HISTORY ".ljust(80) * 10_000, 300),
            "more than 10,000",
        ),
        "CONTINUE": (lambda: PRIMARY + table(1, 8, *COLUMN, *long_text), "a text of more than 100"),
        "NAXIS1": (
            lambda: PRIMARY + table(1, huge, "TFORM1  = '999999999D'"),
            "rows of 1,000,000,000,",
        ),
        "NAXIS2": (lambda: PRIMARY + table(huge, 8, *COLUMN, *MAP), "multi-order map"),
        "NAXIS2, no map": (lambda: PRIMARY + table(huge, 8, "TFORM1  = 'D'"), "multi-order map"),
        "PCOUNT": (lambda: PRIMARY + table(1, 8, *COLUMN, heap=huge), "multi-order map"),
        "TFORM": (
            lambda: (
                PRIMARY + table(12, 8 * 10**9 - 8, "TTYPE1  = 'PROB'", "TFORM1  = '999999999D'")
            ),
            "multi-order map",
        ),
        "TFORM, no numbers": (
            lambda: PRIMARY + table(1, 0, "TTYPE1  = 'PROB'", "TFORM1  = '0D'", *MAP),
            "empty table",
        ),
        "variable length": (
            lambda: (
                PRIMARY + table(1, 16, "TTYPE1  = 'PROB'", "TFORM1  = '1QD(999999999)'", heap=8)
            ),
            "no numbers in column PROB",
        ),
        "an image of axes": (
            lambda: cards(
                "SIMPLE  =  T",
                "BITPIX  = 64",
                "NAXIS   = 999",
                *[f"{f'NAXIS{k}':8}= 9" for k in range(1, 1000)],
            ),
            "larger than",
        ),
        "axes without number": (
            lambda: cards("SIMPLE  =  T", "BITPIX  = 8", "NAXIS   = 999999999999"),
            "no binary table",
        ),
        "packed image": (
            lambda: PRIMARY + table(1, 8, *COLUMN, "ZIMAGE  = T", "ZNAXIS1 = 999999999"),
            "cut short",
        ),
        "gzip of gzip": (lambda: gzip.compress(packed(PRIMARY, bytes(10**6), 200)), "larger than"),
        "gzip members": (
            lambda: gzip.compress(PRIMARY) + gzip.compress(b"") * 30_000,
            "no binary table",
        ),
        "many pixels": (
            lambda: packed(
                PRIMARY
                + table(
                    4 * 10**6,
                    16,
                    "TTYPE1 = 'UNIQ'",
                    "TTYPE2  = 'PROB'",
                    "TFORM1  = 'K'",
                    "TFORM2  = 'D'",
                    "ORDERING= 'NUNIQ'",
                    fields=2,
                ),
                bytes(16 * 10**4),
                400,
            ),
            "at most 3,200,000 pixels",
        ),
        "many different pixels": (
            lambda: packed(
                PRIMARY + table(12 * 1024**2, 8, *COLUMN, *MAP),
                np.tile(np.arange(64.0), 256).astype(">f8").tobytes(),
                768,
            ),
            "more than 3,200,000 different pixels",
        ),
        "many different pixels, RING": (
            lambda: packed(
                PRIMARY
                + table(
                    12 * 2048**2,
                    32,
                    *COLUMN,
                    "TTYPE2  = 'X'",
                    "TFORM2  = '3D'",
                    "ORDERING= 'RING'",
                    fields=2,
                ),
                bytes(2**20),
                1536,
            ),
            "in RING order",
        ),
    }
