"""HEALPix indices: what UNIQ, NESTED, RING and explicit lists of pixels say."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.sky.table import MAX_TILES, Table
from llama.sky.tiles import BLOCK_ORDER, Merged, merge_blocks
from llama.sky.unpack import SMALLER
from llama.stats.arrays import Floats, Integers

MAX_ORDER = 29


def from_uniq(uniq: Integers, name: str) -> tuple[NDArray[np.int8], Integers]:
    """Return order and NESTED index of UNIQ indices; LlamaError for one that has none."""
    if (uniq < 4).any():
        raise LlamaError(f"{name} has UNIQ indices below 4; download the map again")
    order = (np.frexp(uniq.astype(float))[1] - 3) // 2
    order -= uniq < (np.int64(4) << (2 * order))  # where rounding to double lifted the index
    ipix = uniq - (np.int64(4) << (2 * order))
    if (order > MAX_ORDER).any() or (ipix >> (2 * order) > 11).any():
        raise LlamaError(f"{name} has UNIQ indices outside the sphere; download the map again")
    return order.astype(np.int8), ipix


def nside_of(header: Mapping[str, Any], pixels: int | None, name: str) -> int:
    """Return NSIDE of a flat map of so many pixels, None for a list; a full sky tells it, too."""
    if "NSIDE" not in header and pixels is None:
        raise LlamaError(f"{name} has a list of pixels and no NSIDE; add it to the header")
    given = header.get("NSIDE", math.isqrt((pixels or 0) // 12))
    nside = _whole_number(given)
    if not 1 <= nside <= 1 << MAX_ORDER or nside & (nside - 1):
        raise LlamaError(
            f"{name} has NSIDE {given!r}, which is not a power of 2; correct the header"
        )
    if pixels not in (None, 12 * nside**2):
        raise LlamaError(
            f"{name} has {pixels} pixels where NSIDE {nside} needs {12 * nside**2}; download the "
            "map again, or correct NSIDE"
        )
    return nside


def _whole_number(value: object) -> int:
    """Return a whole number that may be written as 16.0 or '16'; 0 for anything else."""
    try:
        number = 0.0 if isinstance(value, bool) else float(str(value))
    except ValueError:
        return 0
    return int(number) if number.is_integer() else 0


def from_list(
    pixels: Integers, nside: int, name: str, *, ring: bool
) -> tuple[NDArray[np.int8], Integers]:
    """Return order and NESTED index of an explicit list of pixels."""
    if pixels.min() < 0 or pixels.max() >= 12 * nside**2:
        raise LlamaError(
            f"{name} has pixel numbers outside NSIDE {nside}; download the map again, or correct "
            "NSIDE"
        )
    if ring:
        import healpy  # imports slowly

        pixels = healpy.ring2nest(nside, pixels)
    return np.full(pixels.size, nside.bit_length() - 1, dtype=np.int8), pixels


def from_flat(table: Table, nside: int, *, ring: bool) -> Merged:
    """Return order, NESTED index and columns of an all-pixel map, merged to tiles without loss."""
    order = nside.bit_length() - 1
    depth = min(order, BLOCK_ORDER)
    place = None
    if ring:
        import healpy  # imports slowly

        place = partial(healpy.nest2ring, nside)
    try:
        return merge_blocks(table.blocks(4**depth, place), order, depth, MAX_TILES)
    except OverflowError:
        raise LlamaError(
            f"{table.name} has more than {MAX_TILES:,} different pixels; {SMALLER}"
        ) from None


def area(order: NDArray[np.int8]) -> Floats:
    """Return the area of tiles [sr]."""
    return np.asarray(math.pi / 3 * 4.0 ** -order.astype(float))
