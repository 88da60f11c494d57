"""The picture of the architecture shows the code as it is."""

import runpy
from pathlib import Path

CLONE = Path(__file__).parents[2]
FIGURE = runpy.run_path(str(CLONE / "tests/bench/architecture_figure.py"))


def test_the_picture_is_up_to_date() -> None:
    shown = FIGURE["PICTURE"].read_text()
    assert FIGURE["described"]() in shown, "redraw: python tests/bench/architecture_figure.py"


def test_every_room_has_a_place_and_a_sentence() -> None:
    rooms = {room for layer in FIGURE["layers"]() for room in layer}
    packages = {path.parent.name for path in (CLONE / "scripts/llama").glob("*/__init__.py")}
    assert packages <= rooms
    assert all(FIGURE["_words"](room) for room in rooms)


# Longer than 300 lines, and why it stays one file.
LONG = {
    "tests/bench/files_page.py": "the words of docs/files.md, in their order",
    "tests/bench/method_figures.py": "the figures of docs/method.md, in their order",
    "tests/unit/gracedb_server.py": "one double of one service",
    "tests/unit/test_stats_invariants.py": "the statistic's invariants, one after the other",
}


def test_no_file_is_long_without_a_reason() -> None:
    paths = [CLONE / "Snakefile", *CLONE.glob("rules/*.smk")]
    paths += [p for place in ("scripts", "tests") for p in (CLONE / place).rglob("*.py")]
    long = {p.relative_to(CLONE).as_posix() for p in paths if len(p.read_text().split("\n")) > 301}
    assert long == LONG.keys()
