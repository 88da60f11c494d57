"""What `llama run` cannot do: events that fail, and everything else that is wrong at present.

In files below `runner/`: whoever keeps the events next, status and alarm know it too.
"""

import contextlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from llama.errors import LlamaError, printable, sentence
from llama.files import read_json, write_json
from llama.locks import killed
from llama.typed import convert

_FIRST_S = 60.0
_MOST_S = 3600.0
_MOST_LETTERS = 500
_MOST_KEPT = 100


def daemon_lock(output_dir: Path) -> Path:
    """Return the file whose lock the daemon holds."""
    return output_dir / "runner" / "daemon.lock"


def pass_lock(output_dir: Path) -> Path:
    """Return the file whose lock everybody holds who takes over and makes."""
    return output_dir / "runner" / "lock"


class Failure(msgspec.Struct, frozen=True):
    """Why an event failed, how often in a row, and when it is tried again [Unix s]."""

    reason: str
    times: int
    next_try: float


class Failing:
    """The events that fail: why, and when they are tried again.

    After each failure in a row the wait is twice as long, from a minute to an hour; a new revision
    is tried at once.
    """

    def __init__(self, output_dir: Path) -> None:
        self._path = output_dir / "runner" / "failing.json"
        lines = _read(self._path)
        self.events = {name: line for name, line in lines.items() if isinstance(line, Failure)}

    def waits(self, directory: str) -> bool:
        """Tell whether it is too early to try an event again."""
        failure = self.events.get(directory)
        # a minute's tick may come a little early, and a clock may be put back
        return failure is not None and 5 < failure.next_try - time.time() <= _MOST_S

    def add(self, directory: str, reason: str) -> None:
        """Remember that an event failed."""
        times = self.events[directory].times + 1 if directory in self.events else 1
        wait_s = min(_FIRST_S * 2 ** min(times - 1, 10), _MOST_S)
        reason = printable(reason, _MOST_LETTERS)
        self.events[directory] = Failure(reason, times, time.time() + wait_s)
        _write(self._path, self.events)

    def remove(self, directory: str) -> None:
        """Forget an event that is as it should be, or new."""
        if self.events.pop(directory, None):
            _write(self._path, self.events)


class Troubles:
    """What else is wrong: by what it is about (a record, a step of the pass), a sentence.

    `now` is what this process has met; `settle` puts it into the file, where until then is what an
    earlier one met, `earlier`.
    """

    def __init__(self, output_dir: Path) -> None:
        self._path = output_dir / "runner" / "troubles.json"
        self.now: dict[str, str] = {}
        lines = _read(self._path)
        self.earlier = {about: line for about, line in lines.items() if isinstance(line, str)}

    def add(self, about: str, reason: str) -> bool:
        """Remember what is wrong, and tell whether that is new."""
        reason = printable(reason, _MOST_LETTERS)
        is_new = self.now.get(about) != reason
        self.now[about] = reason
        return is_new

    def remove(self, about: str) -> None:
        """Forget what is over."""
        self.now.pop(about, None)

    def settle(self) -> None:
        """Write what is wrong now, the first of it, and only that; nothing if it is there."""
        first = dict(itertools.islice(self.now.items(), _MOST_KEPT))
        if first != self.earlier:
            self.earlier = first
            _write(self._path, first)


@contextlib.contextmanager
def ending(output_dir: Path, command: str) -> Iterator[None]:
    """If an exception ends `command`, have status and alarm say why."""
    try:
        yield
    except Exception as error:
        troubles = Troubles(output_dir)
        troubles.now |= troubles.earlier
        troubles.add(command, f"ended with an error: {sentence(error)}")
        troubles.settle()
        raise


def problems_of_run(output_dir: Path) -> list[str]:
    """Return a sentence for each event that fails and for whatever else is wrong at present."""
    events = sorted(Failing(output_dir).events.items())
    failing = [f"{printable(directory)} fails: {failure.reason}" for directory, failure in events]
    return [*failing, *troubles_of_run(output_dir)]


def troubles_of_run(output_dir: Path) -> list[str]:
    """Return a sentence for whatever is wrong with `llama run` besides events that fail."""
    runner = output_dir / "runner"
    odd = [path.name for path in (runner / "failing.json", runner / "troubles.json") if _odd(path)]
    dead = {killed(daemon_lock(output_dir)), killed(pass_lock(output_dir))}
    troubles = Troubles(output_dir).earlier
    return [
        *(f"runner/{name} cannot be read; remove it, llama run makes it again" for name in odd),
        *(
            f"llama run (pid {pid}) was killed or crashed; start it again; logs/llamad.log ends "
            "with what it did last"
            for pid in sorted(filter(None, dead))
        ),
        *(f"{printable(about, 200)}: {printable(troubles[about], 500)}" for about in troubles),
    ]


def _odd(path: Path) -> bool:
    lines = _read(path)
    bad = not lines or None in lines.values()
    return bad and path.exists() and path.read_bytes().strip() != b"{}"


def _read(path: Path) -> dict[str, Failure | str | None]:
    found: dict[str, Failure | str | None] = {}
    with contextlib.suppress(LlamaError, TypeError, ValueError):
        for about, line in dict(read_json(path)).items():
            found[about] = line if isinstance(line, str) else None
            with contextlib.suppress(msgspec.ValidationError):
                found[about] = found[about] or convert(line, Failure)
    return found


def _write(path: Path, content: object) -> None:
    with contextlib.suppress(LlamaError):  # a full disk: then only we know
        write_json(path, msgspec.to_builtins(content))
