"""What an event's rules are told of gamma-ray bursts: its list, by hand or heard, and the model."""

from collections.abc import Callable
from typing import Any

from llama.errors import LlamaError
from llama.event.bursts import Bursts, Errors, bursts_of, read_bursts
from llama.event.heard_bursts import heard_bursts
from llama.event.names import BURSTS_NAME, HEARD_NAME
from llama.event.skymap_info import EventInfo
from llama.files import dump_json, sha256_bytes, sha256_file
from llama.settings import Settings
from llama.topics import INSTRUMENTS, brought_by


class BurstLists:
    """The lists of the events that a run looks at; each is read once.

    info: returns what skymap_info.json says of an event.
    """

    def __init__(self, settings: Settings, info: Callable[[str], EventInfo]) -> None:
        self._settings, self._info = settings, info
        self.settings: dict[str, Any] = settings.grb.model_dump(mode="json")
        # others outdate nothing
        self.topics = [t for t in settings.listen.topics if {*brought_by(t)} & {*INSTRUMENTS}]
        self._lists: dict[str, Bursts | None] = {}
        self._heard: dict[str, str] = {}

    def files(self, event: str) -> list[str]:
        """Return the list of an event, if there is one and it shall count.

        One by hand is read here because a job that fails has lost its old product before it starts.
        """
        listed = self._list(event)
        return [f"{event}/{HEARD_NAME if listed.instruments else BURSTS_NAME}"] if listed else []

    def model(self, event: str) -> dict[str, Any] | None:
        """Return the settings of bursts, which outdate only what has a list of them."""
        return self.settings if self._list(event) else None

    def sigma_deg(self, event: str) -> Errors:
        """Return the errors of the list's bursts, all that outdates a background of bursts."""
        listed = self._list(event)
        return listed.sigma_deg if listed else []

    def versions(self, event: str) -> list[str]:
        """Return what changes when the list does: one from elsewhere may be older."""
        files = self.files(event)
        if event in self._heard:
            return [self._heard[event]]
        return [sha256_file(self._settings.output_dir / name) for name in files]

    def heard_version(self, event: str) -> str:
        """Return what outdates the list of bursts that were heard; `LlamaError` without one."""
        self._list(event)
        if event not in self._heard:
            raise LlamaError(
                f"no bursts that were heard count for {event}: nobody listened then, {BURSTS_NAME} "
                "counts, or grb.instruments names nobody whose topic is in listen.topics"
            )
        return self._heard[event]

    def _list(self, event: str) -> Bursts | None:
        if event not in self._lists:
            self._lists[event] = self._read(event)
        return self._lists[event]

    def _read(self, event: str) -> Bursts | None:
        """Return the list by hand, which comes first, or what was heard; not of an injection."""
        output_dir, grb = self._settings.output_dir, self._settings.grb
        path = output_dir / event / BURSTS_NAME
        if grb.efficiency != 0 and path.exists():
            return read_bursts(path, self.settings)
        if not grb.instruments or event.startswith("studies/"):
            return None
        gps = self._info(event).gps_time
        heard = None if gps is None else heard_bursts(output_dir, gps, self.settings, self.topics)
        if heard is None:
            return None
        self._heard[event] = sha256_bytes(dump_json(heard).encode())[:12]
        return bursts_of(heard, self.settings, path.with_name(HEARD_NAME))
