"""SECURITY.md names a test for each threat, and the tests that it names are there."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
THREATS = (
    *("hostile alert", "hostile map", "hostile neutrino file", "stolen droplet", "stolen token"),
    *("tampered background", "man in the middle", "hostile text on pages", "replayed alerts"),
)


def rows() -> dict[str, tuple[str, str]]:
    """Return {threat: (guard, tests)} of the table of threats."""
    text = (REPOSITORY / "SECURITY.md").read_text()
    table = text.partition("| threat |")[2].partition("\n\n")[0]
    cells = (line.strip("| ").split(" | ") for line in table.splitlines()[2:])
    return {threat.lower(): (guard, tests) for threat, guard, tests in cells}


def test_all_threats_are_there() -> None:
    assert set(THREATS) <= set(rows())


@pytest.mark.parametrize("threat", rows())
def test_its_tests_are_there(threat: str) -> None:
    guard, tests = rows()[threat]
    assert guard
    named = re.findall(r"`(tests/[\w/]+\.py)`((?:[,:]? `test_\w+`)*)", tests)
    assert named, threat
    for path, functions in named:
        text = (REPOSITORY / path).read_text()
        for function in re.findall(r"test_\w+", functions):
            assert f"def {function}(" in text, f"{path} has no {function}"
