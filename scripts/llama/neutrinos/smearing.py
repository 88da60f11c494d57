"""IceCube's simulation of its own detector: the smearing matrix of a public release.

IceTracks-DR2 (doi 10.7910/DVN/MMIIZA), `irfs/IC86_smearing.csv`: simulated muon neutrinos counted
in 14 bins of true energy times 30 of declination, and in each of these cells in 20 x 20 x 20 bins
of energy proxy, angle between true and reconstructed direction, and stated error (AngErr). The
edges of a cell's bins are its own. Its rows have fractions of the cell's events, from which the
numbers of events are found again: 12,097,409 in all for IC86.
"""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.files import atomic_hdf5, open_hdf5
from llama.neutrinos.release_table import REPLACE, Progress, Unquoted

Floats = NDArray[np.float64]
# energy and declination range (4,), edges (3, 21), events (20, 20, 20)
Cell = tuple[Floats, Floats, NDArray[np.uint32]]

ENERGIES, DECLINATIONS, BINS = 14, 30, 20
PUBLIC_IC86 = Path(__file__).with_name("templates") / "ic86_smearing.h5"
SOURCE = "IceTracks-DR2, IC86_smearing.csv, doi:10.7910/DVN/MMIIZA, CC0 1.0"

_CELL = BINS**3
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


class Rows(NamedTuple):
    """Bins that have events, (n,): cell [energy, dec], events, and edges, low and high (n, 3).

    Edges: log10(proxy/GeV), ln(angle/rad), log10(AngErr/deg); densities are even in these.
    """

    energy: NDArray[np.int64]
    dec: NDArray[np.int64]
    events: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Smearing:
    """A smearing matrix.

    `log10_energy` (15 edges, true E in GeV), `dec_deg` (31 edges); `edges` [14, 30, 3, 21]:
    log10(proxy/GeV), angle [deg], AngErr [deg] of each cell's bins, 0 where nothing was simulated;
    `events` [14, 30, 20, 20, 20]: numbers of simulated events.
    """

    log10_energy: Floats
    dec_deg: Floats
    edges: Floats
    events: NDArray[np.uint32]
    source: str

    @property
    def sin_dec(self) -> Floats:
        """Edges of the declination bins as sines (31)."""
        return np.sin(np.radians(self.dec_deg))

    @cached_property
    def simulated(self) -> Floats:
        """Events of each cell [14, 30]."""
        return self.events.sum(axis=(2, 3, 4), dtype=float)

    @cached_property
    def rows(self) -> Rows:
        """The bins with events, in the order of the cells."""
        where = np.nonzero(self.events)
        energy, dec = where[:2]
        sides = [
            [self.edges[energy, dec, axis, at + step] for axis, at in enumerate(where[2:])]
            for step in (0, 1)
        ]
        low, high = (
            np.stack([x, np.log(np.radians(np.maximum(psi, 1e-4))), np.log10(error)], axis=1)
            for x, psi, error in sides
        )
        return Rows(energy, dec, self.events[where].astype(float), low, high)

    def save(self, path: str | Path) -> None:
        """Write the whole matrix to one HDF5 file, 0.5 MB."""
        with atomic_hdf5(path) as file:
            file.attrs["source"] = self.source
            for name in ("log10_energy", "dec_deg"):
                file[name] = getattr(self, name)
            packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
            # the release has seven digits of a proxy's edge and ten of the others
            file.create_dataset("edges", data=self.edges.astype(np.float32), **packed)
            file.create_dataset("events", data=self.events, **packed)

    @classmethod
    def load(cls, path: str | Path = PUBLIC_IC86) -> "Smearing":
        """Read what `save` wrote, by default the public IC86 matrix that ships with LLAMA."""
        try:
            with open_hdf5(path) as file:
                columns = ("log10_energy", "dec_deg", "edges")
                energy, dec, edges = (file[name][()].astype(float) for name in columns)
                return cls(energy, dec, edges, file["events"][()], str(file.attrs["source"]))
        except (OSError, KeyError) as error:
            raise LlamaError(
                f"{path} is missing or not a smearing matrix; import the release again with "
                "`llama neutrinos import PATH`"
            ) from error


