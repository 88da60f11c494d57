"""p-values of events whose odds count gamma-ray bursts: chance has bursts, too."""

import h5py
import numpy as np
import pytest
from event_samples import GPS, INFO, NONE, P_ASTRO, THREE, made_up_background, neutrino

from llama.errors import LlamaError
from llama.event.bursts import Bursts
from llama.event.make import make_map_background
from llama.event.populations import OF_BURSTS, read_map_background, with_events
from llama.event.significance import compute_significance
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky.mock import mock_skymap
from llama.stats.parameters import GrbParameters

MODEL = {"efficiency": 0.6, "rate_hz": 7.5e-6, "delay_min_s": -1.0, "delay_max_s": 5.0}
BURST = {"id": "E1", "gps_time": GPS + 2.0, "ra": 60.5, "dec": 24.5, "sigma": 4.0}
FAR = {"id": "E2", "gps_time": GPS + 900.0, "ra": 10.0, "dec": -50.0, "sigma": 9.0}
SEARCH = from_dict(defaults(), "defaults").search_parameters()
SKYMAP = mock_skymap(60.0, 25.0, (6.0, 3.0), (120.0, 30.0))
ENERGETIC = neutrino(20.0, 60.2, 24.8, 0.5, 2e5)


def make(directory, archive, **bursts):
    """Write the background of the map; return its path and that of the archive's events."""
    path, events = directory / "map_background.hdf5", archive.directory / "events.hdf5"
    SKYMAP.save(directory / "tiles.hdf5")
    inputs = {"skymap": str(directory / "tiles.hdf5"), "events": str(events)}
    inputs["response"] = str(archive.directory / "response.hdf5")
    of_background = {"seed": 5, "p_astro": 0.99, "injections": 1000, "from_archive": False}
    make_map_background(inputs, str(path), SEARCH, "bns", **of_background, threads=2, **bursts)
    return path, str(events)


@pytest.fixture(scope="module")
def own(archive, tmp_path_factory):
    directory = tmp_path_factory.mktemp("own")
    return make(directory, archive, grb=MODEL, burst_sigma_deg=[4.0, 9.0])


@pytest.fixture(scope="module")
def compute(archive, own):
    """Return a function that computes the significance with both backgrounds of the map."""
    of_map, of_bursts = (
        with_events(read_map_background(own[0], which), own[1]) for which in ("map", OF_BURSTS)
    )

    def computed(neutrinos, bursts=None, background=NONE, **changes):
        content = {"events": [row | changes for row in neutrinos]}
        listed = None if bursts is None else Bursts(bursts, GrbParameters(**MODEL))
        return compute_significance(
            *(SKYMAP, INFO, P_ASTRO, content, archive.response(), SEARCH),
            *(background, listed, of_map, None, of_bursts),
        )

    return computed


def test_a_burst_on_the_map_makes_chance_less_probable(compute):
    p = {
        (count, len(bursts)): compute(neutrinos, bursts)["p_value"]
        for count, neutrinos in ((0, []), (1, [ENERGETIC]))
        for bursts in ([FAR], [FAR, BURST])
    }
    assert p[0, 1] == 1
    assert p[1, 1] < 1e-2
    # alone by the chance of one burst, 4.5e-5, times the part of the sky with as good a place
    assert 1e-9 < p[0, 2] < 1e-6
    assert p[1, 2] < 1e-3 * p[1, 1]
    assert p[1, 2] < 0.1 * p[0, 2]


def test_joint_p_values_are_of_the_map_and_say_so(compute):
    found = compute(THREE, [BURST, FAR], made_up_background())
    assert found["p_value"] == found["p_value_map"] < found["without_bursts"]["p_value_map"]
    for key in ("error", "effective"):
        assert found[f"p_value_{key}"] == found[f"p_value_map_{key}"] > 0
    assert (found["p_value_method"], found["p_value_reason"]) == ("map", None)
    assert found["n_background"] == found["n_map_background"] == 1000
    assert found["p_value_class"] is None
    assert "bursts, which backgrounds of classes do not have" in found["p_value_class_reason"]
    assert found["p_value_odds"] > found["without_bursts"]["p_value_odds"]
    alone = compute(THREE, None, made_up_background())
    assert alone["p_value_method"] == "class"
    assert found["without_bursts"] == {name: alone[name] for name in found["without_bursts"]}
    assert found["single_neutrino"] == alone["single_neutrino"]


def test_a_list_that_says_nothing_of_the_event_changes_p_little(compute):
    # odds fall by 1 - efficiency, of what chance has, too
    alone, empty, far = (compute(THREE, bursts) for bursts in (None, [], [FAR]))
    assert empty["odds_ratio"] < 0.5 * alone["odds_ratio"]
    assert empty["p_value"] == far["p_value"] == pytest.approx(alone["p_value"], rel=0.3)


def test_energies_that_are_not_known_are_not_compared(compute):
    known, hidden = (compute([ENERGETIC], [BURST], **change) for change in ({}, {"energy": None}))
    assert hidden["n_background"] == known["n_background"] / 10
    assert hidden["p_value_without_energy"]
    assert 0 < known["p_value"] < hidden["p_value"] < 4.5e-5


def test_neutrinos_of_another_stream_have_no_joint_p_value(archive, own):
    of_bursts = with_events(read_map_background(own[0], OF_BURSTS), own[1]) | {"rate_hz": 1.0}
    found = compute_significance(
        *(SKYMAP, INFO, P_ASTRO, {"events": THREE}, archive.response(), SEARCH, NONE),
        *(Bursts([BURST], GrbParameters(**MODEL)), of_bursts, None, of_bursts),
    )
    assert found["p_value"] is found["p_value_map"] is None
    assert "another stream" in found["p_value_reason"]


def test_without_bursts_the_file_has_no_background_of_them(archive, own, tmp_path):
    path, _ = make(tmp_path, archive)
    with h5py.File(path) as alone, h5py.File(own[0]) as joint:
        assert "bursts" not in alone
        assert set(joint) == {*alone, "bursts"}
        for group in ("", "single/", "weights/", "without_energy/", "weights/without_energy/"):
            np.testing.assert_array_equal(alone[f"{group}map"], joint[f"{group}map"])
            assert f"{group}bursts" in joint
    with pytest.raises(LlamaError, match=r"map_background\.hdf5 has no background; delete it"):
        read_map_background(path, OF_BURSTS)
