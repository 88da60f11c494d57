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
