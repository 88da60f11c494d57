"""Reader of every published form of gravitational-wave sky map.

Multi-order (UNIQ, signed or unsigned), flat NESTED or RING, explicit pixel lists, one pixel
or 1024 a row, gzip once, twice or not at all, with and without distance columns.
"""

import io
import math
import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.sky.table import DISTANCE, INDEX, PROBABILITY, one_table
from llama.sky.tiles import SkyTiles, merge_equal_siblings

SUM_TOLERANCE = 1e-3  # published maps sum to 1 within 1e-6; single precision needs more

_MAX_ORDER = 29
_FARTHEST_MPC = 1e8  # numbers beyond are no distances; published ones stay below 1e6

_META = {
    "CREATOR": "creator",
    "INSTRUME": "instruments",
    "OBJECT": "object",
    "DATE-OBS": "date_obs",
}
_MOMENTS = {"DISTMEAN": "distmean_mpc", "DISTSTD": "diststd_mpc"}

Columns = dict[str, NDArray[Any]]


@np.errstate(over="ignore")  # absurd numbers make the sum infinite, and that is refused
def read_skymap(content: bytes, name: str) -> SkyTiles:
    """Return the sky map in the bytes of a FITS file.

    name: shown in errors. LlamaError, one sentence, for anything that is not a map of
    probabilities in equatorial coordinates that sum to 1 within 1e-3.
    """
    header, columns = _read_table(one_table(content, name), name)
    if str(header.get("COORDSYS", "C")).strip().upper()[:1] not in ("C", "Q", "I", ""):
        raise LlamaError(
            f"{name} has COORDSYS {header['COORDSYS']!r}; "
            "LLAMA needs equatorial coordinates (C), rotate the map"
        )
    probability = next(key for key in PROBABILITY if key in columns)
    ordering = str(header.get("ORDERING", "")).strip().upper()
    if "UNIQ" in columns and ordering in ("NUNIQ", "UNIQ"):
        order, ipix = _from_uniq(columns["UNIQ"], name)
        values = _values(columns, probability, name)
        if probability != "PROBDENSITY":
            values["density"] /= _area(order)
    elif ordering in ("NESTED", "NEST", "RING"):
        explicit = next((columns[key] for key in ("PIXEL", "IPIX") if key in columns), None)
        columns = {key: columns[key] for key in (probability, *DISTANCE) if key in columns}
        nside = _nside(header, explicit, columns[probability].size, name)
        # large maps are mostly equal siblings: what is merged first need not be looked at
        order, ipix, columns = _from_flat(nside, explicit, columns, ring=ordering == "RING")
        values = _values(columns, probability, name)
        if probability != "PROBDENSITY":
            values["density"] *= 12 * nside**2 / (4 * math.pi)
    else:
        raise LlamaError(
            f"{name} has ORDERING {ordering!r}; "
            "it must be NUNIQ, NESTED or RING, correct the header"
        )
    del columns  # with the file behind them: a fourth of the memory at the peak
    return _assemble(order, ipix, values, header, name)


