"""The one table of a published map, with its headers checked before anything is allocated."""

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from llama.errors import LlamaError
from llama.sky.header import (
    AGAIN,
    EMPTY,
    MAX_CARDS,
    SMALLER,
    UNIT,
    Column,
    Table,
    broken,
    card,
    read_cards,
    table_file,
)
from llama.sky.pixels import whole_number
from llama.sky.table import DISTANCE, INDEX, PROBABILITY, per_sr, spelled
from llama.sky.tiles import BLOCK_ORDER, Columns, merge_blocks
from llama.sky.unpack import Unpacked

MAX_TILES = 3_200_000  # more than NSIDE 512 has pixels; 512 MiB hold so many, with distances

_MAX_HDUS = 64
_MAX_WHOLE_BYTES = 1 << 27  # of a table that is taken as it is
_MAX_RING_BYTES = 12 * 1024**2 * 32  # NSIDE 1024 with four double columns
_SMALL_PIXELS = 12 * 256**2  # of a flat map that is taken as it is
_NUMPY = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_LAYOUT = re.compile(
    r"(SIMPLE|XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|TFIELDS|GROUPS|EXTEND|END|"
    r"CHECKSUM|DATASUM)"
)
_OTHERS = {  # what comes instead of a FITS file, and what to do about it
    b"BZh": "compressed with bzip2; unpack it with bunzip2",
    b"\xfd7zXZ": "compressed with xz; unpack it with unxz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it with unzstd",
    b"PK\x03\x04": "a ZIP archive; unpack it with unzip",
    b"\x1f\x9d": "compressed with compress; unpack it with uncompress",
    b"\x89HDF": "an HDF5 file; give the FITS file",
    b"U0lNUExF": "base64 text, as in an alert; unpack it with base64 -d",
    b"version https://git-lfs": "a Git LFS pointer; get the file with git lfs pull",
}
_FLAT = re.compile(r"(ORDERING|INDXSCHM|NSIDE|FIRSTPIX|LASTPIX|T[A-Z]{3,4}\d+)")


def one_table(content: bytes, name: str) -> bytes:
    """Return a small FITS file with the first table of probabilities in `content`, else the first.

    content: FITS, gzipped once, twice or not at all. A flat map of more than 786,432 pixels comes
    as the multi-order map that it may have been flattened from. Memory does not grow with what
    `content` unpacks to. `LlamaError` if it is no FITS file or claims more than a map has.
    """
    stream = Unpacked(content, name)
    _check_start(stream.start(200), name)
    found, left = b"", MAX_CARDS
    primary: list[bytes] = []
    for count in range(_MAX_HDUS + 1):
        cards = read_cards(stream, left, name, first=count == 0)
        if not cards:
            break
        if count == _MAX_HDUS:
            raise LlamaError(f"{name} has more than {_MAX_HDUS} HDUs; give a HEALPix sky map")
        table, left = Table(cards, name), left - len(cards)
        primary = primary if count else _described(table)
        size = table.size()
        columns = table.columns() if table.is_table else []
        is_map = any(spelled(column.name) in PROBABILITY for column in columns)
        if is_map or (table.is_table and not found):
            found = _take(stream, table, columns, size, primary)
        elif stream.skip(size) < size:
            raise broken(name, "its data are cut short")
        if is_map:
            break
        stream.skip(-size % UNIT)
    stream.finish()
    return found or EMPTY


def _check_start(start: bytes, name: str) -> None:
    if start.startswith(b"SIMPLE  ="):
        return
    for magic, what in _OTHERS.items():
        if start.startswith(magic):
            raise LlamaError(f"{name} is {what}")
    page = start.lstrip().lower().startswith((b"<!doctype html", b"<html"))
    kind = "an HTML page" if page else "not a FITS file"
    raise LlamaError(f"{name} is {kind}, not a sky map; download the FITS file again")


def _described(table: Table) -> list[bytes]:
    """Return the cards that say something else than what the bytes behind them are."""
    return [card for key, card in table.cards if not _LAYOUT.fullmatch(key)]


def _take(
    stream: Unpacked, table: Table, columns: list[Column], size: int, primary: list[bytes]
) -> bytes:
    """Return the table that follows in the stream as a file of its own, below the file's cards."""
    name, rows = table.name, table.number("NAXIS2")
    wanted = [c for c in columns if spelled(c.name) in (*PROBABILITY, *INDEX, *DISTANCE)]
    for column in wanted:
        if column.form not in _NUMPY:
            raise LlamaError(f"{name} has no numbers in column {column.name}; {AGAIN}")
    pixels = rows * max((column.repeat for column in wanted), default=1)
    order = _flat_order(table, wanted, pixels)
    if order is not None:
        return _merged(stream, table, wanted, order, primary)
    if size > _MAX_WHOLE_BYTES or pixels > MAX_TILES:
        raise LlamaError(
            f"{name} has a table of {rows:,} rows and {size >> 20:,} MiB, where at most "
            f"{MAX_TILES:,} pixels and {_MAX_WHOLE_BYTES >> 20} MiB are read; {SMALLER}"
        )
    data = _whole(stream, size, name)
    sizes = {key: table.number(key) for key in ("NAXIS1", "NAXIS2", "PCOUNT", "TFIELDS")}
    return table_file(sizes, _described(table), data, primary)


