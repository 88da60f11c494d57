"""The sky maps that point at the source: read by others, and left alone by bad input."""

import warnings
from pathlib import Path

import healpy
import numpy as np
import pytest
from event_samples import INFO, P_ASTRO, THREE
from mocpy import MOC
from settings_samples import changed

from llama.errors import LlamaError
from llama.event.combined import make_combined
from llama.event.located import Combined
from llama.event.names import COINCIDENCE, COMBINED, COMBINED_SUMMARY
from llama.event.regions import DS9, NAMES, write_regions
from llama.event.results import read
from llama.files import read_json, write_json
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky import read_skymap
from llama.sky.mock import mock_skymap
from llama.sky.tiles import SkyTiles
from llama.stats.healpix import unit_vectors

MAP = mock_skymap(60.0, 25.0, (6.0, 3.0), (120.0, 30.0))
SEARCH = from_dict(defaults(), "defaults").search_parameters()
OUT = {"combined": COMBINED, "coincidence": COINCIDENCE, "summary": COMBINED_SUMMARY}
MADE = {
    "odds_ratio": 12.5,
    "single_neutrino": [{"dt": 30.0, "ra": 61.0, "dec": 24.0, "sigma": 0.8, "id": "1_30.0_61.0"}],
}


def make(event: Path, archive, tiles=MAP, events=THREE, search=SEARCH, **said) -> dict[str, bytes]:
    tiles.save(event / "lvc_skymap.hdf5")
    write_json(event / "p_astro.json", P_ASTRO)
    write_json(event / "icecube_neutrino_list.json", {"events": events, **said})
    info = INFO.as_json() | {"alert_file": "alerts/1-Preliminary.json", "internal": False}
    write_json(event / "skymap_info.json", info)
    write_json(event / "significance_lvc-i3.json", MADE)
    return again(event, archive, search)


def again(event: Path, archive, search=SEARCH) -> dict[str, bytes]:
    inputs = {
        "skymap": "lvc_skymap.hdf5",
        "p_astro": "p_astro.json",
        "neutrinos": "icecube_neutrino_list.json",
        "info": "skymap_info.json",
        "significance": "significance_lvc-i3.json",
    }
    paths = {name: str(event / file) for name, file in inputs.items()}
    table = str(archive.directory / "response.hdf5")
    paths["response"] = [table] * len(search["detectors"]) if "detectors" in search else table
    make_combined(paths, {name: str(event / file) for name, file in OUT.items()}, search, None)
    return {name: (event / file).read_bytes() for name, file in OUT.items()}


@pytest.fixture(scope="module")
def event(tmp_path_factory, archive):
    directory = tmp_path_factory.mktemp("event")
    make(directory, archive)
    return directory


def test_areas_shrink_and_are_told(event):
    told = read(event / COMBINED_SUMMARY, Combined)
    assert told.coincidence is not None
    assert 0 < told.coincidence.area_90_deg2 < told.combined.area_90_deg2
    assert told.coincidence.distmode_mpc < told.gw.distmode_mpc
    assert told.gw.area_90_deg2 == MAP.credible_area_deg2(0.9)
    assert [given for given, _ in told.said()] == [
        "by the GW alone",
        "given that the GW is real",
        "given a common source",
    ]


@pytest.mark.parametrize("name", [COMBINED, COINCIDENCE])
def test_llama_reads_them(event, name):
    tiles = read_skymap((event / name).read_bytes(), name)
    assert tiles.meta["prob_sum"] == pytest.approx(1, abs=1e-12)
    assert tiles.meta["object"] == "S190404a"
    assert tiles.meta["instruments"] == "L1,H1,IceCube"
    mean, std = tiles.distance_moments_mpc()
    assert tiles.meta["distmean_mpc"] == pytest.approx(mean, rel=1e-4)
    assert tiles.meta["diststd_mpc"] == pytest.approx(std, rel=1e-3)


