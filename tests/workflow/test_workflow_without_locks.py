"""A file system without locks: every command says so in one sentence, and nothing is half done."""

import re
import sys
from pathlib import Path

import pytest
from workspace import EVENT, GRACEID, REPOSITORY, Workspace, alert

_NO_FLOCK = [sys.executable, str(REPOSITORY / "tests/no_flock.py")]
ENOLCK, ENOSYS, EOPNOTSUPP = "37", "38", "95"
LISTEN = ("llama", "listen", "gcn", "--bootstrap-servers", "127.0.0.1:9")


@pytest.fixture(scope="module")
def site(copied: Workspace) -> Workspace:
    """A machine that has run before: its lock files are there."""
    copied.run("llama", "run", "-o")
    (copied.root / "alert.json").write_bytes(alert("UPDATE", minute=9))
    return copied


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ENOSYS, ("snakemake", f"{EVENT}/all")),
        (ENOLCK, ("snakemake", f"{EVENT}/all")),
        (EOPNOTSUPP, ("snakemake",)),
        (ENOSYS, ("llama", "run", "-F")),
        (ENOLCK, ("llama", "run")),
        (EOPNOTSUPP, ("llama", "run", "-o")),
        (ENOLCK, ("llama", "run", "-r")),
        (ENOSYS, ("skymap_info", "--alert", "{root}/alert.json", "--role", "test")),
        (ENOLCK, (*LISTEN, "-F")),
        (ENOSYS, LISTEN),
        (ENOLCK, ("llama", "listen", "status")),
        (ENOLCK, ("llama", "audit")),
    ],
)
def test_a_command_that_needs_a_lock_says_that_there_are_none(
    site: Workspace, error: str, words: tuple[str, ...]
) -> None:
    before = _files(site.event)
    given = [word.format(root=site.root) for word in words]
    printed = site.run(*_NO_FLOCK, error, *given, code=1)
    assert printed.count("this file system has no locks") == 1, printed
    assert "cannot lock /" in printed.splitlines()[-1]
    assert "output_dir in config.yaml" in printed.splitlines()[-1]
    assert "Traceback" not in printed
    assert _files(site.event) == before


def test_status_says_all_that_needs_no_lock(site: Workspace) -> None:
    printed = site.run(*_NO_FLOCK, ENOSYS, "llama", "status")
    for part in ("listener", "run"):
        assert re.search(rf"^{part} +NOT WELL: .*this file system has no locks", printed, re.M)
    assert re.search(rf"^{GRACEID} .* complete$", printed, re.M)
    assert "Traceback" not in printed


@pytest.mark.parametrize("error", [ENOLCK, ENOSYS, EOPNOTSUPP])
def test_what_only_reads_needs_no_locks(site: Workspace, error: str) -> None:
    printed = site.run(*_NO_FLOCK, error, "llama", "explain", GRACEID)
    assert "= odds ratio" in printed


def _files(directory: Path) -> dict[str, bytes]:
    found = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}
