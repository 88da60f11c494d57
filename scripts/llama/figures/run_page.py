"""status.html: all events, the listener, the run that keeps them, and what waits to be sent.

Made by `llama run`, `llama status` and the rule `write_status`, which is outdated each time it is
asked for: the page shows what no file knows (locks, silence, ages).
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from llama.errors import LlamaError, sentence
from llama.event.flags import read_flags
from llama.event.messages import published_events
from llama.event.names import GRACEID_PATTERN, products, significance_name
from llama.event.provenance import software
from llama.event.skymap_info import EventInfo, read_info
from llama.figures import text
from llama.figures.page import write_html
from llama.figures.receipts import owed_words, sent_words, waiting
from llama.figures.text import MISSING, clean, finite, number
from llama.files import read_json
from llama.listening.health import examine, problems_of_spool, span
from llama.listening.spool import Spool
from llama.locks import holder
from llama.running.failing import daemon_lock, pass_lock, problems_of_run
from llama.running.watch import words_of_fleet
from llama.settings.model import Settings
from llama.times import utc_now

Record = Mapping[str, Any]
Part = tuple[bool, list[str]]  # whether it is well, and words about it
Cell = tuple[str, float | str | None]  # what is shown, and what it is sorted by if that differs

HEADER = [
    *("Event", "What", "p-value", "Odds ratio", "Neutrinos", "Sent", "State"),
    *("FAR (Hz)", "p_astro", "90 % area", "Alert", "Notice (UTC)"),
]
NUMBERS = (2, 3, 4, 7, 8, 9)
HIDDEN = "blinded"
_PASS_LATE_S = 600.0
_SENT_LATE_S = 300.0
_SHOWN = 5

log = logging.getLogger("llama.run")


def write_run_page(
    settings: Settings, content: dict[str, Any] | None = None
) -> tuple[Path, dict[str, Any]]:
    """Write `status.html` in the output directory; return its path and what it says.

    `content` is what `run_content` has just returned.
    """
    content = content or run_content(settings)
    path = settings.output_dir / "status.html"
    write_html("status", content, [], path, ["table.js"])
    return path, content


def run_content(settings: Settings) -> dict[str, Any]:
    """Return the page as lists and strings: marks, lead, health, rows; blinded values hidden."""
    output_dir, now = settings.output_dir, utc_now()
    rows = _rows(output_dir)
    broken = [row["name"] for row in rows if "BROKEN" in row["marks"]]
    parts: dict[str, Callable[[], Part]] = {
        "Listener": lambda: _listener(settings),
        "Run": lambda: _run(output_dir),
        "Events": lambda: _events(rows, broken),
        "Spool": lambda: _spool(output_dir),
        "Outbox": lambda: _outbox(output_dir),
        "Fleet": lambda: words_of_fleet(output_dir / "fleet/slurm"),
    }
    told = [(name, *_tell(name, part)) for name, part in parts.items()]
    health = [line for line in told if line[2]]  # most have no fleet
    bad = [name.lower() for name, well, _ in health if not well]
    kinds = [mark for row in rows for mark in row["marks"]]
    return {
        "title": "LLAMA: events and health",
        "marks": [],
        "bad": bool(bad),
        "lead": f"{'All is well' if not bad else 'Look at: ' + ', '.join(bad)}. "
        f"{len(rows)} event{'s' * (len(rows) != 1)}, "
        f"{sum('REAL' in row['marks'] for row in rows)} of them real.",
        "made": f"{now:%Y-%m-%d %H:%M:%S} UTC",
        "made_iso": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "software": software(),
        "health": health,
        "header": HEADER,
        "numbers": NUMBERS,
        "kinds": sorted(set(kinds)),
        "rows": rows,
    }


def _tell(name: str, part: Callable[[], Part]) -> Part:
    """Return whether a part of LLAMA is well, and sentences; not well if that cannot be found."""
    try:
        return part()
    except Exception as error:
        if not isinstance(error, LlamaError):
            log.exception("the state of the part %s cannot be read", name)
        return False, [f"Its state cannot be read: {clean(sentence(error), 300)}."]


def _events(rows: list[dict[str, Any]], broken: list[str]) -> Part:
    shown = ", ".join(broken[:_SHOWN]) + (" and more" if len(broken) > _SHOWN else "")
    words = [f"{len(broken)} of {len(rows)} cannot be read: {shown}; their rows say why."]
    return not broken, words if broken else [f"{len(rows)} can be read."]


def _rows(output_dir: Path) -> list[dict[str, Any]]:
    directories = [
        path
        for path in (output_dir / "current_run").glob("*")
        if re.fullmatch(GRACEID_PATTERN, path.name) and (path / "skymap_info.json").exists()
    ]
    directories.sort(key=lambda path: -(path / "skymap_info.json").stat().st_mtime)
    return [_row(path) for path in directories]


def _row(event_dir: Path) -> dict[str, Any]:
    page = f"events/{event_dir.name}/index.html"
    there = (event_dir / "index.html").exists()
    row = {"name": event_dir.name, "page": page if there else None}
    try:
        marks, cells = _cells(event_dir)
    except Exception as error:  # a file of the event may hold anything; the others are shown
        if not isinstance(error, LlamaError):
            log.exception("%s cannot be shown", event_dir.name)
        missing: Cell = (MISSING, "")
        cells = [missing] * (len(HEADER) - 2)
        cells[HEADER.index("State") - 2] = (clean(sentence(error), 200), None)
        return row | {"marks": ["BROKEN"], "cells": cells}
    return row | {"marks": marks, "cells": cells}


def _cells(event_dir: Path) -> tuple[list[str], list[Cell]]:
    info, flags = read_info(event_dir), read_flags(event_dir)
    p_astro = _read(event_dir / "p_astro.json")
    distances = _read(event_dir / "lvc_skymap_distances.json")
    significance = _read(event_dir / significance_name(info))
    neutrinos = _read(event_dir / "icecube_neutrino_list.json")
    events = neutrinos.get("events") or []
    near = [event for event in events if text.in_window(event, info)]
    marks = text.marks(info, events, flags)
    blind = "BLINDED NEUTRINOS" in marks
    count = f"{len(near)}{'' if neutrinos.get('complete') else ' so far'}"
    hidden: Cell = (HIDDEN, "")
    return marks, [
        hidden if blind else _p_value(significance.get("p_value")),
        hidden if blind else _number(significance.get("odds_ratio"), ".3g"),
        (count, len(near)) if neutrinos else (MISSING, ""),
        (", ".join(word for word in sent_words(event_dir) if word), None),
        (_state(event_dir, info, significance, neutrinos), None),
        _number(info.far_hz, ".2g"),
        _number(p_astro.get("p_astro"), ".4g"),
        _area(distances.get("area_90_deg2")),
        (clean(info.notice, 40).removeprefix(f"{event_dir.name}-"), None),
        (clean(info.notice_time[:16].replace("T", " ")), None),
    ]


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path) if path.exists() else {}
    return content if isinstance(content, dict) else {}


def _number(value: object, style: str) -> Cell:
    known = finite(value)
    return number(value, style), "" if known is None else known


def _area(value: object) -> Cell:
    known = finite(value)
    return text.area_text(value), "" if known is None else known


def _p_value(value: object) -> Cell:
    known = finite(value)
    return text.p_text(value), "" if known is None else known


def _state(event_dir: Path, info: EventInfo, significance: Record, neutrinos: Record) -> str:
    if not (info.has_skymap or info.retracted):
        return "waits for a sky map"
    earlier = text.earlier_notice(info, significance)
    if earlier:
        return f"result of {earlier.removeprefix(f'{event_dir.name}-')}"
    missing = sum(not (event_dir / name).exists() for name in products(info))
    if missing:
        return "1 product is missing" if missing == 1 else f"{missing} products are missing"
    unusable = len(neutrinos.get("unusable") or [])
    if unusable:
        return f"{unusable} neutrino notice{'s' * (unusable > 1)} cannot be used"
    return "complete"


def _listener(settings: Settings) -> Part:
    state, problems = examine(settings.output_dir, settings.listen)
    words = [problem[:1].upper() + problem[1:] + "." for problem in problems]
    if state is not None:
        now = time.time()
        times = (("Heartbeat", state.heartbeat_at), ("LVK alert", state.alert_at))
        ago = [
            f"{what} {'never' if when is None else span(now - when) + ' ago'}"
            for what, when in times
        ]
        words.append("; ".join(ago) + ".")
    return not problems, words


def _run(output_dir: Path) -> Part:
    runner = output_dir / "runner"
    pid = holder(daemon_lock(output_dir)) or holder(pass_lock(output_dir))
    locks = [path.stat().st_mtime for path in runner.glob("*lock")]
    last_s = time.time() - max(locks) if locks else None
    words = [f"Running, pid {pid}."] if pid else []
    words += [] if last_s is None else [f"The last pass began {span(last_s)} ago."]
    idle = pid is None and (last_s is None or last_s > _PASS_LATE_S)
    if idle:
        words.append("No process updates the events; start llama run, or llama cron install.")
    problems = problems_of_run(output_dir)
    words += [clean(problem, 400).rstrip(".") + "." for problem in problems]
    cron_failed = (output_dir / "logs" / "cron.failed").exists()
    if cron_failed:
        words.append("The last pass that cron started failed; see logs/cron.log.")
    return not (idle or problems or cron_failed), words


def _spool(output_dir: Path) -> Part:
    counts, problems = Spool(output_dir).count(), problems_of_spool(output_dir)
    words = [f"{counts['pending']:,} waiting, {counts['quarantine']:,} in quarantine."]
    return not problems, [*words, *(clean(problem, 600).rstrip(".") + "." for problem in problems)]


def _outbox(output_dir: Path) -> Part:
    run_dir = output_dir / "current_run"
    events = [run_dir / name for name in published_events(run_dir)]
    left = [f"{event.name}: {', '.join(waiting(event))}" for event in events if waiting(event)]
    owed = [
        f"{event.name} was retracted but not withdrawn: {where}"
        for event in events
        for where in owed_words(event)
    ]
    good = not (owed or any(_is_stuck(event / "outbox") for event in events))
    lines = [clean(line, 200) for line in (*owed, *left)]
    return good, lines or ["Nothing waits to be sent."]


def _is_stuck(outbox: Path) -> bool:
    """Tell whether a message waits for longer than sending one takes."""
    intents = [outbox / f"{name}.intent.json" for name in waiting(outbox.parent)]
    # a clock that was put back makes them older than now
    return any(abs(time.time() - path.stat().st_mtime) > _SENT_LATE_S for path in intents)
