"""docs/python.md in a fresh environment that has the wheel, outside of the clone; the notebook."""

import ast
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import nbformat
import pytest
from numba.core.caching import _CacheLocator

from llama.stats.compiled import cache_directory

CLONE = Path(__file__).parents[2]
BLOCKS = re.findall(r"(?ms)^```python\n(.*?)^```$", (CLONE / "docs/python.md").read_text())


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that has the wheel and, from ours, its dependencies."""
    root = tmp_path_factory.mktemp("fresh")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CLONE / name, root)
    shutil.copytree(CLONE / "scripts", root / "scripts", ignore=shutil.ignore_patterns("__pyc*"))
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    command = [sys.executable, "-c", build, str(root)]
    made = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    shutil.rmtree(root / "scripts")
    command = [sys.executable, "-m", "venv", "--without-pip", str(root / "env")]
    subprocess.run(command, check=True)
    (site,) = (root / "env/lib").glob("python*/site-packages")
    # a path of a .pth file: the editable install beside the dependencies is not followed
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    (wheel,) = root.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    _take_compiled(site / "llama")
    return root / "env/bin/python"


def _take_compiled(package: Path) -> None:
    """Copy what is compiled to where the package looks for it; a directory's path is its name."""
    cache = Path(cache_directory() or "")
    for room in ("background", "neutrinos", "stats"):
        here, there = (
            _CacheLocator.get_suitable_cache_subpath(str(place / room / "any.py"))
            for place in (CLONE / "scripts/llama", package)
        )
        if (cache / here).is_dir():
            target = package / "stats/__pycache__" / cache.name / there
            half = shutil.ignore_patterns("*.tmp.*")  # what others are writing
            shutil.copytree(cache / here, target, ignore=half)


def test_the_page_runs_in_a_fresh_environment(fresh: Path, tmp_path: Path) -> None:
    """The first block, a script of 15 lines, and all others after it."""
    assert len([line for line in BLOCKS[0].splitlines() if line]) <= 15
    where = "import llama; from pathlib import Path; assert 'env' in Path(llama.__file__).parts\n"
    typed = "assert (Path(llama.__file__).parent / 'py.typed').exists()\n"
    (tmp_path / "page.py").write_text(where + typed + "".join(BLOCKS))
    command = [str(fresh), "page.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.match(r"odds ratio [\d.]+, p = [\d.]+ ± [\de.-]+\n", done.stdout), done.stdout
    assert (tmp_path / "combined.fits").exists()
    assert (tmp_path / "skymap.pdf").read_bytes().startswith(b"%PDF")


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
