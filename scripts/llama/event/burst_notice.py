"""One notice of a gamma-ray burst, by Fermi GBM, Swift BAT, GUANO, Einstein Probe WXT or SVOM.

GCN's JSON here, VOEvents in `burst_voevent`. Times without Z are UTC, as GCN's schema says.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llama.errors import LlamaError
from llama.event.burst_trigger import GBM_SYSTEMATIC_DEG, BurstNotice, place_of, unusable
from llama.event.burst_voevent import of_voevent, sender_of
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
from llama.voxml import params_of, parse

# words of `$schema`, of mission and of instrument, lower case; the first that fits
_SENDERS = {
    "swift_guano": ("swift/bat/guano", "swift", "bat-guano"),
    "fermi_gbm": ("fermi/gbm", "fermi", "gbm"),
    "einstein_probe_wxt": ("einstein_probe/wxt", "einstein probe", "wxt"),
}
_SIGNS = b"fermi", b'"gbm"', b"swift", b'"wxt"', b"svom"  # one of them is in each notice
_SVOM_INSTRUMENTS = "grm", "eclairs"
_STAGES = {"GROUND_POSITION": 1, "FINAL_POSITION": 2}  # GBM's subtypes


def read_burst(content: bytes, name: str, topic: str) -> BurstNotice | None:
    """Return the notice in a file called `name` that came on a topic.

    None for one of another instrument than the topic may bring, and for tests.
    """
    of_topic = [kind for kind in brought_by(topic) if kind in INSTRUMENTS]
    if not of_topic or not content.strip():
        return None
    if topic == REPLAY and not any(sign in content.lower() for sign in _SIGNS):
        return None  # such as a large alert of LVK
    read = {b"{": _of_json, b"<": of_voevent}.get(first_sign(content))
    try:
        if len(content) > MAX_BYTES:
            raise LlamaError("it is larger than 16 MB")
        if read is None:
            raise LlamaError("it is neither JSON nor XML")
        notice = read(content, name)
    except BROKEN as error:
        if topic == REPLAY:  # it may be anybody's
            return None
        return unusable(BurstNotice(of_topic[0], (), (-math.inf, 0.0, name)), str(error))
    return notice if notice and notice.instrument in of_topic else None


def instrument_of(content: bytes) -> str | None:
    """Return which instrument sent a notice of a burst, None for an unknown sender."""
    try:
        if first_sign(content) == b"<":
            return sender_of(params_of(parse(content)))
        notice = json.loads(content)
        return _sender(notice) if isinstance(notice, dict) else None
    except BROKEN:
        return None


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
    stage = _STAGES.get(str(notice.get("subtype")), 0)
    bare = BurstNotice(sender, _ids(notice), order, gps, stage=stage)
    if tense not in TENSES:
        return unusable(bare, f"its alert_tense {shown(tense)} is not known")
    if str(kind).lower() == "retraction":
        if not bare.ids:
            return unusable(bare, "it does not say which trigger it retracts")
        return replace(bare, retracted=True)
    if gps is None:
        said = shown(notice.get("trigger_time"))
        return unusable(bare, f"its trigger_time {said} is not a UTC time")
    if _is_no_burst(notice, sender):
        return replace(bare, other=True)
    if notice.get("ra") is None and notice.get("dec") is None:
        return bare
    try:
        sigma_deg = sigma_of(notice)
        if sender == "fermi_gbm" and notice.get("systematic_included") is not True:
            sigma_deg = math.hypot(sigma_deg, GBM_SYSTEMATIC_DEG)
        place = place_of(ra_of(notice.get("ra")), notice.get("dec"), sigma_deg)
    except BROKEN as error:
        return unusable(bare, str(error))
    return replace(bare, place=place)


def _ids(notice: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a trigger: its ids, or without any what else names it."""
    for value in (notice.get("id"), notice.get("event_name")):
        names = value if isinstance(value, list) else [value]
        if known := tuple(str(each)[:64] for each in names if each not in (None, "")):
            return known
    return ()


def _is_no_burst(notice: Mapping[str, Any], sender: str) -> bool:
    """Return whether the notice itself says that it is of something else, or of nothing."""
    classes = notice.get("classification") or {}
    # GBM names the two most probable classes only
    p_burst = number_of(classes.get("GRB", 0.0 if classes and sender == "fermi_gbm" else None))
    known = number_of(classes.get("known"))
    return (
        (p_burst is not None and p_burst < 0.5)
        or (known is not None and known > 0.5)
        or notice.get("star_tracker_locked") is False
    )
