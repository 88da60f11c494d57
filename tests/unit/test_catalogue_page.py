"""What a catalogue's figure and page say."""

import numpy as np

from llama.catalogue.events import Entry
from llama.catalogue.limits import Emitter, Sources
from llama.catalogue.make import COLUMNS, catalogue_content
from llama.catalogue.sums import chance
from llama.figures import catalogue as figure
from llama.figures.catalogue_page import catalogue_page


def content():
    """Return a catalogue of two events, of which one has no p-value."""
    row = dict.fromkeys(COLUMNS) | {"event": "GW200112_155838", "neutrinos": 1, "p_value": 0.03}
    row["marks"] = "CATALOGUE, SCRAMBLED NEUTRINOS"
    weighted = np.log1p(np.array([0.0, 1e-4, 0.5])), np.array([1.5, 1.4, 0.1])
    sources = [Sources(n, np.ones(9), np.ones(9)) for n in (1, 2, 4)]
    one = Entry(
        row, 0.03, float(weighted[0][-1]), weighted, Emitter(0.9, chance(*weighted), sources)
    )
    other = row | {"event": "GW200115_042309", "p_value": None, "p_value_reason": "no uptime"}
    made = {"run": "past_runs/moved", "left_out": {}, "share_neutrinos": []}
    return catalogue_content([one, Entry(other, None)], 1) | made


def test_the_figure_says_that_neutrinos_are_scrambled(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(figure, "stamp", lambda _, words: said.extend(words))
    figure.draw_catalogue(content(), tmp_path / "figure.png", tmp_path / "figure.pdf")
    assert said == ["CATALOGUE", "SCRAMBLED NEUTRINOS"]


def test_the_page_says_what_has_no_p_value(tmp_path):
    page = catalogue_page(content(), tmp_path)
    assert page["marks"] == ["CATALOGUE", "SCRAMBLED NEUTRINOS"]
    assert "the smallest p-value alone" in dict(page["result"]["rows"])["Binomial test"]
    assert page["notes"][1] == "1 of the events has no p-value and is in no test."
    assert "none: no uptime" in [shown for shown, _ in page["rows"][1]]
