"""Events of an archive moved to the time of another event: neutrinos that cannot be from it."""

from llama.files import dump_json
from llama.neutrinos.archive import Archive
from llama.neutrinos.scramble import seed_from, simulate
from llama.neutrinos.table import Columns, from_columns
from llama.stats.window import Window


class Mover:
    """Moves events of an archive into the window about an event, in numbers as `rate_hz` has them.

    archive: of the newest configuration; rate_hz: None for the archive's own. An event's neutrinos
    depend on archive, seed and its name, not on the other events.
    """

    def __init__(self, archive: Archive, seed: int, window: Window, rate_hz: float | None) -> None:
        self._archive, self._seed, self._window, self._rate_hz = archive, seed, window, rate_hz
        self._events: dict[str, Columns] = {}  # of each configuration that was needed

    def neutrinos(self, name: str, gps: float) -> bytes:
        """Return the list of an event at GPS time [s] as JSON that says that it is scrambled.

        Declination, error and energy of an archive's event stay together; its time in the window
        and its right ascension are drawn.
        """
        archive = self._archive.at(gps)
        if archive.name not in self._events:
            self._events[archive.name] = archive.events()
        seed = seed_from(f"{name} scrambled with seed {self._seed}")
        rate_hz = self._rate_hz or archive.rate_hz
        moved = self._events[archive.name], seed, gps, self._window, rate_hz
        drawn = simulate(*moved, archive.turns)
        told = {"archive": archive.name, "identity": archive.identity, "seed": self._seed}
        rows = [neutrino.row() for neutrino in from_columns(drawn, "scrambled")]
        return dump_json({"events": rows, "complete": True, "scrambled": told}).encode()
