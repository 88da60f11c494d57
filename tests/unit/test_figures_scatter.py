"""The significance figure, looked at by machine."""

import subprocess
import sys

import figure_samples as sample
import numpy as np
import pytest

from llama.errors import LlamaError
from llama.event.results import Significance
from llama.figures.scatter import draw_scatter
from llama.figures.style import power_of_ten


def scatter(tmp_path, background, name="scatter", weights=None, **changes):
    paths = tmp_path / f"{name}.png", tmp_path / f"{name}.pdf"
    result = sample.form(sample.significance(**changes), Significance)
    draw_scatter(result, background, *paths, weights=weights)
    return paths


@pytest.fixture
def figures(monkeypatch):
    return sample.record_figures(monkeypatch)


BACKGROUND = np.sort(np.r_[np.zeros(600), 10 ** np.random.default_rng(2).normal(-5, 2, 400)])


def test_scatter_files_have_equal_bytes(tmp_path):
    first, second = (scatter(tmp_path, BACKGROUND, name) for name in ("one", "two"))
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_scatter_says_odds_p_value_and_the_atom_at_zero(tmp_path, figures):
    scatter(tmp_path, BACKGROUND)
    said = " | ".join(sample.words(figures[0]))
    assert "odds 0.0321, p = 0.0056" in said
    assert "63.2 % of 1000 background triggers are left of this axis, 60 % with odds 0" in said
    assert "bns-o3-L1V1, 24 sky maps, n = 20000" in said


def test_the_curve_is_the_p_value(tmp_path, figures):
    scatter(tmp_path, BACKGROUND)
    line = figures[0].axes[0].lines[0]
    x, y = line.get_xdata(), line.get_ydata()
    for odds in (1e-7, 1e-4, float(BACKGROUND[-1]), 2 * float(BACKGROUND[-1])):
        expected = (1 + np.count_nonzero(odds <= BACKGROUND)) / (1 + len(BACKGROUND))
        drawn = y[np.flatnonzero(x >= odds)[-1]] if odds < x[0] else y[0]
        assert drawn == pytest.approx(expected, rel=0.02)


def test_the_curve_of_a_weighted_background_sums_its_weights(tmp_path, figures):
    weights = 10 ** np.random.default_rng(3).uniform(-9, 0, BACKGROUND.size)
    turned = np.random.default_rng(4).permutation(BACKGROUND.size)
    scatter(tmp_path, BACKGROUND[turned], weights=weights[turned], p_value=1e-7)
    line = figures[0].axes[0].lines[0]
    x, y = line.get_xdata(), line.get_ydata()
    for odds in (1e-7, 1e-4, float(BACKGROUND[-1])):
        expected = (weights[-1] + weights[odds <= BACKGROUND].sum()) / (1 + len(BACKGROUND))
        assert y[np.flatnonzero(x >= odds)[-1]] == pytest.approx(expected, rel=0.02)
    assert figures[0].axes[0].get_ylim()[0] <= 1e-7


def test_the_event_is_drawn_at_the_backgrounds_p_astro(tmp_path, figures):
    scatter(tmp_path, BACKGROUND, p_value_odds=0.00321)
    axes = figures[0].axes[0]
    at = [line.get_xdata()[0] for line in axes.lines if "this event" in str(line.get_label())]
    assert at == [0.00321]
    assert "odds 0.00321" in " ".join(sample.words(figures[0]))


def test_an_event_with_odds_zero_is_told_in_words(tmp_path, figures):
    scatter(tmp_path, BACKGROUND, odds_ratio=0.0, p_value=1.0, single_neutrino=[])
    assert any("so has this event: odds 0, p = 1" in line for line in sample.words(figures[0]))


def test_without_background_the_figure_gives_reason_and_command(tmp_path, figures):
    reason = "no background of the class bns-o3-L1V1; make one with 'llama dev background pvalue'"
    scatter(tmp_path, None, p_value=None, p_value_reason=reason, n_background=0)
    said = " ".join(sample.words(figures[0]))
    assert "No background to compare with" in said
    assert "llama dev background" in said
    assert "0.0321" in said


@pytest.mark.parametrize(
    "background",
    [np.zeros(50), np.array([1e-300]), np.array([0.0, 1e300]), np.full(100, 0.5)],
    ids=["all zero", "tiny", "huge", "one value"],
)
def test_strange_backgrounds_are_drawn(tmp_path, background):
    png, _ = scatter(tmp_path, background)
    assert png.stat().st_size > 5_000


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_a_broken_background_is_refused_and_nothing_is_written(tmp_path, bad):
    with pytest.raises(LlamaError, match="make its table again"):
        scatter(tmp_path, np.array([0.0, 1.0, bad]))
    assert list(tmp_path.iterdir()) == []


def test_powers_of_ten():
    assert [power_of_ten(v) for v in (1e-12, 1.0, 1e3)] == ["10⁻¹²", "10⁰", "10³"]


# A file-size limit of the process is the same to the code as a full disk: write() fails.
_FULL_DISK = """
import resource, string, sys
from pathlib import Path
from llama.errors import LlamaError
from llama.figures.style import drawing
where, limit = Path(sys.argv[1]), resource.RLIM_INFINITY
def draw():
    with drawing(1.0, where / "a.png", where / "a.pdf") as figure:
        figure.text(0.1, 0.5, string.ascii_letters, color="white")  # the PNG is small, the PDF not
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
draw()
sizes = [(where / name).stat().st_size for name in ("a.png", "a.pdf")]
limit = {"png": 100, "pdf": sum(sizes) // 2}[sys.argv[2]]
assert sizes[0] < sizes[1] - 8192, sizes
try:
    draw()
except LlamaError as error:
    sys.exit(f"said: {error}")
"""


@pytest.mark.parametrize("form", ["png", "pdf"])
def test_a_full_disk_is_one_sentence_whichever_file_meets_it(tmp_path, form):
    command = [sys.executable, "-c", _FULL_DISK, str(tmp_path), form]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stderr.startswith(f"said: cannot write {tmp_path}/a.{form}"), ended.stderr
    assert "free some space" in ended.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.pdf"}
