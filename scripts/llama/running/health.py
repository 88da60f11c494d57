"""How each part of LLAMA is at present, in words: locks, silence and ages, which no file tells."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from llama.errors import LlamaError, printable, sentence
from llama.event.messages import owed_words, published_events, waiting
from llama.listening.health import examine, problems_of_spool, span
from llama.listening.spool import Spool
from llama.locks import holder
from llama.running.failing import daemon_lock, pass_lock, problems_of_run
from llama.running.watch import words_of_fleet
from llama.settings.model import Settings

_PASS_LATE_S = 600.0
_SENT_LATE_S = 300.0
_SHOWN = 5

log = logging.getLogger("llama.run")


class Part(NamedTuple):
    """A part of LLAMA, whether it is well, and sentences about it."""

    name: str
    well: bool
    words: list[str]


def system_health(settings: Settings, events: int, broken: Sequence[str]) -> list[Part]:
    """Return how listener, run, events, spool, outbox and, if there is one, fleet are.

    events: how many there are; broken: those that cannot be read. A part whose state cannot be
    found is not well.
    """
    output_dir = settings.output_dir
    parts: dict[str, Callable[[], tuple[bool, list[str]]]] = {
        "Listener": lambda: _listener(settings),
        "Run": lambda: _run(output_dir),
        "Events": lambda: _events(events, broken),
        "Spool": lambda: _spool(output_dir),
        "Outbox": lambda: _outbox(output_dir / "current_run"),
        "Fleet": lambda: words_of_fleet(output_dir / "fleet/slurm"),
    }
    told = [Part(name, *_tell(name, part)) for name, part in parts.items()]
    return [part for part in told if part.words]  # most have no fleet


def _tell(name: str, part: Callable[[], tuple[bool, list[str]]]) -> tuple[bool, list[str]]:
    try:
        return part()
    except Exception as error:
        if not isinstance(error, LlamaError):
            log.exception("the state of the part %s cannot be read", name)
        return False, [f"Its state cannot be read: {printable(sentence(error), 300)}."]


def _listener(settings: Settings) -> tuple[bool, list[str]]:
    state, problems = examine(settings.output_dir, settings.listen)
    words = [problem[:1].upper() + problem[1:] + "." for problem in problems]
    if state is not None:
        heartbeat, alert = map(_ago, (state.heartbeat_at, state.alert_at))
        words.append(f"Heartbeat {heartbeat}; LVK alert {alert}.")
    return not problems, words


def _ago(moment: float | None) -> str:
    return "never" if moment is None else f"{span(time.time() - moment)} ago"


def _run(output_dir: Path) -> tuple[bool, list[str]]:
    pid = holder(daemon_lock(output_dir)) or holder(pass_lock(output_dir))
    locks = [path.stat().st_mtime for path in (output_dir / "runner").glob("*lock")]
    last_s = time.time() - max(locks) if locks else None
    words = [f"Running, pid {pid}."] if pid else []
    words += [] if last_s is None else [f"The last pass began {span(last_s)} ago."]
    idle = pid is None and (last_s is None or last_s > _PASS_LATE_S)
    if idle:
        words.append("No process updates the events; start llama run, or llama cron install.")
    problems = problems_of_run(output_dir)
    words += _sentences(problems)
    cron_failed = (output_dir / "logs" / "cron.failed").exists()
    if cron_failed:
        words.append("The last pass that cron started failed; see logs/cron.log.")
    return not (idle or problems or cron_failed), words


def _events(count: int, broken: Sequence[str]) -> tuple[bool, list[str]]:
    if not broken:
        return True, [f"{count} can be read."]
    shown = ", ".join(broken[:_SHOWN]) + (" and more" if len(broken) > _SHOWN else "")
    return False, [f"{len(broken)} of {count} cannot be read: {shown}; their rows say why."]


def _spool(output_dir: Path) -> tuple[bool, list[str]]:
    counts, problems = Spool(output_dir).count(), problems_of_spool(output_dir)
    words = [f"{counts['pending']:,} waiting, {counts['quarantine']:,} in quarantine."]
    return not problems, words + _sentences(problems)


def _outbox(run_dir: Path) -> tuple[bool, list[str]]:
    events = [run_dir / name for name in published_events(run_dir)]
    owed = [
        f"{event.name} was retracted but not withdrawn: {where}"
        for event in events
        for where in owed_words(event)
    ]
    left = {event: waiting(event) for event in events}
    words = owed + [f"{event.name}: {', '.join(names)}" for event, names in left.items() if names]
    well = not owed and not any(_is_stuck(event, names) for event, names in left.items())
    return well, [printable(line, 200) for line in words] or ["Nothing waits to be sent."]


def _is_stuck(event_dir: Path, names: Sequence[str]) -> bool:
    """Tell whether a message waits for longer than sending one takes."""
    intents = [event_dir / "outbox" / f"{name}.intent.json" for name in names]
    # a clock that was put back makes them older than now
    return any(abs(time.time() - path.stat().st_mtime) > _SENT_LATE_S for path in intents)


def _sentences(problems: Sequence[str]) -> list[str]:
    return [printable(problem, 600).rstrip(".") + "." for problem in problems]
