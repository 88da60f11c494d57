"""Reader of every published form of gravitational-wave sky map.

Multi-order (UNIQ, signed or unsigned), flat NESTED or RING, explicit pixel lists, one pixel
or 1024 a row, gzip once, twice or not at all, in one member or many, with and without distance
columns. What others write in another unit or spelling is read where it can mean one thing only.
"""

import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.sky.frame import check_equatorial
from llama.sky.pixels import Columns, area, from_flat, from_uniq, nside_of
from llama.sky.table import DISTANCE, PROBABILITY, FitsTable, read_table
from llama.sky.tiles import SkyTiles
from llama.units import unit_factor

MAX_BYTES = 1 << 31  # NSIDE 2048 with four double columns is 1.6 GB
SUM_TOLERANCE = 1e-3  # published maps sum to 1 within 1e-6; single precision needs more

_LAYERS = 2  # of gzip; maps gzipped twice are seen in the wild
_FARTHEST_MPC = 1e8  # numbers beyond are no distances; published ones stay below 1e6
_ROUNDING = 1e-6  # most probability that may be lost with negative rounding errors
_UNSEEN = -1.6375e30  # HEALPix's number for a pixel without a value

_IN_MPC = {"DISTMU": "Mpc", "DISTSIGMA": "Mpc", "DISTNORM": "Mpc-2"}
_META = {
    "CREATOR": "creator",
    "INSTRUME": "instruments",
    "OBJECT": "object",
    "DATE-OBS": "date_obs",
}
_MOMENTS = {"DISTMEAN": "distmean_mpc", "DISTSTD": "diststd_mpc"}
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


@np.errstate(over="ignore")  # absurd numbers make the sum infinite, and that is refused
def read_skymap(content: bytes, name: str) -> SkyTiles:
    """Return the sky map in the bytes of a FITS file.

    name: shown in errors. LlamaError, one sentence, for anything that is not a map of
    probabilities in equatorial coordinates that sum to 1 within 1e-3.
    """
    table = read_table(_decompress(content, name), name)
    header, columns = table.header, table.columns
    check_equatorial(header, name)
    probability = next(key for key in PROBABILITY if key in columns)
    per_sr: Any = _per_sr(table.units[probability], probability, name)
    ordering = str(header.get("ORDERING", "")).upper()
    if "UNIQ" in columns and ("UNIQ" in ordering or not ordering):
        order, ipix = from_uniq(columns["UNIQ"], name)
    elif ordering.startswith(("NEST", "RING")) and "UNIQ" not in columns:
        explicit = next((columns[key] for key in ("PIXEL", "IPIX") if key in columns), None)
        columns = {key: columns[key] for key in (probability, *DISTANCE) if key in columns}
        nside = nside_of(header, explicit, columns[probability].size, name)
        # large maps are mostly equal siblings: what is merged first need not be looked at
        ring = ordering.startswith("RING")
        order, ipix, columns = from_flat(nside, explicit, columns, ring=ring)
        per_sr = per_sr or 12 * nside**2 / (4 * math.pi)
    else:
        also = " and a column UNIQ" if "UNIQ" in columns else ""
        raise LlamaError(
            f"{name} has ORDERING {ordering!r}{also}; "
            "it must be NUNIQ, NESTED or RING, correct the header"
        )
    values = _distances(table, columns, name)
    values["density"] = _probabilities(columns[probability], name) * (per_sr or 1 / area(order))
    return _assemble(order, ipix, values, table, name)


def _decompress(content: bytes, name: str) -> bytes:
    for _ in range(_LAYERS):
        if content[:2] == b"\x1f\x8b":
            content = _gunzip(content, name)
    if content[:2] == b"\x1f\x8b":
        raise LlamaError(f"{name} is gzipped more than {_LAYERS} times; unpack it with gunzip")
    if content[:9] != b"SIMPLE  =":
        start = content[:200].lstrip().lower()
        if start.startswith((b"<!doctype html", b"<html")):
            raise LlamaError(f"{name} is an HTML page, not a sky map; download the FITS file again")
        for magic, what in _OTHERS.items():
            if content.startswith(magic):
                raise LlamaError(f"{name} is {what}")
        raise LlamaError(f"{name} is not a FITS file, not a sky map; download the FITS file again")
    return content


