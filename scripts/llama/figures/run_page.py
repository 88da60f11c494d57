"""status.html: all events, the listener, the run that keeps them, and what waits to be sent.

Made by `llama run`, `llama status` and the rule `write_status`, which is outdated each time it is
asked for: the page shows what no file knows (locks, silence, ages).
"""

import logging
import re
from pathlib import Path
from typing import TypedDict

from llama.errors import LlamaError, sentence
from llama.event.names import products
from llama.event.page_files import EventFiles, read_event
from llama.event.provenance import software
from llama.figures import text
from llama.figures.page import Page, write_html
from llama.figures.receipts import sent_words
from llama.figures.text import MISSING, clean, number
from llama.graceid import EVENT_PATTERN
from llama.running.health import Part, system_health
from llama.settings.model import Settings
from llama.times import utc_now

Cell = tuple[str, float | str | None]  # what is shown, and what it is sorted by if that differs

HEADER = [
    *("Event", "What", "p-value", "Odds ratio", "Neutrinos", "Sent", "State"),
    *("FAR (Hz)", "p_astro", "90 % area", "Alert", "Notice (UTC)"),
]
NUMBERS = (2, 3, 4, 7, 8, 9)
HIDDEN = "blinded"

log = logging.getLogger("llama.run")


class Row(TypedDict):
    """An event: name, page (None if there is none), marks, and the cells of all other columns."""

    name: str
    page: str | None
    marks: list[str]
    cells: list[Cell]


class RunPage(Page):
    """The page as lists and strings, blinded values hidden."""

    bad: bool
    made: str
    made_iso: str
    software: str
    health: list[Part]
    header: list[str]
    numbers: tuple[int, ...]
    kinds: list[str]
    rows: list[Row]


def write_run_page(settings: Settings, content: RunPage | None = None) -> tuple[Path, RunPage]:
    """Write `status.html`, of `content` if `run_content` just gave it; return path and content."""
    content = content or run_content(settings)
    path = settings.output_dir / "status.html"
    write_html("status", content, [], path, ["table.js"])
    return path, content


def run_content(settings: Settings) -> RunPage:
    """Return what the page says at present."""
    now, rows = utc_now(), _rows(settings.output_dir)
    broken = [row["name"] for row in rows if "BROKEN" in row["marks"]]
    health = system_health(settings, len(rows), broken)
    bad = [part.name.lower() for part in health if not part.well]
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


def _rows(output_dir: Path) -> list[Row]:
    directories = [
        path
        for path in (output_dir / "current_run").glob("*")
        if re.fullmatch(EVENT_PATTERN, path.name) and (path / "skymap_info.json").exists()
    ]
    directories.sort(key=lambda path: -(path / "skymap_info.json").stat().st_mtime)
    return [_row(path) for path in directories]


def _row(event_dir: Path) -> Row:
    there = (event_dir / "index.html").exists()
    page = f"events/{event_dir.name}/index.html" if there else None
    try:
        marks, cells = _cells(event_dir)
    except Exception as error:  # a file of the event may hold anything; the others are shown
        if not isinstance(error, LlamaError):
            log.exception("%s cannot be shown", event_dir.name)
        missing: Cell = (MISSING, "")
        cells = [missing] * (len(HEADER) - 2)
        cells[HEADER.index("State") - 2] = (clean(sentence(error), 200), None)
        marks = ["BROKEN"]
    return {"name": event_dir.name, "page": page, "marks": marks, "cells": cells}


def _cells(event_dir: Path) -> tuple[list[str], list[Cell]]:
    event = read_event(event_dir)
    info, neutrinos, significance = event.info, event.neutrinos, event.significance
    near = sum(text.in_window(neutrino, info) for neutrino in neutrinos.events)
    marks = text.marks(info, neutrinos.events, event.flags, neutrinos.source)
    count = f"{near}{'' if neutrinos.complete else ' so far'}"
    odds, p_value = significance.odds_ratio, significance.p_value
    result = [_cell(significance.p_text or MISSING, p_value), _cell(number(odds), odds)]
    if "BLINDED NEUTRINOS" in marks:
        result = [(HIDDEN, "")] * 2
    p_astro, area_deg2 = event.p_astro.p_astro, event.distances.area_90_deg2
    return marks, [
        *result,
        (count, near) if "neutrinos" in event.there else (MISSING, ""),
        (", ".join(word for word in sent_words(event_dir) if word), None),
        (_state(event_dir, event), None),
        _cell(number(info.far_hz, ".2g"), info.far_hz),
        _cell(number(p_astro, ".4g"), p_astro),
        _cell(text.area_text(area_deg2), area_deg2),
        (clean(info.notice, 40).removeprefix(f"{event_dir.name}-"), None),
        (clean(info.notice_time[:16].replace("T", " ")), None),
    ]


def _cell(shown: str, value: float | None) -> Cell:
    return shown, "" if value is None else float(value)


def _state(event_dir: Path, event: EventFiles) -> str:
    info = event.info
    if not (info.has_skymap or info.retracted):
        return "waits for a sky map"
    earlier = text.earlier_notice(info, event.significance)
    if earlier:
        return f"result of {earlier.removeprefix(f'{event_dir.name}-')}"
    missing = sum(not (event_dir / name).exists() for name in products(info))
    if missing:
        return "1 product is missing" if missing == 1 else f"{missing} products are missing"
    unusable = len(event.neutrinos.unusable)
    if unusable:
        return f"{unusable} neutrino notice{'s' * (unusable > 1)} cannot be used"
    return "complete"
