"""Times: GPS seconds, MJD and ISO, all with leap seconds (ERFA's table).

MJD and ISO are UTC. IceCube's releases say UT1, which is within 0.9 s and does not matter
against a window of 500 s.
"""

import re
import time
import warnings
from datetime import UTC, datetime

import erfa
import numpy as np
from numpy.typing import ArrayLike, NDArray

from llama.errors import LlamaError

SIDEREAL_DAY_S = 86164.0905
_GPS_EPOCH_TAI_JD = (2444244.5, 19.0 / 86400.0)
_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?\s*(?:Z|UTC|[+]00:?00)?"
)


def iso_to_gps(text: str) -> float:
    """Return GPS seconds of an ISO 8601 UTC time, with or without `Z`; else `LlamaError`."""
    match = _ISO.fullmatch(str(text).strip())
    if match:
        year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
        try:
            datetime(year, month, day, hour, minute)
            with warnings.catch_warnings():
                warnings.simplefilter("error", erfa.ErfaWarning)  # such as second 60 in any minute
                # beyond the table of leap seconds
                warnings.filterwarnings("ignore", ".*dubious year", erfa.ErfaWarning)
                utc = erfa.dtf2d("UTC", year, month, day, hour, minute, float(match[6] or 0))
            return float(_utc_to_gps(*utc))
        except (ValueError, erfa.ErfaError, erfa.ErfaWarning):
            pass
    raise LlamaError(f"{str(text)[:40]!r} is not a UTC time; write it like 2019-04-25T08:18:05.017")


def mjd_to_gps(mjd: ArrayLike) -> NDArray[np.float64]:
    """Return GPS seconds of Modified Julian Dates (UTC), any shape."""
    days = np.asarray(mjd, dtype=float)
    return _utc_to_gps(np.full_like(days, 2400000.5), days)


def gps_to_mjd(gps: ArrayLike) -> NDArray[np.float64]:
    """Return Modified Julian Dates (UTC) of GPS seconds, any shape."""
    first, second = _gps_to_utc(gps)
    return (first - 2400000.5) + second


def gps_to_iso(gps: float, digits: int = 6) -> str:
    """Return the UTC time of GPS seconds as `YYYY-MM-DDThh:mm:ss.ffffffZ`, rounded to `digits`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        year, month, day, hmsf = erfa.d2dtf("UTC", digits, *_gps_to_utc(gps))
    hour, minute, second, fraction = (int(hmsf[name]) for name in ("h", "m", "s", "f"))
    tail = f".{fraction:0{digits}d}" if digits else ""
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}{tail}Z"


def utc_now() -> datetime:
    """Return the present time in UTC; by the clock that everything else reads, time.time."""
    return datetime.fromtimestamp(time.time(), UTC)


def unix_to_iso(unix_s: float) -> str:
    """Return the UTC time of Unix seconds as `YYYY-MM-DDThh:mm:ss.ffffffZ`."""
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def now_gps() -> float:
    """Return the present time in GPS seconds."""
    return iso_to_gps(utc_now().strftime("%Y-%m-%dT%H:%M:%S.%f"))


def _utc_to_gps(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        tai_first, tai_second = erfa.utctai(first, second)
    days = (tai_first - _GPS_EPOCH_TAI_JD[0]) + (tai_second - _GPS_EPOCH_TAI_JD[1])
    return np.asarray(days * 86400.0)


def _gps_to_utc(gps: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    days, seconds = np.divmod(np.asarray(gps, dtype=float), 86400.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        first, second = erfa.taiutc(
            _GPS_EPOCH_TAI_JD[0] + days, _GPS_EPOCH_TAI_JD[1] + seconds / 86400.0
        )
    return np.asarray(first), np.asarray(second)
