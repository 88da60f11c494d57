"""The table of a FITS file that holds a sky map: keys, units and columns as they are written."""

import io
import re
import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.sky.pixels import Columns
from llama.units import unit_factor

PROBABILITY = ("PROB", "PROBABILITY", "PROBDENSITY")
INDEX = ("UNIQ", "PIXEL", "IPIX")
DISTANCE = ("DISTMU", "DISTSIGMA", "DISTNORM")
MOMENTS = ("DISTMEAN", "DISTSTD")

_OTHER_NAMES = {"NUNIQ": "UNIQ", "PROBABILITYDENSITY": "PROBDENSITY"}
_EXACT = 2.0**53  # whole numbers below are exact as double


class FitsTable(NamedTuple):
    """Header keys of a table, its columns one pixel a row, and units of both ("" for none)."""

    header: dict[str, Any]
    columns: Columns
    units: dict[str, str]


def read_table(content: bytes, name: str) -> FitsTable:
    """Return the first table with probabilities of a FITS file, as far as it matters for a map.

    Keys of the file's first header count where the table's has none. LlamaError when there is
    no such table, when bytes of it are missing, or when it cannot be understood.
    """
    from astropy.io import fits  # imports slowly

    try:
        # astropy warns of much that does not touch the numbers: what does is looked at here
        with (
            warnings.catch_warnings(action="ignore"),
            fits.open(io.BytesIO(content), memmap=False) as hdus,
        ):
            first = None
            for hdu in hdus:  # one after the other: what follows the table does not matter
                if isinstance(hdu, fits.BinTableHDU):
                    first = first or hdu
                    if {spelled(column) for column in hdu.columns.names} & {*PROBABILITY}:
                        return _read(hdu, _keys(hdus[0].header), content, name)
            if first is None:
                raise LlamaError(f"{name} has no binary table; give a HEALPix sky map")
            raise LlamaError(
                f"{name} has no probability column (PROB or PROBDENSITY), only "
                f"{', '.join(map(str, first.columns.names))[:80]}; give a sky map, or rename its "
                "column"
            )
    except (LlamaError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise LlamaError(
            f"{name} is a broken or truncated FITS file ({reason}); download the map again"
        ) from error


def _read(table: Any, primary: dict[str, Any], content: bytes, name: str) -> FitsTable:
    header, columns = primary | _keys(table.header), table.columns
    names = [spelled(column) for column in columns.names]
    if header.get("INDXSCHM") == "EXPLICIT" and not {*INDEX}.intersection(names):
        names[0] = "PIXEL"  # where HEALPix has the pixels, by any name
    wanted = [key for key in (*PROBABILITY, *INDEX, *DISTANCE) if key in names]
    if repeated := [key for key in wanted if names.count(key) > 1]:
        raise LlamaError(f"{name} has two columns {repeated[0]}; rename or delete one")
    start, width = table.fileinfo()["datLoc"], table.header["NAXIS1"]
    stop = start + width * max(table.header["NAXIS2"], 0)
    if stop > len(content):
        raise LlamaError(
            f"{name} is cut short: {len(content)} of {stop} bytes are there; download the map again"
        )
    if width != columns.dtype.itemsize:
        raise LlamaError(
            f"{name} has rows of {width} bytes whose columns take {columns.dtype.itemsize}; "
            "download the map again"
        )
    data = _rows(table, content, start)
    found = {key: columns[names.index(key)] for key in wanted}
    return FitsTable(
        header,
        _checked({key: _numbers(data[c.name], c) for key, c in found.items()}, name),
        {key: str(column.unit or "") for key, column in found.items()} | _units(table.header),
    )


def _units(header: Any) -> dict[str, str]:
    """Return the units of the map's moments, from comments as `Posterior mean distance (Mpc)`."""
    comments = {key: header.comments[key] for key in MOMENTS if key in header}
    return {key: "".join(re.findall(r"[\[(](.*)[\])]", text)) for key, text in comments.items()}


def _keys(header: Any) -> dict[str, Any]:
    """Return the values of a header by key in capitals; a text without quotes is one."""
    from astropy.io import fits

    keys = {}
    for card in header.cards:
        try:
            card.verify("silentfix")
            value = card.value
        except fits.VerifyError:
            value = card.image[10:].split("/")[0]
        if isinstance(value, str):
            value = value.strip(" '")
        # a card without a value says nothing
        if isinstance(value, str | int | float) and value != "":
            keys[card.keyword.upper()] = value
    return keys


def _rows(table: Any, content: bytes, start: int) -> Any:
    """Return the rows of a table; plain ones are left where they are, astropy copies the file."""
    columns = table.columns
    plain = all(re.fullmatch(r"\d*[BIJKED]", form) for form in columns.formats)
    if not plain or any(column.bscale or column.bzero for column in columns):
        return table.data
    rows = max(table.header["NAXIS2"], 0)
    return np.frombuffer(content, columns.dtype.newbyteorder(">"), rows, start)


def _numbers(values: NDArray[Any], column: Any) -> NDArray[Any]:
    """Return a column; whole numbers that stand for nothing become NaN."""
    values = np.asarray(values)
    if column.null is None or column.name.upper() in INDEX:
        return values
    nothing = column.null * (column.bscale or 1) + (column.bzero or 0)
    return np.where(values == nothing, np.nan, values)


def spelled(column: object) -> str:
    """Return a column's name without case, blanks and lines: Prob_Density is PROBDENSITY."""
    plain = re.sub(r"[\s_-]", "", str(column)).upper()
    return _OTHER_NAMES.get(plain, plain)


def per_sr(unit: str, probability: str, name: str) -> float | None:
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


def _checked(columns: Columns, name: str) -> Columns:
    """Return the columns one pixel a row; indices are int64, all others as they are stored."""
    checked: Columns = {}
    for key, column in columns.items():
        if key in INDEX and column.dtype.kind == "f" and _are_whole(column):
            column = column.astype(np.int64)
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


def _are_whole(column: NDArray[Any]) -> bool:
    return bool(((column % 1 == 0) & (abs(column) < _EXACT)).all())
