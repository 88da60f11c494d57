"""The border to other people's programs: their times, and the errors that they expect."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from llama.errors import LlamaError
from llama.times import iso_to_gps
from llama.typed import shown

if TYPE_CHECKING:
    from astropy.time import Time as AstropyTime

    Time: TypeAlias = "float | str | AstropyTime"

# from 1983 to 2296: what is less is a date in days
_GPS_S = 1e8, 1e10


@contextmanager
def value_errors() -> Iterator[None]:
    """Raise a `LlamaError` as a ValueError with the same sentence; for functions of this room.

    Inside, they are kept apart: there, a ValueError is one of the statistic, which lacks a remedy.
    """
    try:
        yield
    except LlamaError as error:
        raise ValueError(str(error)) from None


def to_gps(time: Any) -> float:
    """Return a time in GPS seconds, of ISO (UTC) or of an astropy Time as GPS seconds."""
    if isinstance(time, str):
        return iso_to_gps(time)
    gps = getattr(time, "gps", time)
    try:
        several = isinstance(gps, bool) or getattr(gps, "ndim", 0) > 0
        number = math.nan if several else float(gps)
    except (TypeError, ValueError):
        number = math.nan
    if not _GPS_S[0] <= number <= _GPS_S[1]:
        raise LlamaError(
            f"the time {shown(time)} is none; give GPS seconds, an ISO time in UTC like "
            "2019-04-25T08:18:05.017, or one time of astropy"
        )
    return number
