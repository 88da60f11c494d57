"""The alerts that an event directory keeps, and which of two is the newer one."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path

from llama.alerts.gwalert import parse_alert
from llama.alerts.record import Alert
from llama.event.skymap_info import KINDS
from llama.files import sha256_bytes

CLOCKS_AGREE_S = 600.0

Order = tuple[bool, str, int, str, int, str]


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
    return alert.notice_time > _iso(time.time() + CLOCKS_AGREE_S)


def order(alert: Alert, content: bytes, received: float) -> Order:
    """Return what is larger for the newer of two notices.

    They follow each other by the second they were made in, and within a second by their kind: a
    retraction comes after everything else. What is equal in both still has an order, the same one
    wherever it is heard. A notice from the future is older than all that are not; a retraction
    from the future, which must not be missed, is as new as the moment [Unix s] it was `received`.
    """
    sent, is_believed = alert.notice_time, not is_from_the_future(alert)
    if not is_believed and alert.kind == "Retraction":
        sent, is_believed = _iso(received), True
    rank = KINDS.index(alert.kind)
    return is_believed, sent[:19], rank, sent, alert.serial or 0, sha256_bytes(content)


def _iso(unix_s: float) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
