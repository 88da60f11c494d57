"""Whether a sky map's own header says that it belongs to another event."""

import re
from collections.abc import Mapping, Sequence

from llama.errors import LlamaError
from llama.times import gps_to_iso, iso_to_gps

# Maps of public alerts and of their parameter estimation are dated within 0.02 s of the alert's
# event time; candidates this close to each other become one superevent.
SAME_EVENT_S = 10.0
_COVERAGE = ("FULLSKY", "PARTIAL")  # what the HEALPix convention has in OBJECT
_SUPEREVENT = re.compile(r"[MT]?S[0-9]{6}[a-z]+")


def foreign_signs(
    meta: Mapping[str, object], graceid: str, gps_time: float | None, instruments: Sequence[str]
) -> list[str]:
    """Return every sign in a map's header (`SkyTiles.meta`) that it belongs to another event.

    graceid, gps_time [GPS s] and instruments are those of the event that has the map.

    The time is decisive: with the alert's, another network may have seen the same event, and
    OBJECT may be the id of another trigger of it. Without a time in the header, OBJECT counts if
    it is the id of a superevent.
    """
    signs = []
    known = _gps(meta.get("date_obs"))
    if known is not None and gps_time is not None:
        apart_s = abs(known - gps_time)
        if apart_s <= SAME_EVENT_S:
            return []
        signs.append(f"DATE-OBS is {meta['date_obs']}, the event was at {gps_to_iso(gps_time, 3)}")
    name = str(meta.get("object", ""))
    if name != graceid and (signs or all(map(_SUPEREVENT.fullmatch, (name, graceid)))):
        signs += [f"OBJECT is {name}"] if name not in ("", *_COVERAGE) else []
    detectors = re.findall("[A-Z][0-9]", str(meta.get("instruments", "")))
    if signs and detectors and {*detectors} != {*instruments}:
        signs.append(f"INSTRUME is {','.join(detectors)}, not {','.join(instruments)}")
    return signs


def _gps(text: object) -> float | None:
    try:
        return iso_to_gps(str(text))
    except LlamaError:  # a header may have any text there, or none
        return None
