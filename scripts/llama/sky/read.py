"""Reader of every published form of gravitational-wave sky map.

Multi-order (UNIQ, signed or unsigned), flat NESTED or RING, explicit pixel lists, one pixel
or 1024 a row, gzip once, twice or not at all, with and without distance columns.
"""

import io
import math
import warnings
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.sky.tiles import SkyTiles, merge_equal_siblings

MAX_BYTES = 1 << 31  # NSIDE 2048 with four double columns is 1.6 GB
SUM_TOLERANCE = 1e-3  # published maps sum to 1 within 1e-6; single precision needs more

_PROBABILITY = ("PROB", "PROBABILITY", "PROBDENSITY")
_META = {
    "CREATOR": "creator",
    "INSTRUME": "instruments",
    "OBJECT": "object",
    "DATE-OBS": "date_obs",
}


def read_skymap(content: bytes, name: str) -> SkyTiles:
    """Return the sky map in the bytes of a FITS file.

    name: shown in errors. LlamaError, one sentence, for anything that is not a map of
    probabilities in equatorial coordinates that sum to 1 within 1e-3.
    """
    header, columns = _read_table(_decompress(content, name), name)
    if str(header.get("COORDSYS", "C")).strip().upper()[:1] not in ("C", "Q", "I", ""):
        raise LlamaError(
            f"{name} has COORDSYS {header['COORDSYS']!r}; "
            "LLAMA needs equatorial coordinates (C), rotate the map"
        )
    found = [key for key in _PROBABILITY if key in columns]
    if not found:
        raise LlamaError(
            f"{name} has no probability column (PROB or PROBDENSITY), "
            f"only {', '.join(columns)[:80]}; give a sky map"
        )
    ordering = str(header.get("ORDERING", "")).strip().upper()
    if "UNIQ" in columns and ordering in ("NUNIQ", "UNIQ"):
        order, ipix = _from_uniq(columns["UNIQ"], name)
        area = math.pi / 3 * 4.0 ** -order.astype(float)
        values = _values(columns, found[0], name)
        if found[0] != "PROBDENSITY":
            values["density"] = values["density"] / area
    elif ordering in ("NESTED", "NEST", "RING"):
        order, ipix, values = _from_flat(header, columns, found[0], ordering, name)
    else:
        raise LlamaError(
            f"{name} has ORDERING {ordering!r}; "
            "it must be NUNIQ, NESTED or RING, correct the header"
        )
    return _assemble(order, ipix, values, header, name)


def _decompress(content: bytes, name: str) -> bytes:
    for _ in range(3):  # maps gzipped twice are seen in the wild
        if content[:2] != b"\x1f\x8b":
            break
        try:
            unzip = zlib.decompressobj(wbits=31)
            content, rest = unzip.decompress(content, MAX_BYTES), unzip.unconsumed_tail
        except zlib.error as error:
            raise LlamaError(
                f"{name} is a broken gzip file ({error}); download the map again"
            ) from error
        if rest:
            raise LlamaError(
                f"{name} is larger than {MAX_BYTES >> 30} GiB; give the multi-order map"
            )
        if not unzip.eof:
            raise LlamaError(f"{name} is a gzip file cut short; download the map again")
    if content[:9] != b"SIMPLE  =":
        start = content[:200].lstrip().lower()
        kind = (
            "an HTML page" if start.startswith((b"<!doctype html", b"<html")) else "not a FITS file"
        )
        raise LlamaError(f"{name} is {kind}, not a sky map; download the FITS file again")
    return content


def _read_table(content: bytes, name: str) -> tuple[Any, dict[str, NDArray[Any]]]:
    from astropy.io import fits  # imports slowly

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with fits.open(io.BytesIO(content), memmap=False) as hdus:
                tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
                if not tables:
                    raise LlamaError(f"{name} has no binary table; give a HEALPix sky map")
                table = next(
                    (t for t in tables if set(_PROBABILITY) & {c.upper() for c in t.columns.names}),
                    tables[0],
                )
                data = table.data
                return table.header, {
                    column.name.upper(): np.asarray(data[column.name]) for column in table.columns
                }
    except LlamaError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise LlamaError(
            f"{name} is a broken or truncated FITS file ({reason}); download the map again"
        ) from error


def _from_uniq(uniq: NDArray[Any], name: str) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    uniq = np.asarray(uniq).astype(np.int64).ravel()  # O3 maps store it unsigned
    if uniq.size == 0 or (uniq < 4).any():
        raise LlamaError(f"{name} has UNIQ indices below 4; download the map again")
    order = (np.frexp(uniq.astype(float))[1] - 3) // 2
    order -= uniq < (np.int64(4) << (2 * order))  # where rounding to double lifted the index
    ipix = uniq - (np.int64(4) << (2 * order))
    if (order > 29).any() or (ipix >> (2 * order) > 11).any():
        raise LlamaError(f"{name} has UNIQ indices outside the sphere; download the map again")
    return order.astype(np.int8), ipix


