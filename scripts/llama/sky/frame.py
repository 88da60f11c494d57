"""The frame that a sky map is in, by whichever key of its header says it."""

import re
from collections.abc import Mapping
from typing import Any

from llama.errors import LlamaError

_KEY = re.compile(r"COORD|^RADE?C?SYS$|^REFSYS$|^SKY_?SYS$")  # of these, every value must be known
_LOOSE_KEY = re.compile(r"FRAME|^SYSTEM$")  # also of masses and times
_SPLIT = re.compile(r"FK\d|[BJ]\d{4}|[A-Z]+|\d+")
_EQUATORIAL = re.compile("C|Q|EQ|EQU|EQUATORIAL|CEL|CELESTIAL|ICRS|ICRF|FK5|J2000|RADEC|RA|DEC")
_ELSE = re.compile(
    "G|GAL|GALACTIC|E|ECL|ECLIPTIC|S|SG|SGAL|SUPERGALACTIC|FK4|B1950|H|ALTAZ|AZEL|HORIZON|"
    "HORIZONTAL|T|ITRS|TERRESTRIAL|GEOGRAPHIC|GEOCENTRIC|EARTH|APPARENT|CIRS|TETE"
)
_NEUTRAL = re.compile(
    "COORDINATES?|SYSTEM|FRAME|SKY|REFERENCE|MEAN|EPOCH|EQUINOX|AND|DEG|DEGREES?|RAD|"
    "NONE|UNKNOWN|UNSPECIFIED|UNDEF"
)


def check_equatorial(header: Mapping[str, Any], name: str) -> None:
    """Raise LlamaError unless all that the header says of a frame is equatorial, J2000.

    A map that says nothing is equatorial, as all of LVK's are.
    """
    equatorial = False
    unknown = None
    for key, value in header.items():
        strict = _KEY.search(key)
        if not strict and not (isinstance(value, str) and _LOOSE_KEY.search(key)):
            continue
        words = [word for word in _SPLIT.findall(str(value).upper()) if not word.isdigit()]
        known = all(_EQUATORIAL.fullmatch(word) or _NEUTRAL.fullmatch(word) for word in words)
        if any(map(_ELSE.fullmatch, words)) or (strict and not known):
            _refuse(name, key, value)
        if not known:
            unknown = key
        equatorial |= any(map(_EQUATORIAL.fullmatch, words))
    if unknown is not None and not equatorial:
        _refuse(name, unknown, header[unknown])
    year = re.fullmatch(r"\s*J?(\d+(?:\.\d*)?)\s*", str(header.get("EQUINOX", 2000)).upper())
    if year is None or abs(float(year[1]) - 2000) > 0.1:
        _refuse(name, "EQUINOX", header["EQUINOX"])


def _refuse(name: str, key: str, value: object) -> None:
    raise LlamaError(
        f"{name} has {key} {repr(value)[:40]}; LLAMA needs equatorial coordinates (ICRS): "
        "rotate the map, or correct the header if it is wrong"
    )
