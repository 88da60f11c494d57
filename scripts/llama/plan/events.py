"""What an event's rules are given: its own files, its neutrinos, its products, what outdates them.

Paths are relative to the output directory; an event is called by its directory, events/S190425z.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

from llama.alerts.content import classification, p_astro
from llama.errors import LlamaError
from llama.event.classes import class_end
from llama.event.flags import read_flags
from llama.event.latency import has_gone_out, published_at
from llama.event.manifest import p_value_method
from llama.event.names import products, significance_name, skymap_name
from llama.event.parameters import stream_rate_hz
from llama.event.populations import class_versions, read_p_astro
from llama.event.provenance import LIST, P_ASTRO
from llama.event.regions import NAMES
from llama.event.skymap_info import FILE_NAME, EventInfo, read_info
from llama.files import sha256_file
from llama.graceid import is_mock
from llama.neutrinos.archive import Archive
from llama.neutrinos.event_list import list_is_from_archive, window_state
from llama.neutrinos.sources import Source, open_sources, state_of
from llama.plan.bursts import BurstLists
from llama.plan.detectors import Detectors, Paths
from llama.plan.engine import Locks
from llama.settings import Settings
from llama.stats.window import search_window
from llama.times import now_gps

POPULATIONS = "populations.hdf5"
_PAGE = "index.html"


class Events:
    """The events that a run looks at; each is read once.

    open_injection: writes what came in of an injection that the user has named.
    """

    def __init__(
        self, settings: Settings, locks: Locks, open_injection: Callable[[str], None]
    ) -> None:
        self._settings, self._locks, self._open_injection = settings, locks, open_injection
        self._output_dir = settings.output_dir
        self.detectors = Detectors(settings)
        self._window = search_window(settings.search_parameters())
        self._infos: dict[str, EventInfo] = {}
        self.bursts = BurstLists(settings, self.info)

    def info(self, event: str) -> EventInfo:
        """Return what skymap_info.json says, of an event that this run then has locked."""
        if event not in self._infos:
            self._open_injection(event)
            if (self._output_dir / event).is_dir():
                self._locks.take(event)
            self._infos[event] = read_info(self._output_dir / event)
        return self._infos[event]

    def products(self, event: str) -> list[str]:
        """Return the path of every product of an event whose own files are good."""
        names = products(self.info(event))
        read_flags(self._output_dir / event)
        return [f"{event}/{name}" for name in names]

    def regions(self, event: str) -> list[str]:
        """Return the path of every file that tells other programs where the source is."""
        return [self.given(event, f"regions/{name}") for name in NAMES]

    def given(self, event: str, name: str) -> str:
        """Return the path of a file that came in, of an injection that is then opened."""
        self.info(event)
        return f"{event}/{name}"

    def before_page(self, event: str) -> list[str]:
        """Return every product but the page, which comes last."""
        return [path for path in self.products(event) if not path.endswith(_PAGE)]

    def before_manifest(self, event: str) -> list[str]:
        """Return what the manifest names: products, alerts as received, bursts that count."""
        made = [path for path in self.before_page(event) if not path.endswith("manifest.json")]
        return made + self.received(event) + self.bursts.files(event)

    def received(self, event: str) -> list[str]:
        """Return the alerts as received, and what came with them."""
        self.info(event)
        alerts = (self._output_dir / event).glob("alerts/[0-9]*")
        return sorted(f"{event}/alerts/{path.name}" for path in alerts)

    def significance(self, event: str) -> str:
        """Return the path of the significance."""
        return f"{event}/{significance_name(self.info(event))}"

    def skymap(self, event: str) -> str:
        """Return the path of the copy of the sky map."""
        return f"{event}/{skymap_name(self.info(event))}"

    def skymap_source(self, event: str) -> str:
        """Return the path of what the sky map is taken from."""
        info = self.info(event)
        return f"{event}/{info.skymap_source or info.alert_file}"

    def alert(self, event: str) -> list[str]:
        """Return the path of the alert that describes the event, if there is one."""
        return _given(event, self.info(event).event_alert_file)

    def neutrinos(self, event: str) -> list[str]:
        """Return the path of the neutrinos that came with the event, if they did."""
        return _given(event, self.info(event).neutrino_file)

    def values(self, event: str, keys: Sequence[str]) -> list[object]:
        """Return what a rule takes from skymap_info.json.

        With the file as ancient input, an alert that says the same there outdates nothing.
        """
        return [getattr(self.info(event), key) for key in keys]

    def population(self, event: str) -> str:
        """Return the population of the event, as p_astro.json says or will say.

        A revised p_astro.json then outdates only what has another one.
        """
        info, made = self.info(event), self._output_dir / event / P_ASTRO
        sources = [self._output_dir / event / FILE_NAME]
        sources += [self._output_dir / path for path in self.alert(event)]
        try:
            if made.exists() and made.stat().st_mtime >= max(p.stat().st_mtime for p in sources):
                return read_p_astro(made)["population"]
            classes, has_ns = classification(self._output_dir / event, info)
            return str(p_astro(classes, info.far_hz, 1.0, info.group, has_ns)["population"])
        except (LlamaError, OSError):  # its own job says what is wrong
            return "cbc"

    def p_value_method(self, event: str) -> str | None:
        """Return "map" if an event's p-value is from its map although its class has a background.

        It is so by a flag, or because an alert of the event has gone out with it. With bursts, it
        is so of the p-value without them.
        """
        if (wanted := self.flag(event, "P_VALUE")) != "auto":
            return "map" if wanted == "map" else None
        name, directory = self.population(event) + self._class_end(event), self._output_dir / event
        if name not in self.background_versions(event) or not has_gone_out(directory):
            return None
        return "map" if p_value_method(directory) == "map" else None

    def flag(self, event: str, name: str) -> object:
        """Return one flag, so that it outdates only what depends on it."""
        return read_flags(self._output_dir / event).get(name)

    def is_published(self, event: str) -> bool:
        """Return whether anything of the event's present alert has gone out.

        Not what and when: a page that is sent again because it now says so would be sent for ever.
        """
        return published_at(self._output_dir / event, self.info(event)) is not None

    def receipt_versions(self, event: str) -> dict[str, str]:
        """Return what changes when a receipt does.

        Not an input: a receipt that cannot be made while Slack is away must not keep the page
        away.
        """
        sent = (self._output_dir / event).glob("receipts/*.json")
        return {path.stem: sha256_file(path) for path in sent}

    def background_versions(self, event: str) -> dict[str, str]:
        """Return what changes when a background that may serve the event does."""
        return class_versions(self._output_dir / POPULATIONS, self._class_end(event))

    def _class_end(self, event: str) -> str:
        run = self._settings.background.run
        return class_end(self.info(event), run, self.observing(event))

    def observing(self, event: str) -> list[str]:
        """Return which neutrino detectors were on around an event."""
        made = self._output_dir / event / LIST
        return self.detectors.observing(self.info(event), made, self._window)


class Neutrinos:
    """The detectors and the sources of the settings.

    archive: path of IceCube's newest configuration, or of the first detector's.
    """

    def __init__(self, settings: Settings, events: Events) -> None:
        self._settings, self._events = settings, events
        self.detectors = events.detectors
        self._first = next(iter(self.detectors.archives))
        self.archive = f"archive/{self.detectors.archives[self._first]}"
        self.window = search_window(settings.search_parameters())
        self._states: dict[str, object] = {}

    @cached_property
    def _sources(self) -> Sequence[Source]:
        """Return the sources of all detectors; one without any has its archive."""
        found: list[Source] = []
        for name, archive in self.detectors.archives.items():
            lines = self.detectors.sources(name)
            found += open_sources(lines, self._settings.output_dir, archive)
        return found

    def _at(self, event: str) -> Archive | None:
        """Return the first archive of an event's time, the newest without a time."""
        return self.detectors.at(self._first, self._events.info(event).gps_time)

    def directory(self, event: str) -> Paths:
        """Return the directory of the archive of an event's time, which may not be there."""
        return self.detectors.files("", self._events.info(event).gps_time)

    def response(self, event: str | None = None) -> Paths:
        """Return the detector's tables at an event's time, the newest's without an event.

        `LlamaError` tells how to get them.
        """
        return self.detectors.tables(self._events.info(event).gps_time if event else None)

    def background(self, event: str) -> Paths:
        """Return the events of the archive of an event's time."""
        return self.detectors.files("events.hdf5", self._events.info(event).gps_time)

    def observing(self, event: str) -> list[str] | None:
        """Return which detectors of a network were on, None for IceCube alone."""
        return self._events.observing(event) if self.detectors.is_network else None

    def gps(self, event: str) -> float | None:
        """Return the trigger's time, at which a network sees the sky; None for IceCube alone."""
        return self._events.info(event).trigger_gps if self.detectors.is_network else None

    def is_from_archive(self, event: str) -> bool:
        """Return whether the neutrinos of an event are the archive's, which tells their rate.

        As its list says; while there is none, by what the archive covers.
        """
        if self.detectors.is_network:  # whose rates are those of the settings
            return False
        info, made = self._events.info(event), self._settings.output_dir / event / LIST
        if made.exists():
            return list_is_from_archive(made)
        archive = self._at(event)
        if info.neutrino_file or is_mock(info.graceid) or archive is None:
            return False
        start, stop = (info.trigger_gps + end_s for end_s in self.window)
        return archive.livetime_s(start, stop) > 0

    def rate_hz(self) -> float | None:
        """Return the rate of made-up lists, None for that of the archive."""
        return stream_rate_hz(self._settings.search_parameters())

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
            return self.detectors.identity(info.gps_time)
        if event not in self._states:
            start, stop = (info.trigger_gps + end_s for end_s in self.window)
            self._states[event] = state_of(self._sources, start, stop, self.may_ask(event))
        return self._states[event]


def _given(event: str, name: str | None) -> list[str]:
    return [f"{event}/{name}"] if name else []
