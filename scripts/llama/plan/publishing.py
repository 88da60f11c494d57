"""Which receipts an event has: one per channel that has a destination in the settings."""

from collections.abc import Callable, Mapping

from llama.errors import LlamaError
from llama.event.find import CURRENT, EventRef, tracked_events
from llama.event.flags import read_flags
from llama.event.messages import homes
from llama.event.names import COINCIDENCE, COMBINED, COMBINED_SUMMARY, significance_name
from llama.event.skymap_info import read_info
from llama.locks import NoLocksError
from llama.plan.engine import Locks
from llama.plan.events import Events
from llama.publish.deliver import CHANNELS, destinations
from llama.publish.slack import FIGURES
from llama.settings import Settings

MAPS = [COMBINED, COINCIDENCE, COMBINED_SUMMARY]
# flags that a channel's receipt depends on; a change of another one sends nobody anything
_FLAGS_OF_ALL = ("VETOED", "ROLE", "BLINDED_NEUTRINOS")


class Publishing:
    """Products and receipts of the events of a run."""

    def __init__(
        self, settings: Settings, events: Events, locks: Locks, warn: Callable[[str], None]
    ) -> None:
        self._settings, self._events, self._locks, self._warn = settings, events, locks, warn

    def everything(self, event: str) -> list[str]:
        """Return every product and receipt of an event."""
        return self._events.products(event) + self.receipts(event)

    def tracked(self) -> list[str]:
        """Return everything of the tracked events that have a sky map or were retracted.

        An event that is broken or in another run's hands is named and does not stop the others.
        """
        output_dir = self._settings.output_dir
        newest = tracked_events(output_dir / "current_run", self._settings.events.tracked_newest)
        wanted = []
        for event in (EventRef(CURRENT, graceid).named for graceid in newest):
            try:
                self._locks.take(event)
                read_flags(output_dir / event)
                info = read_info(output_dir / event)
                if not (info.has_skymap or info.retracted):
                    continue
                self._events.bursts(event)
            except NoLocksError:  # that is not one event's trouble
                raise
            except LlamaError as error:
                self._warn(f"{event} is left alone: {error}")
            else:
                wanted += self.everything(event)
        return wanted

    def receipts(self, event: str) -> list[str]:
        """Return the receipts of an event; only the events of the current run are published.

        A retracted event has those of all channels that it has gone out by, whatever the settings
        say.
        """
        if not event.startswith("events/"):
            return []
        info = self._events.info(event)
        outboxes = [home / "outbox" for home in homes(self._settings.output_dir / event)]
        has_result = info.has_skymap or not info.retracted
        return [
            f"{event}/receipts/{channel}.json"
            for channel in CHANNELS
            if (info.retracted and any((box / channel).is_dir() for box in outboxes))
            or (has_result and any(self.destinations(channel).values()))
        ]

    def destinations(self, channel: str) -> Mapping[str, str | None]:
        """Return the real and the test destination of a channel."""
        return destinations(self._settings, channel)

    def published(self, event: str, channel: str) -> list[str]:
        """Return what a receipt is made from; a withdrawal waits for nothing but the alert."""
        info = self._events.info(event)
        names = ["skymap_info.json"]
        if not info.retracted:
            names += ["icecube_neutrino_list.json", significance_name(info)]
            sent = {"slack": FIGURES, "gracedb": MAPS, "gcn": ["gcn_notice.json"]}
            names += sent.get(channel, [])
        return [f"{event}/{name}" for name in names]

    def flags(self, event: str, channel: str) -> dict[str, object]:
        """Return the flags that decide about a channel."""
        terms = CHANNELS[channel].terms
        names = [*_FLAGS_OF_ALL, terms.flag, *(["ONLINE"] if terms.online else [])]
        return {name: self._events.flag(event, name) for name in names}
