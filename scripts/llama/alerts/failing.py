"""Events that could not be made: why, and when they are tried again."""

import contextlib
import time
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.files import read_json, write_json

_FIRST_S = 60.0
_MOST_S = 3600.0


class Failing:
    """The events that fail, in a file: whoever keeps the events next knows them too.

    After each failure in a row the wait is twice as long, from a minute to an hour; a new revision
    is tried at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            content = read_json(path)
            self.events: dict[str, dict[str, Any]] = dict(content)
        except (LlamaError, TypeError, ValueError):
            self.events = {}

    def waits(self, directory: str) -> bool:
        """Tell whether it is too early to try an event again."""
        wait_s = self.events.get(directory, {}).get("next_try", 0.0) - time.time()
        # a minute's tick may come a little early, and a clock may be put back
        return bool(5 < wait_s <= _MOST_S)

    def add(self, directory: str, reason: str) -> None:
        """Remember that an event failed."""
        times = self.events.get(directory, {}).get("times", 0) + 1
        wait_s = min(_FIRST_S * 2 ** min(times - 1, 10), _MOST_S)
        line = {"reason": reason, "times": times, "next_try": time.time() + wait_s}
        self.events[directory] = line
        self._write()

    def remove(self, directory: str) -> None:
        """Forget an event that is as it should be, or new."""
        if self.events.pop(directory, None):
            self._write()

    def _write(self) -> None:
        with contextlib.suppress(LlamaError):  # a full disk: then only we know
            write_json(self._path, self.events)
