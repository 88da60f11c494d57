"""Neutrino lists that people give: JSON or CSV, every number checked before it is believed."""

import csv
import json
import math
import re
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from llama.errors import LlamaError
from llama.files import first_sign
from llama.neutrinos.columns import json_rows, read_table
from llama.neutrinos.table import Row, Rows
from llama.times import gps_to_mjd, mjd_to_gps
from llama.typed import as_number, meta_of, numbers_of, shown

TYPES = ("observation", "blinded", "simulated", "scrambled", "alert")

CIRCLE = "circle of equal area"  # what asymmetric errors are taken for

_MAX_BYTES = 20_000_000
_URL = re.compile(r"https://[!-~]{1,2000}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_:,+-][A-Za-z0-9_.:,+-]{0,149}")
MJD, DEC_DEG, ZENITH_DEG = (40000.0, 90000.0), (-90.0, 90.0), (0.0, 180.0)  # least, greatest
# what to divide a radius by to get the sigma of a 2D Gaussian
PER_SIGMA = {"sigma": 1.0, "r50": math.sqrt(2 * math.log(2)), "r90": math.sqrt(2 * math.log(10))}
_KEYS = ("mjd", "ra", "dec", "sigma", "energy")
_REQUIRED = _KEYS[:4]  # the statistic averages over an energy that is not known
_INSTEAD = {"mjd": ("dt",), "sigma": ("r90", "r50", "ra_plus")}  # what else says the same
_SIDES = ("ra_plus", "ra_minus", "dec_plus", "dec_minus")


def between(least: float, greatest: float, remedy: str) -> Meta:
    """Return the closed range of a number, with what to do about another."""
    return Meta(ge=least, le=greatest, description=remedy)


def _above_0(greatest: float, remedy: str) -> Meta:
    return between(math.ulp(0.0), greatest, remedy)


Ra = Annotated[float, between(0.0, 360.0, "give right ascension in degrees from 0 to 360")]
Dec = Annotated[float, between(*DEC_DEG, "give declination in degrees from -90 to 90")]
_Mjd = Annotated[float, between(*MJD, "give MJD (UTC), e.g. 58598.3459")]
_Sigma = Annotated[float, _above_0(180.0, "give the 1-sigma error radius in degrees, above 0")]
_R50 = Annotated[float, _above_0(180.0, "give the radius that holds 50 % in degrees, above 0")]
_R90 = Annotated[float, _above_0(180.0, "give the radius that holds 90 % in degrees, above 0")]
_Side = Annotated[float, between(-180.0, 180.0, "give what holds 90 % on that side in degrees")]
_Dt = Annotated[float, between(-1e6, 1e6, "give the time relative to the event in seconds")]
_Energy = Annotated[float, _above_0(1e12, "give the energy in GeV, above 0, or leave it empty")]
_ZENITH = "give the zenith in degrees from 0 to 180 or leave it out"
_AZIMUTH = "give the azimuth in degrees from 0 to 360 or leave it out"


class Numbers(Struct):
    """The numbers of a neutrino's row, as files call them."""

    mjd: _Mjd | None = None
    ra: Ra | None = None
    dec: Dec | None = None
    sigma: _Sigma | None = None
    r50: _R50 | None = None
    r90: _R90 | None = None
    ra_plus: _Side | None = None
    ra_minus: _Side | None = None
    dec_plus: _Side | None = None
    dec_minus: _Side | None = None
    dt: _Dt | None = None
    energy: _Energy | None = None
    zenith: Annotated[float, between(*ZENITH_DEG, _ZENITH)] | None = None
    azimuth: Annotated[float, between(0.0, 360.0, _AZIMUTH)] | None = None
    gps: Annotated[float, between(0.0, 1e10, "give GPS seconds or leave them out")] | None = None


_OTHER_ENERGY = re.compile(r"energy|log_?10|log_?e\b|^e\b|[gtp]ev\b", re.IGNORECASE)
_FORMS = (
    "give a JSON list, or a CSV whose header names mjd (or dt), ra, dec, sigma (or r90), energy"
)


