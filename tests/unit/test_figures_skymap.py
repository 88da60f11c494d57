"""The sky map figure, looked at by machine: drawn marks, equal bytes, odd input."""

import time

import figure_samples as sample
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from llama.event.results import NeutrinoList, Significance
from llama.figures.skymap import draw_skymap
from llama.figures.style import DPI, WIDTH_IN


def draw(tmp_path, tiles, neutrinos=None, name="map", event=None, result=None, combined=None):
    paths = tmp_path / f"{name}.png", tmp_path / f"{name}.pdf"
    neutrinos = sample.form(neutrinos or sample.neutrino_list(), NeutrinoList)
    result = sample.form(result or sample.significance(), Significance)
    event = event or sample.info()
    draw_skymap(tiles, neutrinos, event, result, *paths, combined=combined)
    return paths


def pixels(path):
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def vermilion(image):
    return (np.abs(image - [0xB3, 0x47, 0x00]).max(axis=2) < 12).sum()


@pytest.fixture
def figures(monkeypatch):
    return sample.record_figures(monkeypatch)


def test_sky_map_files_have_page_size_and_equal_bytes(tmp_path):
    tiles = sample.refined_map()
    first, second = (draw(tmp_path, tiles, name=name) for name in ("one", "two"))
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert pixels(first[0]).shape[1] == round(WIDTH_IN * DPI)
    assert first[1].read_bytes().startswith(b"%PDF")
    assert b"CreationDate" not in first[1].read_bytes()


def purple(image):
    return (np.abs(image - [0x8E, 0x2C, 0x7A]).max(axis=2) < 12).sum()


def test_regions_with_the_neutrinos_are_drawn_where_they_are_others(tmp_path, figures):
    wave, other = sample.refined_map(), sample.refined_map(seed=2)
    for name, combined in (("none", None), ("same", wave), ("other", other)):
        image = pixels(draw(tmp_path, wave, name=name, combined=combined)[0])
        said = " | ".join(sample.words(figures[-1]))
        assert ("90 % with the neutrinos" in said) == (name == "other")
        assert (purple(image) > 200) == (name == "other")
    handles = figures[-1].legends[0]
    bottom = handles.get_window_extent().y0
    notes = [text for text in figures[-1].texts if "rows of the neutrino table" in text.get_text()]
    assert all(text.get_window_extent().y1 < bottom for text in notes)


def test_what_the_sky_map_says(tmp_path, figures):
    draw(tmp_path, sample.refined_map(), event=sample.info(role="test"))
    said = " | ".join(sample.words(figures[0]))
    for phrase in ("S190425z", "2019-04-25 08:18:05.017 UTC", "TEST", "probability per deg²"):
        assert phrase in said
    for phrase in ("50 % credible region", "90 % error circle (2.146 σ)", "outside of the time"):
        assert phrase in said
    assert {"1", "2", "3"} <= set(sample.words(figures[0]))
    sizes = [text.get_size() for text in figures[0].findobj(type(figures[0].texts[0]))]
    assert min(sizes) >= 8


def test_a_small_region_gets_a_zoom_and_a_large_one_none(tmp_path, figures):
    draw(tmp_path, sample.gaussian_map(240, 36, 3))
    draw(tmp_path, sample.gaussian_map(240, 36, 30, order=4), name="large")
    small, large = figures[0], figures[2]
    assert any("Black box" in line for line in sample.words(small))
    assert not any("Black box" in line for line in sample.words(large))
    assert len(small.axes) == len(large.axes) + 1


def test_the_zoom_tells_what_it_leaves_out(tmp_path, figures):
    two = sample.gaussian_map(40, 10, 2, order=6)
    other = sample.gaussian_map(220, -50, 2, order=6)
    two.prob = 0.7 * two.prob + 0.3 * other.prob
    draw(tmp_path, two)
    assert any("% of the 90 % region's probability" in line for line in sample.words(figures[0]))


@pytest.mark.parametrize(("ra", "dec"), [(0.0, -45.0), (123.0, 90.0)])
def test_contours_neutrinos_and_zoom_anywhere_on_the_sky(tmp_path, ra, dec):
    events = [sample.neutrino(0, ra, dec, 3.0), sample.neutrino(1, 0.0, 90.0, 0.2)]
    png, _ = draw(tmp_path, sample.gaussian_map(ra, dec, 2.5), sample.neutrino_list(events))
    assert vermilion(pixels(png)) > 1500  # circles on map and panel; the legend has 200


