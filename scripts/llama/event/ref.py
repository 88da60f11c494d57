"""Which event is meant, by each of its names: on disk, as a target, in the logs."""

import re
from typing import NamedTuple

from llama.errors import LlamaError
from llama.graceid import check_graceid

CURRENT = "current_run"
_RUN = re.compile(rf"{CURRENT}|past_runs/[^/]+")


class EventRef(NamedTuple):
    """An event of a run below the output directory: `current_run`, or `past_runs/NAME`.

    Snakemake and the logs call the current run `events`, a link to it.
    """

    run: str
    graceid: str

    @classmethod
    def parse(cls, text: str) -> "EventRef":
        """Return what RUN/GRACEID names; `LlamaError` if it does not name an event."""
        run, _, graceid = text.rpartition("/")
        if not is_run(run := run_named(run)):
            raise LlamaError(
                f"{text[:80]!r} names no event of a run; give events/ID or past_runs/NAME/ID"
            )
        return cls(run, check_graceid(graceid))

    @property
    def directory(self) -> str:
        """Where it lies in the output directory: current_run/S190425z."""
        return f"{self.run}/{self.graceid}"

    @property
    def named(self) -> str:
        """The directory as rules name it: events/S190425z."""
        return f"{'events' if self.run == CURRENT else self.run}/{self.graceid}"

    @property
    def target(self) -> str:
        """What makes all of it, after `snakemake`."""
        return f"{self.named}/all"

    @property
    def logs(self) -> str:
        """Where the logs of its rules are in the output directory."""
        return f"logs/{self.named}"


def run_named(text: str) -> str:
    """Return the directory of a run as a user names it; `events` or nothing: the current one."""
    return CURRENT if text.removeprefix("./") in ("", "events", CURRENT) else text


def is_run(run: str) -> bool:
    """Tell whether that is the directory of a run, relative to the output directory."""
    return _RUN.fullmatch(run) is not None
