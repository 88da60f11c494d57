"""The wheel, in an environment that has nothing of the clone: it makes what the clone makes."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from dataclasses import dataclass
from pathlib import Path

import preloaded
import pytest
from numba.core.caching import _CacheLocator
from study_samples import DIRECTORY
from workspace import EVENT, REPOSITORY, Workspace

from llama.files import sha256_file
from llama.stats.compiled import cache_directory

BLOCKS = re.findall(r"(?ms)^```python\n(.*?)^```$", (REPOSITORY / "docs/python.md").read_text())
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "Snakefile", "config.yaml")
DIRECTORIES = ("rules", "profiles", "envs", "scripts", "docs")
# these say when they were made, or how long that took
DATED = {"latency.json", "manifest.json", "index.html"}
LIST = "icecube_neutrino_list.json"  # says when it was asked for, and stays: others name its sha256


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that has the wheel and, from ours, its dependencies."""
    root = tmp_path_factory.mktemp("wheel")
    source = root / "source"
    source.mkdir()
    for name in SOURCES:
        shutil.copy(REPOSITORY / name, source)
    for name in DIRECTORIES:
        left = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(REPOSITORY / name, source / name, ignore=left)
    (source / ".git").symlink_to(REPOSITORY / ".git")  # for the commit
    with tarfile.open(_built("sdist", source, root)) as archive:
        archive.extractall(root, filter="data")
    shutil.rmtree(source)
    (unpacked,) = root.glob("llama_multimessenger-*/")
    wheel = _built("wheel", unpacked, root)
    shutil.rmtree(unpacked)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / "env"], check=True)
    python = root / "env/bin/python"
    (site,) = (root / "env/lib").glob("python*/site-packages")
    # a path of a .pth file: the editable install beside the dependencies is not followed
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index"]
    alone = ["--no-deps", "--no-compile", "--ignore-installed", "--disable-pip-version-check"]
    subprocess.run([*pip, *alone, wheel], cwd=root, check=True)
    shutil.copy(Path(sys.executable).with_name("snakemake"), root / "env/bin")
    _take_compiled(site / "llama")
    return python


def _built(what: str, source: Path, to: Path) -> Path:
    build = f"import sys, setuptools.build_meta as m; print(m.build_{what}(sys.argv[1]))"
    command = [sys.executable, "-c", build, to]
    made = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return to / made.stdout.splitlines()[-1]


def _take_compiled(package: Path) -> None:
    """Copy what is compiled to where the package looks for it; a directory's path is its name."""
    cache = Path(cache_directory() or "")
    for room in ("background", "neutrinos", "stats"):
        here, there = (
            _CacheLocator.get_suitable_cache_subpath(str(place / room / "any.py"))
            for place in (REPOSITORY / "scripts/llama", package)
        )
        if (cache / here).is_dir():
            target = package / "stats/__pycache__" / cache.name / there
            half = shutil.ignore_patterns("*.tmp.*")  # what others are writing
            shutil.copytree(cache / here, target, ignore=half)


@dataclass(frozen=True)
class Site(Workspace):
    """A machine that has the wheel and no clone; `clone` is what `llama init` makes there."""

    python: Path

    @classmethod
    def make_like(cls, other: Workspace, root: Path, python: Path) -> "Site":
        """Return a site with the inputs and the settings of another machine."""
        site = cls(root, other.home, python)
        site.typed.mkdir(parents=True)
        preloaded.write_commands(site.typed, str(python))
        left = shutil.ignore_patterns("studies", "populations.*", "logs")
        shutil.copytree(other.output, site.output, symlinks=True, ignore=left)
        site.typed_at(root, "llama", "init", "clone")
        shutil.copy(other.clone / "config.yaml", site.clone)
        return site

    @property
    def environment(self) -> dict[str, str]:
        kept = super().environment
        return kept | {"PATH": os.pathsep.join([str(self.typed), "/usr/bin", "/bin"])}

    def typed_at(self, directory: Path, *words: str, **more: str) -> str:
        """Run a command in a directory and return what it printed on both streams."""
        done = subprocess.run(
            words,
            cwd=directory,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


def _files(directory: Path, pattern: str = "*") -> dict[str, str]:
    return {
        str(path.relative_to(directory)): sha256_file(path)
        for path in sorted(directory.rglob(pattern))
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_demo_in_an_empty_directory(finished: Workspace, python: Path, tmp_path: Path) -> None:
    (site_packages,) = (python.parents[1] / "lib").glob("python*/site-packages")
    installed = _files(site_packages)
    site = Site.make_like(finished, tmp_path / "site", python)
    empty = tmp_path / "empty"
    empty.mkdir()
    printed = site.typed_at(empty, "llama", "demo", "--injections", "20")
    assert re.search(r"odds ratio [\d.]+, p-value .* 20 injections", printed)
    assert [path.name for path in empty.iterdir()] == ["demo"]
    assert _files(site_packages) == installed


def test_an_event_by_llama_run(finished: Workspace, python: Path, tmp_path: Path) -> None:
    """Made by a pass in what `llama init` made; for the clone, nothing of it is out of date."""
    site = Site.make_like(finished, tmp_path / "site", python)
    for name in ("populations.hdf5", "populations.json"):
        shutil.copy2(finished.output / name, site.output)
    products = {path.name for path in finished.products()[2:]} - {LIST}
    for name in products:
        (site.event / name).unlink()
    site.typed_at(site.clone, "llama", "run", "-o")
    compared = products - DATED
    assert site.digests(compared) == finished.digests(compared)
    assert (site.clone / "events").resolve() == (site.output / "current_run").resolve()
    shutil.rmtree(site.clone)
    shutil.copytree(finished.clone, site.clone, symlinks=True)
    assert Workspace(site.root, site.home).plan(f"{EVENT}/all") == []


def test_a_study_from_any_directory(
    finished_study: Workspace, python: Path, tmp_path: Path
) -> None:
    site = Site.make_like(finished_study, tmp_path / "site", python)
    settings = {"LLAMA_CONFIG": str(site.clone / "config.yaml")}
    site.typed_at(tmp_path, "llama", "snakemake", "populations.hdf5", "--cores", "2", **settings)
    made, expected = (
        _files(each.output / DIRECTORY, "*.hdf5") | _files(each.output, "populations.*")
        for each in (site, finished_study)
    )
    assert made == expected
    assert len(made) == 7
    # and the profiles are found there by their names
    printed = site.typed_at(
        tmp_path, "llama", "snakemake", "--profile", "slurm", "--dry-run", **settings
    )
    assert "Nothing to be done" in printed


def test_the_page_for_python_runs(python: Path, tmp_path: Path) -> None:
    """The first block of docs/python.md, a script of 15 lines, and all others after it."""
    assert len([line for line in BLOCKS[0].splitlines() if line]) <= 15
    where = "import llama; from pathlib import Path; assert 'env' in Path(llama.__file__).parts\n"
    typed = "assert (Path(llama.__file__).parent / 'py.typed').exists()\n"
    (tmp_path / "page.py").write_text(where + typed + "".join(BLOCKS))
    command = [str(python), "page.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.match(r"odds ratio [\d.]+, p = [\d.]+ ± [\de.-]+\n", done.stdout), done.stdout
    assert (tmp_path / "combined.fits").exists()
    assert (tmp_path / "skymap.pdf").read_bytes().startswith(b"%PDF")
