"""The notebook of docs/python.md."""

import ast
from pathlib import Path

import nbformat
import pytest

CLONE = Path(__file__).parents[2]


def test_the_notebook_runs_and_has_no_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Without a kernel: what ends a cell is shown as a notebook would ask for it."""
    notebook = nbformat.read(CLONE / "docs/search.ipynb", as_version=4)
    nbformat.validate(notebook)
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/mock").symlink_to(request.getfixturevalue("archive").directory)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    pictures, shown = 0, []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        assert not cell.outputs
        *lines, last = ast.parse(cell.source).body
        body = ast.Module(lines if isinstance(last, ast.Expr) else [*lines, last], [])
        exec(compile(body, cell.id, "exec"), names)  # noqa: S102
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), cell.id, "eval"), names)  # noqa: S307
            pictures += hasattr(value, "_repr_png_") and value._repr_png_().startswith(b"\x89PNG")
            shown.append(repr(value))
    assert pictures == 1
    assert any("<Result: odds ratio" in text for text in shown)
