"""What a catalogue's figure and page say."""

from types import SimpleNamespace

import numpy as np

from llama.catalogue.events import Entry
from llama.catalogue.limits import Emitter, Sources
from llama.catalogue.make import COLUMNS, catalogue_content
from llama.catalogue.sums import chance
from llama.figures import catalogue as figure
from llama.figures.catalogue_page import catalogue_page
from llama.files import dump_json
from llama.plan.catalogues import Catalogues


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


def catalogues(directory, runs):
    """Return the catalogues of runs {name: {id: role as the operator says}}."""
    for run, events in runs.items():
        for graceid, role in events.items():
            event = directory / run / graceid
            event.mkdir(parents=True)
            (event / "skymap_info.json").write_text("{}")
            (event / "flags.json").write_text(dump_json({"ROLE": role}))
    (directory / "events").symlink_to("current_run")
    about = {"retracted": False, "has_skymap": True, "gps_time": 1.0, "significant": True}
    about |= {"role": "observation", "search": "AllSky", "alert_type": "gcn"}
    of = SimpleNamespace(
        info=lambda event: SimpleNamespace(
            **about, graceid=event.rpartition("/")[2], gracedb_service_url=None
        )
    )
    return Catalogues(SimpleNamespace(output_dir=directory), of, print)


def test_a_run_may_be_called_events(tmp_path):
    """Only the whole word is the current run."""
    event = {"GW200112_155838": "test"}
    found = catalogues(tmp_path, {"current_run": event, "past_runs/my_events": event})
    for run in ("events", "past_runs/my_events"):
        assert found.events(run) == [f"{run}/GW200112_155838"]


def test_what_the_operator_calls_a_test_is_left_out(tmp_path):
    both = {"S190425z": "test", "S190426c": "observation", "GW200112_155838": "test"}
    runs = {"current_run": both, "past_runs/tests": {"S190425z": "test"}}
    found = catalogues(tmp_path, runs)
    assert found.events("events") == ["events/GW200112_155838", "events/S190426c"]
    assert found.left_out("events") == {"S190425z": "a test"}
    assert found.events("past_runs/tests") == ["past_runs/tests/S190425z"]
