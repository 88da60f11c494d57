"""Compiled code is kept between processes, also where the installed package cannot be written."""

import compileall
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import llama
from llama.stats import compiled

PROGRAM = """
import json
from llama.stats import healpix
healpix.sphere_point(0, 0.25, 0.5)
stats = healpix.sphere_point.stats
counts = [sum(c.values()) for c in (stats.cache_hits, stats.cache_misses)]
print(json.dumps([healpix.__file__, *counts]))
"""


# Permissions mean nothing to root, who runs the tests of CI: its children are to do without that.
UNPRIVILEGED = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []
)


@pytest.fixture
def read_only(tmp_path, request):
    """A copy of the package that nobody can write to; param: with its `__pycache__`."""
    package = tmp_path / "site" / "llama"
    shutil.copytree(
        Path(llama.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    if getattr(request, "param", False):
        assert compileall.compile_dir(package, quiet=1)
    directories = [package.parent, package, *(d for d in package.rglob("*") if d.is_dir())]
    for directory in directories:
        directory.chmod(0o555)
    yield package
    for directory in directories:
        directory.chmod(0o755)


def python(program, package, **environment):
    """Run a program in a new process that has no more rights than any user."""
    environment = os.environ | {"PYTHONPATH": str(package.parent)} | environment
    command = [*UNPRIVILEGED, sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def run(package, **environment):
    """Return the cache's hits and misses of a new process that imports `package`."""
    done = python(PROGRAM, package, **environment)
    assert done.returncode == 0, done.stderr
    file, hits, misses = json.loads(done.stdout)
    assert Path(file).is_relative_to(package)
    return hits, misses


@pytest.mark.parametrize("read_only", [False, True], indirect=True, ids=["bare", "pycache"])
def test_the_install_is_read_only_for_the_processes_below(read_only):
    for directory in {read_only / "stats", *read_only.glob("stats/__pycache__")}:
        done = python(f"open({str(directory / 'file')!r}, 'w')", read_only)
        assert "PermissionError" in done.stderr, done


def content(directory):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in directory.rglob("*")}


@pytest.mark.parametrize("read_only", [False, True], indirect=True, ids=["bare", "pycache"])
def test_read_only_install_compiles_once_into_the_users_cache(read_only, tmp_path):
    before = content(read_only)
    cache = tmp_path / "cache"
    assert run(read_only, XDG_CACHE_HOME=str(cache)) == (0, 1)
    assert run(read_only, XDG_CACHE_HOME=str(cache)) == (1, 0)
    assert content(read_only) == before
    assert [d.name[:6] for d in (cache / "llama").iterdir()] == ["numba-"]


def test_what_a_read_only_install_came_with_is_not_compiled(read_only, tmp_path):
    places = [read_only / "stats", read_only / "stats/__pycache__"]
    cache = tmp_path / "first"
    assert run(read_only, XDG_CACHE_HOME=str(cache)) == (0, 1)
    places[0].chmod(0o755)
    (kept,) = (cache / "llama").iterdir()
    shutil.copytree(kept, places[1] / kept.name)
    for directory in (*places, *(d for d in places[1].rglob("*") if d.is_dir())):
        directory.chmod(0o555)
    for _ in range(2):
        assert run(read_only, XDG_CACHE_HOME=str(tmp_path / "second")) == (1, 0)
    assert [d.name for d in (tmp_path / "second/llama").iterdir()] == [kept.name]
    # tmp_path is removed
    for directory in places[1], *(d for d in places[1].rglob("*") if d.is_dir()):
        directory.chmod(0o755)


def test_without_any_place_to_write_it_compiles_each_time(read_only, tmp_path):
    (tmp_path / "file").touch()
    for _ in range(2):
        assert run(read_only, XDG_CACHE_HOME=str(tmp_path / "file")) == (0, 1)


def test_home_is_where_the_users_cache_is(read_only, tmp_path):
    assert run(read_only, XDG_CACHE_HOME="", HOME=str(tmp_path / "home")) == (0, 1)
    assert list((tmp_path / "home" / ".cache" / "llama").glob("numba-*"))


def test_caches_of_older_sources_are_removed_after_a_week(tmp_path):
    mine, recent, old = (tmp_path / f"numba-{name}" for name in ("mine", "recent", "old"))
    other = tmp_path / "module.pyc"
    for path in (recent, old):
        path.mkdir()
        (path / "index.nbi").touch()
    other.touch()
    week = time.time() - 8 * 86_400
    for path in (old, other):
        os.utime(path, (week, week))
    compiled.remove_old_caches(str(mine))
    assert sorted(tmp_path.iterdir()) == [other, recent]
    compiled.remove_old_caches(str(tmp_path / "absent" / "numba-mine"))
