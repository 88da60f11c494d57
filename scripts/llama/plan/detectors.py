"""The neutrino detectors of the settings and their archives, and which of them a job needs.

Paths are relative to the output directory: one, or of a network a list with one for each detector
by its name.
"""

from functools import cached_property
from pathlib import Path

from llama.errors import LlamaError
from llama.event.classes import class_detectors, network_end
from llama.event.parameters import stream_rate_hz
from llama.event.skymap_info import EventInfo
from llama.graceid import is_mock
from llama.neutrinos.archive import Archive
from llama.neutrinos.network_list import default_detector, list_observing
from llama.neutrinos.response import response_file
from llama.neutrinos.table import ICECUBE
from llama.settings import Settings
from llama.stats.window import Window

Paths = str | list[str]
Options = dict[str, object]


class Detectors:
    """The detectors of the settings; IceCube alone where none is named."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.is_network = bool(settings.neutrinos.detectors)
        self.archives = settings.neutrinos.archives
        for source, options in settings.neutrinos.source.items():
            if (of := options.get("detector", self._default)) not in self.archives:
                raise LlamaError(
                    f"the source {source} is of the detector {of!r}, which is not among "
                    f"{', '.join(self.archives)}; name it in neutrinos.detectors of the settings"
                )

    @property
    def _default(self) -> str:
        return default_detector(list(self.archives))

    def archive(self, name: str) -> Archive | None:
        """Return a detector's archive of the newest configuration, None if nothing is there."""
        return self._opened[name]

    @cached_property
    def _opened(self) -> dict[str, Archive | None]:
        found: dict[str, Archive | None] = {}
        for name, archive in self.archives.items():
            directory = self._settings.output_dir / "archive" / archive
            there = (directory / "archive.json").exists()
            found[name] = Archive.open(directory) if there else None
        return found

    def at(self, name: str, gps: float | None) -> Archive | None:
        """Return the archive of a time, the newest without a time; None without any."""
        archive = self.archive(name)
        return archive if archive is None or gps is None else archive.at(gps)

    def directory(self, name: str, gps: float | None) -> str:
        """Return the directory of an archive, which may not be there."""
        archive = self.at(name, gps)
        if archive is None:
            return f"archive/{self.archives[name]}"
        return archive.directory.relative_to(self._settings.output_dir).as_posix()

    def tables(self, gps: float | None = None, names: list[str] | None = None) -> Paths:
        """Return the tables of the detectors at a time; `LlamaError` tells how to get them."""
        found = []
        for name in names or self.archives:
            archive = self.at(name, gps)
            if archive is None:
                raise LlamaError(
                    f"there is no neutrino archive {self.archives[name]}; make it with: "
                    "llama neutrinos import PATH"
                    + (f" --name {self.archives[name]}" if self.is_network else "")
                )
            file = response_file(archive.directory, self._settings.search.response)
            found.append(f"{self.directory(name, gps)}/{file}")
        return found if self.is_network else found[0]

    def files(self, file: str, gps: float | None = None, names: list[str] | None = None) -> Paths:
        """Return a file of each archive, such as events.hdf5."""
        found = [f"{self.directory(n, gps)}/{file}".rstrip("/") for n in names or self.archives]
        return found if self.is_network else found[0]

    def identity(self, gps: float | None) -> str | None:
        """Return what changes when an archive of a time does, None while there is none."""
        found = [archive.identity for name in self.archives if (archive := self.at(name, gps))]
        return " ".join(found) or None

    def observing(self, info: EventInfo, made: Path, window: Window) -> list[str]:
        """Return which detectors were on around an event, as its list says.

        While there is none (`made`): those with other sources than an archive, and those whose
        archives cover the window.
        """
        told = list_observing(made) if self.is_network else None
        if told is not None or not self.is_network:
            return told or list(self.archives)
        start, stop = (info.trigger_gps + end_s for end_s in window)
        on = []
        for name in self.archives:
            lines, archive = self.sources(name), self.at(name, info.gps_time)
            live = any(options.get("kind", key) != "archive" for key, options in lines.items())
            if live or is_mock(info.graceid) or (archive and archive.livetime_s(start, stop) > 0):
                on.append(name)
        return on or list(self.archives)

    def whole(self, paths: Paths) -> Path | list[Path]:
        """Return paths from everywhere."""
        output_dir = self._settings.output_dir
        return output_dir / paths if isinstance(paths, str) else [output_dir / p for p in paths]

    def of_class(self, study: str) -> list[str]:
        """Return the detectors of a class of backgrounds; `LlamaError` if one is not known."""
        names = class_detectors(study)
        missing = [name for name in names if name not in self.archives]
        if missing:
            raise LlamaError(
                f"{study} is of the neutrino detector {missing[0]}, which is not among "
                f"{', '.join(self.archives)}; name it in neutrinos.detectors of the settings, or "
                "rename the class, such as "
                f"bns-o4-H1L1{network_end(list(self.archives))}"
            )
        if names != sorted(names):
            raise LlamaError(
                f"{study} names its neutrino detectors in another order than events do; call it "
                f"...-{'_'.join(sorted(names))}"
            )
        return names

    def study_tables(self, study: str) -> Paths:
        """Return the tables that a study's injections are computed with."""
        return self.tables(names=self.of_class(study))

    def study_events(self, study: str) -> Paths:
        """Return the events that they are drawn from."""
        return self.files("events.hdf5", names=self.of_class(study))

    def study_archives(self, study: str) -> Paths:
        """Return what describes these archives."""
        return self.files("archive.json", names=self.of_class(study))

    def streams(self) -> dict[str, list[object]]:
        """Return archive, sources and rate of each detector of a network, as lists need them."""
        if not self.is_network:
            return {}
        own, of_icecube = self._settings.neutrinos.detectors, self._settings.search_parameters()
        return {
            name: [
                f"archive/{archive}",
                self.sources(name),
                own[name].rate_hz or (stream_rate_hz(of_icecube) if name == ICECUBE else None),
            ]
            for name, archive in self.archives.items()
        }

    def sources(self, name: str) -> dict[str, Options]:
        """Return the sources of a detector, as in the settings."""
        return {
            source: {key: value for key, value in options.items() if key != "detector"}
            for source, options in self._settings.neutrinos.source.items()
            if options.get("detector", self._default) == name
        }
