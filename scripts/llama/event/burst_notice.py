"""One notice of a gamma-ray burst, by Fermi GBM, Swift BAT, GUANO, Einstein Probe WXT or SVOM.

GCN's JSON, and the VOEvents that SVOM sends. Times without Z are UTC, as GCN's schema says.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from llama.errors import LlamaError
from llama.files import first_sign
from llama.neutrinos.gcn_notice import (
    BROKEN,
    MAX_BYTES,
    OTHER_TENSES,
    TENSES,
    gps_of,
    number_of,
    ra_of,
    sigma_of,
)
from llama.topics import INSTRUMENTS, REPLAY, brought_by
from llama.typed import shown
from llama.voxml import params_of, parse, text

# where the error is statistical only: Connaughton et al. 2015, ApJS 216, 32
_GBM_SYSTEMATIC_DEG = 3.7
# words of `$schema`, of mission and of instrument, lower case; the first that fits
_SENDERS = {
    "swift_guano": ("swift/bat/guano", "swift", "bat-guano"),
    "swift_bat": ("swift/bat/position", "swift", "bat"),
    "fermi_gbm": ("fermi/gbm", "fermi", "gbm"),
    "einstein_probe_wxt": ("einstein_probe/wxt", "einstein probe", "wxt"),
}
_SIGNS = b"fermi", b'"gbm"', b"swift", b'"wxt"', b"svom"  # one of them is in each notice
_SVOM_INSTRUMENTS = "grm", "eclairs"
_SVOM_BURSTS, _SVOM_RETRACTION = (
    ("201", "202", "204", "205"),
    "219",
)  # Packet_Type; 203: a known source


@dataclass(frozen=True)
class BurstNotice:
    """One notice of one trigger.

    ids: names of the trigger; order: time of the notice (GPS), its number, file; gps: of the
    trigger; place: RA, declination and 1 sigma [deg]. Without a place, `problem` says what cannot
    be used, `retracted` takes the trigger back, `other` says that it is no burst, and none of these
    that it has no position yet.
    """

    instrument: str
    ids: tuple[str, ...]
    order: tuple[float, float, str]
    gps: float | None = None
    place: tuple[float, float, float] | None = None
    retracted: bool = False
    other: bool = False
    problem: str | None = None


def read_burst(content: bytes, name: str, topic: str) -> BurstNotice | None:
    """Return the notice in a file called `name` that came on a topic.

    None for one of another instrument than the topic may bring, and for tests.
    """
    of_topic = [kind for kind in brought_by(topic) if kind in INSTRUMENTS]
    if not of_topic or not content.strip():
        return None
    if topic == REPLAY and not any(sign in content.lower() for sign in _SIGNS):
        return None  # such as a large alert of LVK
    read = {b"{": _of_json, b"<": _of_voevent}.get(first_sign(content))
    try:
        if len(content) > MAX_BYTES:
            raise LlamaError("it is larger than 16 MB")
        if read is None:
            raise LlamaError("it is neither JSON nor XML")
        notice = read(content, name)
    except BROKEN as error:
        if topic == REPLAY:  # it may be anybody's
            return None
        return _unusable(BurstNotice(of_topic[0], (), (-math.inf, 0.0, name)), str(error))
    return notice if notice and notice.instrument in of_topic else None


def instrument_of(content: bytes) -> str | None:
    """Return which instrument sent a notice of a burst, None for an unknown sender."""
    try:
        if first_sign(content) == b"<":
            return "svom" if _burst_id(params_of(parse(content))) else None
        notice = json.loads(content)
        return _sender(notice) if isinstance(notice, dict) else None
    except BROKEN:
        return None


def _unusable(notice: BurstNotice, why: str) -> BurstNotice:
    sender, name = INSTRUMENTS[notice.instrument], notice.order[2]
    problem = f"notice {name} of {sender} cannot be used: {why}"
    # one line that any file can hold, whatever the file's name and the error quote
    safe = " ".join(problem.encode("utf-8", "backslashreplace").decode().split())
    return replace(notice, problem=safe[:300], place=None)


def _sender(notice: Mapping[str, Any]) -> str | None:
    schema, mission, instrument = (
        str(notice.get(key) or "").lower() for key in ("$schema", "mission", "instrument")
    )
    for sender, (path, of_mission, its_name) in _SENDERS.items():
        if path in schema or (mission in ("", of_mission) and instrument == its_name):
            return sender if instrument in ("", its_name) else None
    is_svom = "/svom/" in schema or mission == "svom"
    return "svom" if is_svom and instrument in _SVOM_INSTRUMENTS else None


def _of_json(content: bytes, name: str) -> BurstNotice | None:
    notice = json.loads(content)
    sender = _sender(notice)
    tense = notice.get("alert_tense") or TENSES[0]
    # what is below the threshold has another rate
    subtype = f"{notice.get('notice_subtype')} {notice.get('subtype')}".lower()
    if sender is None or tense in (*OTHER_TENSES, "mock") or "subthresh" in subtype:
        return None
    if notice.get("reliability") is not None:
        return None
    kind = notice.get("alert_type") or "initial"  # Einstein Probe has none
    kind = kind[0] if isinstance(kind, list) and len(kind) == 1 else kind
    gps, sent = (gps_of(notice.get(key)) for key in ("trigger_time", "alert_datetime"))
    number = number_of(notice.get("record_number")) or 0.0
    order = -math.inf if sent is None else sent, number, name
    bare = BurstNotice(sender, _ids(notice), order, gps)
    if tense not in TENSES:
        return _unusable(bare, f"its alert_tense {shown(tense)} is not known")
    if str(kind).lower() == "retraction":
        if not bare.ids:
            return _unusable(bare, "it does not say which trigger it retracts")
        return replace(bare, retracted=True)
    if gps is None:
        said = shown(notice.get("trigger_time"))
        return _unusable(bare, f"its trigger_time {said} is not a UTC time")
    if _is_no_burst(notice):
        return replace(bare, other=True)
    if notice.get("ra") is None and notice.get("dec") is None:
        return bare
    try:
        sigma_deg = sigma_of(notice)
        if sender == "fermi_gbm" and notice.get("systematic_included") is not True:
            sigma_deg = math.hypot(sigma_deg, _GBM_SYSTEMATIC_DEG)
        place = _place(ra_of(notice.get("ra")), notice.get("dec"), sigma_deg)
    except BROKEN as error:
        return _unusable(bare, str(error))
    return replace(bare, place=place)


def _ids(notice: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a trigger: its ids, or without any what else names it."""
    for value in (notice.get("id"), notice.get("event_name")):
        names = value if isinstance(value, list) else [value]
        if known := tuple(str(each)[:64] for each in names if each not in (None, "")):
            return known
    return ()


