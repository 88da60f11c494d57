"""Reading a smearing matrix as it is published, row by row."""

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.neutrinos.release_table import REPLACE, Progress, Unquoted
from llama.neutrinos.smearing import Smearing

Floats = NDArray[np.float64]
# energy and declination range (4,), edges (3, 21), events (20, 20, 20)
Cell = tuple[Floats, Floats, NDArray[np.uint32]]

_TEN_YEARS_DEC_DEG = ((-90.0, -10.0), (-10.0, 10.0), (10.0, 90.0))
_CELLS_AT_ONCE = 14
_COLUMNS = (  # (title, lowest, highest): outside of them a number is not what its title says
    *(("log10(e_nu/gev)_min", 0.0, 13.0), ("log10(e_nu/gev)_max", 0.0, 13.0)),
    *(("dec_nu_min", -90.0, 90.0), ("dec_nu_max", -90.0, 90.0)),
    *(("log10(e/gev)_min", -3.0, 13.0), ("log10(e/gev)_max", -3.0, 13.0)),
    # bins without events go on beyond 180 deg
    *(("psf_min", 0.0, 180.0), ("psf_max", 0.0, 1e4), ("angerr_min", 0.0, 180.0)),
    *(("angerr_max", 0.0, 1e4),),
    ("fractional_counts", 0.0, 1.0),
)


class Grid(NamedTuple):
    """How many cells a matrix has, and how many bins each of their axes; that of IceTracks-DR2."""

    energies: int = 14
    declinations: int = 30
    bins: int = 20

    @property
    def cell(self) -> int:
        """Rows of a cell."""
        return self.bins**3


GRID = Grid()


def read_smearing(path: Path, progress: Progress | None = None, grid: Grid = GRID) -> Smearing:
    """Return the matrix in a file as it is published: .csv, Dataverse's .tab, or .gz of them.

    Streamed; `progress` is called as the file is read. `LlamaError` for another grid, missing
    rows, and numbers that cannot be.
    """
    with _opened(path, progress) as text:
        order = _columns(text.readline(4096), path)
        blocks = _blocks(text, path, grid, max(order) + 1)
        cells = [cell for block in blocks for cell in _cells(block[:, order], path, grid)]
    return _assembled(cells, path, grid)


def is_of_ten_years(path: Path) -> bool:
    """Say whether a matrix has the declination bins of the 10-year release, of which it has 3."""
    with _opened(path) as text:
        order = _columns(text.readline(4096), path)
        row = text.readline(4096).split()
    try:
        return (float(row[order[2]]), float(row[order[3]])) in _TEN_YEARS_DEC_DEG
    except (ValueError, IndexError):  # whoever reads it is told
        return False


@contextmanager
def _opened(path: Path, progress: Progress | None = None) -> Iterator[IO[str]]:
    try:
        with path.open("rb") as file:
            raw = io.BufferedReader(Unquoted(file, path.suffix == ".gz", progress))
            yield io.TextIOWrapper(raw, encoding="utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise LlamaError(
            f"{path} cannot be read to its end ({error}); fetch it again, it may be cut"
        ) from error


def _assembled(cells: list[Cell], path: Path, grid: Grid) -> Smearing:
    """Return the matrix of all cells, in whatever order they came."""
    if not cells:
        _missing(path, 0, grid)
    keys = np.array([key for key, _, _ in cells])
    energy, dec = (np.unique(keys[:, k : k + 2]) for k in (0, 2))
    row, column = np.searchsorted(energy, keys[:, 0]), np.searchsorted(dec, keys[:, 2])
    shape = grid.energies, grid.declinations
    if (energy.size - 1, dec.size - 1) != shape:
        if len(cells) < grid.energies * grid.declinations:
            _missing(path, len(cells) * grid.cell, grid)
        _another_grid(path, f"it has edges of {energy.size - 1} x {dec.size - 1} cells", grid)
    whole = np.zeros(shape, dtype=int)
    np.add.at(whole, (row, column), 1)
    if (whole == 0).any():
        _missing(path, len(cells) * grid.cell, grid)
    if (whole > 1).any() or (keys[:, 1] != energy[row + 1]).any():
        _another_grid(path, "its cells overlap", grid)
    edges = np.empty((*shape, 3, grid.bins + 1))
    events = np.empty((*shape, *[grid.bins] * 3), dtype=np.uint32)
    for at, (_, cell_edges, cell_events) in zip(zip(row, column, strict=True), cells, strict=True):
        edges[at], events[at] = cell_edges, cell_events
    return Smearing(energy, dec, edges, events, path.name)


