"""Figures and page of a study, looked at by machine."""

import re

import figure_samples as sample
import numpy as np
import pytest
from matplotlib.markers import CARETDOWNBASE
from page_samples import PNG, Page

from llama.errors import LlamaError
from llama.figures.study import draw_distributions, draw_efficiency, draw_pp
from llama.figures.study_page import study_content, write_study_summary

ENERGIES = np.logspace(49, 55, 61)
DRAWINGS = (draw_efficiency, draw_pp, draw_distributions)


def rise(at, top=1.0):
    value = top / (1 + (at / ENERGIES) ** 1.5)
    return {"value": value.tolist(), "error": (0.01 + 0 * value).tolist()}


def energy(value):
    return {"low_erg": 0.9 * value, "value_erg": value, "high_erg": 1.1 * value}


def threshold(name, criterion, at, **changes):
    return {
        "name": name,
        "criterion": criterion,
        "p_value": 1e-4,
        "reason": None,
        "background_effective": 30.0,
        "e_iso_50": energy(at),
        "e_iso_90": energy(5 * at),
        "efficiency_signal": {"value": 0.6, "error": 0.01},
        "efficiency_doublet": {"value": 0.8, "error": 0.01},
        "efficiency_quadruplet": {"value": 1.0, "error": 0.001},
        "efficiency": rise(at),
    } | changes


def entry(low, high, odds=1e-4):
    kind = {"n": 100, "found": {"value": 0.01, "error": 0.003}}
    kind |= {f"odds_{q}": odds * q for q in (50, 90, 99)}
    return {"low": low, "high": high} | dict.fromkeys(
        ("background", "signal", "doublet", "quadruplet"), kind
    )


def study(**changes):
    edges = [50.0, 100.0, 200.0, 400.0]
    curves = [rise(1e51 * (d / 100) ** 2) for d in edges[:-1]]
    distances = {"distance_mpc": edges} | {
        part: [of_bin[part] for of_bin in curves] for part in ("value", "error")
    }
    p = np.geomspace(1e-3, 0.9, 40)
    shares = {"signal": p**0.2, "doublet": p**0.1, "quadruplet": p**0.01, "background": p}
    return {
        "study": "bns-o3-H1L1V1",
        "injections": {"background": 2000, "signal": 400, "doublet": 400, "quadruplet": 400},
        "sampling": "plain",
        "skymaps": 24,
        "broken_skymaps": 0,
        "p_astro": 0.99,
        "triggers_per_year": 100.0,
        "e_iso_erg": ENERGIES.tolist(),
        "thresholds": [
            threshold("p_value", "p < 0.01", 1e51),
            threshold("joint_far", "joint FAR ≤ 1 per 100 yr", 3e51),
        ],
        "by_distance": [distances, distances],
        "uniformity": {
            "n_reference": 1000,
            "n_tested": 1000,
            "p": p.tolist(),
            "fraction": (1.01 * p).tolist(),
            "sigma": (0.03 * p**0.5).tolist(),
            "ks_p_value": 0.42,
            "zero_odds": [12, 9],
            "zero_odds_sigma": 0.7,
        },
        "cumulative": {"p": p.tolist()} | {kind: share.tolist() for kind, share in shares.items()},
        "by_neutrinos": [entry(0, 5), entry(6, 20)],
        "by_area_90_deg2": [entry(30.0, 200.0), entry(250.0, 8000.0, odds=1e-3)],
        "provenance": {"software": "llama 0.1.0", "seed": 7, "inputs": {"signal/a": "cd" * 32}},
    } | changes


EMPTY = {"background": None, "signal": None, "doublet": None, "quadruplet": None}
NEVER = dict.fromkeys(("low_erg", "value_erg", "high_erg"))
NO_HALF = [
    threshold("p_value", "p < 0.01", 1e51, efficiency=rise(1e51, 0.2), e_iso_50=NEVER),
    threshold("joint_far", "joint FAR", 1e51),
]
NOTHING = [
    threshold(name, "p < 0.01", 1e51, reason="too few; make more", e_iso_50=NEVER, e_iso_90=NEVER)
    for name in ("p_value", "joint_far")
]
TINY = {"p": [], "fraction": [], "sigma": [], "ks_p_value": None}
EXTREMES = {
    "nothing can be found": {"thresholds": NOTHING},
    "one map, one distance": {
        "by_distance": [{"distance_mpc": [40.0], "value": [], "error": []}] * 2,
        "by_area_90_deg2": [entry(30.0, 30.0)],
        "by_neutrinos": [entry(0, 0, odds=0.0)],
    },
    "tiny background": {
        "thresholds": NO_HALF,
        "uniformity": study()["uniformity"] | TINY,
        "by_neutrinos": [entry(0, 5), entry(6, 9) | EMPTY],
        "by_area_90_deg2": [entry(0.0, 30.0), entry(31.0, 50.0)],
    },
}