def _is_no_burst(notice: Mapping[str, Any]) -> bool:
    """Return whether the notice itself says that it is of something else, or of nothing."""
    classes = notice.get("classification") or {}
    p_burst = number_of(classes["GRB"]) if "GRB" in classes else None
    known = number_of(classes.get("known"))
    return (
        (p_burst is not None and p_burst < 0.5)
        or (known is not None and known > 0.5)
        or notice.get("star_tracker_locked") is False
    )


def _place(ra: object, dec: object, sigma_deg: float) -> tuple[float, float, float]:
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


def _burst_id(params: Mapping[tuple[str, str], str]) -> str | None:
    return params.get(("Svom_Identifiers", "Burst_Id"))


def _of_voevent(content: bytes, name: str) -> BurstNotice | None:
    """Return a VOEvent of SVOM, whose radii hold 90 %; those of ECLAIRs and GRM share an id."""
    root = parse(content)
    params = params_of(root)
    packet, burst_id = params.get(("", "Packet_Type"), ""), _burst_id(params)
    if burst_id is None or (root.get("role") or "observation").lower() != "observation":
        return None
    if packet not in (*_SVOM_BURSTS, _SVOM_RETRACTION):
        return None
    places = "{*}WhereWhen//{*}ISOTime", "{*}Who/{*}Date"
    gps, sent = (gps_of(text(root, place)) for place in places)
    number = re.fullmatch(r"\d{1,9}", params.get(("", "Pkt_Ser_Num"), ""))
    order = -math.inf if sent is None else sent, float(number[0]) if number else 0.0, name
    bare = BurstNotice("svom", (burst_id[:64],), order, gps)
    if packet == _SVOM_RETRACTION:
        return replace(bare, retracted=True)
    if gps is None:
        return _unusable(bare, "it has no UTC time")
    position = root.find("{*}WhereWhen//{*}Position2D")
    if position is None:
        return bare
    try:
        if position.get("unit", "deg") != "deg":
            raise LlamaError(f"its position is in {shown(position.get('unit'))}, not in deg")
        paths = "{*}Value2/{*}C1", "{*}Value2/{*}C2", "{*}Error2Radius"
        ra, dec, radius = (float(text(position, path) or "nan") for path in paths)
        return replace(bare, place=_place(ra_of(ra), dec, sigma_of({"ra_dec_error": radius})))
    except BROKEN as error:
        return _unusable(bare, str(error))