def read_given(
    content: bytes, name: str, event_gps: float | None = None, whole: bool = False
) -> Rows:
    """Return the neutrinos of a JSON list, a JSON object with `events`, or a CSV with a header.

    Each has mjd (UTC), ra, dec, sigma (deg, 1 sigma) and energy (GeV, None if not known) as finite
    numbers in range; other keys are kept. `dt` (s after `event_gps`) may stand for mjd, `r90` or
    else `r50` (deg, radii of a 2D Gaussian) for sigma. An empty list is valid. `LlamaError` names
    `name` and the row (counted from 1) that is wrong, and for an object that says that it is not
    complete where the `whole` list is wanted.
    """
    if len(content) > _MAX_BYTES:
        raise LlamaError(f"{name} is larger than 20 MB; give only the neutrinos around the event")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LlamaError(f"{name} is not UTF-8 text; {_FORMS}") from error
    rows = (
        _read_json(text, name, whole)
        if first_sign(content) in (b"[", b"{")
        else _read_csv(text, name)
    )
    return given_rows(rows, name, event_gps)


def given_rows(rows: Sequence[object], name: str, event_gps: float | None = None) -> Rows:
    """Return what `check_rows` does, of rows whose columns somebody has named."""
    _refuse_other_energies(rows, name)
    return check_rows(rows, name, event_gps)


def given_detectors(content: bytes) -> list[str] | None:
    """Return the detectors that a JSON object says its list is of, None where it does not say."""
    names = _told(content, "detectors")
    return [str(name) for name in names] if isinstance(names, list) else None


def given_scrambled(content: bytes) -> dict[str, str | int] | None:
    """Return what a JSON object says its neutrinos were moved from, None where they were not."""
    told = _told(content, "scrambled")
    if not isinstance(told, dict):
        return {} if told else None
    return {str(key): one for key, one in told.items() if isinstance(one, str | int)}


def _told(content: bytes, key: str) -> object:
    try:
        told = json.loads(content.decode("utf-8-sig")) if first_sign(content) == b"{" else {}
    except (ValueError, RecursionError):  # `read_given` says what is wrong with it
        return None
    return told.get(key) if isinstance(told, dict) else None


def _refuse_other_energies(rows: Sequence[object], name: str) -> None:
    """Raise when the energy has a name that is not understood: it would be taken as not known."""
    named = {key for row in rows if isinstance(row, dict) and "energy" not in row for key in row}
    if other := next(filter(_OTHER_ENERGY.search, sorted(named)), None):
        raise LlamaError(
            f"{name} has no energy but {shown(other)}; call it energy and give it in GeV, or "
            "delete it if the energies are not known"
        )


def check_rows(rows: Sequence[object], name: str, event_gps: float | None = None) -> Rows:
    """Return the neutrinos in `rows`, checked and completed as `read_given` says."""
    neutrinos = [_check(row, f"{name}, row {k}", event_gps) for k, row in enumerate(rows, 1)]
    seen: dict[tuple[object, ...], int] = {}
    for k, neutrino in enumerate(neutrinos, 1):
        first = seen.setdefault(tuple(neutrino[key] for key in _KEYS), k)
        if first != k:
            raise LlamaError(f"{name}, row {k} repeats row {first}; delete one of them")
    return neutrinos


