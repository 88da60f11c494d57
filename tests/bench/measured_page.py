"""docs/measured.md, generated from measured.json: python tests/bench/measured_page.py writes it.

Each entry of the file is a table: title, what it was measured on and by which command, header,
rows, note. After `make bench` on another machine, change the numbers there; other pages link to it.
"""

import json
from pathlib import Path

CLONE = Path(__file__).parents[2]
PAGE = CLONE / "docs" / "measured.md"

_TOP = """# Measured

What was measured of speed, memory and disk space, and on what; the other pages link here. Written
by `python tests/bench/measured_page.py` from `tests/bench/measured.json`; `make bench` and
`make peers` measure most of it anew.
"""


def page() -> str:
    """Return the text of the page."""
    tables = json.loads((CLONE / "tests/bench/measured.json").read_text(encoding="utf-8"))
    return "\n".join([_TOP, *map(_section, tables)])


def _section(table: dict[str, object]) -> str:
    header, rows = table["header"], table["rows"]
    lines = [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
    lines[1] = lines[1].replace(" ", "")
    note = [table["note"], ""] if table["note"] else []
    on = f"Conditions: {table['measured_on']}."
    return "\n".join([f"## {table['title']}", "", on, "", *note, *lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
