"""Reader of every published form of gravitational-wave sky map.

Multi-order (UNIQ, signed or unsigned), flat NESTED or RING, explicit pixel lists, one pixel
or 1024 a row, gzip once, twice or not at all, in one member or many, with and without distance
columns. What others write in another unit or spelling is read where it can mean one thing only.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama.child import in_child
from llama.errors import LlamaError
from llama.sky.pixels import area, from_flat, from_list, from_uniq, nside_of
from llama.sky.table import DISTANCE, PROBABILITY, Table, find_table, per_sr
from llama.sky.tiles import Columns, Meta, SkyTiles
from llama.sky.unpack import SMALLER
from llama.stats.arrays import Floats, Integers
from llama.units import unit_factor

SUM_TOLERANCE = 1e-3  # published maps sum to 1 within 1e-6; single precision needs more

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

# A frame, by whichever key of a header says it.
_AXIS = re.compile(r"T?CTYPE?\d+")
_KEY = re.compile(r"COORD|^RADE?C?SYS$|^REFSYS$|^SKY_?SYS$")  # of these, every value must be known
_LOOSE_KEY = re.compile(r"FRAME|^SYSTEM$")  # also of masses and times
_SPLIT = re.compile(r"FK\d|[BJ]\d{4}|[A-Z]+|\d+")
_EQUATORIAL = re.compile("C|Q|EQ|EQU|EQUATORIAL|CEL|CELESTIAL|ICRS|ICRF|FK5|J2000|RADEC|RA|DEC")
_ELSE = re.compile(
    "G|GAL|GALACTIC|E|ECL|ECLIPTIC|S|SG|SGAL|SUPERGALACTIC|FK4|B1950|H|ALTAZ|AZEL|HORIZON|"
    "HORIZONTAL|T|ITRS|TERRESTRIAL|GEOGRAPHIC|GEOCENTRIC|EARTH|APPARENT|CIRS|TETE"
)
_NEUTRAL = re.compile(
    "COORDINATES?|SYSTEM|FRAME|SKY|REFERENCE|MEAN|EPOCH|EQUINOX|AND|DEG|DEGREES?|RAD|"
    "NONE|UNKNOWN|UNSPECIFIED|UNDEF"
)


@np.errstate(over="ignore", invalid="ignore")  # absurd numbers make no sum of 1: refused
def read_skymap(content: bytes, name: str) -> SkyTiles:
    """Return the sky map in the bytes of a FITS file.

    name: shown in errors. LlamaError, one sentence, for anything that is not a map of
    probabilities in equatorial coordinates that sum to 1 within 1e-3.
    """
    table = find_table(content, name)
    header = table.header
    check_equatorial(header, name)
    probability = next(key for key in PROBABILITY if key in table.columns)
    density: Any = per_sr(table.units[probability], probability, name)
    order, ipix, columns, pixels_per_sr = read_pixels(table)
    table.finish()
    values = _distances(columns, table.units, name)
    values["density"] = _probabilities(columns[probability], name) * (density or pixels_per_sr)
    meta = read_meta(table)
    del columns  # with the file behind them: a fourth of the memory at the peak
    return assemble(order, ipix, values, meta, name)


def read_pixels(table: Table) -> tuple[NDArray[np.int8], Integers, Columns, Any]:
    """Return order, NESTED index and columns of tiles, and published pixels per steradian in each.

    Equal pixels of a flat map come as one tile.
    """
    header, name = table.header, table.name
    ordering = str(header.get("ORDERING", "")).upper()
    if "UNIQ" in table.columns and ("UNIQ" in ordering or not ordering):
        columns = table.read()
        order, ipix = from_uniq(columns["UNIQ"], name)
        return order, ipix, columns, 1 / area(order)
    if ordering.startswith(("NEST", "RING")) and "UNIQ" not in table.columns:
        index = next((key for key in ("PIXEL", "IPIX") if key in table.columns), None)
        nside = nside_of(header, table.pixels if index is None else None, name)
        ring = ordering.startswith("RING")
        if index is None:
            order, ipix, columns = from_flat(table, nside, ring=ring)
        else:
            columns = table.read()
            order, ipix = from_list(columns[index], nside, name, ring=ring)
        return order, ipix, columns, 12 * nside**2 / (4 * math.pi)
    also = " and a column UNIQ" if "UNIQ" in table.columns else ""
    raise LlamaError(
        f"{name} has ORDERING {ordering!r}{also}; "
        "it must be NUNIQ, NESTED or RING, correct the header"
    )


def check_skymap(content: bytes, name: str) -> Mapping[str, str]:
    """Return anybody's map's meta, read in a child with limits; LlamaError as `read_skymap`."""
    found: dict[str, str] = in_child(
        lambda: {key: str(value)[:200] for key, value in read_skymap(content, name).meta.items()},
        name,
        SMALLER,
    )
    return found


def _probabilities(values: NDArray[Any], name: str) -> Floats:
    values = values.astype(float)
    unseen = (values > 1.00001 * _UNSEEN) & (values < 0.99999 * _UNSEEN)
    values[unseen] = 0.0  # the sum tells if any is missing
    if not np.isfinite(values).all():
        raise LlamaError(
            f"{name} has probabilities that are not finite; download the map again, or set them to "
            "0 where there is none"
        )
    return values


def _distances(columns: Columns, units: Mapping[str, str], name: str) -> Columns:
    """Return the distance columns in Mpc; none when the map has none."""
    if not all(key in columns for key in DISTANCE):
        return {}
    try:
        factors = [unit_factor(units[key], _IN_MPC[key]) for key in DISTANCE]
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


def assemble(
    order: NDArray[np.int8], ipix: Integers, values: Columns, meta: Meta, name: str
) -> SkyTiles:
    """Return tiles along the curve from their density [sr^-1] and distances; checks all of it."""
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
    np.maximum(prob, 0.0, out=prob)
    total = float(prob.sum())
    if not abs(total - 1) <= SUM_TOLERANCE:
        raise LlamaError(
            f"{name} has probabilities that sum to {total:.4g}, not to 1; download the map again, "
            "or normalize it and give its column the unit pix-1 or sr-1"
        )
    values |= {"order": order, "ipix": ipix, "prob": prob / total}
    return SkyTiles.of(values, {"prob_sum": total, **meta})


def read_meta(table: Table) -> Meta:
    """Return what the header says of a map: who made it, of what, and its distance."""
    header, units = table.header, table.units
    meta: Meta = {
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


def check_equatorial(header: Mapping[str, Any], name: str) -> None:
    """Raise LlamaError unless a header's frame is equatorial, J2000; LVK's maps say nothing."""
    equatorial = False
    unknown = None
    for key, value in header.items():
        if _AXIS.fullmatch(key) and str(value)[1:4].upper() in ("LON", "LAT"):
            unknown = key  # as GLON-HPX; it may be the frame of a picture in the same file
        strict = _KEY.search(key)
        if not isinstance(value, str) or not (strict or _LOOSE_KEY.search(key)):
            continue
        words = [word for word in _SPLIT.findall(value.upper()) if not word.isdigit()]
        known = all(_EQUATORIAL.fullmatch(word) or _NEUTRAL.fullmatch(word) for word in words)
        if any(map(_ELSE.fullmatch, words)) or (strict and not known):
            _refuse(name, key, value)
        if not known:
            unknown = key
        equatorial |= any(map(_EQUATORIAL.fullmatch, words))
    if unknown is not None and not equatorial:
        _refuse(name, unknown, header[unknown])
    year = re.fullmatch(r"\s*J?(\d+(?:\.\d*)?)\s*", str(header.get("EQUINOX", 2000)).upper())
    if year is None or abs(float(year[1]) - 2000) > 0.1:
        _refuse(name, "EQUINOX", header["EQUINOX"])


def _refuse(name: str, key: str, value: object) -> None:
    raise LlamaError(
        f"{name} has {key} {repr(value)[:40]}; LLAMA needs equatorial coordinates (ICRS): "
        "rotate the map, or correct the header if it is wrong"
    )
