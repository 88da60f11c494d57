"""p-values of events whose neutrinos have no energy: what is compared knows as little."""

import re

import numpy as np
import pytest
from event_samples import GPS, INFO, P_ASTRO, THREE, made_up_background, neutrino

from llama.event.significance import compute_significance
from llama.neutrinos.event_list import make_list
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky.mock import mock_skymap
from llama.stats.pvalue import p_value

SEARCH = from_dict(defaults(), "defaults").search_parameters()
SKYMAP = mock_skymap(60.0, 25.0, (6.0, 3.0), (120.0, 30.0))


@pytest.fixture(scope="module")
def compute(archive):
    response = archive.response()

    def computed(events, background):
        content = {"events": events}
        return compute_significance(SKYMAP, INFO, P_ASTRO, content, response, SEARCH, background)

    return computed


@pytest.fixture(scope="module")
def background():
    return made_up_background()


def many(n, **changes):
    rng = np.random.default_rng(n)
    rows = [
        {**neutrino(dt, *where, 0.7, 10**x), "id": str(k)}
        for k, (dt, *where, x) in enumerate(
            zip(
                rng.uniform(-480, 480, n), rng.uniform(0, 360, n),
                rng.uniform(-60, 60, n), rng.normal(3.5, 0.4, n), strict=True,
            )
        )
    ]  # fmt: skip
    return [row | changes for row in rows]


def test_neutrinos_that_the_background_has_none_of_are_said_to_be_others(compute, archive):
    none = {"class": "bns-o3-H1L1", "reason": "none"}
    listed = make_list("S190404a", GPS, now_gps=GPS + 9e5, archive=archive)
    assert compute(listed["events"], none)["unlike_background"] == []
    busy = compute(many(60), none)["unlike_background"]
    assert re.search(r"there are 60 of them, and 5\.\d are expected", busy[0])
    energetic = compute(many(6, energy=4e6), none)["unlike_background"]
    assert energetic == ["their energies are other than those of the background"]
    assert "9 of their energies" in compute(many(9, energy=5.0), none)["unlike_background"][-1]


def test_p_values_of_neutrinos_without_energy_are_those_without_energies(compute, background):
    blank = [{**row, "energy": None} for row in THREE]
    hidden = {name: np.sort(background[name] / 3) for name in ("odds", "single")}
    more = background | {f"{name}_without_energy": values for name, values in hidden.items()}
    one = compute([{**THREE[0], "energy": None}, *THREE[1:]], background=more)
    none = compute(blank, background=more)
    assert compute(THREE, background=more)["p_value_without_energy"] is False
    assert one["p_value_without_energy"] is none["p_value_without_energy"] is True
    # whatever is known of the others' energies, it is not used
    for key in ("p_value", "p_value_odds"):
        assert one[key] == none[key]
    assert one["odds_ratio"] != none["odds_ratio"]
    assert one["p_value"] == p_value(none["p_value_odds"], hidden["odds"])
    singles = [[row["p_value"] for row in result["single_neutrino"]] for result in (one, none)]
    assert singles[0] == singles[1] != [None] * 3
    outside = {**THREE[0], "energy": None, "gps": GPS + 900, "mjd": THREE[0]["mjd"] + 0.01}
    assert compute([*THREE, outside | {"id": "far"}], background=more)["p_value"] is not None


def test_a_background_without_injections_without_energies_gives_no_p_value(compute, background):
    result = compute([{**THREE[0], "energy": None}], background=background)
    assert result["p_value"] is result["p_value_odds"] is None
    assert "energy of a neutrino is not known, and bns-o3-H1L1" in result["p_value_reason"]
