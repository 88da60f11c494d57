"""What a catalogue's table of events says: CSV or JSON of GWOSC, or one with such columns.

GWOSC's first form has rows under `events` by name and version (commonName, GPS, far in 1/yr,
p_astro); its second one rows under `results` (name, gps, detectors, default_parameters).
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from llama.errors import LlamaError, printable
from llama.files import first_sign
from llama.graceid import CATALOGUE_PATTERN
from llama.typed import as_number, shown
from llama.units import YEAR_S

MAX_BYTES = 50_000_000
URL = "https://gwosc.org/eventapi/json/GWTC/"
_LIGHTEST_BLACK_HOLE = 3.0  # solar masses: as GWTC's papers class binaries
_FORMS = f"give GWOSC's table of events as CSV or JSON, such as {URL}"
# names of a column, the first that is there counts
_NAME = ("commonname", "name", "event", "event_name", "shortname")
_GPS = ("gps", "gps_time", "time")
_FAR = ("far", "far_hz")
_P_ASTRO = ("p_astro", "pastro")
_DETECTORS = ("detectors", "instruments", "observing", "ifos")
_VERSION = re.compile(r"(.+)-v(\d{1,6})")
_DETECTOR = re.compile(r"([GHKLV])[12]?")
_PER_YEAR = re.compile(r"(1|events?)?\s*(/|per)?\s*(yr|year|a)s?\s*(\^?-1)?", re.IGNORECASE)


class Facts(NamedTuple):
    """A row of the table: name with its version, as it stands there; what is not said is None.

    gps: time [s]; source_class: BNS, NSBH or BBH by the masses, CBC without.
    """

    name: str
    version: int
    gps: float | None
    far_hz: float | None
    p_astro: float | None
    source_class: str
    instruments: tuple[str, ...]

    @property
    def written(self) -> str:
        """The name with its version, as GWOSC writes it."""
        return f"{self.name}-v{self.version}" if self.version else self.name


def read_catalogue(content: bytes, name: str) -> dict[str, Facts]:
    """Return the newest version of each event of a table by its name.

    Rows whose name is none of a catalogue are not looked at. `LlamaError` names table and row.
    """
    if len(content) > MAX_BYTES:
        raise LlamaError(f"{name} is larger than {MAX_BYTES / 1e6:.0f} MB; {_FORMS}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LlamaError(f"{name} is not UTF-8 text; {_FORMS}") from error
    rows = _json(text, name) if first_sign(content) in (b"{", b"[") else _csv(text, name)
    found: dict[str, Facts] = {}
    for number, row in enumerate(rows, 1):
        facts = _facts({str(k).strip().lower(): v for k, v in row.items()}, f"{name}, row {number}")
        if facts is None:
            continue
        before = found.get(facts.name)
        if before and before.version == facts.version and before != facts:
            raise LlamaError(
                f"{name} has two rows of {facts.written} that differ; remove the wrong one"
            )
        if before is None or facts.version > before.version:
            found[facts.name] = facts
    if not found:
        raise LlamaError(f"{name} has no event with a name like GW200112_155838; {_FORMS}")
    return found


def _csv(text: str, name: str) -> Iterable[Mapping[str, object]]:
    try:
        reader = csv.DictReader(io.StringIO(text), strict=True)
        rows = [dict(row) for row in reader]
    except csv.Error as error:
        raise LlamaError(f"{name} is no CSV table ({error}); {_FORMS}") from error
    titles = [str(title).strip().lower() for title in reader.fieldnames or ()]
    if not set(titles) & {*_NAME}:
        raise LlamaError(f"{name} has no column commonName; {_FORMS}")
    if any(None in row for row in rows):
        raise LlamaError(f"{name} has rows longer than its header; {_FORMS}")
    return rows


def _json(text: str, name: str) -> Iterable[Mapping[str, object]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LlamaError(f"{name} is not valid JSON ({printable(error, 100)}); {_FORMS}") from error
    if isinstance(value, dict):
        value = value.get("events", value.get("results"))
    if isinstance(value, dict):
        value = [{"name": key} | row for key, row in value.items() if isinstance(row, dict)]
    if not isinstance(value, list):
        raise LlamaError(f"{name} has no events; {_FORMS}")
    return [row | _parameters(row) for row in value if isinstance(row, dict)]


def _parameters(row: Mapping[str, object]) -> dict[str, object]:
    """Return what a row of GWOSC's second form has in a list of parameters."""
    listed = row.get("default_parameters")
    found: dict[str, object] = {}
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            found |= {one["name"]: one.get("best"), f"{one['name']}_unit": one.get("unit")}
    return found


