"""Several neutrino detectors: their lists, odds, backgrounds and classes, and one that was off."""

import numpy as np
import pytest
from event_samples import GPS, INFO, NONE, P_ASTRO, THREE, neutrino
from plan_samples import EVENT, events, settings, write_event
from settings_samples import changed
from stats_samples import vmf_map

from llama.background.draws import Draws, draw_background, draw_signal, draw_sources
from llama.errors import LlamaError
from llama.event.classes import class_detectors, class_end, near_classes
from llama.event.detectors import open_site
from llama.event.make import make_map_background
from llama.event.parameters import search_parameters
from llama.event.populations import read_map_background, with_events
from llama.event.significance import compute_significance
from llama.files import write_json
from llama.neutrinos.network_list import Stream, make_network_list
from llama.neutrinos.sources import Found
from llama.plan.events import Neutrinos
from llama.settings import from_dict
from llama.settings.load import read_config
from llama.sky.mock import mock_skymap
from llama.stats.odds import prepare_neutrinos

WHOLE = {"rate_hz": 0.0064, "nu_51_100": 1.1}
HALF = {"rate_hz": 0.0032, "nu_51_100": 0.55}
TWO = {"arca": HALF, "icecube": HALF}
with_and_without_a_map = pytest.mark.parametrize("maps", [{}, {0: vmf_map(60.0, 25.0, 1.5)}])


def search_of(**detectors):
    named = {name: {"archive": "toy", **numbers} for name, numbers in detectors.items()}
    return from_dict(changed({"neutrinos.detectors": named})).search_parameters()


def site_of(archive, observing=None, **detectors):
    table = archive.directory / "response.hdf5"
    return open_site([table] * len(detectors), search_of(**detectors), observing)


@pytest.fixture(scope="module")
def tiles():
    return mock_skymap(60.0, 25.0, (6.0, 3.0), (120.0, 30.0))


def seen(rows, *names):
    return [row | {"detector": name} for row, name in zip(rows, names, strict=True)]


def told(*on, off=()):
    return {name: {"on": name in on, "why": "", "source": {}} for name in (*on, *off)}


def compute(tiles, archive, rows, search, observing=None, own=NONE, maps=None):
    site = open_site(
        [archive.directory / "response.hdf5"] * len(search["detectors"]), search, observing
    )
    listed = {"events": rows, "detectors": told(*site.response.names)}
    args = listed, site.response, search, NONE, None, own
    return compute_significance(tiles, INFO, P_ASTRO, *args, maps=maps)


@with_and_without_a_map
def test_two_halves_of_a_detector_have_the_odds_of_the_whole(tiles, archive, maps):
    rows = seen(THREE, "arca", "icecube", "arca")
    both = compute(tiles, archive, rows, search_of(**TWO), maps=maps)
    one = compute(tiles, archive, seen(THREE, *["arca"] * 3), search_of(arca=WHOLE), maps=maps)
    assert both["odds_ratio"] == pytest.approx(one["odds_ratio"], rel=1e-9)
    assert [s["detector"] for s in both["single_neutrino"]] == ["arca", "icecube", "arca"]
    assert both["psf"] == both["energy_response"] == "of each detector"
    factors = both["explanation"]["factors"]
    assert factors["detector"] == pytest.approx(1, rel=1e-9)
    assert np.prod(list(factors.values())) == pytest.approx(both["odds_ratio"], rel=1e-6)


def test_icecube_alone_is_what_it_is_without_a_network(tiles, archive):
    search = from_dict(changed({})).search_parameters()
    alone = compute_significance(
        tiles, INFO, P_ASTRO, {"events": THREE}, archive.response(), search, NONE
    )
    rows = seen(THREE, *["icecube"] * 3)
    for on, detectors in ((["icecube"], {"icecube": {}, "arca": HALF}), (None, {"icecube": {}})):
        found = compute(tiles, archive, rows, search_of(**detectors), on)
        same = ("odds_ratio", "posterior", "p_astro_joint", "psf", "most_probable_direction")
        assert {key: found[key] for key in same} == {key: alone[key] for key in same}


@with_and_without_a_map
def test_a_detector_that_expects_more_counts_for_more(tiles, archive, maps):
    search = search_of(arca={"rate_hz": 0.0032, "nu_51_100": 1.0}, icecube=HALF)
    by = {
        name: compute(tiles, archive, seen([neutrino()], name), search, maps=maps)
        for name in ("arca", "icecube")
    }
    ratio = by["arca"]["odds_ratio"] / by["icecube"]["odds_ratio"]
    assert ratio == pytest.approx(1 / 0.55, rel=1e-6)
    assert by["arca"]["explanation"]["factors"]["detector"] == pytest.approx(2 / 1.55, rel=1e-6)


