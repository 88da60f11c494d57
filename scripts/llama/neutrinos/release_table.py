"""Tables of a public release, as IceCube writes them and as Dataverse serves them.

Blanks between columns; titles in the first line, with or without `#`. Dataverse's `.tab` has each
row as one quoted string.
"""

import gzip
import io
import os
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.units import unit_factor

Progress = Callable[[int, int], None]  # bytes of the file read so far, and in all
REPLACE = "replace it with the file of the release"

_UNITS = {  # those in _deg are in deg
    "mjd": "d",
    "start": "d",
    "stop": "d",
    "area_cm2": "cm2",
    "energy_min_gev": "GeV",
    "energy_max_gev": "GeV",
}
_TITLE = re.compile(r"([^\s\[]+)\s*(?:\[([^\]]*)\])?")
_LOG10_ENERGY = (-3.0, 15.0)
_NO_UNIT = ("", "1", "-", "dex", "gev", "log10(gev)", "none")


class Unquoted(io.RawIOBase):
    """A file without its quotation marks, unpacked if it is a gzip.

    `quotes` counts them; `end` is the last character so far.
    """

    def __init__(self, file: IO[bytes], packed: bool, progress: Progress | None = None) -> None:
        self.quotes, self.end = 0, b""
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._data: Any = gzip.GzipFile(fileobj=file) if packed else file
        self._progress = progress

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the beginning of a buffer; 0 at the end of the file."""
        kept = b""
        while not kept and (data := self._data.read(len(buffer))):
            kept = data.replace(b'"', b"")
            self.quotes += len(data) - len(kept)
            self.end = data[-1:]
        buffer[: len(kept)] = kept
        if self._progress:
            self._progress(self._file.tell(), self._size)
        return len(kept)


def titles_of(path: Path) -> dict[str, str]:
    """Return the titles in the first line, in lower case, and the unit of each."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            header = stream.readline(4096)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    header = header.replace('"', "").lstrip("# ")
    return {title.lower(): unit for title, unit in _TITLE.findall(header)}


def read_table(path: Path, required: dict[str, str], optional: Iterable[str] = ()) -> Any:
    """Return the named columns as a DataFrame of float64; words become NaN."""
    import pandas as pd

    units = titles_of(path)
    titles = list(units)
    missing = [name for name in required if name not in titles]
    if missing:
        raise LlamaError(
            f"{path} has no column {', '.join(missing)}; its first line must name the columns "
            "as in IceCube's public releases (areas in cm^2 by declination)"
        )
    factors = {required[title]: _factor(required[title], units[title], path) for title in required}
    wanted = [title for title in titles if title in required or title in optional]
    try:
        with (
            path.open("rb") as file,
            warnings.catch_warnings(),  # pandas only warns of rows longer than the header
        ):
            warnings.simplefilter("error", pd.errors.ParserWarning)
            raw = Unquoted(file, packed=False)
            table = pd.read_csv(
                io.TextIOWrapper(io.BufferedReader(raw), encoding="utf-8-sig"),
                sep=r"\s+",
                header=None,
                names=titles,
                index_col=False,
                skiprows=1,
                comment="#",
            )[wanted]
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        raise _unreadable(path, error) from error
    if table.empty:
        raise LlamaError(f"{path} has no rows; {REPLACE}")
    table = table.rename(columns=required).apply(pd.to_numeric, errors="coerce").astype(float)
    if raw.quotes % 2 or (raw.end not in b"\r\n" and table.iloc[-1].isna().any()):
        raise LlamaError(f"{path} ends within a row; fetch it again, it may be cut")
    for name, factor in factors.items():
        if factor != 1:
            table[name] *= factor
        if name.startswith("log10"):
            _check_log10(path, name, table[name].to_numpy())
    return table


def _check_log10(path: Path, name: str, values: NDArray[np.float64]) -> None:
    """Refuse a column of energies of which most cannot be logarithms."""
    wrong = np.isfinite(values) & ((values < _LOG10_ENERGY[0]) | (values > _LOG10_ENERGY[1]))
    if 2 * wrong.sum() > len(values):
        raise LlamaError(
            f"{path} has {values[wrong][0]:g} in the column {name}, which cannot be log10(E/GeV) "
            f"(angles, or energies themselves?); {REPLACE}"
        )


def _factor(column: str, unit: str, path: Path) -> float:
    """Return what a column is multiplied by to be in the unit of its name."""
    wanted = "deg" if column.endswith("_deg") else _UNITS.get(column)
    if column.startswith("log10") and unit.strip().lower() not in _NO_UNIT:
        raise LlamaError(f"{path} has [{unit}] where log10(E/GeV) is expected; {REPLACE}")
    try:
        factor = 1.0 if wanted is None else unit_factor(unit, wanted)
    except ValueError as error:
        raise LlamaError(
            f"{path} has a column whose unit LLAMA cannot convert: {error}; convert it, or replace "
            "it with the file of the release"
        ) from error
    if factor is None and column == "area_cm2":
        raise LlamaError(f"{path} has areas without a unit; write it into its title, as A_Eff[m^2]")
    return 1.0 if factor is None else factor


def _unreadable(path: Path, error: Exception) -> LlamaError:
    return LlamaError(
        f"{path} cannot be read as a table ({str(error).strip()}); replace it with the file "
        "of the release"
    )
