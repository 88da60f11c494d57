"""Which events `llama run` keeps up to date."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llama.errors import sentence
from llama.event.find import Condition, tracked_events
from llama.event.flags import read_flags
from llama.event.messages import owed
from llama.event.skymap_info import read_info

log = logging.getLogger("llama.run")


@dataclass(frozen=True)
class Choice:
    """Which events are kept: the newest `count` of `run` that match, with all `conditions`.

    An older one is kept, too, while a withdrawal of it is due.
    """

    count: int
    run: str = "current_run"  # or past_runs/NAME
    pattern: str = "*"
    conditions: Sequence[Condition] = field(default_factory=tuple)

    def directories(self, output_dir: Path) -> list[str]:
        """Return the directories of the events, such as current_run/S190425z, the newest first."""
        return self.survey(output_dir)[0]

    def survey(self, output_dir: Path) -> tuple[list[str], dict[str, str]]:
        """Return the directories, and why others are left alone that cannot be read."""
        found, broken = [], {}
        for name in tracked_events(output_dir / self.run, self.count, self.pattern):
            directory = f"{self.run}/{name}"
            try:
                if self._is_wanted(output_dir / directory):
                    found.append(directory)
            except Exception as error:  # its files may hold anything, and others are kept
                log.debug("%s is left alone", directory, exc_info=True)
                broken[directory] = f"left alone: {sentence(error)}"
        return found, broken

    def _is_wanted(self, event_dir: Path) -> bool:
        info = read_info(event_dir)
        if not (info.has_skymap or info.retracted):
            return False
        # a veto stops results, not the withdrawal of what went out before it
        if read_flags(event_dir)["VETOED"] and not owed(event_dir):
            return False
        return all(condition.holds(event_dir, time.time()) for condition in self.conditions)