@pytest.fixture(scope="module")
def no_energy(archive, tmp_path_factory):
    """An archive of a detector whose events have no energies."""
    response = archive.response()
    flat = np.trapezoid(response.background_per_dex, response.log10_energy, axis=0)
    table = np.tile(flat / 7, (response.log10_energy.size, 1))
    directory = tmp_path_factory.mktemp("blunt")
    blunt = type(response)(**{**vars(response), "background_per_dex": table})
    blunt.save(directory / "response.hdf5")
    return directory / "response.hdf5"


def test_a_detector_without_energies_hides_none_of_the_others(tiles, archive, no_energy):
    search = search_of(**TWO)
    site = open_site([no_energy, archive.directory / "response.hdf5"], search)
    rows = seen([THREE[0] | {"energy": None}, *THREE[1:]], "arca", "icecube", "icecube")
    listed = {"events": rows, "detectors": told("arca", "icecube")}
    found = compute_significance(tiles, INFO, P_ASTRO, listed, site.response, search, NONE)
    assert not found["p_value_without_energy"]
    assert found["odds_ratio"] > 0
    rows[1] = rows[1] | {"energy": None}
    found = compute_significance(tiles, INFO, P_ASTRO, listed, site.response, search, NONE)
    assert found["p_value_without_energy"]


def test_draws_have_each_detectors_own_neutrinos(tiles, archive):
    site = site_of(archive, arca={"rate_hz": 0.01, "nu_51_100": 0.3}, icecube=HALF)
    search = search_of(arca={"rate_hz": 0.01, "nu_51_100": 0.3}, icecube=HALF)
    params = search_parameters(search, "bns", site.response)
    assert (params.ratebgnu, params.nu_51_100) == pytest.approx((0.0132, 0.85))
    draws = Draws(3, "signal", site.events(), site.response, params, site.truth())
    numbers = np.arange(3000)
    counts, columns = draw_background(draws, numbers)
    assert counts.mean() == pytest.approx(13.2, rel=0.02)
    assert (columns["detector"] == 0).mean() == pytest.approx(0.01 / 0.0132, abs=0.01)
    _, columns = draw_signal(draws, numbers, draw_sources(draws, numbers, tiles))
    # both have one area: the share is the same at all declinations
    assert (columns["detector"] == 0).mean() == pytest.approx(0.3 / 0.85, abs=0.03)
    own = archive.response()
    prepared = prepare_neutrinos(
        *(columns[k] for k in ("dt_s", "ra_deg", "dec_deg", "sigma_deg", "energy_gev")), own, params
    )
    assert (prepared.intensity.max(axis=(1, 2)) > 0).all()


def test_the_background_of_a_map_is_that_of_the_network(tiles, archive, tmp_path):
    tables = [str(archive.directory / "response.hdf5")] * 2
    tiles.save(tmp_path / "tiles.hdf5")
    inputs = {"skymap": str(tmp_path / "tiles.hdf5"), "response": tables, "events": tables}
    search, output = search_of(**TWO), str(tmp_path / "own.hdf5")
    make_map_background(inputs, output, search, "bns", 5, 0.99, 400, False, 1)
    background = read_map_background(tmp_path / "own.hdf5")
    site = site_of(archive, **TWO)
    own = with_events(background, site)
    weights = own["weights"]["weights"]
    assert weights.mean() == pytest.approx(1, abs=4 * weights.std() / 20)
    found = compute(tiles, archive, seen(THREE, "arca", "icecube", "arca"), search, own=own)
    assert 0 < found["p_value_map"] < 0.2
    alone = site_of(archive, ["icecube"], **TWO)
    assert "other neutrino detectors" in with_events(background, alone)["reason"]


class Silent:
    """A source that has not looked."""

    name, network = "silent", False
    time_scale = sigma = completeness = credentials = ""

    def state(self, start_gps, stop_gps):
        return None

    def fetch(self, start_gps, stop_gps):
        return Found([], covers=False, complete=False)


def test_a_list_names_each_neutrinos_detector(archive):
    both = {"icecube": Stream(archive, [], 0.02), "arca": Stream(archive, [], 0.02)}
    made = make_network_list("MS190404a", GPS, both, now_gps=GPS + 9e5)
    names = [row["detector"] for row in made["events"]]
    assert set(names) == {"arca", "icecube"}
    assert len({row["id"] for row in made["events"]}) == len(names)
    assert len({row["ra"] for row in made["events"]}) == len(names)  # two draws, not one twice
    assert [row["gps"] for row in made["events"]] == sorted(row["gps"] for row in made["events"])
    assert all(one["on"] for one in made["detectors"].values())