def _read_json(text: str, name: str, whole: bool) -> list[object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LlamaError(f"{name} is not valid JSON ({error}); {_FORMS}") from error
    if whole and isinstance(value, dict) and value.get("complete", True) is not True:
        raise LlamaError(
            f"{name} says that it is not complete; give the whole list, or delete `complete` to "
            "use it as it is"
        )
    rows = json_rows(value, name)
    if rows is None:
        raise LlamaError(f"{name} is a JSON object without a list 'events'; {_FORMS}")
    return rows


def _read_csv(text: str, name: str) -> list[object]:
    try:
        header, rows = read_table(text, name)
    except csv.Error as error:
        raise LlamaError(f"{name} is not a CSV table ({error}); {_FORMS}") from error
    missing = [t for t in _REQUIRED if not {t, *_INSTEAD.get(t, ())} & set(header)]
    if missing:
        raise LlamaError(f"{name} has no column {', '.join(missing)}; {_FORMS}")
    if len(set(header)) < len(header):
        raise LlamaError(f"{name} has two columns of the same name; rename or delete one")
    return list(rows)


def _check(row: object, where: str, event_gps: float | None) -> Row:
    if not isinstance(row, dict):
        raise LlamaError(f"{where} is {shown(row)}, not an object with mjd, ra, dec, sigma, energy")
    neutrino: Row = {key: value for key, value in row.items() if value is not None}
    if (mjd := as_number(neutrino.get("mjd"))) > 1e8:
        remedy = meta_of(Numbers, "mjd").description
        raise LlamaError(f"{where}: mjd {mjd:.15g} looks like GPS seconds; {remedy}")
    numbers = numbers_of(neutrino, Numbers, where)
    circle = _put_instead(numbers, where, event_gps)
    for key in _REQUIRED:
        if key not in numbers:
            raise LlamaError(f"{where} has no {key}; {meta_of(Numbers, key).description}")
    for key in {"run", "event", "subevent"} & neutrino.keys():
        neutrino[key] = _integer(neutrino[key], key, where)
    if neutrino.get("type", TYPES[0]) not in TYPES:
        raise LlamaError(
            f"{where}: type {shown(neutrino['type'])} is none of {', '.join(TYPES)}; "
            "correct it or leave it out"
        )
    if "gps" in numbers and abs(numbers["gps"] - mjd_to_gps(numbers["mjd"])) > 1.0:
        raise LlamaError(
            f"{where}: gps and mjd are more than 1 s apart; correct one (mind the leap seconds) "
            "or leave gps out"
        )
    if "map_sha256" in neutrino or neutrino.get("direction") != CIRCLE:
        neutrino.pop("direction", None)
    if "map_sha256" in neutrino:  # of another event's list, whose map is there
        neutrino = {key: v for key, v in neutrino.items() if key.partition("_")[0] != "map"}
    _check_map(neutrino.get("map"), where)
    neutrino |= {"energy": None, **numbers}
    if circle is not None:
        neutrino["direction"] = circle
    try:
        json.dumps(neutrino, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:  # NaN, or half of a surrogate pair
        raise LlamaError(f"{where} has a value that is no valid JSON; delete it") from error
    return neutrino


def _put_instead(numbers: dict[str, float], where: str, event_gps: float | None) -> str | None:
    """Add mjd where only dt is given, and sigma where only a radius or errors to four sides are.

    Return what sigma then is of, where that is not plain.
    """
    if "mjd" not in numbers and "dt" in numbers:
        if event_gps is None:
            raise LlamaError(f"{where} has dt, but this list is of no single event; give mjd (UTC)")
        numbers["gps"] = event_gps + numbers["dt"]
        numbers["mjd"] = float(gps_to_mjd(numbers["gps"]))
    for key in ("r90", "r50"):
        if "sigma" not in numbers and key in numbers:
            numbers["sigma"] = numbers[key] / PER_SIGMA[key]
    if "sigma" in numbers or not numbers.keys() & {*_SIDES}:
        return None
    sides = [abs(numbers.get(side, 0.0)) for side in _SIDES]
    if min(sides) == 0.0 or "dec" not in numbers:
        raise LlamaError(f"{where} has not all of {', '.join(_SIDES)}, above 0; give them, or r90")
    # four quarters of ellipses; right ascension shrinks towards the poles
    wide_deg = (sides[0] + sides[1]) / 2 * math.cos(math.radians(numbers["dec"]))
    radius_deg = math.sqrt(max(wide_deg, math.ulp(0.0)) * (sides[2] + sides[3]) / 2)
    numbers["sigma"] = max(radius_deg / PER_SIGMA["r90"], math.ulp(0.0))
    return CIRCLE


def _check_map(value: object, where: str) -> None:
    """Raise unless a map is the address of a file over HTTPS, or the name of one."""
    if value is None:
        return
    if not is_url(value) and not (isinstance(value, str) and _FILE_NAME.fullmatch(value)):
        raise LlamaError(
            f"{where}: map {shown(value)} is neither an address over https nor the name of a file "
            "beside the list; correct it or leave it out"
        )


def is_url(value: object) -> bool:
    """Return whether a neutrino's map is one to be fetched."""
    return isinstance(value, str) and _URL.fullmatch(value) is not None


def _integer(value: object, key: str, where: str) -> int:
    number = as_number(value)
    if math.isfinite(number) and number == int(number):
        return value if isinstance(value, int) else int(number)
    raise LlamaError(f"{where}: {key} {shown(value)} is not a whole number; correct or delete it")
