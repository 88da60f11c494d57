"""A p_astro of 0 is a rounded value: all that is said is what 1e-30 would say."""

import json

import figure_samples as sample
import numpy as np
import pytest
from event_samples import GPS, INFO, NONE, neutrino
from test_publish_circular import as_read

from llama.alerts.content import p_astro
from llama.event.results import NeutrinoList, Significance
from llama.event.significance import compute_significance
from llama.figures.scatter import draw_scatter
from llama.files import dump_json
from llama.neutrinos.event_list import make_list
from llama.publish.circular import draft_circular
from llama.publish.notice import build_notice
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky.mock import mock_skymap

SEARCH = from_dict(defaults(), "defaults").search_parameters()
PAIR = [
    neutrino(30.0, 61.0, 24.0, 1.5, 3e3) | {"id": "a"},
    neutrino(40.0, 61.5, 24.3, 1.5, 3e3) | {"id": "b"},
    neutrino(-300.0, 240.0, -60.0, 0.5, 3e3) | {"id": "c"},
]


@pytest.fixture
def computed(archive):
    def compute(alert, background=NONE):
        tiles = mock_skymap(60.0, 25.0, (6.0, 3.0), (120.0, 30.0))
        arguments = {"events": PAIR}, archive.response(), SEARCH, background
        return json.loads(dump_json(compute_significance(tiles, INFO, alert, *arguments)))

    return compute


def background_of(result, of_pair):
    """A background that the pair is above, and that each of it alone is above or not."""
    best = max(row["odds_ratio"] for row in result["single_neutrino"])
    odds = (best * result["odds_ratio"]) ** 0.5 if of_pair else best / 10
    assert best < result["odds_ratio"]
    among = np.r_[np.zeros(400), np.full(599, odds)]
    return {"class": "bns-o3-H1L1", "odds": among, "single": among, "p_astro": 0.99}


@pytest.mark.parametrize("of_pair", [True, False])
def test_a_p_astro_of_zero_says_what_a_tiny_one_does(computed, tmp_path, monkeypatch, of_pair):
    alert = p_astro({"BNS": 0.0, "NSBH": 0.0, "BBH": 0.0, "Terrestrial": 1.0}, None, 6.5e-8)
    assert alert["p_astro"] == 0
    tiny = {"p_astro": 1e-30, "population": alert["population"]}
    background = background_of(computed(tiny | {"p_astro": 0.99}), of_pair)
    results = [as_read(computed(a, background), Significance) for a in (alert, tiny)]
    assert results[0] == results[1]
    assert results[0].p_value == pytest.approx(1e-3)
    listed = json.loads(json.dumps(make_list("S190404a", GPS, now_gps=2e9, given=PAIR)))
    neutrinos = as_read(listed, NeutrinoList)
    notices = [
        build_notice(INFO, result, neutrinos, alert_datetime="2019-04-04T09:00:00Z")
        for result in results
    ]
    assert notices[0] == notices[1]
    assert {event["id"][0] for event in notices[0]["coincident_events"]} == {"a", "b"}
    assert notices[0]["n_events_coincident"] == (0 if of_pair else 2)
    drafts = [draft_circular(INFO, result, neutrinos) for result in results]
    assert drafts[0] == drafts[1]
    assert "2 neutrino candidates are found" in " ".join(drafts[0].split())
    figures = sample.record_figures(monkeypatch)
    draw_scatter(results[0], background["odds"], tmp_path / "s.png", tmp_path / "s.pdf")
    drawn = [line for line in figures[0].axes[0].lines if list(line.get_ydata()) == [1e-3]]
    assert drawn[0].get_xdata()[0] == results[0].p_value_odds > 0
    assert results[0].explanation.members == ["a", "b"]
