"""The texts: generated pages are fresh, links lead somewhere, no page is hidden."""

import json
import re
import runpy
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[2]
TEXTS = [*sorted(CLONE.glob("*.md")), *sorted((CLONE / "docs").glob("*.md"))]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a text's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", path.read_text()))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def test_the_page_of_files_is_fresh() -> None:
    files = runpy.run_path(str(CLONE / "tests/bench/files_page.py"))
    shown = files["PAGE"].read_text()
    assert shown == files["page"](), "write it: python tests/bench/files_page.py"


def test_the_page_of_measurements_is_fresh_and_alone_tells_times_in_ms() -> None:
    measured = runpy.run_path(str(CLONE / "tests/bench/measured_page.py"))
    shown = measured["PAGE"].read_text()
    assert shown == measured["page"](), "write it: python tests/bench/measured_page.py"
    elsewhere = [
        f"{path.name}: {line}"
        for path in TEXTS
        if path not in (measured["PAGE"], CLONE / "CHANGES.md")
        for line in path.read_text().splitlines()
        if re.search(r"\d ms\b", line) and "measured.md" not in line
    ]
    assert elsewhere == []


def test_the_page_of_the_method_has_the_power_that_was_measured() -> None:
    """With the matrix, no declination and no population is worse off by two deviations."""
    power = runpy.run_path(str(CLONE / "tests/bench/power.py"))
    result = json.loads(power["RESULT"].read_text())
    text = (CLONE / "docs/method.md").read_text()
    for table in power["tables"](result).split("\n\n"):
        assert table in text, "copy it: it is printed by python tests/bench/power.py"
    shares = [case[kind] for case in result["cases"] for kind in ("one", "two", "both")]
    assert len(shares) == 27
    assert min(share["gain"] / share["sigma"] for share in shares) > -2


def test_no_merge_is_half_done() -> None:
    marked = [path.name for path in TEXTS if re.search("(?m)^(<{7}|>{7})", path.read_text())]
    assert marked == []


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_links_lead_somewhere(text: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text.read_text()):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (text.parent / name).resolve() if name else text
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def test_the_readme_leads_to_every_page() -> None:
    shown = (CLONE / "README.md").read_text()
    hidden = [path.name for path in TEXTS if path.name != "README.md" and path.name not in shown]
    assert hidden == []


SOURCES = sorted(
    path
    for place in ("scripts", "rules", "tests")
    for path in (CLONE / place).rglob("*")
    if path.suffix in (".py", ".smk", ".j2")
)


def test_pages_that_the_code_names_are_there() -> None:
    pages = {path.name for path in TEXTS}
    named = {
        f"{path.relative_to(CLONE)}: {name}"
        for path in SOURCES
        for name in re.findall(r"[\w./-]*?([\w-]+\.md)\b", path.read_text())
        if name not in pages
    }
    assert named == set()


def test_equations_that_the_code_cites_are_there() -> None:
    numbers = re.findall(r"(?m)^ {4,}.* \((\d+)\)$", (CLONE / "docs/method.md").read_text())
    assert numbers == [str(k) for k in range(1, len(numbers) + 1)]
    cited = set()
    for path in SOURCES:
        text = " ".join(path.read_text().split())
        for those in re.findall(r"method\.md \(([\d, -]+)\)", text):
            cited |= set(re.findall(r"\d+", those))
    assert cited - set(numbers) == set()
    assert len(cited) > 5