@pytest.mark.parametrize("name", [COMBINED, COINCIDENCE])
def test_ligo_skymap_and_healpy_read_them(event, name):
    io = pytest.importorskip("ligo.skymap.io")
    from ligo.skymap.distance import parameters_to_marginal_moments
    from ligo.skymap.moc import rasterize  # that of ligo.skymap.bayestar imports for seconds

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = io.read_sky_map(str(event / name), moc=True)
        flat = rasterize(table, order=6)
    assert table.meta["objid"] == "S190404a"
    assert table.meta["instruments"] == {"L1", "H1", "IceCube"}
    assert {"gps_time", "distmean", "diststd"} <= set(table.meta)
    density = np.asarray(flat["PROBDENSITY"])
    assert density.sum() * np.pi / 3 / 4**6 == pytest.approx(1, abs=1e-9)
    best = healpy.pix2vec(64, int(np.argmax(density)), nest=True)
    assert np.dot(best, unit_vectors(np.array(61.0), np.array(24.0))) > np.cos(np.radians(3))
    order = (np.log2(np.asarray(table["UNIQ"]) / 4) // 2).astype(int)
    prob = np.asarray(table["PROBDENSITY"]) * np.pi / 3 / 4.0**order
    mean, std = parameters_to_marginal_moments(prob, table["DISTMU"], table["DISTSIGMA"])
    assert mean == pytest.approx(table.meta["distmean"], rel=1e-4)
    assert std == pytest.approx(table.meta["diststd"], rel=1e-3)


def test_headers_tell_neutrinos_odds_and_inputs(event):
    from astropy.io import fits

    with fits.open(event / COMBINED) as file:
        file.verify("exception")
        header = file[1].header
    assert (header["ORDERING"], header["COORDSYS"], header["MOC"]) == ("NUNIQ", "C", True)
    assert header["DATE-OBS"] == INFO.event_time
    told = "\n".join(header["HISTORY"])
    assert "odds ratio of a common source: 12.5" in told
    assert "neutrino 1_30.0_61.0: dt +30.00 s" in told
    made = read_json(event / COMBINED_SUMMARY)["provenance"]["inputs"]
    assert all(name in told and sha256 in told for name, sha256 in made.items())


def test_regions_are_those_that_the_maps_say(event, tmp_path):
    write_regions(event, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(NAMES)
    told, cells = read_json(event / COMBINED_SUMMARY), 0
    for name in ("combined", "coincidence"):
        half, most = (MOC.load(tmp_path / f"{name}_{n}.moc.fits", "fits") for n in (50, 90))
        cells += len(half.uniq_hpx) + len(most.uniq_hpx)
        assert half.intersection(most) == half
        area = most.sky_fraction * 129600 / np.pi
        assert area == pytest.approx(told[name]["area_90_deg2"], rel=0.02)
        assert MOC.load(tmp_path / f"{name}_90.moc.json", "json") == most
        assert MOC.load(tmp_path / f"{name}_90.moc.txt", "ascii") == most
    lines = (tmp_path / DS9).read_text().splitlines()
    assert lines[1] == "icrs"
    assert len(lines) == 2 + cells
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_regions(event, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_without_neutrinos_both_are_the_combined_map(tmp_path, archive):
    made = make(tmp_path, archive, events=[])
    assert made["combined"] == made["coincidence"]
    assert b"no neutrino can be from it" in made["combined"]
    told = read(tmp_path / COMBINED_SUMMARY, Combined)
    assert told.coincidence is None
    assert told.said() == []
    assert told.combined.area_90_deg2 == pytest.approx(told.gw.area_90_deg2, rel=0.05)


def test_two_halves_of_a_detector_point_where_the_whole_does(tmp_path, archive):
    def point(on: dict[str, float], *names: str) -> SkyTiles:
        numbers = {
            name: {"archive": "toy", "rate_hz": 0.0064 * part, "nu_51_100": 1.1 * part}
            for name, part in {"sk": 9.0, **on}.items()
        }
        search = from_dict(changed({"neutrinos.detectors": numbers})).search_parameters()
        rows = [row | {"detector": name} for row, name in zip(THREE, names, strict=True)]
        told = {name: {"on": name in on} for name in numbers}
        made = make(tmp_path, archive, events=rows, search=search, detectors=told)
        return read_skymap(made["combined"], COMBINED)

    whole = point({"arca": 1.0}, "arca", "arca", "arca")
    halves = point({"arca": 0.5, "icecube": 0.5}, "arca", "icecube", "arca")
    assert whole.meta["instruments"] == "L1,H1,arca"
    assert halves.meta["instruments"] == "L1,H1,arca,IceCube"
    assert halves.prob == pytest.approx(whole.prob, rel=1e-6)
    assert halves.distmu == pytest.approx(whole.distmu, rel=1e-6)


def test_what_a_detector_that_was_off_did_not_see_says_nothing(tmp_path, archive):
    made = make(tmp_path, archive, events=[], livetime_s=0.0)
    tiles = read_skymap(made["combined"], COMBINED)
    assert tiles.meta["instruments"] == "L1,H1"
    for level in (0.5, 0.9):
        assert tiles.credible_area_deg2(level) == pytest.approx(MAP.credible_area_deg2(level), 1e-6)
    far = [each.distance_moments_mpc() for each in (tiles, MAP)]
    assert far[0] == pytest.approx(far[1], rel=1e-4)


def test_a_map_without_distance_gets_none(tmp_path, archive):
    made = make(tmp_path, archive, tiles=SkyTiles(MAP.order, MAP.ipix, MAP.prob))
    assert b"DISTM" not in made["combined"]
    assert not read_skymap(made["coincidence"], COINCIDENCE).has_distance
    told = read(tmp_path / COMBINED_SUMMARY, Combined)
    assert told.coincidence.distmode_mpc is None
    assert "Mpc" not in str(told.said())


def test_bad_input_leaves_what_is_there(event, archive):
    before = {name: (event / file).read_bytes() for name, file in OUT.items()}
    good = (event / "icecube_neutrino_list.json").read_bytes()
    for bad in (b"{", b'{"events": [{"ra": 1}]}', b"{}", good.replace(b": 0.8", b": NaN")):
        (event / "icecube_neutrino_list.json").write_bytes(bad)
        with pytest.raises(LlamaError):
            again(event, archive)
        assert {name: (event / file).read_bytes() for name, file in OUT.items()} == before
    (event / "icecube_neutrino_list.json").write_bytes(good)
    assert again(event, archive) == before
