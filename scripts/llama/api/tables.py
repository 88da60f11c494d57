"""Tables as other programs have them, as plain rows under LLAMA's names and in its units."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from llama.api.border import to_gps
from llama.errors import LlamaError
from llama.neutrinos.columns import json_rows
from llama.neutrinos.table import Row
from llama.times import gps_to_mjd
from llama.typed import as_number, shown

if TYPE_CHECKING:
    from astropy.table import Table as AstropyTable
    from pandas import DataFrame

    Table: TypeAlias = "AstropyTable | DataFrame | Sequence[Mapping[str, object]]"

NAME = "the neutrino table"  # in sentences
_TIMES = ("mjd", "gps", "time")  # columns of absolute times; mjd is what the statistic asks for


def rows_of(table: Any) -> list[object]:
    """Return the rows of a table of astropy or pandas, or of mappings, with LLAMA's columns.

    Units are converted; `gps` and `time` become mjd beside gps. `LlamaError` for units of another
    kind and for what is no table.
    """
    if hasattr(table, "colnames"):
        rows = list(_astropy_rows(table))
    elif hasattr(table, "to_dict") and hasattr(table, "notna"):
        # pandas has NaN for an empty cell
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
    elif isinstance(table, Sequence) and not isinstance(table, str | bytes):
        rows = list(table)
    else:
        raise LlamaError(
            f"{NAME} is {shown(table)}; give a table of astropy or pandas, or a list of dicts"
        )
    return [_plain_row(row, f"{NAME}, row {number}") for number, row in enumerate(rows, 1)]


def _astropy_rows(table: Any) -> Iterator[dict[str, object]]:
    columns = [list(_cells(table[name])) for name in table.colnames]
    for cells in zip(*columns, strict=True):
        yield dict(zip(table.colnames, cells, strict=True))


def _cells(column: Any) -> Iterator[object]:
    """Yield the cells of a column: None where masked, with the unit that the column has."""
    unit, mask = getattr(column, "unit", None), getattr(column, "mask", None)
    for number, cell in enumerate(getattr(column, "unmasked", column)):
        if mask is not None and mask[number].any():
            yield None
        elif unit is None or hasattr(cell, "unit"):
            yield cell
        else:
            yield cell * unit


def _plain_row(row: object, where: str) -> object:
    if not isinstance(row, Mapping):
        return row  # who checks rows says so
    plain, units = dict[str, object](), dict[str, str]()
    for key, cell in row.items():
        name = str(key)
        if hasattr(cell, "unit") and hasattr(cell, "value"):
            units[name], cell = str(cell.unit), cell.value
        if name.lower() == "time" or (name.lower() in _TIMES and hasattr(cell, "gps")):
            name, cell = "gps", None if cell is None else to_gps(cell)
        plain[name] = _number(cell, f"{where}: {name}")
    read = json_rows({"events": [plain], "units": units}, where)
    (named,) = read if read else ({},)
    return _with_mjd(named) if isinstance(named, dict) else named


def _number(cell: Any, where: str) -> object:
    """Return a cell as JSON has it."""
    if hasattr(cell, "item") and getattr(cell, "ndim", 0) == 0:
        cell = None if getattr(cell, "mask", False) else cell.item()
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", "replace")
    if cell is not None and not isinstance(cell, bool | int | float | str):
        raise LlamaError(f"{where} is {shown(cell)}; give numbers and texts, leave out all else")
    return cell


def _with_mjd(row: Row) -> Row:
    gps = row.get("gps")
    if gps is None or row.get("mjd") is not None:
        return row
    return row | {"mjd": float(gps_to_mjd(to_gps(as_number(gps))))}
