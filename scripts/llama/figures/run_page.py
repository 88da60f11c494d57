"""status.html: all events, the listener, the run that keeps them, and what waits to be sent.

Made by `llama run`, `llama status` and the rule `write_status`, which is outdated each time it is
asked for: the page shows what no file knows (locks, silence, ages).
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama.errors import LlamaError, sentence
from llama.event.flags import read_flags
from llama.event.names import products, significance_name
from llama.event.provenance import software
from llama.event.skymap_info import EventInfo, read_info
from llama.figures import text
from llama.figures.page import write_html
from llama.figures.receipts import sent_words
from llama.figures.text import MISSING, clean, finite, number
from llama.files import read_json
from llama.graceid import GRACEID_PATTERN
from llama.running.health import system_health
from llama.settings.model import Settings
from llama.times import utc_now

Record = Mapping[str, Any]
Cell = tuple[str, float | str | None]  # what is shown, and what it is sorted by if that differs

HEADER = [
    *("Event", "What", "p-value", "Odds ratio", "Neutrinos", "Sent", "State"),
    *("FAR (Hz)", "p_astro", "90 % area", "Alert", "Notice (UTC)"),
]
NUMBERS = (2, 3, 4, 7, 8, 9)
HIDDEN = "blinded"

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
