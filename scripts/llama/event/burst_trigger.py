"""What a notice of a gamma-ray burst says, whoever sent it and in whatever form."""

import math
from dataclasses import dataclass, replace

from llama.errors import LlamaError
from llama.topics import INSTRUMENTS
from llama.typed import shown

# Where GBM's error is statistical only: a radius of 3.7 deg holds 68 % of the systematic error and
# adds in quadrature to that of the notice (Connaughton et al. 2015, ApJS 216, 32, equations 1, 2)
GBM_SYSTEMATIC_DEG = 3.7 / math.sqrt(-2 * math.log1p(-0.68))


@dataclass(frozen=True)
class BurstNotice:
    """One notice of one trigger.

    ids: names of the trigger; order: time of the notice (GPS), its number, file; gps: of the
    trigger; place: RA, declination and 1 sigma [deg]. Without a place, `problem` says what cannot
    be used, `retracted` takes the trigger back, `other` says that it is no burst, and none of these
    that it has no position yet. stage: 1 for a position from the ground, 2 for a final one.
    """

    instrument: str
    ids: tuple[str, ...]
    order: tuple[float, float, str]
    gps: float | None = None
    place: tuple[float, float, float] | None = None
    retracted: bool = False
    other: bool = False
    problem: str | None = None
    stage: int = 0


def unusable(notice: BurstNotice, why: str) -> BurstNotice:
    """Return the notice with what is wrong with it, in one line."""
    sender, name = INSTRUMENTS[notice.instrument], notice.order[2]
    problem = f"notice {name} of {sender} cannot be used: {why}"
    # one line that any file can hold, whatever the file's name and the error quote
    safe = " ".join(problem.encode("utf-8", "backslashreplace").decode().split())
    return replace(notice, problem=safe[:300], place=None)


def place_of(ra: object, dec: object, sigma_deg: float) -> tuple[float, float, float]:
    """Return RA, declination and 1 sigma [deg], checked."""
    values = []
    for key, value, least, greatest in (
        ("ra", ra, 0.0, 360.0),
        ("dec", dec, -90.0, 90.0),
        ("error", sigma_deg, 1e-4, 180.0),
    ):
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not (good and least <= value <= greatest):  # type: ignore[operator]
            raise LlamaError(f"its {key} {shown(value)} is not from {least:g} to {greatest:g} deg")
        values.append(float(value))  # type: ignore[arg-type]
    return values[0], values[1], values[2]
