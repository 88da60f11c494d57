"""The picture of docs/architecture.md, from the code alone; running this file redraws it.

Rooms of the package from the outside in, with how many imports each has from which: nothing is
above the diagonal because an inner room may not import an outer one.
"""

import functools
import textwrap
import tomllib
from importlib import import_module
from pathlib import Path

import grimp
import matplotlib as mpl
from matplotlib.figure import Figure

CLONE = Path(__file__).parents[2]
PICTURE = CLONE / "docs" / "figures" / "architecture.svg"
_ROW_IN, _LEFT_IN, _WIDTH_IN = 0.37, 4.15, 8.6


def layers() -> list[list[str]]:
    """Return the rooms, outermost layer first, as pyproject.toml has import-linter check them."""
    tools = tomllib.loads((CLONE / "pyproject.toml").read_text())["tool"]
    contract = next(c for c in tools["importlinter"]["contracts"] if c["type"] == "layers")
    return [
        [name.strip().removeprefix("llama.") for name in layer.split("|")]
        for layer in contract["layers"]
    ]


@functools.cache
def imports() -> dict[tuple[str, str], int]:
    """Return {(room, imported room): number of its modules' imports}."""
    graph = grimp.build_graph("llama", cache_dir=None)
    counts: dict[tuple[str, str], int] = {}
    for module in sorted(graph.modules):
        for imported in graph.find_modules_directly_imported_by(module):
            pair = (_room(module), _room(imported))
            if pair[0] != pair[1] and all(pair):
                counts[pair] = counts.get(pair, 0) + 1
    return counts


def described() -> str:
    """Return the structure in words; the picture holds it too, so that a test can compare."""
    rooms = [room for layer in layers() for room in layer]
    lines = [
        f"{room} imports {', '.join(inner for inner in rooms if (room, inner) in imports())}"
        for room in rooms
        if any((room, inner) in imports() for inner in rooms)
    ]
    return "; ".join(lines)


def draw() -> None:
    """Write the picture."""
    rooms = [room for layer in layers() for room in layer]
    counts = imports()
    height = (len(rooms) + 2.4) * _ROW_IN
    settings = {"font.family": "DejaVu Sans", "font.size": 8.5, "svg.hashsalt": "llama"}
    with mpl.rc_context({**mpl.rcParamsDefault, **settings, "backend": "svg"}):
        figure = Figure(figsize=(_WIDTH_IN, height), facecolor="white")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, _WIDTH_IN), ylim=(height, 0))
        axes.axis("off")
        cell = (_WIDTH_IN - _LEFT_IN - 0.1) / len(rooms)
        top = 1.9 * _ROW_IN
        _draw_bands(axes, top)
        for i, room in enumerate(rooms):
            y = top + (i + 0.5) * _ROW_IN
            axes.text(0.1, y, room, va="center", weight="bold")
            axes.text(0.95, y, _words(room), va="center", color="#333333", size=7.2)
            x = _LEFT_IN + (i + 0.5) * cell
            axes.text(x, top - 0.08, room, rotation=55, ha="left", va="bottom", size=7.5)
            for j, inner in enumerate(rooms):
                _draw_cell(axes, _LEFT_IN + j * cell, y, cell, counts.get((room, inner), 0), i == j)
        axes.text(0.1, top - 0.12, "room", color="#5A5A5A", va="bottom", size=7.5)
        axes.text(_LEFT_IN - 0.08, top - 0.12, "imports", ha="right", color="#5A5A5A", size=7.5)
        figure.savefig(PICTURE, metadata={"Date": None, "Description": described()})


def _draw_bands(axes: mpl.axes.Axes, top: float) -> None:
    row = 0
    for k, layer in enumerate(layers()):
        colour = "#EEF3F8" if k % 2 == 0 else "#FFFFFF"
        axes.axhspan(
            top + row * _ROW_IN, top + (row + len(layer)) * _ROW_IN, color=colour, linewidth=0
        )
        row += len(layer)


def _draw_cell(
    axes: mpl.axes.Axes, x: float, y: float, cell: float, count: int, itself: bool
) -> None:
    if itself:
        axes.plot(x + cell / 2, y, "s", color="#BBBBBB", markersize=5)
    elif count:
        size = 5 + 9 * min(1.0, count / 15) ** 0.5
        axes.plot(x + cell / 2, y, "o", color="#0072B2", markersize=size)
        axes.text(x + cell / 2, y, count, ha="center", va="center_baseline", size=6, color="white")


def _words(room: str) -> str:
    text = (import_module(f"llama.{room}").__doc__ or "").split("\n")[0]
    return "\n".join(textwrap.wrap(text, 48)[:2])


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


if __name__ == "__main__":
    draw()
