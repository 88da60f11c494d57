"""What outdates the neutrinos of an event, and the archive that everything else takes them from."""

from collections.abc import Sequence
from functools import cached_property

from llama.errors import LlamaError
from llama.graceid import is_mock
from llama.neutrinos.archive import Archive
from llama.neutrinos.event_list import window_state
from llama.neutrinos.sources import Source, open_sources, state_of
from llama.plan.events import Events
from llama.settings import Settings
from llama.stats.window import search_window
from llama.times import now_gps


class Neutrinos:
    """The archive and the sources of the settings."""

    def __init__(self, settings: Settings, events: Events) -> None:
        self._settings, self._events = settings, events
        self.archive = f"archive/{settings.neutrinos.archive}"
        self.window = search_window(settings.search_parameters())
        self._states: dict[str, object] = {}

    @cached_property
    def _sources(self) -> Sequence[Source]:
        wanted = self._settings.neutrinos
        return open_sources(wanted.source, self._settings.output_dir, wanted.archive)

    @cached_property
    def _archive_identity(self) -> str | None:
        """What changes when the configured archive does, None if there is none."""
        directory = self._settings.output_dir / self.archive
        return Archive.open(directory).identity if (directory / "archive.json").exists() else None

    def response(self) -> str:
        """Return the detector's tables, or say how to get them."""
        if self._archive_identity is None:
            raise LlamaError(
                f"there is no neutrino archive {self._settings.neutrinos.archive}; make it with: "
                "llama neutrinos import PATH"
            )
        return f"{self.archive}/response.hdf5"

    def may_ask(self, event: str) -> bool:
        """Return whether sources on other machines may be asked, where there are such."""
        if any(source.network for source in self._sources):
            return bool(self._events.flag(event, "ONLINE"))
        return True

    def window_version(self, event: str) -> list[object]:
        """Return what outdates the list: the window has closed, or its sources have other data."""
        gps = self._events.info(event).trigger_gps
        return [window_state(gps, now_gps(), self.window), self._source_state(event)]

    def _source_state(self, event: str) -> object:
        """Return what changes when an event's sources have something else for it; asked once."""
        info = self._events.info(event)
        if info.neutrino_file:
            return info.neutrino_file
        if is_mock(info.graceid):
            return self._archive_identity
        if event not in self._states:
            start, stop = (info.trigger_gps + end_s for end_s in self.window)
            self._states[event] = state_of(self._sources, start, stop, self.may_ask(event))
        return self._states[event]
