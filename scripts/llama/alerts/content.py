"""What the archived alerts of an event say: sky map, data, p_astro; and which is the newer."""

import math
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama.alerts.gwalert import parse_alert
from llama.alerts.record import Alert
from llama.errors import LlamaError, system_errors
from llama.event.skymap_info import KINDS, EventInfo
from llama.files import sha256_bytes
from llama.times import unix_to_iso

_CLASSES = ("BNS", "NSBH", "BBH")
_NS = ("BNS", "NSBH")
# Probabilities are printed and summed with roundings: what is within this of 0 or 1 is not known to
# be closer. The odds need Q = p / (1 - p) finite; at p = 1 - this they are as at 1 within 1e-9.
_ROUNDING = 1e-9
MOST_P_ASTRO = 1 - _ROUNDING
CLOCKS_AGREE_S = 600.0
_OF_INFO = (
    *("graceid", "notice", "retracted", "significant", "instruments", "pipeline", "group"),
    "search",
)

Order = tuple[bool, str, int, str, int, str]


def skymap_bytes(event_dir: Path, info: EventInfo) -> bytes:
    """Return the raw FITS bytes (perhaps gzip) of the event's present sky map."""
    if info.skymap_file:
        return _read(event_dir / info.skymap_file)
    if info.skymap_alert_file:
        content = _alert(event_dir, info.skymap_alert_file).skymap
        if content is not None:
            return content
    raise LlamaError(
        f"{info.graceid} has no sky map yet; give it with the same skymap_info command and "
        "--skymap FILE, or fetch it with skymap_info --graceid"
    )


def classification(event_dir: Path, info: EventInfo) -> tuple[dict[str, float], float | None]:
    """Return the class probabilities of the event's newest alert and its HasNS, None if unknown."""
    alert = _event_alert(event_dir, info)
    return (
        ({}, None) if alert is None else (dict(alert.classification), alert.properties.get("HasNS"))
    )


def event_data(event_dir: Path, info: EventInfo) -> dict[str, Any]:
    """Return the content of lvc_gracedb_event_data.json: the event as its newest alert has it.

    Keys as in a GraceDB superevent where it has them; `far` in Hz, `gpstime` in s; `left_out`
    says which fields of the alert cannot be used. A retracted event is as the last alert before.
    """
    alert = _event_alert(event_dir, info)
    extra = dict(alert.extra) if alert else {}
    urls: dict[str, object] = {"gracedb": alert.gracedb_url} if alert and alert.gracedb_url else {}
    if isinstance(others := extra.pop("urls", None), Mapping):
        urls |= others
    return {
        **{name: getattr(info, name) for name in _OF_INFO},
        "far": info.far_hz,
        "gpstime": info.gps_time,
        "labels": extra.pop("labels", []),
        "properties": alert.properties if alert else {},
        "classification": alert.classification if alert else {},
        "external_coinc": alert.external_coinc if alert else None,
        "urls": urls,
        "extra": extra,
        "left_out": list(alert.notes) if alert else [],
    }


def p_astro(
    classification: Mapping[str, float],
    far_hz: float | None,
    signal_rate_hz: float,
    group: str = "",
    has_ns: float | None = None,
) -> dict[str, Any]:
    """Return the content of p_astro.json: the probability that the trigger is astrophysical.

    From the alert (1 - Terrestrial) where its classes say something, else from the false-alarm
    rate `far_hz`: Q = signal_rate_hz / far_hz, p = Q / (1 + Q). Both are recorded, and `reason` is
    why the alert's classes were not enough. The `population` (bns, nsbh, bbh; cbc for
    any other class and if none is known; burst for group Burst) chooses the background, `class` is
    the most probable one as the alert has it. A MassGap of O3 counts as NSBH or BBH, by `has_ns`:
    the probability that the lighter one of a real binary is below 3 solar masses. `LlamaError` for
    values that are not finite, and without either source.
    """
    if not all(map(math.isfinite, (*classification.values(), far_hz or 0.0))):
        raise LlamaError("the alert has a probability or rate that is not finite; get it again")
    from_alert = _p_astro_alert(classification)
    from_far = None if far_hz is None else signal_rate_hz / (signal_rate_hz + far_hz)
    value, source, reason = from_alert, "alert", None
    if classification and (from_alert is None or from_alert < _ROUNDING):
        reason = "the alert gives every class the probability 0"
        if from_alert is not None:
            reason = "the alert gives p_astro = 0, which is a rounded value"
    if from_far is not None and (from_alert is None or reason):
        value, source = from_far, "far"
    if value is None:
        raise LlamaError(
            "the alert has neither a classification nor a false-alarm rate; "
            "give a complete alert with skymap_info"
        )
    population = "burst" if group.lower() == "burst" else _population(classification, has_ns)
    return {
        **{name: classification.get(name) for name in (*_CLASSES, "Terrestrial")},
        **classification,
        "p_astro": min(value, MOST_P_ASTRO),
        "source": source,
        "reason": reason,
        "p_astro_alert": from_alert,
        "p_astro_far": from_far,
        "class": _most_probable(classification),
        "population": population,
    }


