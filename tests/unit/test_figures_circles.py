"""Error circles as they are drawn and told: those of the result, else those of sigma."""

import json

import figure_samples as sample
import numpy as np
import page_samples
import pytest
from publish_samples import make_event

from llama.event.page_files import EventFiles
from llama.event.results import NeutrinoList, Significance
from llama.figures.event_page import write_event_page
from llama.figures.globe import globe_data, places
from llama.figures.skymap import draw_skymap
from llama.figures.style import ASIDE, NEUTRINO
from llama.figures.summary import summary_content
from llama.files import read_json, write_json
from llama.publish.circular import draft_circular
from llama.publish.notice import build_notice
from llama.publish.result import read_result

RADII = [6.5, 20.25, 3.0]  # of a mixture; the neutrinos have sigmas of 1.8, 4.0 and 2.0 deg
GAUSSIAN = {"energy_response": "area at the reconstructed energy", "psf": "gaussian"}
BY_SIGMA = [2.145966 * s for s in (1.8, 4.0, 2.0)]
CASES = {
    "simulation": (sample.simulated(RADII), RADII),
    "gaussian": (sample.simulated(BY_SIGMA, **GAUSSIAN), BY_SIGMA),
    "older": (sample.significance(), BY_SIGMA),
    "no result": ({}, BY_SIGMA),
}
RESULTS = [name for name in CASES if name != "no result"]
MAP = sample.gaussian_map(240, 36, 12)


def files(result) -> EventFiles:
    return sample.event_files(significance=result)


@pytest.fixture(params=CASES)
def case(request):
    result, radii = CASES[request.param]
    return request.param, files(result), radii


def drawn_radii(figure):
    """Return the angle from each neutrino to the line around it on the all-sky map [deg]."""
    angles = []
    (globe,) = [axes for axes in figure.axes if axes.name == "mollweide"]
    lines = [
        x for x in globe.lines if len(x.get_xdata()) > 50 and x.get_color() in (NEUTRINO, ASIDE)
    ]
    for line, (ra, dec) in zip(lines, ((240.5, 36.1), (0.4, -12.0), (100.9, 88.5)), strict=True):
        lon, lat = np.array(line.get_xdata()), np.array(line.get_ydata())
        away = np.radians(180 - ra) - lon
        cos = np.sin(np.radians(dec)) * np.sin(lat)
        cos += np.cos(np.radians(dec)) * np.cos(lat) * np.cos(away)
        angles.append(np.degrees(np.arccos(cos[np.isfinite(cos)])))
    return angles


@pytest.mark.parametrize("name", RESULTS)
def test_the_sky_map_draws_them(tmp_path, monkeypatch, name):
    result, radii = CASES[name]
    figures = sample.record_figures(monkeypatch)
    event = files(result)
    draw_skymap(
        MAP, event.neutrinos, event.info, event.significance, tmp_path / "a.png", tmp_path / "a.pdf"
    )
    for angles, radius in zip(drawn_radii(figures[0]), radii, strict=True):
        # where the line is cut at the rim its ends are on chords
        assert np.median(np.abs(angles - radius)) < 0.02
    legend = {
        "simulation": "90 % error circle (IceCube's simulation)",
        "gaussian": "90 % error circle (Gaussian)",
        "older": "90 % error circle (2.146 σ)",
    }
    assert legend[name] in sample.words(figures[0])


def test_globe_and_its_words(case):
    _, event, radii = case
    told = event.neutrinos.events, event.info, event.significance
    data = globe_data(MAP, *told)
    assert [one["r90"] for one in data["neutrinos"]] == pytest.approx(radii, abs=1e-3)
    assert f"90 % radius {radii[0]:.3g} deg:" in places(MAP, *told)[1]


def test_table_and_texts_of_the_summary(case):
    name, event, radii = case
    content = summary_content(event, [], "events/S190425z")
    section = content["neutrinos"]
    column = section["table"]["header"].index("90 % radius (deg)")
    assert [row[column] for row in section["table"]["rows"]] == [f"{r:.2f}" for r in radii]
    said, facts = section["text"][1], sample.facts(content["result"])
    assert ("39 %" in said) == ("2.146" in said) == (name != "simulation")
    assert ("IceCube's simulation" in said) == (name == "simulation")
    assert ("sigma_floor_deg" in said) == (name == "gaussian")
    assert facts.get("Energies and point spread") == {
        "simulation": "IceCube's simulation",
        "gaussian": "effective area at the reconstructed energy, Gaussian point spread",
    }.get(name)


