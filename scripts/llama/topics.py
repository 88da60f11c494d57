"""Which topic may bring what: a message is believed only where its sender publishes it.

Whoever may write to one topic of GCN, or to a broker that is heard besides, cannot make an event, a
neutrino or a burst by imitating a notice of somebody else. What comes on a wrong topic is archived,
reported and not believed.
"""

import re
from collections.abc import Iterable

REPLAY = "replay"  # `llama listen replay`: an operator's choice of files
POLL = "poll"  # `llama poll`: what GraceDB answers, asked over TLS
ALERT_TOPIC = "igwn.gwalert"
HEARTBEAT_TOPIC = "gcn.heartbeat"

LVK, ICECUBE, KM3NET = "an alert of LVK", "an alert of IceCube", "an alert of KM3NeT"
# notices of gamma-ray bursts, by the instrument
INSTRUMENTS = {
    "fermi_gbm": "Fermi GBM",
    "swift_bat": "Swift BAT",
    "swift_guano": "Swift BAT-GUANO",
    "einstein_probe_wxt": "Einstein Probe WXT",
    "svom": "SVOM",
}
_TABLE: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"igwn\.gwalert", (LVK,)),
    (r"gcn\.classic\.voevent\.LVC_[A-Z_]+", (LVK,)),
    (r"gcn\.notices\.icecube\.gold_bronze_track_alerts", (ICECUBE,)),
    (r"gcn\.classic\.voevent\.ICECUBE_(?:ASTROTRACK_(?:GOLD|BRONZE)|CASCADE)", (ICECUBE,)),
    (r"gcn\.notices\.km3net\.alert", (KM3NET,)),
    (r"gcn\.notices\.fermi\.gbm(?:\.[a-z_.]+)?", ("fermi_gbm",)),
    (r"gcn\.classic\.voevent\.FERMI_GBM_(?:FLT|GND|FIN)_POS", ("fermi_gbm",)),
    (r"gcn\.classic\.voevent\.SWIFT_BAT_GRB_POS_ACK", ("swift_bat",)),
    (r"gcn\.notices\.swift\.bat\.guano", ("swift_guano",)),
    (r"gcn\.notices\.einstein_probe\.wxt\.alert", ("einstein_probe_wxt",)),
    (r"gcn\.notices\.svom\.(?:voevent\.)?(?:grm|eclairs)", ("svom",)),
    (REPLAY, (LVK, ICECUBE, KM3NET, *INSTRUMENTS)),
    (POLL, (LVK,)),
)
# An event that one of these makes begins as a test: it is not news, and an operator decides.
_OF_OLD = (REPLAY, POLL)
_ARCHIVED = re.compile(r"([A-Za-z0-9._-]+)-[0-9]+-[0-9]{9,}-[0-9a-f]{16}(?:\.[0-9]+)?\.[a-z]+")


def may_bring(topic: str, what: str) -> bool:
    """Tell whether messages of a kind, such as `LVK` or `ICECUBE`, are believed on a topic."""
    return what in brought_by(topic)


def brought_by(topic: str) -> tuple[str, ...]:
    """Return the kinds of messages that are believed on a topic; none are on most."""
    return next((brings for name, brings in _TABLE if re.fullmatch(name, topic)), ())


def instruments_in_words(names: Iterable[str]) -> str:
    """Return instruments of bursts as texts call them; "" without any."""
    return " and ".join(INSTRUMENTS.get(name, name) for name in sorted(names))


def begins_as_test(topic: str) -> bool:
    """Tell whether an event that a topic makes is a test until an operator sets its flags."""
    return topic in _OF_OLD


def topic_of_file(name: str) -> str | None:
    """Return the topic that a file of the archive `gcn/` was heard on; None for any other name."""
    match = _ARCHIVED.fullmatch(name)
    return match[1] if match else None