@pytest.fixture
def figures(monkeypatch):
    return sample.record_figures(monkeypatch)


@pytest.mark.parametrize("changes", EXTREMES.values(), ids=EXTREMES)
def test_every_study_can_be_drawn_and_told(tmp_path, changes, monkeypatch):
    monkeypatch.setattr("llama.figures.style.DPI", 30)
    content = study(**changes)
    for draw in DRAWINGS:
        draw(content, tmp_path / "a.png", tmp_path / "a.pdf")
    pngs = [tmp_path / "a.png"] * 3
    write_study_summary(content, pngs, tmp_path / "a.html", tmp_path / "a.pdf")
    seen = " ".join(Page((tmp_path / "a.html").read_text(encoding="utf-8")).words)
    assert not re.search(r"\b(None|nan|inf|NaN|null|undefined)\b", seen)
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("draw", DRAWINGS)
def test_equal_input_gives_equal_bytes(tmp_path, draw):
    for name in ("one", "two"):
        draw(study(), tmp_path / f"{name}.png", tmp_path / f"{name}.pdf")
    for suffix in (".png", ".pdf"):
        one, two = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
        assert one == two


def test_the_efficiency_figure_draws_both_criteria(tmp_path, figures):
    draw_efficiency(study(), tmp_path / "a.png", tmp_path / "a.pdf")
    axes = figures[0].axes
    lines = {line.get_label(): line for line in axes[0].lines if line.get_label()[0] != "_"}
    assert list(lines) == ["p < 0.01", "joint FAR ≤ 1 per 100 yr"]
    drawn = np.interp(1e51, *lines["p < 0.01"].get_data())
    assert drawn == pytest.approx(0.5, abs=0.01)
    said = " | ".join(sample.words(figures[0]))
    assert "bns-o3-H1L1V1: detection efficiency" in said
    assert "2,000 background injections, 400 each" in said
    # half of the sources at four times the distance need sixteen times the energy
    steps = axes[1].patches[0].get_data()
    np.testing.assert_allclose(steps.values[1:] / steps.values[:-1], 4, rtol=0.02)
    np.testing.assert_array_equal(steps.edges, [50, 100, 200, 400])


def test_the_pp_figure_draws_the_curve_in_its_band(tmp_path, figures):
    draw_pp(study(), tmp_path / "a.png", tmp_path / "a.pdf")
    linear, _ = figures[0].axes
    curve = next(line for line in linear.lines if "held out" in str(line.get_label()))
    x, y = curve.get_data()
    np.testing.assert_allclose(y, 1.01 * x, rtol=1e-12)
    assert linear.collections  # the band
    assert "KS test: p = 0.4200" in sample.words(figures[0])
    assert [t.get_text() for t in figures[0].legends[0].get_texts()][1:] == ["two", "four"]


def test_the_distributions_have_a_point_for_every_bin(tmp_path, figures):
    draw_distributions(study(), tmp_path / "a.png", tmp_path / "a.pdf")
    upper, lower, by_area = figures[0].axes[:3]
    assert upper.lines[0].get_xdata().tolist() == [2.5, 13.0]
    assert by_area.get_xscale() == "log"
    assert by_area.lines[0].get_ydata().tolist() == pytest.approx([50e-4, 50e-3])
    assert lower.get_ylabel() == "fraction with p < 0.01"


def test_a_bin_in_which_nothing_is_found_has_an_arrow_from_its_limit(tmp_path, figures):
    empty = entry(1, 4)
    empty["background"] = empty["background"] | {"found": {"value": 0.0, "error": 4e-4}}
    bins = [empty, entry(5, 21)]
    draw_distributions(study(by_neutrinos=bins), tmp_path / "a.png", tmp_path / "a.pdf")
    lower = figures[0].axes[1]
    arrows = [line for line in lower.lines if line.get_marker() == CARETDOWNBASE]
    drawn = [y for line in arrows for y in line.get_ydata()]
    assert drawn == [2e-4]
    assert lower.get_ylim()[0] < 2e-4