@pytest.mark.parametrize("simulated", [True, False])
def test_the_event_page_names_the_response(tmp_path, simulated):
    event = page_samples.write_event(tmp_path)
    path = event / "significance_lvc-i3.json"
    result = read_json(path)
    if simulated:
        result |= {"energy_response": "smearing", "psf": "mixture"}
        result["single_neutrino"][0]["radius_90_deg"] = 7.25
        write_json(path, result)
    write_event_page(event, "current_run/S230518h")
    page = page_samples.Page((event / "index.html").read_text())
    assert ("Energies and point spread: IceCube's simulation." in page.text) == simulated
    assert f"Dec -24.0 deg, 90 % radius {'7.25' if simulated else '1.72'} deg" in page.text
    assert ('"r90": 7.25' in page.scripts[0]) == simulated


@pytest.mark.parametrize("name", RESULTS)
def test_notice_and_circular_state_the_same_circle(name):
    (result, radii), event = CASES[name], files(CASES[name][0])
    given = event.info, event.significance, event.neutrinos
    result = sample.form(CASES[name][0] | {"neutrino_flux_sensitivity_range": None}, Significance)
    notice = build_notice(event.info, result, event.neutrinos)
    places_ = [one["localization"] for one in notice["coincident_events"]]
    assert [one["ra_dec_error"] for one in places_] == [round(r, 2) for r in radii[:2]]
    assert {one["containment_probability"] for one in places_} == {0.9}
    words = {
        "simulation": "IceCube's simulation",
        "gaussian": "effective area at the reconstructed energy, Gaussian point spread",
    }.get(name)
    said = [
        "p-values are for a sky map of class bns-o3-L1V1 (24 sky maps)",
        *([f"energies and point spread: {words}"] if words else []),
    ]
    assert notice["additional_info"] == "; ".join(said)
    flat = " ".join(draft_circular(*given).split())
    assert f"+36.10 {radii[0]:.2f} 5.1e-05" in flat
    assert (f"Neutrino energies and point spread: {words}." in flat) == bool(words)
    assert ("90 % probability in IceCube's simulation" in flat) == (name == "simulation")
    unknown = sample.form(CASES[name][0] | {"p_value": None}, Significance)
    assert build_notice(event.info, unknown, event.neutrinos).get("additional_info") == (
        words and f"energies and point spread: {words}"
    )
    flat = " ".join(draft_circular(event.info, unknown, event.neutrinos).split())
    assert (f"Neutrino energies and point spread: {words}." in flat) == bool(words)


def test_messages_say_the_circle(tmp_path):
    event = make_event(tmp_path / "current_run")
    before = read_result(event, real=False)
    assert "90 % radius 1.07 deg, p-value" in before.text("new")
    path = event / "significance_lvc-i3.json"
    result = json.loads(path.read_text()) | {"energy_response": "smearing", "psf": "mixture"}
    result["single_neutrino"][0]["radius_90_deg"] = 3.25
    write_json(path, result)
    after = read_result(event, real=False)
    assert "90 % radius 3.25 deg, p-value" in after.text("new")
    facts = after.facts()
    assert (facts.energy_response, facts.psf) == ("smearing", "mixture")
    assert facts.coincident_neutrinos[0].radius_90_deg == 3.25
    assert before.sha256() != after.sha256()


def test_a_list_of_its_own_has_the_circles_of_its_sigmas():
    """Neutrinos that came after the result are not in it."""
    late = sample.neutrino(7, 10.0, 20.0, 0.7, 3.0)
    listed = sample.form(
        sample.neutrino_list([*sample.neutrino_list()["events"], late]), NeutrinoList
    )
    result = sample.form(sample.simulated(RADII), Significance)
    data = globe_data(MAP, listed.events, sample.info(), result)
    assert [one["r90"] for one in data["neutrinos"]] == pytest.approx([*RADII, 1.502], abs=1e-3)
