"""VOEvent notices of LVK, as sent in O2, O3 and O4 (by LVK itself or passed on by GCN)."""

import contextlib
import re

from llama.alerts.record import Alert, from_notice, kind_named
from llama.errors import LlamaError, printable
from llama.event.skymap_info import KINDS
from llama.voxml import MAX_BYTES, Params, params_of, parse, text

__all__ = ["MAX_BYTES", "parse_voevent"]

_KIND_OF_PACKET = {
    "150": "Preliminary",
    "151": "Initial",
    "152": "Update",
    "163": "EarlyWarning",
    "164": "Retraction",
}
# Params that become fields of Alert; every other one is kept in `extra`.
_FIELDS = {
    "packet_type", "pkt_ser_num", "graceid", "alerttype", "retraction", "hardwareinj", "internal",
    "eventpage", "instruments", "far", "group", "pipeline", "search", "significant",
    "probhasns", "probhasremnant",
}  # fmt: skip


def parse_voevent(content: bytes) -> Alert:
    """Return the alert in a VOEvent; `LlamaError` if it is not a valid VOEvent of LVK."""
    root = parse(content)
    params = params_of(root)
    outside = _group(params, "")
    top = {name.lower(): value for name, value in outside.items()}
    if not top.get("graceid"):
        raise LlamaError(
            f"the VOEvent {printable(root.get('ivorn', 'without ivorn'))} is not an LVK "
            "gravitational-wave alert (it has no GraceID); give one of LVK's notices"
        )
    kind, notice_time = _kind(top), text(root, "{*}Who/{*}Date")
    if notice_time is None:
        raise LlamaError("the VOEvent has no Who/Date; give the notice as it was sent")
    others = {name: outside[name] for name in outside if name.lower() not in _FIELDS}
    return from_notice(
        graceid=top["graceid"],
        kind=kind,
        alert_type="gcn",
        notice_time=notice_time,
        event_time_iso=text(root, "{*}WhereWhen//{*}ISOTime"),
        far_hz=top.get("far"),
        **{name: top.get(name, "") for name in ("pipeline", "group", "search", "instruments")},
        significant=top.get("significant") or True,
        classification=_group(params, "Classification"),
        properties=_group(params, "Properties") or _o2_properties(top),
        serial=top.get("pkt_ser_num") or None,
        role="observation" if root.get("role") == "observation" else "test",
        gracedb_url=top.get("eventpage") or None,
        skymap_filename=_skymap_filename(params),
        external_coinc=_external(params),
        hardware_injection=top.get("hardwareinj") or False,
        internal=top.get("internal") or False,
        extra={"ivorn": root.get("ivorn", ""), **others},
    )


def _kind(top: dict[str, str]) -> str:
    retraction = top.get("retraction", "").lower()
    if retraction not in ("", "0", "1", "true", "false"):
        said = printable(retraction, 40)
        raise LlamaError(f"the VOEvent has retraction '{said}'; it must be 0 or 1")
    if retraction in ("1", "true"):
        return "Retraction"
    name = top.get("alerttype", "").replace(" ", "")
    kind = kind_named(name) or _KIND_OF_PACKET.get(top.get("packet_type", ""))
    if kind is None:
        raise LlamaError(
            f"the VOEvent has AlertType '{printable(top.get('alerttype', ''), 40)}' and "
            f"Packet_Type '{printable(top.get('packet_type', ''), 10)}', which is no alert about a "
            f"candidate; "
            f"give one of {', '.join(KINDS)}"
        )
    return kind


def _group(params: Params, wanted: str) -> dict[str, str]:
    return {name: value for (group, name), value in params.items() if group == wanted}


def _o2_properties(top: dict[str, str]) -> dict[str, str]:
    """O2 gave these outside any group, with empty values for burst candidates."""
    names = {"probhasns": "HasNS", "probhasremnant": "HasRemnant"}
    return {new: top[old] for old, new in names.items() if top.get(old)}


def _skymap_filename(params: Params) -> str | None:
    """Return the name of the map the notice points to: the end of its URL, e.g. `x.fits.gz,0`."""
    for (_, name), value in params.items():
        # O3 and O4: skymap_fits; O2: skymap_fits_basic and others; GCN: SKYMAP_URL_FITS_BASIC
        if value and re.match("skymap_(url_)?fits", name, re.IGNORECASE):
            return value.rstrip("/").rpartition("/")[2] or None
    return None


def _external(params: Params) -> dict[str, str | float] | None:
    """Return RAVEN's coincidence with a burst, keys and numbers as in `igwn.gwalert`."""
    found: dict[str, str | float] = {}
    for (group, name), value in params.items():
        if group == "External Coincidence":
            key = name.lower().removeprefix("external_")
            found[key] = value
            with contextlib.suppress(ValueError):
                found[key] = float(value) if key.startswith("time_") else value
    return found or None