def read_smearing(path: Path, progress: Progress | None = None) -> Smearing:
    """Return the matrix in a file as it is published: .csv, Dataverse's .tab, or .gz of them.

    Streamed; `progress` is called as the file is read. `LlamaError` for another grid, missing
    rows, and numbers that cannot be.
    """
    try:
        with path.open("rb") as file:
            raw = io.BufferedReader(Unquoted(file, path.suffix == ".gz", progress))
            text = io.TextIOWrapper(raw, encoding="utf-8")
            order = _columns(text.readline(4096), path)
            cells = [
                cell for block in _blocks(text, path) for cell in _cells(block[:, order], path)
            ]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise LlamaError(
            f"{path} cannot be read to its end ({error}); fetch it again, it may be cut"
        ) from error
    return _assembled(cells, path)


def _assembled(cells: list[Cell], path: Path) -> Smearing:
    """Return the matrix of all cells, in whatever order they came."""
    if not cells:
        _missing(path, 0)
    keys = np.array([key for key, _, _ in cells])
    energy, dec = (np.unique(keys[:, k : k + 2]) for k in (0, 2))
    row, column = np.searchsorted(energy, keys[:, 0]), np.searchsorted(dec, keys[:, 2])
    if (energy.size, dec.size) != (ENERGIES + 1, DECLINATIONS + 1):
        if len(cells) < ENERGIES * DECLINATIONS:
            _missing(path, len(cells) * _CELL)
        _another_grid(path, f"it has edges of {energy.size - 1} x {dec.size - 1} cells")
    whole = np.zeros((ENERGIES, DECLINATIONS), dtype=int)
    np.add.at(whole, (row, column), 1)
    if (whole == 0).any():
        _missing(path, len(cells) * _CELL)
    if (whole > 1).any() or (keys[:, 1] != energy[row + 1]).any():
        _another_grid(path, "its cells overlap")
    edges = np.empty((ENERGIES, DECLINATIONS, 3, BINS + 1))
    events = np.empty((ENERGIES, DECLINATIONS, BINS, BINS, BINS), dtype=np.uint32)
    for at, (_, cell_edges, cell_events) in zip(zip(row, column, strict=True), cells, strict=True):
        edges[at], events[at] = cell_edges, cell_events
    return Smearing(energy, dec, edges, events, SOURCE)


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
    return [names.index(name) for name, _, _ in _COLUMNS]


def _blocks(text: IO[str], path: Path) -> Iterator[Floats]:
    """Yield the rows of some whole cells at a time, as arrays."""
    import pandas as pd

    rows = 0
    try:
        with pd.read_csv(
            text,
            sep=r"\s+",
            header=None,
            dtype=np.float64,
            chunksize=_CELLS_AT_ONCE * _CELL,
        ) as reader:
            for chunk in reader:
                rows += len(chunk)
                if len(chunk) % _CELL or chunk.shape[1] < len(_COLUMNS):
                    _missing(path, rows)
                yield chunk.to_numpy()
    except (ValueError, pd.errors.ParserError) as error:
        raise LlamaError(
            f"{path} cannot be read as a table ({str(error).strip()}); {REPLACE}"
        ) from error


def _cells(rows: Floats, path: Path) -> Iterator[Cell]:
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
    for cell in rows.reshape(-1, _CELL, len(_COLUMNS)):
        if (cell[:, :4] != cell[0, :4]).any():
            _another_grid(path, f"not every {_CELL} rows are one cell")
        grid = cell.reshape(BINS, BINS, BINS, len(_COLUMNS))
        fraction = grid[..., 10]
        edges = np.empty((3, BINS + 1))
        for axis in range(3):
            low, high = (np.moveaxis(grid[..., 4 + 2 * axis + side], axis, 0) for side in (0, 1))
            edges[axis] = np.append(low[:, 0, 0], high[-1, 0, 0])
            width = np.diff(edges[axis])[:, None, None]
            if (low != edges[axis, :-1, None, None]).any() or (
                high != edges[axis, 1:, None, None]
            ).any():
                _another_grid(path, f"bins of one cell are not {BINS} x {BINS} x {BINS}")
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


def _missing(path: Path, rows: int) -> NoReturn:
    raise LlamaError(
        f"{path} ends or has a gap after {rows:,} rows, and a smearing matrix has "
        f"{ENERGIES * DECLINATIONS * _CELL:,}; fetch it again"
    )


def _another_grid(path: Path, what: str) -> NoReturn:
    raise LlamaError(
        f"{path} has another grid than {ENERGIES} energies x {DECLINATIONS} declinations of "
        f"{_CELL} bins ({what}); only smearing matrices of IceTracks-DR2 can be read"
    )
