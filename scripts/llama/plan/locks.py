"""Locks: nobody else changes an event or a study while a run of Snakemake looks at or makes it."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from llama.errors import LlamaError
from llama.locks import LockedError, lock_event
from llama.plan.engine import Job

# An alert that is just being taken is waited for; another run of Snakemake is not.
_PATIENCE_S = 5.0


class Locks:
    """What a run has locked: the kernel unlocks it when the run ends.

    makes_products: tells whether the run is one that makes something; others need no lock.
    """

    def __init__(self, output_dir: Path, makes_products: Callable[[], bool]) -> None:
        self._output_dir, self._makes_products = output_dir, makes_products
        self._held: dict[str, int] = {}

    def take(self, directory: str) -> None:
        """Lock an event or a study for this run; `LlamaError` if somebody else is at it.

        An event is locked before the first look at it, so that what is made belongs to what was
        looked at: an alert that comes waits for the end of the run.
        """
        if directory in self._held or not self._makes_products():
            return
        path = self._output_dir / directory
        path.mkdir(parents=True, exist_ok=True)
        try:
            self._held[directory] = lock_event(path, _PATIENCE_S)
        except LockedError as error:
            raise LlamaError(
                f"{directory} is being processed by another run of snakemake; wait until it has "
                "ended"
            ) from error

    def settle(self, directories: Iterable[str]) -> None:
        """Lock what this run will write, and unlock what it has only looked at."""
        wanted = set(directories)
        for directory in self._held.keys() - wanted:
            os.close(self._held.pop(directory))
        for directory in sorted(wanted, reverse=True):
            self.take(directory)


def written_directories(jobs: Iterable[Job], populations: str) -> set[str]:
    """Return the directories of the events and studies that jobs write to."""
    found = set()
    for job in jobs:
        if "event" in job.wildcards:
            found.add(job.wildcards["event"])
        elif "study" in job.wildcards:
            found.add(f"studies/{job.wildcards['study']}")
        elif populations in job.output:
            found.add("studies")
    return found
