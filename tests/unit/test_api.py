"""`from llama import search`: the rules' numbers to the last bit, what a result tells, errors."""

import doctest
import inspect
import subprocess
import sys

import numpy as np
import pytest
from astropy import units as u
from event_samples import GPS

import llama
from llama import Archive, Neutrinos, SkyMap, search
from llama.api import archive, border, coincidence, neutrinos, skymap, tables
from llama.event.combined import make_combined
from llama.event.make import make_map_background, make_significance
from llama.files import read_json, write_json
from llama.neutrinos.event_list import make_list
from llama.neutrinos.network_list import Stream, make_network_list
from llama.settings import Settings, from_dict
from llama.sky import SkyTiles, read_skymap

ROWS = [
    {"dt": 30.0, "ra": 61.0, "dec": 24.0, "sigma": 0.8, "energy": 5e3, "detector": "icecube"},
    {"dt": -200.0, "ra": 58.5, "dec": 26.0, "sigma": 1.5, "energy": 800.0, "detector": "arca"},
    {"dt": 499.0, "ra": 240.0, "dec": -60.0, "sigma": 0.3, "energy": 9e4, "detector": "arca"},
]
N = 40


@pytest.fixture(scope="module")
def toy(archive):
    return Archive.open(archive.directory)


@pytest.fixture(scope="module")
def wave():
    return SkyMap.mock(60.0, 25.0, sigma_deg=(6.0, 3.0), distance_mpc=(120.0, 30.0))


@pytest.fixture(scope="module")
def result(wave, toy):
    return search(wave, GPS, ROWS, detectors=toy, injections=N)


