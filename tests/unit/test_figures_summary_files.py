"""The summary's two documents, HTML and PDF."""

import base64
import re

import figure_samples as sample
import pytest
from page_samples import PNG, Page

from llama.errors import LlamaError
from llama.figures.summary import write_summary


def write(tmp_path, name="summary", **changes):
    for figure in ("map.png", "scatter.png"):
        (tmp_path / figure).write_bytes(PNG)
    figures = tmp_path / "map.png", changes.pop("scatter_png", tmp_path / "scatter.png")
    event_dir = changes.pop("event_dir", "events/S190425z")
    html, pdf = tmp_path / f"{name}.html", tmp_path / f"{name}.pdf"
    files, latency = sample.event_files(**changes), sample.latency()["revisions"]
    write_summary(files, latency, figures, event_dir, html, pdf)
    return html.read_text(encoding="utf-8"), pdf.read_bytes()


def test_nothing_is_shown_as_none_or_nan(tmp_path):
    # NaN in a file is a sentence where the file is read: test_damaged.py
    neutrinos = sample.neutrino_list(
        [sample.neutrino(0, 1, 2, energy=None, subevent=None)], window=None
    )
    html, pdf = write(
        tmp_path,
        info=sample.info(far=None, pipeline="", search=None, revision=None, notice=None),
        p_astro={"p_astro": None, "BNS": None},
        distances={"distmean_mpc": None},
        neutrinos=neutrinos,
        significance={"odds_ratio": None, "p_value": None, "p_astro_joint": None},
    )
    seen = " ".join(Page(html).words)
    assert not re.search(r"\b(None|nan|inf|NaN|null|undefined)\b", seen)
    assert pdf.startswith(b"%PDF")


def test_the_html_needs_nothing_else_and_can_be_read_aloud(tmp_path):
    html, _ = write(tmp_path)
    page = Page(html)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert len(page.all("h2")) == 8
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    assert len([image for image in page.all("img") if len(image["alt"]) > 40]) == 2
    assert all(cell["scope"] in {"row", "col"} for cell in page.all("th"))
    assert len(page.all("caption")) == 3
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    assert not re.search(r"(src|href|url\()\s*=?\s*[\"']?(https?:)?//", html)


def test_text_on_the_page_has_contrast(tmp_path):
    html, _ = write(tmp_path)

    def luminance(colour):
        digits = colour.lstrip("#")
        digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
        parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark = set(re.findall(r"(?<![-\w])color: (#[0-9a-f]{3,6})", html)) - {"#fff"}
    assert len(dark) >= 4
    assert all((1.05) / (luminance(colour) + 0.05) >= 4.5 for colour in dark)
    for ground in re.findall(r"\.marks li[^{]*\{[^}]*background: (#[0-9a-f]{3,6})", html):
        assert 1.05 / (luminance(ground) + 0.05) >= 4.5


def test_hostile_text_stays_text(tmp_path):
    bad = sample.HOSTILE
    neutrinos = sample.neutrino_list(
        [sample.neutrino(0, 1, 2, id=bad, type=bad), sample.neutrino(1, 1, 2, id="'\"><img src=x>")]
    )
    result = sample.significance(
        neutrinos,
        p_value=None,
        p_value_reason=bad * 40,
        provenance={bad: {bad: [bad, None]}},
        p_value_population=bad,
    )
    html, pdf = write(
        tmp_path,
        info=sample.info(pipeline=bad + "A" * 10240, group=bad, notice=bad, instruments=[bad]),
        neutrinos=neutrinos,
        significance=result,
        event_dir="events/" + bad,
    )
    page = Page(html)
    assert not page.all("script")
    assert len(page.all("img")) == 2
    assert "A" * 100 not in html.replace(base64.b64encode(PNG).decode(), "")
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b]", html)
    assert "{{7*7}}" in "".join(page.words)
    assert pdf.startswith(b"%PDF")
    assert b"root:" not in pdf


def test_equal_input_gives_equal_bytes(tmp_path):
    assert write(tmp_path, "one") == write(tmp_path, "two")


def test_a_missing_figure_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(LlamaError, match="make the figures first"):
        write(tmp_path, scatter_png=tmp_path / "absent.png")
    assert not (tmp_path / "summary.html").exists()


def test_a_long_list_fits_in_both_documents(tmp_path):
    events = [sample.neutrino(k, k % 360, k % 90, dt=float(k)) for k in range(300)]
    html, pdf = write(
        tmp_path,
        neutrinos=sample.neutrino_list(events),
        significance=sample.significance(single_neutrino=[]),
    )
    assert html.count("<tr") > 300
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 5


def test_how_fast_it_went_is_in_both_documents(tmp_path):
    html, pdf = write(tmp_path)
    for words in ("Latency", "97.1 s (7.1 s)", "Taken over"):
        assert words in html
    assert pdf.startswith(b"%PDF")