def test_an_empty_list_is_told_and_draws_no_neutrino(tmp_path, figures):
    empty = sample.neutrino_list([])
    result = sample.significance(empty, odds_ratio=0.0)
    png, _ = draw(tmp_path, sample.gaussian_map(10, 10, 2.5), empty, result=result)
    assert vermilion(pixels(png)) == 0
    assert any("No neutrino in the list." in line for line in sample.words(figures[0]))


@pytest.mark.parametrize(
    "tiles",
    [
        sample.tiles(np.zeros(12, int), np.arange(12), np.ones(12)),
        sample.tiles([12], [7 << 22], [1.0]),
    ],
    ids=["uniform", "one tiny tile"],
)
def test_extreme_maps_are_drawn(tmp_path, tiles):
    png, pdf = draw(tmp_path, tiles)
    assert png.stat().st_size > 10_000
    assert pdf.stat().st_size > 10_000


def test_hostile_text_is_drawn_as_text(tmp_path, figures):
    event = sample.info(graceid=sample.HOSTILE, search="MDC", retracted=True)
    result = sample.significance(event=event, p_value_population=sample.HOSTILE)
    draw(tmp_path, sample.refined_map(), event=event, result=result)
    assert all(
        character.isascii() or character in "°²σ−"
        for w in sample.words(figures[0])
        for character in w
    )
    assert any("RETRACTED" in line for line in sample.words(figures[0]))


def test_a_million_tiles_are_quick(tmp_path):
    tiles = sample.gaussian_map(30, 40, 20, order=8)
    start = time.process_time()
    draw(tmp_path, tiles)
    assert time.process_time() - start < 6  # about 1 s; room for a busy machine


def test_a_published_map(tmp_path, figures):
    tiles = sample.published_map("skymaps/S190412m.bayestar.multiorder.fits")
    if tiles is None:
        pytest.skip("the shared maps are not here")
    draw(tmp_path, tiles)
    said = sample.words(figures[0])
    assert "90 % credible region, 156 deg²" in said  # as published
    assert "It holds 93 % of the 90 % region's probability." in " ".join(said)


def test_a_thousand_neutrinos_cost_no_more_than_fifty(tmp_path, figures):
    """Circles and numbers of all of them had taken half a minute and more than a GB."""
    rng = np.random.default_rng(3)
    places = zip(rng.uniform(0, 360, 1000), rng.uniform(-90, 90, 1000), strict=True)
    many = [sample.neutrino(k, ra, dec, dt=600.0 + k) for k, (ra, dec) in enumerate(places)]
    many[700] |= {"dt": 3.0, "gps": many[0]["gps"] - 597.0}  # the one that takes part
    few = many[:49] + many[700:701]
    listed = [sample.neutrino_list(events) for events in (few, many)]
    for name, neutrinos in zip(("few", "many"), listed, strict=True):
        draw(tmp_path, sample.refined_map(), neutrinos, name=name)
    figures = figures[::2]  # each is saved as png and as pdf
    counts = [len(figure.findobj(type(figure.texts[0]))) for figure in figures]
    assert counts[1] <= counts[0] + 1  # one note
    lines = [sum(len(axes.lines) for axes in figure.axes) for figure in figures]
    assert lines[1] == lines[0] + 1  # all the others
    assert "701" in sample.words(figures[1])
    assert "Circles: the 50 of 1,000 nearest in time." in "\n".join(sample.words(figures[1]))


@pytest.mark.parametrize("kind", ["observation", "simulated", "blinded"])
@pytest.mark.parametrize("retracted", [False, True])
def test_the_marks_hide_no_word_of_the_title(tmp_path, figures, kind, retracted):
    event = sample.info(graceid="MS230425abc", retracted=retracted)
    neutrinos = sample.neutrino_list([sample.neutrino(0, 240, 36, type=kind)])
    draw(tmp_path, sample.gaussian_map(240, 36, 3), neutrinos, event=event)
    renderer = FigureCanvasAgg(figures[0]).get_renderer()
    *title, marks = (text.get_window_extent(renderer) for text in figures[0].texts[:3])
    assert not any(marks.overlaps(line) for line in title)
    assert "2019-04-25 08:18:05.017 UTC" in " ".join(sample.words(figures[0]))
