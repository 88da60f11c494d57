"""Events and injections of an archive that has the detector's simulation."""

import json
import shutil

import numpy as np
import pytest
from event_samples import GPS, INFO, NONE, P_ASTRO
from scipy.stats import ks_2samp
from smearing_samples import add_detector
from stats_samples import parameters

from llama.event.significance import compute_significance
from llama.files import dump_json
from llama.neutrinos.archive import Archive
from llama.neutrinos.detector import Detector
from llama.neutrinos.event_list import make_list
from llama.neutrinos.response import Response, load_response, response_file
from llama.neutrinos.truth import UNIFORMS, archive_truth
from llama.settings import from_dict
from llama.settings.render import defaults
from llama.sky.mock import mock_skymap, to_fits
from llama.stats.healpix import unit_vectors
from llama.study.bank import Bank, build_bank
from llama.study.draws import Draws, draw_signal, draw_sources
from llama.study.injections import run_shard

PARAMS = parameters(assumed_horizon_mpc=200.0)
SKYMAP = mock_skymap(60.0, 25.0, (6.0, 3.0), (120.0, 30.0))


@pytest.fixture(scope="module")
def simulated(archive, tmp_path_factory):
    """The mock archive with tables from the public matrix."""
    directory = tmp_path_factory.mktemp("archives") / "toy"
    shutil.copytree(archive.directory, directory)
    add_detector(directory)
    return Archive.open(directory)


@pytest.fixture(scope="module")
def detector(simulated):
    return load_response(simulated.directory / response_file(simulated.directory, "matrix"))


@pytest.fixture(scope="module")
def truth(simulated, detector):
    return archive_truth(simulated.directory, detector)


def test_the_settings_choose_the_tables(archive, simulated, detector):
    assert isinstance(detector, Detector)
    assert response_file(simulated.directory, "published") == "response.hdf5"
    assert response_file(archive.directory, "matrix") == "response.hdf5"
    assert isinstance(load_response(archive.directory / "response.hdf5"), Response)
    assert archive_truth(archive.directory, archive.response()) is None
    np.testing.assert_array_equal(detector.area_relative, archive.response().area_relative)


def test_an_events_odds_say_what_they_are_from(archive, detector):
    search = from_dict(defaults(), "defaults").search_parameters()
    listed = make_list("S190404a", GPS, now_gps=GPS + 9e5, archive=archive)
    unknown = {**listed["events"][0], "energy": None, "id": "unknown"}
    content = {"events": [*listed["events"], unknown]}
    results = [
        compute_significance(SKYMAP, INFO, P_ASTRO, content, tables, search, NONE)
        for tables in (detector, archive.response())
    ]
    assert [(r["energy_response"], r["psf"]) for r in results] == [
        ("smearing", "mixture"),
        ("area at the reconstructed energy", "gaussian"),
    ]
    for result in results:
        json.loads(dump_json(result))
        assert sum(result["posterior"].values()) == pytest.approx(1, abs=1e-12)
    ranges = [r["neutrino_flux_sensitivity_range"] for r in results]
    assert ranges[0] == ranges[1]  # of true energies
    factors = results[0]["explanation"]["factors"].values()
    assert np.prod(list(factors)) == pytest.approx(results[0]["odds_ratio"], rel=1e-9)


def test_signal_neutrinos_are_as_simulated(archive, detector, truth):
    numbers = np.arange(4000)
    draws = Draws(1, "signal", archive.events(), detector, PARAMS, truth)
    sources = draw_sources(draws, numbers, SKYMAP)
    counts, columns = draw_signal(draws, numbers, sources)
    assert counts.sum() == numbers.size
    seen = unit_vectors(columns["ra_deg"], columns["dec_deg"])
    angle = 2 * np.arcsin(np.linalg.norm(seen - sources.vectors, axis=1) / 2)
    u = np.random.default_rng(2).random((numbers.size, UNIFORMS))
    other = truth.draw(sources.vectors[:, 2], u)
    for ours, theirs in (
        (angle, other.angle_rad),
        (columns["energy_gev"], other.energy_gev),
        (columns["sigma_deg"], other.sigma_deg),
        (angle / columns["sigma_deg"], other.angle_rad / other.sigma_deg),
    ):
        assert ks_2samp(ours, theirs).pvalue > 1e-3
    # around the source: no direction is better than another
    east = np.cross([0, 0, 1], sources.vectors)
    north = np.cross(sources.vectors, east)
    turn = np.arctan2((seen * north).sum(axis=1), (seen * east).sum(axis=1))
    assert np.hypot(np.cos(turn).mean(), np.sin(turn).mean()) < 4 / np.sqrt(numbers.size)


def test_the_division_into_shards_changes_nothing(archive, detector, truth, tmp_path):
    (tmp_path / "map.fits").write_bytes(to_fits(SKYMAP, "2019-04-25"))
    build_bank([tmp_path / "map.fits"], tmp_path / "maps", detector.area_relative, PARAMS)
    with Bank(tmp_path / "maps") as bank:

        def run(numbers, kind):
            draws = Draws(7, kind, archive.events(), detector, PARAMS, truth)
            return run_shard(bank, draws, 0.99, numbers)

        for kind in ("background", "doublet"):
            rows, single = run(range(12), kind)
            parts = [run(range(k, k + 4), kind) for k in (0, 4, 8)]
            assert np.concatenate([part[0] for part in parts]).tobytes() == rows.tobytes()
            assert np.concatenate([part[1] for part in parts]).tobytes() == single.tobytes()
            assert np.isfinite(rows["odds"]).all()
