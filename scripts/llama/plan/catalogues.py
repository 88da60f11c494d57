"""What catalogues of runs are made of: the events of a run that belong in one."""

import re
from collections.abc import Callable

from llama.catalogue.events import input_names
from llama.errors import LlamaError, sentence
from llama.event.find import run_named
from llama.event.flags import Flags, read_flags
from llama.event.skymap_info import FILE_NAME, EventInfo
from llama.event.vetoes import signs_of_test
from llama.graceid import EVENT_PATTERN, is_of_catalogue
from llama.plan.events import Events
from llama.settings import Settings

RUN_PATTERN = r"(?:events|past_runs/[A-Za-z0-9][A-Za-z0-9_.-]*)"
TABLES = ("catalogue.json", "catalogue.ecsv")
PAGES = ("catalogue_figure.png", "catalogue_figure.pdf", "catalogue.html", "catalogue.pdf")


class Catalogues:
    """The catalogues of the runs; each run is looked through once.

    warn: told of an event that cannot be read and is left out.
    """

    def __init__(self, settings: Settings, events: Events, warn: Callable[[str], None]) -> None:
        self._output_dir, self._events, self._warn = settings.output_dir, events, warn
        self._chosen: dict[str, tuple[list[str], dict[str, str]]] = {}

    def products(self, run: str) -> list[str]:
        """Return the files of a run's catalogue; `LlamaError` for a run without events."""
        if not self.events(run):
            raise LlamaError(
                f"{run} has no event for a catalogue; make events with skymap_info or "
                "llama catalogue import"
            )
        return [f"{run}/{name}" for name in (*TABLES, *PAGES)]

    def events(self, run: str) -> list[str]:
        """Return the directories of a run's events in its catalogue, in the order of their ids."""
        return self._choose(run)[0]

    def left_out(self, run: str) -> dict[str, str]:
        """Return the events that are not in it, with the reason."""
        return self._choose(run)[1]

    def inputs(self, run: str) -> list[str]:
        """Return what a catalogue is made from."""
        return [
            f"{event}/{name}"
            for event in self.events(run)
            for name in input_names(self._events.info(event))
        ]

    def _choose(self, run: str) -> tuple[list[str], dict[str, str]]:
        if run not in self._chosen:
            directory = self._output_dir / run_named(run)
            names = sorted(
                path.name
                for path in directory.glob("*")
                if re.fullmatch(EVENT_PATTERN, path.name) and (path / FILE_NAME).exists()
            )
            reasons = {name: self._reason(f"{run}/{name}") for name in names}
            # tests make a catalogue of their own where nothing is real
            wanted = "" if "" in reasons.values() else _TEST
            kept = [f"{run}/{name}" for name in names if reasons[name] == wanted]
            out = {name: why for name, why in reasons.items() if why != wanted}
            self._chosen[run] = kept, out
        return self._chosen[run]

    def _reason(self, event: str) -> str:
        """Return why an event is not in the catalogue, "" if it is."""
        try:
            info, flags = self._events.info(event), read_flags(self._output_dir / event)
        except LlamaError as error:
            self._warn(f"{event} is left out of the catalogue: {error}")
            return sentence(error)
        return _why_not(info, flags)


_TEST = "a test"


def _why_not(info: EventInfo, flags: Flags) -> str:
    if info.retracted:
        return "retracted"
    if not info.has_skymap or info.gps_time is None:
        return "it has no sky map or no time"
    if not info.significant:
        return "a low-significance alert"
    if flags.get("VETOED"):
        return "vetoed"
    if flags.get("BLINDED_NEUTRINOS"):
        return "its neutrinos are blinded"
    is_test = not is_of_catalogue(info.graceid) and signs_of_test(info, flags.get("ROLE"))
    return _TEST if is_test else ""