def _facts(row: Mapping[str, object], where: str) -> Facts | None:
    name = next((row[key] for key in _NAME if isinstance(row.get(key), str)), None)
    version = as_number(row.get("version"))
    if match := _VERSION.fullmatch(str(name)):
        name, version = match[1], float(match[2])
    if name is None or not re.fullmatch(CATALOGUE_PATTERN, str(name).strip()):
        return None
    masses = [_number(row, (f"mass_{k}_source",), where, 0.0, 1e6) for k in (1, 2)]
    return Facts(
        name=str(name).strip(),
        version=int(version) if 0 <= version < 1e6 else 0,
        gps=_number(row, _GPS, where, 0.0, 4.1e9),
        far_hz=_far_hz(row, where),
        p_astro=_number(row, _P_ASTRO, where, 0.0, 1.0),
        source_class=_class(masses),
        instruments=_detectors(row),
    )


def _number(
    row: Mapping[str, object], keys: Iterable[str], where: str, least: float, most: float
) -> float | None:
    """Return a number, of a limit such as > 0.99 that; None where there is none."""
    for key in keys:
        value = row.get(key)
        text = value.strip().lstrip("<>≤≥~ ") if isinstance(value, str) else value
        if text is None or text == "" or (isinstance(text, str) and text.lower() in _NOTHING):
            continue
        number = as_number(text)
        if not (math.isfinite(number) and least <= number <= most):
            raise LlamaError(
                f"{where}: {key} {shown(value)} is no number from {least:g} to {most:g}; correct it"
            )
        return number
    return None


_NOTHING = ("none", "null", "nan", "n/a", "-", "--")


def _far_hz(row: Mapping[str, object], where: str) -> float | None:
    far = _number(row, _FAR, where, 0.0, 1e12)
    if far is None or (row.get("far") in (None, "") and row.get("far_hz") not in (None, "")):
        return far
    unit = str(row.get("far_unit") or "1/yr").strip()
    if unit.lower() in ("hz", "1/s", "s^-1"):
        return far
    if not _PER_YEAR.fullmatch(unit):
        raise LlamaError(f"{where}: far has the unit {shown(unit)}; give it in 1/yr or in Hz")
    return far / YEAR_S


def _class(masses: Iterable[float | None]) -> str:
    known = [mass for mass in masses if mass is not None]
    if len(known) < 2:
        return "CBC"
    light = sum(mass < _LIGHTEST_BLACK_HOLE for mass in known)
    return ("BBH", "NSBH", "BNS")[light]


def _detectors(row: Mapping[str, object]) -> tuple[str, ...]:
    """Return detectors as H1 of a list, of H1,L1 or of HL; none where they are not understood."""
    value = next((row[key] for key in _DETECTORS if row.get(key)), ())
    if isinstance(value, str):
        value = re.findall("[A-Z][0-9]?", value) if re.fullmatch(r"[A-Z0-9,; ]+", value) else ()
    if not isinstance(value, list | tuple):
        return ()
    matches = [_DETECTOR.fullmatch(str(one)) for one in value]
    return tuple(sorted({f"{match[1]}1" for match in matches if match})) if all(matches) else ()
