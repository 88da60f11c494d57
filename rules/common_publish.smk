"""Which receipts an event has: one per channel that has a destination in the settings."""

from llama.event.messages import homes
from llama.publish.deliver import CHANNELS, destinations
from llama.publish.slack import FIGURES

# flags that a channel's receipt depends on; a change of another one sends nobody anything
_FLAGS_OF_ALL = ("VETOED", "ROLE", "BLINDED_NEUTRINOS")


def receipts(directory):
    """Return the receipts of an event; only the events of the current run are published.

    A retracted event has those of all channels that it has gone out by, whatever the settings say.
    """
    if not directory.startswith("events/"):
        return []
    info = event_info(directory)
    outboxes = [home / "outbox" for home in homes(SETTINGS.output_dir / directory)]
    return [
        f"{directory}/receipts/{channel}.json"
        for channel in CHANNELS
        if (info.retracted and any((box / channel).is_dir() for box in outboxes))
        or (
            any(destinations(SETTINGS, channel).values())
            and (info.has_skymap or not info.retracted)
        )
    ]


def published_products(wildcards):
    """Return what a receipt is made from; a withdrawal waits for nothing but the alert."""
    info = event_info(wildcards.event)
    names = ["skymap_info.json"]
    if not info.retracted:
        names += ["icecube_neutrino_list.json", significance_name(info)]
        names += {"slack": FIGURES, "gcn": ["gcn_notice.json"]}.get(
            wildcards.channel, []
        )
    return [f"{wildcards.event}/{name}" for name in names]


def published_flags(wildcards):
    """Return the flags that decide about a channel."""
    terms = CHANNELS[wildcards.channel].terms
    names = [*_FLAGS_OF_ALL, terms.flag, *(["ONLINE"] if terms.online else [])]
    return {name: event_flag(name)(wildcards) for name in names}
