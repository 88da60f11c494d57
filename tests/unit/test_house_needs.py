"""What a machine lacks is left out of a run by name, and CI leaves nothing out."""

import os
import re
import subprocess
import sys
from pathlib import Path

import needs
import pytest

CLONE = Path(__file__).parents[2]


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH has no program."""
    return {name: value for name, value in os.environ.items() if name != "CI"} | {
        "PATH": str(tmp_path)
    }


def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run five tests of the guard, and two that need fish, which is nowhere on that PATH."""
    words = ["tests/unit/test_cli_completion.py", "tests/unit/test_guard.py"]
    words += ["-q", "-p", "no:cacheprovider", "-k", "fish or other_machines"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=CLONE, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def test_what_is_left_out_is_said_last(bare: dict[str, str]) -> None:
    done = run(bare)
    assert done.returncode == 0, done.stdout
    assert "5 passed, 2 skipped" in done.stdout
    assert "2 tests: needs fish" in done.stdout
    assert "python3 tests/needs.py" in done.stdout


def test_ci_leaves_nothing_out(bare: dict[str, str]) -> None:
    done = run(bare | {"CI": "true"})
    assert done.returncode == 1
    assert "5 passed, 2 skipped" in done.stdout


def test_a_plain_user_is_told_what_to_install(bare: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, CLONE / "tests/needs.py"],
        env=bare, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "fish" in done.stdout


def test_every_need_is_in_the_list() -> None:
    """A program that no table knows would be an error in the middle of a run."""
    named = set()
    for path in (CLONE / "tests").rglob("*.py"):
        for words in re.findall(r"\b(?:needs|require|check)\(([^()]*\")\)", path.read_text()):
            named |= set(re.findall(r'"([^"]+)"', words))
    assert named - {"missing"} <= needs.PACKAGES.keys()
    assert {*needs.SLURM, *needs.SSH} <= needs.PACKAGES.keys()
