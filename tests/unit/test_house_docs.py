"""The texts: generated pages are fresh, links lead somewhere, no page is hidden."""

import re
import runpy
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[2]
FILES = runpy.run_path(str(CLONE / "tests/bench/files_page.py"))
TEXTS = [*sorted(CLONE.glob("*.md")), *sorted((CLONE / "docs").glob("*.md"))]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a text's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", path.read_text()))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def test_the_page_of_files_is_fresh() -> None:
    shown = FILES["PAGE"].read_text()
    assert shown == FILES["page"](), "write it: python tests/bench/files_page.py"


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
