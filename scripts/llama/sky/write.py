"""Sky maps as multi-order FITS files, like those in alerts.

Written here: an event's job would import astropy for longer than it takes to make the map.
"""

import math
import textwrap
from collections.abc import Iterable, Mapping

import numpy as np

from llama.sky.header import UNIT
from llama.sky.tiles import SkyTiles

Cards = Mapping[str, str | int | float | bool]

_PRIMARY: Cards = {"SIMPLE": True, "BITPIX": 8, "NAXIS": 0, "EXTEND": True}
_UNITS = {"PROBDENSITY": "sr-1", "DISTMU": "Mpc", "DISTSIGMA": "Mpc", "DISTNORM": "Mpc-2"}
_TEXT = 68  # characters of a text in one card
_COMMENT = 72


def skymap_fits(tiles: SkyTiles, cards: Cards, history: Iterable[str] = ()) -> bytes:
    """Return a multi-order map with `cards` in its header; equal inputs give equal bytes.

    A text loses its quotes and is cut to the 68 characters of a card; history goes on in the next.
    """
    columns = {
        "UNIQ": tiles.ipix + (np.int64(4) << (2 * tiles.order.astype(np.int64))),
        "PROBDENSITY": tiles.prob / (tiles.area_deg2 * (math.pi / 180) ** 2),
        "DISTMU": tiles.distmu,
        "DISTSIGMA": tiles.distsigma,
        "DISTNORM": tiles.distnorm,
    }
    known = {name: column for name, column in columns.items() if column is not None}
    forms = {name: ">i8" if name == "UNIQ" else ">f8" for name in known}
    rows = np.empty(tiles.order.size, dtype=list(forms.items()))
    for name, column in known.items():
        rows[name] = column
    header: dict[str, str | int | float | bool] = {"XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2}
    header |= {"NAXIS1": rows.itemsize, "NAXIS2": rows.size, "PCOUNT": 0, "GCOUNT": 1}
    header["TFIELDS"] = len(known)
    for k, name in enumerate(known, 1):
        header |= {f"TTYPE{k}": name, f"TFORM{k}": "K" if name == "UNIQ" else "D"}
        if name in _UNITS:
            header[f"TUNIT{k}"] = _UNITS[name]
    header |= {"PIXTYPE": "HEALPIX", "ORDERING": "NUNIQ", "COORDSYS": "C"}
    header |= {"MOCORDER": int(tiles.order.max()), "INDXSCHM": "EXPLICIT", **cards}
    return _header(_PRIMARY) + _header(header, history) + _filled(rows.tobytes(), b"\0")


def _header(cards: Cards, history: Iterable[str] = ()) -> bytes:
    lines = [f"{key:<8}= {_value(value)}" for key, value in cards.items()]
    for text in history:
        lines += [f"HISTORY {part}" for part in textwrap.wrap(text, _COMMENT)]
    content = "".join(f"{line:<80}" for line in [*lines, "END"])
    return _filled(content.encode("ascii", "replace"), b" ")


def _value(value: str | float | bool) -> str:
    if isinstance(value, str):
        text = value.replace("'", " ")[:_TEXT]
        return f"'{text:<8}'"
    if isinstance(value, bool):
        return f"{'T' if value else 'F':>20}"
    return f"{str(value).upper():>20}"


def _filled(content: bytes, fill: bytes) -> bytes:
    return content + fill * (-len(content) % UNIT)
