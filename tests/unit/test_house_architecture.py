"""The picture of the architecture shows the code as it is."""

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

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


WALKS = re.split(
    r"^1\.", (CLONE / "docs/architecture.md").read_text().split("## Three walks")[1], flags=re.M
)


def functions(path: Path) -> Iterator[str]:
    """Yield functions, classes and methods (Class.method) of a module, or the rules of a file."""
    if path.suffix == ".smk":
        yield from re.findall(r"^rule (\w+):", path.read_text(), flags=re.M)
        return
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (
                f"{node.name}.{part.name}"
                for part in node.body
                if isinstance(part, ast.FunctionDef)
            )


@pytest.mark.parametrize(("number", "most"), [(1, 20), (2, 16), (3, 6)])
def test_a_walk_is_short_and_every_function_is_there(number: int, most: int) -> None:
    steps = re.findall(r"^(?:\d+\.)? `(.*)$", WALKS[number].split("\n## ")[0], flags=re.M)
    files = [step.split("`")[0].split(":")[0] for step in steps]
    assert len(files) == len(set(files)), "a file comes twice"
    assert 5 < len(files) <= most
    for step, file in zip(steps, files, strict=True):
        first, *later = re.findall(r"(?:^|`)([^`]+)`", step)
        named = [first.partition(": ")[2], *later]
        assert {name for name in named if name} <= set(functions(CLONE / file)), step


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