def _columns(header: str, path: Path) -> list[int]:
    """Return where the columns stand; their units are those of the release."""
    titles = header.lstrip("\ufeff# ").lower().split()
    names = [title.partition("[")[0] for title in titles]
    missing = [name for name, _, _ in _COLUMNS if name not in names]
    if missing:
        raise LlamaError(
            f"{path} has no column {', '.join(missing)}; a smearing matrix of the release names "
            f"its columns in its first line, so {REPLACE}"
        )
    for title in titles:
        unit = title.partition("[")[2].rstrip("]")
        if title.startswith(("dec_nu", "psf", "angerr")) and unit not in ("", "deg"):
            raise LlamaError(f"{path} has {title} where degrees are expected; {REPLACE}")
        if title.startswith("log10") and unit:
            raise LlamaError(f"{path} has {title} where log10 of GeV is expected; {REPLACE}")
    return [names.index(name) for name, _, _ in _COLUMNS]


def _blocks(text: IO[str], path: Path, grid: Grid, columns: int) -> Iterator[Floats]:
    """Yield the rows of some whole cells at a time, as arrays."""
    import pandas as pd

    rows = 0
    try:
        with pd.read_csv(
            text,
            sep=r"\s+",
            header=None,
            dtype=np.float64,
            chunksize=_CELLS_AT_ONCE * grid.cell,
        ) as reader:
            for chunk in reader:
                rows += len(chunk)
                if chunk.shape[1] < columns:
                    raise LlamaError(f"{path} has fewer columns than titles; {REPLACE}")
                if len(chunk) % grid.cell:
                    _missing(path, rows, grid)
                yield chunk.to_numpy()
    except (ValueError, pd.errors.ParserError) as error:
        raise LlamaError(
            f"{path} cannot be read as a table ({str(error).strip()}); {REPLACE}"
        ) from error


def _cells(rows: Floats, path: Path, grid: Grid) -> Iterator[Cell]:
    """Yield the cells of some rows, each checked."""
    for k, (title, lowest, highest) in enumerate(_COLUMNS):
        wrong = ~((rows[:, k] >= lowest) & (rows[:, k] <= highest))
        if title in ("psf_min", "angerr_min"):
            wrong &= ~((rows[:, k] > highest) & (rows[:, -1] == 0))
        if wrong.any():
            value = rows[:, k][wrong][0]
            what = "log10 of GeV" if title.startswith("log10") else "degrees"
            what = "a fraction of a cell's events" if title.startswith("frac") else what
            raise LlamaError(f"{path} has {value:g} in column {title}, not {what}; {REPLACE}")
    for cell in rows.reshape(-1, grid.cell, len(_COLUMNS)):
        if (cell[:, :4] != cell[0, :4]).any():
            _another_grid(path, f"not every {grid.cell} rows are one cell", grid)
        bins = cell.reshape(grid.bins, grid.bins, grid.bins, len(_COLUMNS))
        fraction = bins[..., 10]
        edges = np.empty((3, grid.bins + 1))
        for axis in range(3):
            low, high = (np.moveaxis(bins[..., 4 + 2 * axis + side], axis, 0) for side in (0, 1))
            edges[axis] = np.append(low[:, 0, 0], high[-1, 0, 0])
            width = np.diff(edges[axis])[:, None, None]
            if (low != edges[axis, :-1, None, None]).any() or (
                high != edges[axis, 1:, None, None]
            ).any():
                n = grid.bins
                _another_grid(path, f"bins of one cell are not {n} x {n} x {n}", grid)
            if ((width <= 0) & (np.moveaxis(fraction, axis, 0) > 0)).any():
                raise LlamaError(
                    f"{path} has events in a bin of no width, log10 E "
                    f"{cell[0, 0]:g}, dec {cell[0, 2]:g}; {REPLACE}"
                )
        yield cell[0, :4].copy(), edges, _whole_numbers(fraction, path)


def _whole_numbers(fraction: Floats, path: Path) -> NDArray[np.uint32]:
    """Return the numbers of events that are these fractions of their sum."""
    some = fraction[fraction > 0]
    if not some.size:
        return np.zeros(fraction.shape, dtype=np.uint32)
    if abs(some.sum() - 1) > 1e-3:
        raise LlamaError(f"{path} has a cell whose fractions sum to {some.sum():.4g}; {REPLACE}")
    for least in range(1, 100):  # events in the bin that has fewest
        counts = fraction * (least / some.min())
        if np.abs(counts - np.rint(counts)).max() <= max(2e-3, 3e-9 * counts.max()):
            break
    else:
        raise LlamaError(f"{path} has fractions that no number of events gives; {REPLACE}")
    return np.asarray(np.rint(counts), dtype=np.uint32)


def _missing(path: Path, rows: int, grid: Grid) -> NoReturn:
    raise LlamaError(
        f"{path} ends or has a gap after {rows:,} rows, and a smearing matrix has "
        f"{grid.energies * grid.declinations * grid.cell:,}; fetch it again"
    )


def _another_grid(path: Path, what: str, grid: Grid) -> NoReturn:
    raise LlamaError(
        f"{path} has another grid than {grid.energies} energies x {grid.declinations} "
        f"declinations of {grid.cell} bins ({what}); only smearing matrices of IceTracks-DR2 can "
        "be read, take it out of irfs to go without"
    )