def test_a_detector_that_was_off_is_left_out_and_named(archive):
    streams = {"icecube": Stream(archive, []), "arca": Stream(None, [Silent()])}
    made = make_network_list("S190404a", GPS, streams, now_gps=GPS + 9e5)
    assert {row["detector"] for row in made["events"]} == {"icecube"}
    assert made["detectors"]["arca"] | {"source": 0} == {
        "on": False, "why": "it did not observe", "complete": True, "livetime_s": None, "source": 0,
    }  # fmt: skip
    with pytest.raises(LlamaError, match="no neutrino source covers"):
        make_network_list("S190404a", GPS, {"arca": streams["arca"]}, now_gps=GPS + 9e5)


def test_a_given_list_says_whose_neutrinos_it_has(archive):
    streams = {"icecube": Stream(archive, []), "arca": Stream(archive, [])}

    def listed(rows, **more):
        made = make_network_list("S190404a", GPS, streams, rows, now_gps=GPS, **more)
        return made, [name for name, one in made["detectors"].items() if one["on"]]

    assert listed(THREE)[1] == ["icecube"]
    made, on = listed(seen(THREE, "arca", "icecube", "arca"))
    assert on == ["arca", "icecube"]
    assert [row["detector"] for row in made["events"]] == ["icecube", "arca", "arca"]
    assert listed([], given_detectors=["arca", "icecube"])[1] == ["arca", "icecube"]
    with pytest.raises(LlamaError, match=r"row 2 .* 'sk'; name one of arca, icecube"):
        listed(seen(THREE, "arca", "sk", "arca"))


def test_classes_name_the_network_where_it_is_not_icecube_alone():
    end = class_end(INFO, None)
    assert class_end(INFO, None, ["icecube"]) == end
    both = class_end(INFO, None, ["icecube", "arca"])
    assert both == f"{end}-arca_icecube"
    assert class_detectors(f"bns{both}") == ["arca", "icecube"]
    assert class_detectors(f"bns{end}") == ["icecube"]
    assert near_classes(f"bns{both}", [f"bns{end}", f"bbh{end}"]) == [f"bns{end}"]


@pytest.fixture
def site(tmp_path, archive):
    (tmp_path / "archive").mkdir()
    for name in ("toy", "other"):
        (tmp_path / "archive" / name).symlink_to(archive.directory)
    write_event(tmp_path)
    detectors = {"icecube": {"archive": "toy"}, "arca": {"archive": "other"}}
    return settings(tmp_path, neutrinos__detectors=detectors)


def test_jobs_get_the_tables_of_the_detectors_in_the_order_of_their_names(site, tmp_path):
    one = Neutrinos(site, events(site))
    assert one.response(EVENT) == [f"archive/{name}/response.hdf5" for name in ("other", "toy")]
    assert list(site.search_parameters()["detectors"]) == ["arca", "icecube"]
    detectors = one.detectors
    assert detectors.study_tables("bns-o4-H1L1") == ["archive/toy/response.hdf5"]
    assert len(detectors.study_events("bns-o4-H1L1-arca_icecube")) == 2
    for study, says in (("-icecube_arca", "another order"), ("-sk", "detector sk, which is not")):
        with pytest.raises(LlamaError, match=says):
            detectors.study_tables(f"bns-o4-H1L1{study}")
    # as the archives cover the time, then as the list says
    assert one.observing(EVENT) == ["arca", "icecube"]
    path = tmp_path / EVENT / "icecube_neutrino_list.json"
    write_json(path, {"detectors": told("icecube", off=["arca"])})
    assert one.observing(EVENT) == ["icecube"]
    write_json(path, {"detectors": told(off=["icecube", "arca"])})
    assert one.observing(EVENT) == ["arca", "icecube"]


def test_sources_are_of_a_detector(site, tmp_path):
    source = {"gcn": {}, "km3net": {"kind": "files", "detector": "arca"}}
    detectors = {"icecube": {"archive": "toy", "rate_hz": 0.005}, "arca": {"archive": "other"}}
    wanted = settings(tmp_path, neutrinos__detectors=detectors, neutrinos__source=source)
    streams = Neutrinos(wanted, events(wanted)).detectors.streams()
    assert streams == {
        "arca": ["archive/other", {"km3net": {"kind": "files"}}, None],
        "icecube": ["archive/toy", {"gcn": {}}, 0.005],
    }
    assert wanted.search_parameters()["real_time"]
    source = {"x": {"kind": "files", "detector": "sk"}}
    with pytest.raises(LlamaError, match="source x is of the detector 'sk', which is not among ic"):
        events(settings(tmp_path, neutrinos__source=source))


def test_two_detectors_of_one_name_are_refused(tmp_path):
    path = tmp_path / "config.yaml"
    line = "    arca: {archive: toy}\n"
    path.write_text(f"neutrinos:\n  detectors:\n{line}{line}")
    with pytest.raises(LlamaError, match=r"neutrinos.detectors.arca in lines 3 and 4; leave one"):
        read_config(path)
    with pytest.raises(LlamaError, match="detectors"):
        from_dict(changed({"neutrinos.detectors": {"Ice Cube": {"archive": "toy"}}}))
