"""Columns of other people's neutrino lists: where their titles are, and which units they have."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import cast

from llama.errors import LlamaError
from llama.neutrinos.table import Row, Rows
from llama.units import unit_factor

UNITS = {
    **dict.fromkeys(("ra", "dec", "sigma", "r50", "r90", "zenith", "azimuth"), "deg"),
    **dict.fromkeys(("ra_plus", "ra_minus", "dec_plus", "dec_minus"), "deg"),
    "mjd": "d",
    "gps": "s",
    "dt": "s",
    "energy": "GeV",
}

_BRACKETS = re.compile(r"(.*?)\s*(?:\[(.*)\]|\((.*)\))")  # RA [rad], energy (GeV)
_SUFFIX = re.compile(r"(.*?)[\s_/:]+([^\W\d_]+)")  # ra_deg, energy/TeV
_BLANKS = re.compile(r"[^\s\[(]+(?:\s{0,3}(?:\[.{0,40}?\]|\(.{0,40}?\)))?")  # cells between blanks
_NO_UNITS = ("icrs", "utc", "mjd")  # of positions and times that are as LLAMA's
_COMMENT = re.compile(r"\s*#+\s*(?:(?:columns?|fields?|header)\s*[:=])?\s*", re.IGNORECASE)
_UNIT_LINE = re.compile(r"units?\s*[:=]\s*(.+)", re.IGNORECASE)
_PROSE = re.compile(
    r"\b(?:in|units?)\b.{0,20}\b(rad|radians?|arcmin\w*|arcsec\w*|hours?|[TPM]eV|log10\w*)\b",
    re.IGNORECASE,
)
_MAX_ECSV_HEADER, _MAX_TITLE = 65536, 80
_BROKEN = (ValueError, TypeError, KeyError, AttributeError, RecursionError)

Factors = tuple[tuple[str, float | None], ...]


def read_table(text: str, name: str) -> tuple[list[str], Rows]:
    """Return the titles and rows of a table, with names and units as in `UNITS`.

    The titles are its first line, or a comment's; cells are split at commas, semicolons, tabs or
    blanks, and stay text where nothing is converted. LlamaError for units that are not understood
    and rows that are too long or short, csv.Error for what is not a table.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    rows = [line for line in lines if not line.lstrip().startswith("#")]
    comments = [_COMMENT.sub("", line, 1) for line in lines if line.lstrip().startswith("#")]
    # a file whose first line is already numbers has its titles in a comment
    commented = max(comments, key=_known, default="")
    if rows and _known(rows[0]) >= _known(commented):
        titles = _cells(rows.pop(0))
    elif _known(commented) > 1:
        titles = _cells(commented)
    else:
        raise csv.Error("it has no line with titles")
    if lines[0].startswith("# %ECSV"):
        units = _ecsv_units(lines, name)
    else:
        units = _commented_units(comments, titles, name)
    factors = _factors(tuple(titles), tuple(units.items()), name)
    prose = next(filter(_PROSE.search, comments), None)
    if prose is not None and all(factor is None for _, factor in factors):
        raise LlamaError(
            f"{name} has the comment {prose.strip()[:60]!r}; write units into the titles instead, "
            "as in ra [rad] or energy [TeV]"
        )
    split = [_cells(row, rows[0]) for row in rows]
    for number, cells in enumerate(split, 1):
        if len(cells) != len(titles):
            raise LlamaError(
                f"{name}, row {number} has {len(cells)} values for {len(titles)} columns; "
                "correct the row"
            )
    factors = tuple((key.lower(), factor) for key, factor in factors)
    return [key for key, _ in factors], [
        _row((cell or None for cell in cells), factors) for cells in split
    ]


def json_rows(value: object, name: str) -> list[object] | None:
    """Return the rows of a JSON list, or of the list `events` of an object, None for neither.

    Names and units become those of `UNITS`; an object may have `units` by name. LlamaError for
    units that are not understood.
    """
    rows = value.get("events") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        return None
    units = value.get("units") or {} if isinstance(value, dict) else {}
    if not isinstance(units, dict):
        raise LlamaError(f"{name} has units that are not an object; give one like {{'ra': 'rad'}}")
    named = tuple((str(key).lower(), str(unit)) for key, unit in units.items())
    return [
        _row(row.values(), _factors(tuple(row), named, name)) if isinstance(row, dict) else row
        for row in rows
    ]