def test_the_page_says_what_was_found():
    page = study_content(study())
    assert page["lead"].startswith("Half of the sources of this class are found with p < 0.01 if")
    assert "1.0e+51 erg, 90 % if they emit 5.0e+51 erg" in page["lead"]
    result = sample.facts(page["result"])
    assert result["50 % found, p < 0.01"] == "1.0e+51 erg (1 σ: 9.0e+50 to 1.1e+51)"
    assert result["Found with 1, 2, 4 neutrinos, p < 0.01"] == (
        "(60.0 ± 1.0) %, (80.0 ± 1.0) %, (100.0 ± 0.1) %"
    )
    told = sample.facts(page["study"])
    assert told["Background injections"] == "2,000, plain"
    assert (
        "1,000 against 1,000: Kolmogorov-Smirnov p = 0.4200"
        in told["p-values of held-out background"]
    )
    assert "p = 0.0001" in told["Gravitational-wave triggers"]
    energies, distances = page["tables"]
    at = {row[0]: row[1:] for row in energies["rows"]}
    assert at["1.0e+51"][0] == "50.0 ± 1.0"
    assert [row[0] for row in distances["rows"]] == ["50 to 100", "100 to 200", "200 to 400"]
    assert all(len(row) == len(distances["header"]) for row in distances["rows"])
    assert ("Make it again", "snakemake studies/bns-o3-H1L1V1/all") in page["provenance"]["rows"]


def test_what_was_left_out_and_why_is_told():
    page = study_content(study(broken_skymaps=3))
    assert sample.facts(page["study"])["Sky maps"] == "24, 3 left out"
    page = study_content(study(thresholds=NOTHING))
    assert page["lead"] == "Nothing can be found: too few; make more."
    page = study_content(study(thresholds=NO_HALF))
    assert page["lead"].startswith("Not even half")
    few = threshold("p_value", "p < 0.01", 1e51, background_effective=4.2)
    result = sample.facts(study_content(study(thresholds=[few, NO_HALF[1]]))["result"])
    told = {name: words for name, words in result.items() if name.startswith("Uncertain")}
    words = "only 4.2 background injections, in effect, have such a p-value"
    assert told == {"Uncertain: p < 0.01": words}


def test_the_html_needs_nothing_else_and_can_be_read_aloud(tmp_path):
    pngs = [tmp_path / f"{k}.png" for k in range(3)]
    for png in pngs:
        png.write_bytes(PNG)
    write_study_summary(study(), pngs, tmp_path / "a.html", tmp_path / "a.pdf")
    html = (tmp_path / "a.html").read_text(encoding="utf-8")
    page = Page(html)
    assert len(page.all("h1")) == 1
    images = page.all("img")
    assert len(images) == 3
    assert all(image["src"].startswith("data:image/png;base64,") for image in images)
    assert all(len(image["alt"]) > 40 for image in images)
    assert all(cell["scope"] in {"row", "col"} for cell in page.all("th"))
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    assert not re.search(r"(src|href|url\()\s*=?\s*[\"']?(https?:)?//", html)
    again = tmp_path / "b.html", tmp_path / "b.pdf"
    write_study_summary(study(), pngs, *again)
    for name, other in zip(("a.html", "a.pdf"), again, strict=True):
        assert (tmp_path / name).read_bytes() == other.read_bytes()


def test_a_missing_figure_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(LlamaError, match="make the figures first"):
        write_study_summary(study(), [tmp_path / "no.png"] * 3, tmp_path / "a.html", tmp_path / "b")
    assert not list(tmp_path.iterdir())


def test_no_label_is_markup(tmp_path, figures):
    """Odds within one power of ten: Matplotlib would label in between, with its formulas."""
    near = [entry(k, k + 1, odds=0.002 * (k + 1)) for k in range(1, 4)]
    draw_distributions(study(by_neutrinos=near), tmp_path / "a.png", tmp_path / "a.pdf")
    draw_pp(study(), tmp_path / "b.png", tmp_path / "b.pdf")
    for figure in figures:
        for axes in figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                labels = [
                    t.get_text() for which in (False, True) for t in axis.get_ticklabels(which)
                ]
                assert not [label for label in labels if "$" in label], labels
        upper = figure.axes[0].yaxis
        assert len([t for t in upper.get_ticklabels() if t.get_text()]) >= 2