def _gunzip(content: bytes, name: str) -> bytes:
    """Return what all members of a gzip file hold; what follows the last one is left, as gzip does.

    Whether the map is whole, the FITS header says.
    """
    pieces, room = [], MAX_BYTES
    while content[:2] == b"\x1f\x8b":
        try:
            unzip = zlib.decompressobj(wbits=31)
            pieces.append(unzip.decompress(content, room + 1))
        except zlib.error as error:
            raise LlamaError(
                f"{name} is a broken gzip file ({error}); download the map again"
            ) from error
        room -= len(pieces[-1])
        if room < 0:
            raise LlamaError(
                f"{name} is larger than {MAX_BYTES >> 30} GiB; give the multi-order map"
            )
        if not unzip.eof:
            raise LlamaError(f"{name} is a gzip file cut short; download the map again")
        content = unzip.unused_data
    return b"".join(pieces)


def _per_sr(unit: str, probability: str, name: str) -> float | None:
    """Return what makes a column of probability one per steradian, None where it is per pixel."""
    per_pixel = probability != "PROBDENSITY"
    try:
        return None if unit_factor(unit, "pix-1") or per_pixel else 1.0
    except ValueError:
        pass
    try:
        return unit_factor(unit, "sr-1")
    except ValueError as error:
        raise LlamaError(
            f"{name} has {probability} in {unit[:40]!r}; correct its TUNIT to pix-1 or sr-1, or "
            "give another map"
        ) from error


def _probabilities(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    values = values.astype(float)
    values[abs(values - _UNSEEN) < 1e-5 * -_UNSEEN] = 0.0  # the sum tells if any is missing
    if not np.isfinite(values).all():
        raise LlamaError(
            f"{name} has probabilities that are not finite; download the map again, or set them to "
            "0 where there is none"
        )
    return values


def _distances(table: FitsTable, columns: Columns, name: str) -> Columns:
    """Return the distance columns in Mpc; none when the map has none."""
    if not all(key in columns for key in DISTANCE):
        return {}
    try:
        factors = [unit_factor(table.units[key], _IN_MPC[key]) for key in DISTANCE]
    except ValueError as error:
        raise LlamaError(
            f"{name} has a distance column whose unit {error}; correct its TUNIT"
        ) from error
    if None in factors and {*factors} - {None, 1.0}:
        raise LlamaError(
            f"{name} has units for some of {', '.join(DISTANCE)} only; add TUNIT to the others"
        )
    mu, sigma, norm = (
        columns[key].astype(float) * (factor or 1.0)
        for key, factor in zip(DISTANCE, factors, strict=True)
    )
    # a tile without a distance has distmu = inf, distnorm = 0; NaN compares false
    known = (abs(mu) < _FARTHEST_MPC) & (sigma > 1e-3) & (sigma < _FARTHEST_MPC)
    known &= (mu > -1e4 * sigma) & (norm > 0) & (norm < math.inf)
    return {
        "distmu": np.where(known, mu, np.inf),
        "distsigma": np.where(known, sigma, 1.0),
        "distnorm": np.where(known, norm, 0.0),
    }


def _assemble(
    order: NDArray[np.int8],
    ipix: NDArray[np.int64],
    values: Columns,
    table: FitsTable,
    name: str,
) -> SkyTiles:
    first = ipix << (2 * (29 - order.astype(np.int64)))
    along = np.argsort(first, kind="stable")
    order, ipix, first = order[along], ipix[along], first[along]
    values = {key: column[along] for key, column in values.items()}
    ends = first + (np.int64(1) << (2 * (29 - order.astype(np.int64))))
    if (ends[:-1] > first[1:]).any():
        raise LlamaError(f"{name} has tiles that overlap each other; download the map again")
    prob = values.pop("density") * area(order)
    if prob[prob < 0].sum() < -_ROUNDING:
        raise LlamaError(
            f"{name} has negative probabilities; download the map again, or set them to 0 and "
            "normalize it"
        )
    prob = np.maximum(prob, 0.0)
    total = float(prob.sum())
    if not abs(total - 1) <= SUM_TOLERANCE:
        raise LlamaError(
            f"{name} has probabilities that sum to {total:.4g}, not to 1; download the map again, "
            "or normalize it and give its column the unit pix-1 or sr-1"
        )
    return SkyTiles(order, ipix, prob / total, meta={"prob_sum": total} | _meta(table), **values)


def _meta(table: FitsTable) -> dict[str, Any]:
    header, units = table.header, table.units
    meta: dict[str, Any] = {
        short: str(header[key]) for key, short in _META.items() if header.get(key) not in (None, "")
    }
    for key, short in _MOMENTS.items():
        try:
            value = float(str(header.get(key))) * (
                unit_factor(units[key], "Mpc") or unit_factor(units.get("DISTMU", ""), "Mpc") or 1.0
            )
        except ValueError:  # then they come from the tiles
            continue
        if math.isfinite(value):
            meta[short] = value
    return meta
