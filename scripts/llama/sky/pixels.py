"""HEALPix indices: what UNIQ, NESTED, RING and explicit lists of pixels say."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.sky.tiles import merge_equal_siblings

MAX_ORDER = 29
Columns = dict[str, NDArray[Any]]


def from_uniq(uniq: NDArray[np.int64], name: str) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Return order and NESTED index of UNIQ indices; LlamaError for one that has none."""
    if (uniq < 4).any():
        raise LlamaError(f"{name} has UNIQ indices below 4; download the map again")
    order = (np.frexp(uniq.astype(float))[1] - 3) // 2
    order -= uniq < (np.int64(4) << (2 * order))  # where rounding to double lifted the index
    ipix = uniq - (np.int64(4) << (2 * order))
    if (order > MAX_ORDER).any() or (ipix >> (2 * order) > 11).any():
        raise LlamaError(f"{name} has UNIQ indices outside the sphere; download the map again")
    return order.astype(np.int8), ipix


def nside_of(
    header: Mapping[str, Any], explicit: NDArray[np.int64] | None, size: int, name: str
) -> int:
    """Return NSIDE of a flat map; where the header lacks it, a full sky tells it."""
    if "NSIDE" not in header and explicit is not None:
        raise LlamaError(f"{name} has a list of pixels and no NSIDE; add it to the header")
    given = header.get("NSIDE", math.isqrt(size // 12))
    nside = whole_number(given)
    if not 1 <= nside <= 1 << MAX_ORDER or nside & (nside - 1):
        raise LlamaError(
            f"{name} has NSIDE {given!r}, which is not a power of 2; correct the header"
        )
    pixels = 12 * nside**2
    if explicit is None and size != pixels:
        raise LlamaError(
            f"{name} has {size} pixels where NSIDE {nside} needs {pixels}; download the map "
            "again, or correct NSIDE"
        )
    if explicit is not None and (explicit.min() < 0 or explicit.max() >= pixels):
        raise LlamaError(
            f"{name} has pixel numbers outside NSIDE {nside}; download the map again, or correct "
            "NSIDE"
        )
    return nside


def whole_number(value: object) -> int:
    """Return a whole number that may be written as 16.0 or '16'; 0 for anything else."""
    try:
        number = 0.0 if isinstance(value, bool) else float(str(value))
    except ValueError:
        return 0
    return int(number) if number.is_integer() else 0


def from_flat(
    nside: int, explicit: NDArray[np.int64] | None, columns: Columns, *, ring: bool
) -> tuple[NDArray[np.int8], NDArray[np.int64], Columns]:
    """Return order, NESTED index and columns of the tiles of a flat map."""
    order = nside.bit_length() - 1
    if ring:
        import healpy  # imports slowly

        if explicit is None:
            along = healpy.nest2ring(nside, np.arange(12 * nside**2))
            columns = {key: column[along] for key, column in columns.items()}
        else:
            explicit = healpy.ring2nest(nside, explicit)
    if explicit is None:
        return merge_equal_siblings(columns, order)
    return np.full(explicit.size, order, dtype=np.int8), explicit, columns


def area(order: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the area of tiles [sr]."""
    return np.asarray(math.pi / 3 * 4.0 ** -order.astype(float))