def _read_table(content: bytes, name: str) -> tuple[dict[str, Any], Columns]:
    """Return the keys and columns of the first table with probabilities, as far as they matter."""
    from astropy.io import fits  # imports slowly

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with fits.open(io.BytesIO(content), memmap=False) as hdus:
                tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
                if not tables:
                    raise LlamaError(f"{name} has no binary table; give a HEALPix sky map")
                names = [{str(n).upper(): n for n in table.columns.names} for table in tables]
                which = next(
                    (i for i, found in enumerate(names) if found.keys() & {*PROBABILITY}), 0
                )
                header, data = tables[which].header, _rows(tables[which], content)
                wanted = ("COORDSYS", "ORDERING", "NSIDE", *_META, *_MOMENTS)
                keys = {key: header[key] for key in wanted if key in header}
                columns = {
                    key: np.asarray(data[names[which][key]])
                    for key in (*PROBABILITY, *INDEX, *DISTANCE)
                    if key in names[which]
                }
    except (LlamaError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise LlamaError(
            f"{name} is a broken or truncated FITS file ({reason}); download the map again"
        ) from error
    if not columns.keys() & {*PROBABILITY}:
        raise LlamaError(
            f"{name} has no probability column (PROB or PROBDENSITY), "
            f"only {', '.join(names[which])[:80]}; give a sky map"
        )
    return keys, _checked(columns, name)


def _rows(table: Any, content: bytes) -> Any:
    """Return the rows of a table; plain ones are left where they are, astropy copies the file."""
    columns = table.columns
    plain = all(re.fullmatch(r"\d*[BIJKED]", form) for form in columns.formats)
    scaled = any(column.bscale or column.bzero for column in columns)
    size = columns.dtype.itemsize
    if not plain or scaled or size != table.header["NAXIS1"]:
        return table.data
    start, count = table.fileinfo()["datLoc"], max(table.header["NAXIS2"], 0)
    return np.frombuffer(content, columns.dtype.newbyteorder(">"), count, start)


def _checked(columns: Columns, name: str) -> Columns:
    """Return the columns one pixel a row; indices are int64, all others as they are stored."""
    checked: Columns = {}
    for key, column in columns.items():
        if column.dtype.kind not in ("iu" if key in INDEX else "iuf"):
            raise LlamaError(f"{name} has no numbers in column {key}; download the map again")
        # O3 maps store UNIQ unsigned
        checked[key] = (column.astype(np.int64) if key in INDEX else column).reshape(-1)
    sizes = {column.size for column in checked.values()}
    if len(sizes) != 1:
        raise LlamaError(f"{name} has columns of different length; download the map again")
    if sizes == {0}:
        raise LlamaError(f"{name} has an empty table; download the map again")
    return checked


def _values(columns: Columns, probability: str, name: str) -> Columns:
    values = {"density": columns[probability].astype(float)}
    if not np.isfinite(values["density"]).all():
        raise LlamaError(f"{name} has probabilities that are not finite; download the map again")
    if (values["density"] < 0).any():
        raise LlamaError(f"{name} has negative probabilities; download the map again")
    if all(key in columns for key in DISTANCE):
        mu, sigma, norm = (columns[key].astype(float) for key in DISTANCE)
        # a tile without a distance has distmu = inf, distnorm = 0; NaN compares false
        known = (abs(mu) < _FARTHEST_MPC) & (sigma > 1e-3) & (sigma < _FARTHEST_MPC)
        known &= (mu > -1e4 * sigma) & (norm > 0) & (norm < math.inf)
        values["distmu"] = np.where(known, mu, np.inf)
        values["distsigma"] = np.where(known, sigma, 1.0)
        values["distnorm"] = np.where(known, norm, 0.0)
    return values


def _from_uniq(uniq: NDArray[np.int64], name: str) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    if (uniq < 4).any():
        raise LlamaError(f"{name} has UNIQ indices below 4; download the map again")
    order = (np.frexp(uniq.astype(float))[1] - 3) // 2
    order -= uniq < (np.int64(4) << (2 * order))  # where rounding to double lifted the index
    ipix = uniq - (np.int64(4) << (2 * order))
    if (order > _MAX_ORDER).any() or (ipix >> (2 * order) > 11).any():
        raise LlamaError(f"{name} has UNIQ indices outside the sphere; download the map again")
    return order.astype(np.int8), ipix


def _nside(
    header: Mapping[str, Any], explicit: NDArray[np.int64] | None, size: int, name: str
) -> int:
    """Return NSIDE of a flat map; where the header lacks it, a full sky tells it."""
    if "NSIDE" not in header and explicit is not None:
        raise LlamaError(f"{name} has a list of pixels and no NSIDE; add it to the header")
    nside = header.get("NSIDE", math.isqrt(size // 12))
    if not isinstance(nside, int) or not 1 <= nside <= 1 << _MAX_ORDER or nside & (nside - 1):
        raise LlamaError(
            f"{name} has NSIDE {nside!r}, which is no power of 2; download the map again"
        )
    pixels = 12 * nside**2
    if explicit is None and size != pixels:
        raise LlamaError(
            f"{name} has {size} pixels where NSIDE {nside} needs {pixels}; download the map again"
        )
    if explicit is not None and (explicit.min() < 0 or explicit.max() >= pixels):
        raise LlamaError(f"{name} has pixel numbers outside NSIDE {nside}; download the map again")
    return nside


def _from_flat(
    nside: int, explicit: NDArray[np.int64] | None, columns: Columns, *, ring: bool
) -> tuple[NDArray[np.int8], NDArray[np.int64], Columns]:
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


def _area(order: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the area of tiles [sr]."""
    return np.asarray(math.pi / 3 * 4.0 ** -order.astype(float))


def _assemble(
    order: NDArray[np.int8],
    ipix: NDArray[np.int64],
    values: Columns,
    header: Mapping[str, Any],
    name: str,
) -> SkyTiles:
    first = ipix << (2 * (29 - order.astype(np.int64)))
    along = np.argsort(first, kind="stable")
    order, ipix, first = order[along], ipix[along], first[along]
    values = {key: column[along] for key, column in values.items()}
    ends = first + (np.int64(1) << (2 * (29 - order.astype(np.int64))))
    if (ends[:-1] > first[1:]).any():
        raise LlamaError(f"{name} has tiles that overlap each other; download the map again")
    prob = values.pop("density") * _area(order)
    total = float(prob.sum())
    if not abs(total - 1) <= SUM_TOLERANCE:
        raise LlamaError(
            f"{name} has probabilities that sum to {total:.4g}, not to 1; download the map again"
        )
    meta: dict[str, Any] = {"prob_sum": total}
    meta |= {
        short: str(header[key]) for key, short in _META.items() if header.get(key) not in (None, "")
    }
    for key, short in _MOMENTS.items():
        if isinstance(header.get(key), float) and math.isfinite(header[key]):
            meta[short] = float(header[key])
    return SkyTiles(order, ipix, prob / total, meta=meta, **values)
