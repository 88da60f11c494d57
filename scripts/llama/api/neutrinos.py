"""Neutrinos as Python programs give them, and as a result ranks them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama.api.border import to_gps, value_errors
from llama.api.tables import NAME, rows_of
from llama.errors import LlamaError
from llama.event.results import Single
from llama.neutrinos.columns import UNITS
from llama.neutrinos.given import given_rows, read_given
from llama.neutrinos.table import Rows

if TYPE_CHECKING:
    from astropy.table import QTable

    from llama.api.border import Time
    from llama.api.tables import Table


class Neutrinos:
    """A list of neutrinos, every number checked.

    Columns: mjd (UTC) or gps [s], or time as `search` takes it, or dt [s] after `time`; ra and dec
    [deg], ICRS; sigma [deg], 1 sigma of a 2-D Gaussian, or r90 or r50, radii that hold 90 or 50 %;
    energy [GeV], empty where it is not known; perhaps id, detector, and others, which are kept.
    Units of columns are converted, in names, too (`ra_rad`, `energy [TeV]`); others are refused.

    >>> rows = [{"gps": 1238400041.8, "ra": 61.0, "dec": 24.0, "sigma": 0.5, "energy_tev": 61.0}]
    >>> Neutrinos(rows).rows[0]["energy"]
    61000.0
    >>> Neutrinos([{"gps": 1238400041.8, "ra": float("nan"), "dec": 24.0, "sigma": 0.5}])
    Traceback (most recent call last):
    ValueError: the neutrino table, row 1: ra nan is not a finite number; give right ascension ...
    """

    @value_errors()
    def __init__(self, table: "Table", time: "Time | None" = None) -> None:
        """Check a table of astropy or pandas, or a list of dicts.

        time: of the wave, for `dt`. ValueError names the row and what is wrong with it. NaN is an
        empty cell to pandas, and nowhere else.
        """
        rows = given_rows(rows_of(table), NAME, None if time is None else to_gps(time))
        self._rows = _without_maps(rows, NAME)

    @classmethod
    @value_errors()
    def read(cls, path: str | PathLike[str], time: "Time | None" = None) -> "Neutrinos":
        """Read a CSV, ECSV or JSON file as `skymap_info --neutrinos` takes it."""
        gps = None if time is None else to_gps(time)
        rows = read_given(Path(path).read_bytes(), str(path), gps)
        made = cls([])
        made._rows = _without_maps(rows, str(path))
        return made

    @property
    def rows(self) -> Rows:
        """The neutrinos under the names that files have: mjd, ra, dec, sigma, energy, ..."""
        return [dict(row) for row in self._rows]

    def to_table(self) -> "QTable":
        """Return the neutrinos with their units."""
        return qtable(self._rows, UNITS)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<Neutrinos: {len(self)}>"


@dataclass(frozen=True)
class RankedNeutrino:
    """A neutrino of a result: what it has alone.

    dt_s: after the wave; ra_deg, dec_deg: ICRS; sigma_deg: 1 sigma as stated; radius_90_deg: what
    holds 90 % of its point spread; p_value: how often the neutrinos of a window of chance have
    together such odds, None where the search has no p-value, as its error.
    """

    id: str
    dt_s: float
    ra_deg: float
    dec_deg: float
    sigma_deg: float
    radius_90_deg: float
    odds_ratio: float
    p_value: float | None
    p_value_error: float | None
    detector: str | None = None

    @classmethod
    def of(cls, one: Single) -> "RankedNeutrino":
        """Return a row of a significance."""
        places = one.dt, one.ra, one.dec, one.sigma, one.circle_deg
        alone = one.odds_ratio or 0.0, one.p_value, one.p_value_error
        return cls(one.key, *places, *alone, one.detector)


_RANKED_UNITS = {
    field.name: {"s": "s", "deg": "deg"}.get(field.name.rpartition("_")[2], "")
    for field in fields(RankedNeutrino)
}


def ranked_table(neutrinos: "tuple[RankedNeutrino, ...]") -> "QTable":
    """Return ranked neutrinos as a table with units."""
    return qtable([dict(vars(one)) for one in neutrinos], _RANKED_UNITS)


def qtable(rows: Rows, units: Mapping[str, str]) -> "QTable":
    """Return rows as a table, with units where there are any; masked where a row has no value."""
    import numpy as np
    from astropy.table import MaskedColumn, QTable

    columns: dict[str, Any] = {}
    for name in dict.fromkeys(key for row in rows for key in row):
        values = [row.get(name) for row in rows]
        empty = [value is None for value in values]
        if all(empty):
            continue
        fill = next(value for value in values if value is not None)
        filled = np.array([fill if value is None else value for value in values])
        masked = MaskedColumn(filled, mask=empty) if any(empty) else filled
        unit = units.get(name)
        columns[name] = masked if not unit else _with_unit(masked, unit)
    return QTable(columns)


def _with_unit(column: Any, unit: str) -> Any:
    from astropy.units import Quantity
    from astropy.utils.masked import Masked

    if not hasattr(column, "mask"):
        return Quantity(column, unit)
    return Masked(Quantity(column.data.data, unit), column.mask)


def _without_maps(rows: Rows, name: str) -> Rows:
    for number, row in enumerate(rows, 1):
        if "map" in row:
            raise LlamaError(
                f"{name}, row {number} has a map as its direction, which only events of the "
                "workflow can have; leave the column map out"
            )
    return rows