def _p_astro_alert(classification: Mapping[str, float]) -> float | None:
    """Return the alert's own p_astro, None where its classes say nothing."""
    real = math.fsum(p for name, p in classification.items() if name != "Terrestrial")
    noise = classification.get("Terrestrial", 0.0)
    if real + noise < _ROUNDING:
        return None
    # an alert without Terrestrial says nothing of noise: what is left over is
    return min(max(1 - noise if "Terrestrial" in classification else real, 0.0), 1.0)


def _most_probable(classification: Mapping[str, float]) -> str | None:
    """Return the most probable class but Terrestrial, None if none is.

    Probabilities that differ by a rounding are equal; of equal ones the lightest counts.
    """
    others = sorted(classification.keys() - {*_CLASSES, "Terrestrial"})
    known = {name: classification.get(name, 0.0) for name in (*_CLASSES, *others)}
    highest = max(known.values())
    return next((n for n, p in known.items() if p > _ROUNDING and p >= highest - _ROUNDING), None)


def _population(classification: Mapping[str, float], has_ns: float | None) -> str:
    """Return the population of the most probable class, MassGap divided as O4 divides it.

    There, what is above 3 solar masses is a black hole: with a neutron star it is an NSBH. Without
    `has_ns` all of MassGap is, whose chirp masses are the nearest.
    """
    classes = dict(classification)
    gap = classes.pop("MassGap", 0.0)
    known, real = (math.fsum(classes.get(n, 0.0) for n in names) for names in (_NS, (*_CLASSES,)))
    with_ns = gap if has_ns is None else min(max(has_ns * (real + gap) - known, 0.0), gap)
    for name, more in (("NSBH", with_ns), ("BBH", gap - with_ns)):
        classes[name] = classes.get(name, 0.0) + more
    best = _most_probable(classes)
    return best.lower() if best in _CLASSES else "cbc"


def archived_alert(event_dir: Path, name: str | None) -> tuple[Alert, bytes, float] | None:
    """Return the alert that a file in `alerts/`, or a map beside it, belongs to, if still there.

    With it its content, and when it was received [Unix s].
    """
    stem = (name or "").partition(".")[0]
    for path in (event_dir / f"{stem}.json", event_dir / f"{stem}.xml"):
        if path.exists():
            content = path.read_bytes()
            return parse_alert(content, str(path)), content, path.stat().st_mtime
    return None


def role_and_site(present: Alert | None, event: Alert | None) -> tuple[str, str | None]:
    """Return role and GraceDB of an event from its present alert and the one that describes it.

    A retraction of a test does not make it real.
    """
    alerts = [alert for alert in (present, event) if alert is not None]
    sites = [re.match(r"https?://[^/]+", alert.gracedb_url or "") for alert in alerts]
    site = next((site[0] for site in sites if site), None)
    role = "test" if any(alert.test_reason for alert in alerts) else "observation"
    return role, f"{site}/api/" if site else None


def is_from_the_future(alert: Alert) -> bool:
    """Tell whether a notice is dated later than any clock that is nearly right can say."""
    return alert.notice_time > unix_to_iso(time.time() + CLOCKS_AGREE_S)


def order(alert: Alert, content: bytes, received: float) -> Order:
    """Return what is larger for the newer of two notices.

    They follow each other by the second they were made in, and within a second by their kind: a
    retraction comes after everything else. What is equal in both still has an order, the same one
    wherever it is heard. A notice from the future is older than all that are not; a retraction
    from the future, which must not be missed, is as new as the moment [Unix s] it was `received`.
    """
    sent, is_believed = alert.notice_time, not is_from_the_future(alert)
    if not is_believed and alert.kind == "Retraction":
        sent, is_believed = unix_to_iso(received), True
    rank = KINDS.index(alert.kind)
    return is_believed, sent[:19], rank, sent, alert.serial or 0, sha256_bytes(content)


def _event_alert(event_dir: Path, info: EventInfo) -> Alert | None:
    name = info.event_alert_file
    return _alert(event_dir, name) if name else None


def _alert(event_dir: Path, name: str) -> Alert:
    path = event_dir / name
    return parse_alert(_read(path), str(path))


def _read(path: Path) -> bytes:
    remedy = "give the alert or the map again with skymap_info --force"
    with system_errors(f"cannot read {path}", remedy):
        return path.read_bytes()
