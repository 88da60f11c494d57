"""Compiled code is kept between processes, also where the installed package cannot be written."""

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


@pytest.fixture
def read_only(tmp_path):
    """A copy of the package in which nothing can be written: not even by root.

    Python and numba write into `__pycache__` only; here these are files. To everyone but root
    the directories are closed as well.
    """
    package = tmp_path / "site" / "llama"
    shutil.copytree(
        Path(llama.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    directories = [package, *(d for d in package.rglob("*") if d.is_dir())]
    for directory in directories:
        (directory / "__pycache__").touch()
        directory.chmod(0o555)
    yield package
    for directory in directories:
        directory.chmod(0o755)


def run(package, **environment):
    """Return the package's file and the cache's hits and misses of a new process."""
    environment = os.environ | {"PYTHONPATH": str(package.parent)} | environment
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    file, hits, misses = json.loads(done.stdout)
    assert Path(file).is_relative_to(package)
    return hits, misses


def content(directory):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in directory.rglob("*")}


def test_read_only_install_compiles_once_into_the_users_cache(read_only, tmp_path):
    before = content(read_only)
    cache = tmp_path / "cache"
    assert run(read_only, XDG_CACHE_HOME=str(cache)) == (0, 1)
    assert run(read_only, XDG_CACHE_HOME=str(cache)) == (1, 0)
    assert content(read_only) == before
    assert [d.name[:6] for d in (cache / "llama").iterdir()] == ["numba-"]


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