def test_the_package_is_light_until_a_name_is_used():
    script = (
        "import sys, llama; from llama.cli.main import build_parser; "
        "assert 'numpy' not in sys.modules and set(llama.__all__) <= set(dir(llama)); "
        "from llama import search; assert 'numpy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert 7 <= len([name for name in llama.__all__ if getattr(llama, name)]) <= 9
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        _ = llama.serach


def by_rules(event, wave, archives, block):
    """Make an event's files as its rules do; return the significance and the combined maps."""
    SkyTiles.save(wave.tiles, event / "lvc_skymap.hdf5")
    paths = {"skymap": str(event / "lvc_skymap.hdf5")}
    for key, name in (("neutrinos", "icecube_neutrino_list.json"), ("p_astro", "p_astro.json")):
        paths[key] = str(event / name)
    write_json(event / "distances.json", wave.tiles.summary())
    paths |= {"distances": str(event / "distances.json"), "info": str(event / "skymap_info.json")}
    for key, file in (("response", "response.hdf5"), ("events", "events.hdf5")):
        files = [str(one.directory / file) for one in archives]
        paths[key] = files if "detectors" in block else files[0]
    background = paths | {"map_background": str(event / "map_background.hdf5")}
    seed, p_astro = (Settings().background.model_dump()[key] for key in ("seed", "p_astro"))
    drawn = block, "bns", seed, p_astro, N, False
    make_map_background(paths, background["map_background"], *drawn)
    names = {"search": block, "grb": None, "run": None, "populations": None, "backgrounds": {}}
    rates = Settings().alert_rates.model_dump()
    output = event / "significance_lvc-i3.json"
    make_significance(background, str(output), **names, alert_rates=rates)
    outputs = {name: str(event / name) for name in ("combined", "coincidence", "summary")}
    make_combined(paths | {"significance": str(output)}, outputs, block, None)
    maps = [read_skymap((event / name).read_bytes(), name) for name in outputs if name != "summary"]
    return read_json(output), maps


@pytest.mark.parametrize("kind", ["given", "network"])
def test_a_result_is_that_of_the_rules_to_the_last_bit(tmp_path, wave, toy, kind):
    """Significance and combined maps, from files as the workflow makes them."""
    settings, detectors, given = {"fb": 7.0, "sigma_floor_deg": 0.3}, toy, ROWS
    raw = {"search": settings}
    if kind == "network":
        detectors = {"icecube": toy, "arca": toy}
        raw["neutrinos"] = {"detectors": {name: {"archive": "toy"} for name in detectors}}
    block = from_dict(raw).search_parameters()
    made = {"now_gps": GPS + 9e5, "given": Neutrinos(ROWS, GPS).rows}
    if kind == "network":  # with the archives' own neutrinos
        given = made["given"] = None
        streams = {name: Stream(toy.imported, ()) for name in detectors}
        listed = make_network_list("S190404a", GPS, streams, **made)
    else:
        listed = make_list("S190404a", GPS, archive=toy.imported, **made)
    write_json(tmp_path / "icecube_neutrino_list.json", listed)
    write_json(tmp_path / "p_astro.json", {"p_astro": 0.4, "population": "bns"})
    found = search(
        wave,
        GPS,
        given,
        detectors=detectors,
        p_astro=0.4,
        population="bns",
        injections=N,
        threads=1,
        **settings,
    )
    ours = found.to_dict()
    info = dict(ours["inputs"]["gw_skymap_info"]) | {"graceid": "S190404a"}
    info |= {"notice": "S190404a-1-Initial", "alert_file": "alerts/1-Initial.json"}
    write_json(tmp_path / "skymap_info.json", info)
    archives = [toy.imported] * (2 if kind == "network" else 1)
    theirs, maps = by_rules(tmp_path, wave, archives, block)
    for content in (ours, theirs):
        del content["inputs"]["gw_skymap_info"]  # the name
    added = {key for key in theirs if key.startswith(("joint_far", "alert_"))} | {"provenance"}
    assert {key: value for key, value in theirs.items() if key not in added} == ours
    assert ours["p_value"] is not None
    for here, there in zip((found.combined, found.coincidence), maps, strict=True):
        for name, column in there.columns.items():
            mine = read_skymap(written(here, tmp_path), "mine").columns[name]
            np.testing.assert_array_equal(mine, column)


def written(skymap, directory):
    skymap.write(directory / "mine.fits")
    return (directory / "mine.fits").read_bytes()


def test_what_a_result_tells(result, wave):
    content = result.to_dict()
    assert result.odds_ratio == content["odds_ratio"] > 0
    assert (result.p_value, result.p_value_error) == (
        content["p_value"],
        content["p_value_error"],
    )
    assert result.p_astro == 0.99 < result.p_astro_joint < 1
    assert [round(one.dt_s) for one in result.neutrinos] == [30, -200, 499]
    told = result.to_table()
    assert told["dt_s"].unit == u.s
    assert told["radius_90_deg"][0] > told["sigma_deg"][0]
    lines = result.explain().splitlines()
    assert lines[0].startswith("One source of the wave and of neutrino")
    assert "= odds ratio" in lines[-1]
    assert result.coincidence.area_deg2(0.9) < result.combined.area_deg2(0.9)
    assert result.combined.area_deg2(0.9) < wave.area_deg2(0.9)
    assert (result.combined.name, result.combined.time) == ("the event", GPS)
    assert not {"TEST", "REAL"} & {text.get_text() for text in result.plot().texts}
    with pytest.raises(ValueError, match=r"name it \.png or \.pdf"):
        result.plot("map.gif")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"skymap": "map.fits"}, "'map.fits' is no SkyMap; read it with SkyMap.read"),
        ({"time": None}, "the sky map does not say when the wave came; give its time"),
        ({"time": 58577.3}, "the time 58577.3 is none"),
        ({"time": "4 April"}, "'4 April' is not a UTC time; write it like"),
        ({"time": [1, 2]}, r"the time \[1, 2\] is none"),
        ({"neutrinos": 7}, "the neutrino table is 7; give a table of astropy or pandas"),
        ({"neutrinos": [7]}, "the neutrino table, row 1 is 7, not an object"),
        ({"neutrinos": [ROWS[0], ROWS[0]]}, "row 2 repeats row 1"),
        ({"neutrinos": None, "time": GPS + 1e9}, "no neutrino source covers the event"),
        ({"detectors": {}}, "there is no detector; give one"),
        ({"detectors": {"Ice Cube": None}}, "there is no detector; give one"),
        ({"p_astro": 1.5}, "p_astro is 1.5; give a probability"),
        ({"p_astro": {"BNS": float("nan")}}, "not finite"),
        ({"far_hz": -1.0}, "far_hz is -1.0; give a rate"),
        ({"population": "bbn"}, "the population is 'bbn'; give one of bns, nsbh"),
        ({"injections": 1}, "injections is 1; give a whole number"),
        ({"threads": 1.5}, "threads is 1.5; give a whole number"),
        ({"fb": 0.5}, "search.fb is 0.5, but should be greater than or equal to 1"),
        ({"max_sets": 2}, "search.max_sets is not a setting, it looks like search.max_set_size"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(wave, toy, changed, sentence):
    given = {"skymap": wave, "time": GPS, "neutrinos": ROWS, "detectors": toy} | changed
    with pytest.raises(ValueError, match=sentence) as raised:
        search(**given)
    assert type(raised.value) is ValueError


def test_what_an_alert_says_of_the_source():
    """Probability and population are those of the rule: of its classes, else of its rate."""
    block = from_dict({}).search_parameters()
    p_astro = coincidence._p_astro
    assert p_astro(None, None, None, block) == {"p_astro": 0.99, "population": "cbc"}
    assert p_astro(0.1, None, "bbh", block) == {"p_astro": 0.1, "population": "bbh"}
    assert p_astro(1, None, None, block)["p_astro"] < 1
    classes = {"BNS": 0.7, "BBH": 0.1, "Terrestrial": 0.2}
    assert p_astro(classes, None, None, block) == {"p_astro": 0.8, "population": "bns"}
    assert p_astro(None, 6.5e-8, "burst", block) == {"p_astro": 0.5, "population": "burst"}


def test_settings_and_defaults_are_those_of_the_workflow():
    model = Settings.model_fields["search"].annotation
    assert llama.SearchSettings.__annotations__.keys() == model.model_fields.keys()
    defaults = {k: v.default for k, v in inspect.signature(search).parameters.items()}
    background = Settings().background
    assert defaults["injections"] == background.map_injections
    assert defaults["seed"] == background.seed
    assert background.p_astro == coincidence._BACKGROUND_P_ASTRO


def test_archives_are_found_by_path_and_by_name(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLAMA_CONFIG", str(tmp_path / "none.json"))
    (tmp_path / "none.json").write_text("{}")
    with pytest.raises(ValueError, match=r"no neutrino archive 'toy', neither here nor in .*;"):
        Archive.open("toy")
    with pytest.raises(ValueError, match=r"in there/toy; make it with `llama neutrinos import"):
        Archive.open("there/toy")
    (tmp_path / "llama/archive").mkdir(parents=True)
    (tmp_path / "llama/archive/toy").symlink_to(archive.directory)
    assert Archive.open("toy").identity == archive.identity
    assert Archive.open(archive.directory).name == "toy"


def test_a_map_knows_what_its_header_says(tmp_path, wave):
    with pytest.raises(FileNotFoundError):
        SkyMap.read(tmp_path / "map.fits")
    (tmp_path / "map.fits").write_text("no map")
    with pytest.raises(ValueError, match=r"map\.fits"):
        SkyMap.read(tmp_path / "map.fits")
    assert wave.time is None
    table = wave.to_table()
    assert table["PROBDENSITY"].unit == u.sr**-1
    assert wave.distance_mpc == wave.tiles.distance_moments_mpc()


@pytest.mark.parametrize("module", [archive, border, coincidence, neutrinos, skymap, tables])
def test_examples_of_docstrings(module, tmp_path, monkeypatch, request):
    """As they stand; the toy archive that they make is there already."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy").mkdir()
    made = request.getfixturevalue("archive").directory
    (tmp_path / "toy/mock").symlink_to(made)
    names = {name: getattr(llama, name) for name in llama.__all__}
    for test in doctest.DocTestFinder().find(module, extraglobs=names):
        assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0, test.name
