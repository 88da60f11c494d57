"""Which class of backgrounds an event has, and which are offered where there is none."""

import json

import numpy as np
import pytest
from event_samples import GPS, INFO, P_ASTRO, THREE
from msgspec.structs import replace
from plan_samples import EVENT, events, settings, write_event

from llama.event.classes import class_end, near_classes, split_class
from llama.event.detectors import open_site
from llama.event.joint_far import alert_kind
from llama.event.populations import read_background
from llama.event.ranks import without_energy
from llama.event.significance import compute_significance
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky.mock import mock_skymap
from llama.study.injections import study_parameters, study_search
from llama.study.opening import open_injection
from llama.study.populations import ClassOdds, write_populations

SEARCH = from_dict(defaults(), "defaults").search_parameters()
EARLY = {"notice": "S190404a-1-EarlyWarning"}


@pytest.mark.parametrize(
    ("alert", "run", "end"),
    [
        ({}, None, "-o3-H1L1"),
        ({}, "o2", "-o2-H1L1"),
        ({"instruments": ["V1", "L1", "H1"], "gps_time": 1368449966.167}, None, "-o4-H1L1V1"),
        ({"significant": False}, None, "low-o3-H1L1"),
        (EARLY, None, "early-o3-H1L1"),
        ({"search": "EarlyWarning"}, "o4", "early-o4-H1L1"),
        # its map is an early one, whatever its false-alarm rate is
        (EARLY | {"significant": False}, None, "early-o3-H1L1"),
        # the alert after the merger is of another search
        ({"notice": "S190404a-2-Preliminary"}, None, "-o3-H1L1"),
        ({"search": "SSM"}, None, "-o3-H1L1"),
    ],
)
def test_low_significance_alerts_and_early_warnings_are_classes_of_their_own(alert, run, end):
    info = replace(INFO, **alert)
    assert class_end(info, run) == end
    assert (alert_kind(info)[0] == "early-warning") is ("early" in end and info.significant)


def test_the_names_of_classes_have_a_source_and_a_kind():
    assert split_class("bns-o3-H1L1V1") == ("bns", "", "o3", "H1L1V1")
    assert split_class("nsbhlow-o4-H1L1") == ("nsbh", "low", "o4", "H1L1")
    assert split_class("burstearly-o4-H1") == ("burst", "early", "o4", "H1")


@pytest.mark.parametrize("name", ["bnslow-o3-H1L1", "bnsearly-o3-H1L1"])
def test_their_studies_have_the_model_of_their_sources(archive, name):
    assert study_search(SEARCH, name) == study_search(SEARCH, "bns-o3-H1L1")
    response = archive.response()
    assert study_parameters(SEARCH, name, response).assumed_horizon_mpc == 200.0


@pytest.mark.parametrize(
    ("start", "level"), [("bns", ""), ("nsbhlow", "low"), ("bnsearly", "early")]
)
def test_an_injection_opened_as_an_event_is_of_the_class_of_its_study(
    tmp_path, archive, start, level
):
    from sky_samples import multiorder, random_tiles

    from llama.alerts.content import classification, p_astro
    from llama.event.skymap_info import read_info

    study = f"{start}-o3-H1L1"
    path = tmp_path / "a.fits"
    path.write_bytes(multiorder(random_tiles(1)))
    site = open_site(archive.directory / "response.hdf5", SEARCH)
    given = {"maps": [path], "site": site, "search": SEARCH, "seed": 1, "p_astro": 0.9}
    open_injection(tmp_path / "M3", study, 3, skip_broken=False, **given)
    info = read_info(tmp_path / "M3")
    classes, has_ns = classification(tmp_path / "M3", info)
    population = p_astro(classes, info.far_hz, 1.0, info.group, has_ns)["population"]
    assert population == start.removesuffix(level)
    assert population + class_end(info, None) == study


def content(seed, **changes):
    odds = np.sort(np.random.default_rng(seed).lognormal(-8, 4, 200))
    return ClassOdds(odds, odds, 0.99, 5, "a" * 64, odds[::10], odds[::10], **changes)


def test_a_background_of_another_kind_of_alert_gives_no_p_value(tmp_path, archive):
    path, none = tmp_path / "populations.hdf5", {"class": "map", "reason": "none"}
    names = "bns-o3-H1L1", "bnslow-o3-H1L1"
    about = {"about": {"n_maps": 24}}
    write_populations(path, {name: content(k, **about) for k, name in enumerate(names)})
    found = {}
    for kind, alert in {"": {}, "low": {"significant": False}, "early": EARLY}.items():
        info = replace(INFO, **alert)
        background = read_background(path, P_ASTRO["population"] + class_end(info, None))
        tiles = mock_skymap(60.0, 25.0, (6.0, 3.0), (120.0, 30.0))
        arguments = info, P_ASTRO, {"events": THREE}, archive.response(), SEARCH, background, None
        found[kind] = compute_significance(tiles, *arguments, none)
    assert [r["p_value_class_maps"] for r in found.values()] == [24, 24, None]
    assert found[""]["p_value"] != found["low"]["p_value"]
    early = found["early"]
    assert early["p_value"] is early["p_value_class"] is None
    assert early["p_value_class_near"] == ["bns-o3-H1L1", "bnslow-o3-H1L1"]
    assert "(nearest that exist: bns-o3-H1L1, bnslow-o3-H1L1); name its" in early["p_value_reason"]
    assert found[""]["p_value_class_near"] == []


def test_near_classes_are_few_and_the_most_alike_first():
    there = [
        *("bbh-o4-H1L1", "bbh-o3-H1L1", "bns-o3-H1", "bns-o3-H1L1"),
        *("bnslow-o4-H1L1", "bns-o4-H1L1V1", "cbc-o2-K1"),
    ]
    assert near_classes("bns-o4-H1L1", there) == ["bns-o3-H1L1", "bns-o4-H1L1V1", "bnslow-o4-H1L1"]
    assert near_classes("bns-o4-H1L1", ["bbh-o4-H1L1", "bbh-o3-H1L1"]) == ["bbh-o4-H1L1"]
    assert near_classes("burst-o4-V1", there) == []


def test_an_offer_stays_where_energies_are_unknown(tmp_path):
    path = tmp_path / "populations.hdf5"
    write_populations(path, {"bns-o3-H1L1V1": content(1)})
    background = read_background(path, "bns-o3-H1L1")
    assert without_energy(background) == background
    # what was offered once can be offered again, without the file
    assert read_background(None, "bns-o3-H1L1", background["near"]) == background


def test_rules_know_the_class_that_p_value_will_be_from(tmp_path):
    write_event(tmp_path, search="EarlyWarning", gps_time=GPS)
    entry = {"sha256": "0" * 64}
    (tmp_path / "populations.hdf5").touch()
    for there, method in (("bns", "map"), ("bnslow", "map"), ("bnsearly", "class")):
        index = {f"{there}-o3-H1L1": entry}
        (tmp_path / "populations.json").write_text(json.dumps(index))
        (tmp_path / EVENT / "p_astro.json").write_text(json.dumps(P_ASTRO))
        one = events(settings(tmp_path))
        known = one.background_versions(EVENT)
        assert ("class" if "bnsearly-o3-H1L1" in known else "map") == method
        assert not {"bns-o3-H1L1", "bnslow-o3-H1L1"} & known.keys()
