"""Which of two notices about an event is the newer one, in whichever order they were heard."""

import time
from datetime import UTC, datetime

from llama.alerts.record import Alert
from llama.event.skymap_info import KINDS
from llama.files import sha256_bytes

CLOCKS_AGREE_S = 600.0

Order = tuple[bool, str, int, str, int, str]


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