def _flat_order(table: Table, wanted: list[Column], pixels: int) -> int | None:
    """Return the order of a large flat map of plain numbers, None for everything else."""
    is_flat = table.ordering.startswith(("NEST", "RING"))
    is_explicit = table.values.get("INDXSCHM", "").upper() == "EXPLICIT"
    if pixels <= _SMALL_PIXELS or not is_flat or is_explicit:
        return None
    repeats = {column.repeat for column in wanted}
    nside = math.isqrt(pixels // 12)
    whole = pixels == 12 * nside**2 and nside & (nside - 1) == 0
    said = whole_number(table.values.get("NSIDE", nside)) == nside
    said &= 4**BLOCK_ORDER % min(repeats) == 0
    names = [spelled(column.name) for column in wanted]
    plain = all(column.plain for column in wanted) and not {*names} & {*INDEX}
    many = len(repeats) == 1 and len({*names}) == len(wanted)
    return nside.bit_length() - 1 if whole and said and plain and many else None


def _merged(
    stream: Unpacked, table: Table, wanted: list[Column], order: int, primary: list[bytes]
) -> bytes:
    """Return a flat map, read by blocks, as a multi-order map with the same columns."""
    blocks = _ring_blocks if table.ordering.startswith("RING") else _nested_blocks
    try:
        orders, ipix, found = merge_blocks(
            blocks(stream, table, wanted, order), order, BLOCK_ORDER, MAX_TILES
        )
    except OverflowError:
        raise LlamaError(
            f"{table.name} has more than {MAX_TILES:,} different pixels; {SMALLER}"
        ) from None
    for column in wanted:
        name = spelled(column.name)
        # of a tile, not of one of its pixels; what is negative stands for no value
        if name in PROBABILITY and per_sr(column.unit, name, table.name) is None:
            values = found[column.name].astype(float)
            found[column.name] = np.where(values < 0, values, values * 4.0 ** (order - orders))
    form = np.dtype([("UNIQ", ">i8"), *((column.name, ">f8") for column in wanted)])
    data = np.empty(ipix.size, form)
    data["UNIQ"] = ipix + (np.int64(4) << 2 * orders.astype(np.int64))
    for name in list(found):
        data[name] = found.pop(name)
    cards = [card("TTYPE1", "UNIQ"), card("TFORM1", "K"), card("ORDERING", "NUNIQ")]
    for k, column in enumerate(wanted, start=2):
        cards += [card(f"TTYPE{k}", column.name), card(f"TFORM{k}", "D")]
        cards += [card(f"TUNIT{k}", column.unit)] if column.unit else []
    same = [c for key, c in table.cards if not (_LAYOUT.fullmatch(key) or _FLAT.fullmatch(key))]
    sizes = {"NAXIS1": form.itemsize, "NAXIS2": ipix.size, "PCOUNT": 0}
    sizes |= {"TFIELDS": 1 + len(wanted)}
    return table_file(sizes, [*cards, *same], data.view("u1").data, primary)


def _nested_blocks(
    stream: Unpacked, table: Table, wanted: list[Column], order: int
) -> Iterator[Columns]:
    """Yield the columns of 4**BLOCK_ORDER pixels at a time."""
    form = _row(table, wanted)
    size = form.itemsize * (4**BLOCK_ORDER // wanted[0].repeat)
    for _ in range(12 * 4 ** (order - BLOCK_ORDER)):
        rows = np.frombuffer(_whole(stream, size, table.name), form)
        yield {c.name: np.ascontiguousarray(rows[c.name]).reshape(-1) for c in wanted}


def _ring_blocks(
    stream: Unpacked, table: Table, wanted: list[Column], order: int
) -> Iterator[Columns]:
    """Do as `_nested_blocks` with a map in RING order, which is held whole."""
    import healpy  # imports slowly

    form, step = _row(table, wanted), 4**BLOCK_ORDER
    size = form.itemsize * table.number("NAXIS2")
    if size > _MAX_RING_BYTES:
        raise LlamaError(
            f"{table.name} has {size >> 20:,} MiB in RING order, where at most "
            f"{_MAX_RING_BYTES >> 20} are read; {SMALLER}"
        )
    rows = np.frombuffer(_whole(stream, size, table.name), form)
    for start in range(0, 12 * 4**order, step):
        along = healpy.nest2ring(1 << order, np.arange(start, start + step))
        row, place = np.divmod(along, wanted[0].repeat)
        at = row if wanted[0].repeat == 1 else (row, place)
        yield {c.name: rows[c.name][at] for c in wanted}


def _row(table: Table, wanted: list[Column]) -> np.dtype[Any]:
    forms = [(_NUMPY[c.form], (c.repeat,)) if c.repeat > 1 else _NUMPY[c.form] for c in wanted]
    return np.dtype(
        {
            "names": [c.name for c in wanted],
            "formats": forms,
            "offsets": [c.offset for c in wanted],
            "itemsize": table.number("NAXIS1"),
        }
    )


def _whole(stream: Unpacked, size: int, name: str) -> bytearray:
    data = stream.read(size)
    if len(data) < size:
        raise broken(name, "its table is cut short")
    return data