def _from_flat(
    header: Any, columns: dict[str, NDArray[Any]], probability: str, ordering: str, name: str
) -> tuple[NDArray[np.int8], NDArray[np.int64], dict[str, NDArray[Any]]]:
    values = _values(columns, probability, name)
    explicit = next(
        (columns[key].ravel().astype(np.int64) for key in ("PIXEL", "IPIX") if key in columns), None
    )
    nside = int(header.get("NSIDE", math.isqrt(max(values["density"].size // 12, 0))))
    if nside < 1 or nside & (nside - 1):
        raise LlamaError(
            f"{name} has NSIDE {nside}, which is no power of 2; download the map again"
        )
    pixels = 12 * nside * nside
    if probability != "PROBDENSITY":
        values["density"] = values["density"] * (pixels / (4 * math.pi))
    order = nside.bit_length() - 1
    if explicit is None and values["density"].size != pixels:
        raise LlamaError(
            f"{name} has {values['density'].size} pixels where NSIDE {nside} needs {pixels}; "
            "download the map again"
        )
    if explicit is not None and (
        explicit.size == 0 or explicit.min() < 0 or explicit.max() >= pixels
    ):
        raise LlamaError(f"{name} has pixel numbers outside NSIDE {nside}; download the map again")
    if ordering == "RING":
        import healpy  # imports slowly

        if explicit is None:
            along = healpy.nest2ring(nside, np.arange(pixels))
            values = {key: column[along] for key, column in values.items()}
        else:
            explicit = healpy.ring2nest(nside, explicit)
    if explicit is None:
        return merge_equal_siblings(values, order)
    return np.full(explicit.size, order, dtype=np.int8), explicit, values


def _values(
    columns: dict[str, NDArray[Any]], probability: str, name: str
) -> dict[str, NDArray[Any]]:
    values = {"density": np.asarray(columns[probability], dtype=float).ravel()}
    if not np.isfinite(values["density"]).all():
        raise LlamaError(f"{name} has probabilities that are not finite; download the map again")
    if (values["density"] < 0).any():
        raise LlamaError(f"{name} has negative probabilities; download the map again")
    distance = ("DISTMU", "DISTSIGMA", "DISTNORM")
    if all(key in columns for key in distance):
        mu, sigma, norm = (np.asarray(columns[key], dtype=float).ravel() for key in distance)
        with np.errstate(invalid="ignore"):
            known = (
                np.isfinite(mu) & np.isfinite(sigma) & (sigma > 0) & np.isfinite(norm) & (norm > 0)
            )
        values["distmu"] = np.where(known, mu, np.inf)
        values["distsigma"] = np.where(known, sigma, 1.0)
        values["distnorm"] = np.where(known, norm, 0.0)
    if len({column.size for column in values.values()}) != 1:
        raise LlamaError(f"{name} has columns of different length; download the map again")
    return values


def _assemble(
    order: NDArray[np.int8],
    ipix: NDArray[np.int64],
    values: dict[str, NDArray[Any]],
    header: Any,
    name: str,
) -> SkyTiles:
    first = ipix << (2 * (29 - order.astype(np.int64)))
    along = np.argsort(first, kind="stable")
    order, ipix, first = order[along], ipix[along], first[along]
    values = {key: column[along] for key, column in values.items()}
    ends = first + (np.int64(1) << (2 * (29 - order.astype(np.int64))))
    if (ends[:-1] > first[1:]).any():
        raise LlamaError(f"{name} has tiles that overlap each other; download the map again")
    prob = values.pop("density") * (math.pi / 3 * 4.0 ** -order.astype(float))
    total = math.fsum(prob)
    if abs(total - 1) > SUM_TOLERANCE:
        raise LlamaError(
            f"{name} has probabilities that sum to {total:.4g}, not to 1; download the map again"
        )
    meta: dict[str, Any] = {"prob_sum": total}
    meta |= {
        short: str(header[key]) for key, short in _META.items() if header.get(key) not in (None, "")
    }
    for key, short in (("DISTMEAN", "distmean_mpc"), ("DISTSTD", "diststd_mpc")):
        if isinstance(header.get(key), float) and math.isfinite(header[key]):
            meta[short] = float(header[key])
    return SkyTiles(order, ipix, prob / total, meta=meta, **values)
