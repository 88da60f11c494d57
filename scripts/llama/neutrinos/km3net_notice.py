"""One notice of KM3NeT's alerts in JSON: energies in GeV, times in UTC, several events perhaps."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from llama.errors import LlamaError
from llama.neutrinos.gcn_notice import (
    BROKEN,
    MAX_BYTES,
    OTHER_TENSES,
    TENSES,
    Notice,
    gps_of,
    number_of,
    ra_of,
    refuse_other_unit,
    sigma_of,
    unusable,
)
from llama.neutrinos.given import check_rows
from llama.neutrinos.table import Row
from llama.times import gps_to_mjd
from llama.typed import shown

_SCHEMA, _TOPIC = b"notices/km3net/alert", "gcn.notices.km3net.alert"


def may_be_km3net(content: bytes) -> bool:
    """Return whether content, or a part of it, names the schema of KM3NeT's alerts."""
    return _SCHEMA in content


def read_km3net(content: bytes, name: str) -> Notice | None:
    """Return the notice in a file called `name`, None if it holds anything else."""
    is_ours = name.startswith(_TOPIC)
    if not content.strip() or not (is_ours or may_be_km3net(content)):
        return None
    nothing = Notice(None, (-math.inf, 0.0, name), None, sender="km3net")
    try:
        if len(content) > MAX_BYTES:
            raise LlamaError("larger than 16 MB")
        notice = json.loads(content)
        if not isinstance(notice, dict):
            raise LlamaError("it is no JSON object")
        if not is_ours and _SCHEMA.decode() not in str(notice.get("$schema")):
            return None
        return _of_json(notice, name)
    except BROKEN as error:
        return unusable(name, str(error), nothing)


def _of_json(notice: Mapping[str, object], name: str) -> Notice | None:
    tense = notice.get("alert_tense") or TENSES[0]
    if tense in OTHER_TENSES:
        return None
    retracted = str(notice.get("alert_type")).lower() == "retraction"
    gps, sent = (gps_of(notice.get(key)) for key in ("trigger_time", "alert_datetime"))
    if sent is None:  # a retraction ends the alert, others are as old as can be
        sent = math.inf if retracted else -math.inf if gps is None else gps
    named = next((str(notice[key]) for key in ("event_name", "id") if notice.get(key)), None)
    key = f"KM3NeT {named or gps}"
    order = sent, number_of(notice.get("record_number")) or 0.0, name
    bare = Notice(key, order, gps, sender="km3net")

    def refused(why: str) -> Notice:
        return unusable(name, why, bare)

    if tense not in TENSES:
        return refused(f"its alert_tense {shown(tense)} is not known")
    if retracted:
        return refused("it does not say which alert it retracts") if key[7:] == "None" else bare
    if gps is None:
        return refused(f"its trigger_time {shown(notice.get('trigger_time'))} is not a UTC time")
    try:
        rows = [_row(each, name) for each in _events(notice)]
    except BROKEN as error:
        return refused(str(error))
    if len(rows) == 1:
        rows[0]["id"] = key
    return replace(bare, row=rows[0], others=tuple(rows[1:]))


def _events(notice: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    """Return what is said of each event; the alert's own values are those of a single one."""
    details = notice.get("event_details") or []
    if not isinstance(details, list) or not all(isinstance(each, dict) for each in details):
        raise LlamaError("its event_details are no list of events")
    if len(details) < 2:
        if (number_of(notice.get("number_of_events")) or 1) > 1:
            raise LlamaError("it is of several events and does not tell each")
        said = {key: value for key, value in notice.items() if value is not None}
        return [{**(details[0] if details else {}), **said}]
    of_all = {key: notice.get(key) for key in ("instrument", "pipeline", "far", "event_name")}
    return [{**of_all, **each} for each in details]


def _row(event: Mapping[str, object], name: str) -> Row:
    if (gps := gps_of(event.get("trigger_time"))) is None:
        raise LlamaError(f"its trigger_time {shown(event.get('trigger_time'))} is not a UTC time")
    if not (detector := re.match("(?i)arca|orca", str(event.get("instrument")))):
        raise LlamaError(f"its instrument {shown(event.get('instrument'))} is not ARCA or ORCA")
    refuse_other_unit(event, "energy_measured", "GeV")
    error = event
    if event.get("ra_dec_error") is None and event.get("src_error_50") is not None:
        error = {"ra_dec_error": event["src_error_50"], "containment_probability": 0.5}
    energy = event.get("energy_measured")
    if energy is not None and not number_of(energy):
        raise LlamaError(f"its energy_measured {shown(energy)} is not above 0 GeV")
    row = {
        "mjd": float(gps_to_mjd(gps)),
        "gps": gps,
        "ra": ra_of(event.get("ra")),
        "dec": event.get("dec"),
        "sigma": sigma_of(error),
        "energy": energy,
        "type": "alert",
        "far_hz": number_of(event.get("far")),
        "stream": str(event.get("pipeline") or "KM3NeT")[:64],
        "instrument": detector[0].lower(),
        "notice": name,
    }
    if event.get("id"):
        row["id"] = str(event["id"])
    if (cosine := event.get("cos_zenith")) is not None:
        if isinstance(cosine, bool) or not isinstance(cosine, int | float) or not abs(cosine) <= 1:
            raise LlamaError(f"its cos_zenith {shown(cosine)} is not from -1 to 1")
        # 1 is an event that goes up, whose source is below
        row["zenith_at_site"] = math.degrees(math.acos(-cosine))
    return check_rows([row], name)[0]