def _row(values: Iterable[object], factors: Factors) -> Row:
    return dict(zip((key for key, _ in factors), _converted(values, factors), strict=True))


@lru_cache(maxsize=100)
def _factors(titles: tuple[str, ...], units: tuple[tuple[str, str], ...], name: str) -> Factors:
    """Return LLAMA's name for each title, and what converts it; None where no unit is given."""
    given = dict(units)
    taken = {title.lower() for title in titles if title.lower() in UNITS}
    found: list[tuple[str, float | None]] = []
    for title in titles:
        key, unit, sure, match = title.lower(), given.get(title.lower(), ""), True, None
        if key not in UNITS:
            # ra_err is not right ascension in another unit, ra [err] would be
            match = _BRACKETS.fullmatch(title[:_MAX_TITLE])
            sure, match = match is not None, match or _SUFFIX.fullmatch(title[:_MAX_TITLE])
            key, unit = (match[1].lower(), match[match.lastindex or 2]) if match else ("", "")
        if key not in UNITS or key in (taken if match else (other for other, _ in found)):
            found.append((title, None))
            continue
        try:
            factor = None if unit.lower() in _NO_UNITS else unit_factor(unit, UNITS[key])
        except ValueError as error:
            if sure:
                raise LlamaError(
                    f"{name} has {title!r} in a unit that LLAMA cannot convert: {error}; convert it"
                ) from error
            found.append((title, None))
            continue
        taken.add(key)
        found.append((key, factor))
    return tuple(found)


def _converted(values: Iterable[object], factors: Factors) -> Iterator[object]:
    for value, (_, factor) in zip(values, factors, strict=True):
        try:
            bare = factor == 1 or isinstance(value, bool)
            yield value if factor is None or bare else float(cast("float | str", value)) * factor
        except (TypeError, ValueError, OverflowError):
            yield value  # who checks the number says what is wrong with it


def _cells(line: str, like: str | None = None) -> list[str]:
    """Return the cells of a line, which is split as the line `like`."""
    delimiter = next((mark for mark in ",;\t" if mark in (like or line)), None)
    if delimiter is None:
        return [cell.strip("\"'") for cell in _BLANKS.findall(line)]
    (cells,) = csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True)
    return [cell.strip() for cell in cells]


def _known(line: str) -> int:
    try:
        titles = _cells(line)
    except csv.Error:
        return 0
    # as well as can be said without units: ra_err counts, and does not matter
    return sum(re.split(r"[\s_/:\[(]", title.lower(), maxsplit=1)[0] in UNITS for title in titles)


def _commented_units(comments: Sequence[str], titles: Sequence[str], name: str) -> dict[str, str]:
    """Return the units of a comment `unit: d, deg, deg` or `units: ra=rad dec=rad`."""
    for comment in comments:
        if match := _UNIT_LINE.fullmatch(comment):
            items = re.findall(r"[^,;\t]+" if re.search("[,;\t]", match[1]) else r"\S+", match[1])
            pairs = [re.split(r"\s*[:=]\s*", item.strip(), maxsplit=1) for item in items]
            if all(len(pair) == 2 for pair in pairs):
                return {key.lower(): unit for key, unit in pairs}
            if len(items) == len(titles):
                return {
                    title.lower(): item.strip() for title, item in zip(titles, items, strict=True)
                }
            raise LlamaError(
                f"{name} has the comment {comment.strip()[:60]!r}; write one unit for each column, "
                "or units into the titles, as in ra [rad]"
            )
    return {}


def _ecsv_units(lines: Sequence[str], name: str) -> dict[str, str]:
    """Return the units in the header of an ECSV file, which is YAML in comments."""
    import yaml

    header = "\n".join(line[2:] for line in lines[1:] if line.startswith("#"))
    try:
        if len(header) > _MAX_ECSV_HEADER:
            raise ValueError(f"it has {len(header)} characters")
        columns = yaml.safe_load(header)["datatype"]
        return {str(c["name"]).lower(): str(c["unit"]) for c in columns if c.get("unit")}
    except (yaml.YAMLError, *_BROKEN) as error:
        raise LlamaError(
            f"{name} has an ECSV header that cannot be read ({' '.join(str(error).split())[:80]}); "
            "write it as plain CSV"
        ) from error
