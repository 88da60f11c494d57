"""The table of a FITS file that holds a sky map, checked before anything is allocated."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.sky.header import MAX_CARDS, UNIT, Column, Header, broken, read_header
from llama.sky.tiles import Columns
from llama.sky.unpack import AGAIN, MAX_BYTES, SMALLER, Unpacked
from llama.stats.arrays import Integers
from llama.units import unit_factor

PROBABILITY = ("PROB", "PROBABILITY", "PROBDENSITY")
INDEX = ("UNIQ", "PIXEL", "IPIX")
DISTANCE = ("DISTMU", "DISTSIGMA", "DISTNORM")
MOMENTS = ("DISTMEAN", "DISTSTD")

MAX_TILES = 3_200_000  # more than NSIDE 512 has pixels; 512 MiB hold so many, with distances

_MAX_HDUS = 64
_MAX_WHOLE_BYTES = 1 << 27  # of a table that is no flat map
_MAX_RING_BYTES = 12 * 1024**2 * 32  # NSIDE 1024 with four double columns
_NUMPY = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_OTHER_NAMES = {"NUNIQ": "UNIQ", "PROBABILITYDENSITY": "PROBDENSITY"}
_EXACT = 2.0**53  # whole numbers below are exact as double


class Table:
    """A table with probabilities, whose rows have not been read yet.

    header: values by key, those of the file's first header where the table's has none. columns:
    those of a map, by what they hold. units: of columns and moments, "" for none. pixels: how
    many numbers a column has.
    """

    def __init__(
        self,
        stream: Unpacked,
        primary: Header,
        header: Header,
        columns: list[Column],
        values: tuple[str, ...],
    ) -> None:
        self.name = header.name
        self.header = primary.values | header.values
        self._stream = stream
        self._rows, self._width = header.number("NAXIS2"), header.number("NAXIS1")
        self._size = header.size()
        names = [spelled(column.name) for column in columns]
        if self.header.get("INDXSCHM") == "EXPLICIT" and not {*INDEX}.intersection(names):
            names[0] = "PIXEL"  # where HEALPix has the pixels, by any name
        wanted = (*values, *INDEX, *DISTANCE)
        self.columns = {n: c for n, c in zip(names, columns, strict=True) if n in wanted}
        for name, column in self.columns.items():
            if names.count(name) > 1:
                raise LlamaError(f"{self.name} has two columns {name}; rename or delete one")
            if column.form not in _NUMPY:
                raise self._no_numbers(name)
        repeats = {column.repeat for column in self.columns.values()}
        if len(repeats) > 1:
            raise LlamaError(f"{self.name} has columns of different length; {AGAIN}")
        (self._repeat,) = repeats
        self.pixels = self._rows * self._repeat
        if not self.pixels:
            raise LlamaError(f"{self.name} has an empty table; {AGAIN}")
        if self._size >= MAX_BYTES:
            raise self._too_large()
        self.units = {name: column.unit for name, column in self.columns.items()}
        # comments as `Posterior mean distance (Mpc)`
        comments = primary.comments | header.comments
        for key in MOMENTS:
            self.units[key] = "".join(re.findall(r"[\[(](.*)[\])]", comments.get(key, "")))

    def read(self) -> Columns:
        """Return the columns, one number a pixel; indices are int64, the rest as it is stored."""
        if self._size > _MAX_WHOLE_BYTES or self.pixels > MAX_TILES:
            raise self._too_large()
        rows = self._read(self._rows)
        return {key: self._numbers(key, rows[key].reshape(-1)) for key in self.columns}

    def blocks(
        self, size: int, place: Callable[[Integers], Integers] | None = None
    ) -> Iterator[Columns]:
        """Yield the columns of `size` pixels at a time.

        place: of pixels in the table, which is then held whole; None where they come in order.
        """
        in_order = place is None and size % self._repeat == 0
        many = size // self._repeat if in_order else self._rows
        if many * self._width > _MAX_RING_BYTES:
            raise LlamaError(
                f"{self.name} has {many * self._width >> 20:,} MiB in RING order, or in one row, "
                f"where at most {_MAX_RING_BYTES >> 20} are read; {SMALLER}"
            )
        for _ in range(0, self._rows, many):
            rows = self._read(many)
            for start in range(0, many * self._repeat, size):
                if in_order:
                    found = {k: np.ascontiguousarray(rows[k]).reshape(-1) for k in self.columns}
                else:
                    pixels = np.arange(start, start + size)
                    at = np.divmod(pixels if place is None else place(pixels), self._repeat)
                    found = {k: rows[k][at] for k in self.columns}
                yield {key: self._numbers(key, column) for key, column in found.items()}

    def finish(self) -> None:
        """Read what follows, whose checksum may tell that the rows are broken."""
        self._stream.finish()

    def _read(self, rows: int) -> NDArray[Any]:
        """Return the next rows, each column of shape (rows, numbers in a row)."""
        data = self._stream.read(rows * self._width)
        if len(data) < rows * self._width:
            raise broken(self.name, "its table is cut short")
        form = np.dtype(
            {
                "names": [*self.columns],
                "formats": [(_NUMPY[c.form], (c.repeat,)) for c in self.columns.values()],
                "offsets": [c.offset for c in self.columns.values()],
                "itemsize": self._width,
            }
        )
        return np.frombuffer(data, form)

    def _numbers(self, key: str, stored: NDArray[Any]) -> NDArray[Any]:
        """Return stored numbers scaled; whole ones that stand for nothing become NaN."""
        column = self.columns[key]
        is_plain = column.scale == 1 and column.zero == 0
        if key not in INDEX:
            values = stored if is_plain else stored * float(column.scale) + float(column.zero)
            is_null = column.null is not None
            return np.where(stored == column.null, np.nan, values) if is_null else values
        if stored.dtype.kind != "f" and column.scale == 1 and isinstance(column.zero, int):
            # O3 maps store UNIQ unsigned, which is as int64 with a zero of 2**63
            zero = np.array(column.zero % 2**64, dtype=np.uint64).view(np.int64)
            return stored.astype(np.int64) + zero
        values = stored * float(column.scale) + float(column.zero)
        if not ((values % 1 == 0) & (abs(values) < _EXACT)).all():
            raise self._no_numbers(key)
        return values.astype(np.int64)

    def _no_numbers(self, key: str) -> LlamaError:
        return LlamaError(f"{self.name} has no numbers in column {key}; {AGAIN}")

    def _too_large(self) -> LlamaError:
        return LlamaError(
            f"{self.name} has a table of {self._rows:,} rows and {self._size >> 20:,} MiB, where "
            f"at most {MAX_TILES:,} pixels and {_MAX_WHOLE_BYTES >> 20} MiB are read; {SMALLER}"
        )


def find_table(content: bytes, name: str, values: tuple[str, ...] = PROBABILITY) -> Table:
    """Return the first table with probabilities of a FITS file, gzipped or not.

    values: columns one of which makes a table the right one. `LlamaError` when there is no such
    table, or when the file claims more than a map has.
    """
    stream, left = Unpacked(content, name), MAX_CARDS
    primary: Header | None = None
    others: list[str] | None = None
    for count in range(_MAX_HDUS + 1):
        header = read_header(stream, left, name, first=count == 0)
        if header is None:
            break
        if count == _MAX_HDUS:
            raise LlamaError(f"{name} has more than {_MAX_HDUS} HDUs; give a HEALPix sky map")
        left -= header.cards
        primary = primary or header
        if header.is_table:
            columns = header.columns()
            if {spelled(column.name) for column in columns} & {*values}:
                return Table(stream, primary, header, columns, values)
            others = others or [column.name for column in columns]
        size = header.size()
        if stream.skip(size) < size:
            raise broken(name, "its data are cut short")
        stream.skip(-size % UNIT)
    stream.finish()
    if others is None:
        raise LlamaError(f"{name} has no binary table; give a HEALPix sky map")
    raise LlamaError(
        f"{name} has no probability column (PROB or PROBDENSITY), only {', '.join(others)[:80]}; "
        "give a sky map, or rename its column"
    )


def spelled(column: str) -> str:
    """Return a column's name without case, blanks and lines: Prob_Density is PROBDENSITY."""
    plain = re.sub(r"[\s_-]", "", column).upper()
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
