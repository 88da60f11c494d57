"""The alerts that an event directory keeps, read again."""

import re
from pathlib import Path

from llama.alerts.gwalert import parse_alert
from llama.alerts.record import Alert


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
