"""Which topic may bring what: a message is believed only where its sender publishes it.

Whoever may write to one topic of GCN, or to a broker that is heard besides, cannot make an event or
a neutrino by imitating a notice of somebody else. What comes on a wrong topic is archived, reported
and not believed.
"""

import re

REPLAY = "replay"  # `llama listen replay`: an operator's choice of files
POLL = "poll"  # `llama poll`: what GraceDB answers, asked over TLS
ALERT_TOPIC = "igwn.gwalert"
HEARTBEAT_TOPIC = "gcn.heartbeat"

LVK, TRACKS = "an alert of LVK", "a track alert of IceCube"
_TABLE: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"igwn\.gwalert", (LVK,)),
    (r"gcn\.classic\.voevent\.LVC_[A-Z_]+", (LVK,)),
    (r"gcn\.notices\.icecube\.gold_bronze_track_alerts", (TRACKS,)),
    (r"gcn\.classic\.voevent\.ICECUBE_ASTROTRACK_(?:GOLD|BRONZE)", (TRACKS,)),
    (REPLAY, (LVK, TRACKS)),
    (POLL, (LVK,)),
)
# An event that one of these makes begins as a test: it is not news, and an operator decides.
_OF_OLD = (REPLAY, POLL)
_ARCHIVED = re.compile(r"([A-Za-z0-9._-]+)-[0-9]+-[0-9]{9,}-[0-9a-f]{16}(?:\.[0-9]+)?\.[a-z]+")


def may_bring(topic: str, what: str) -> bool:
    """Tell whether messages of a kind, `LVK` or `TRACKS`, are believed on a topic."""
    return any(re.fullmatch(name, topic) and what in brings for name, brings in _TABLE)


def begins_as_test(topic: str) -> bool:
    """Tell whether an event that a topic makes is a test until an operator sets its flags."""
    return topic in _OF_OLD


def topic_of_file(name: str) -> str | None:
    """Return the topic that a file of the archive `gcn/` was heard on; None for any other name."""
    match = _ARCHIVED.fullmatch(name)
    return match[1] if match else None
