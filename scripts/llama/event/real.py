"""Whether an event is real: all signs that it is not, asked for by everything that says so."""

import re
from collections.abc import Iterable

from llama.event.skymap_info import EventInfo

_REAL_ID = r"S[0-9]{6}[a-z]+|G[0-9]+"
_REAL_ALERTS = ("igwn-alert", "gcn", "gracedb", "manual")
_REAL_NEUTRINOS = {"observation", "alert"}


def signs_of_test(
    info: EventInfo, role: object = "observation", kinds: Iterable[object] = ()
) -> list[str]:
    """Return every sign, in words, that an event is not real; [] if it is.

    role: the operator's flag ROLE; kinds: the types of its neutrinos. Alert, operator and
    neutrinos must all be real.
    """
    host = re.sub(r"^https?://([^/]*).*", r"\1", info.gracedb_service_url or "")
    unreal = sorted({str(kind) for kind in kinds} - _REAL_NEUTRINOS)
    signs = [
        (role != "observation", "the flag ROLE is not observation"),
        (info.role != "observation", "its alert is a test or hardware injection"),
        (
            not re.fullmatch(_REAL_ID, str(info.graceid)),
            f"{info.graceid} is not the id of a real one",
        ),
        (str(info.search).upper() == "MDC", "its search is MDC, a mock data challenge"),
        (info.alert_type not in _REAL_ALERTS, f"it comes from {info.alert_type}, not an alert"),
        (
            word_in(host, ("playground", "test", "dev")) is not None,
            f"it comes from the test server {host}",
        ),
        (bool(unreal), f"its neutrinos are {' and '.join(unreal)}"),
    ]
    return [reason for applies, reason in signs if applies]


def word_in(text: str, words: Iterable[str]) -> str | None:
    """Return the first of `words` (lower case) with which a word of `text` begins, None without.

    `test` is in TEST-2 and o3_tests, not in latest or contest.
    """
    return next((word for word in words if re.search(f"(?<![a-z]){word}", text.lower())), None)
