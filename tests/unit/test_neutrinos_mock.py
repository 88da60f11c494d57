"""The toy release is self-consistent, quick to make, and the same every time."""

import time

import numpy as np
import pytest

from llama.neutrinos.coordinates import to_zenith_azimuth
from llama.neutrinos.detector import Detector
from llama.neutrinos.importing import import_release
from llama.neutrinos.mixture import distribution
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.release import read_release
from llama.neutrinos.response import LOG10_ENERGY, SIN_DEC
from llama.neutrinos.truth import UNIFORMS, archive_truth


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    directory = tmp_path_factory.mktemp("release")
    begun = time.perf_counter()
    write_mock_release(directory)
    assert time.perf_counter() - begun < 10  # measured: 1.5 s, half of it astropy's import
    return read_release(directory)


def test_local_and_celestial_directions_agree(release):
    events = {name: column[::20] for name, column in release.events.items()}
    zenith, azimuth = to_zenith_azimuth(events["ra_deg"], events["dec_deg"], events["mjd"])
    around = (azimuth - events["azimuth_deg"] + 180) % 360 - 180
    assert np.abs(around * np.sin(np.radians(zenith))).max() < 0.002  # three decimals are written
    assert np.abs(zenith - events["zenith_deg"]).max() < 0.002


def test_events_look_like_a_track_sample(release):
    events = release.events
    assert len(events["gps"]) == 20000
    assert (events["dec_deg"] > 0).mean() == pytest.approx(0.6, abs=0.05)
    assert 0.4 < np.median(events["sigma_deg"]) < 0.8
    south, north = events["dec_deg"] < -10, events["dec_deg"] > 0
    assert np.median(events["energy_gev"][south]) > 10 * np.median(events["energy_gev"][north])
    assert np.histogram(events["ra_deg"], 8, (0, 360))[0].min() > 2300


def test_seed_decides(tmp_path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_mock_release(tmp_path / name, seed=seed, n_events=50)
    a, b, c = ((tmp_path / name / "events" / "MOCK_exp.csv").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_the_matrix_is_read_whole_and_its_tails_are_there(tmp_path):
    """The tables made of it say what its simulated neutrinos are, at all declinations."""
    begun = time.perf_counter()
    write_mock_release(tmp_path / "release", n_events=3000, mjd_stop=58580.0, matrix=True)
    assert time.perf_counter() - begun < 10  # measured: 0.3 s
    assert (tmp_path / "release/irfs/MOCK_smearing.csv").stat().st_size < 1e6
    about = import_release(tmp_path / "release", tmp_path / "archive", "toy")
    assert about["smearing"] == "own"
    directory = tmp_path / "archive" / "toy"
    detector = Detector.load(directory / "detector.hdf5")
    truth = archive_truth(directory, detector)
    angles = np.radians([1.0, 2.0, 5.0, 10.0, 30.0])
    for s in (-0.7, 0.05, 0.7):
        u = np.random.default_rng(1).uniform(size=(2000, UNIFORMS))
        drawn = truth.draw(np.full(2000, s), u)
        assert 0.02 < (drawn.angle_rad > np.radians(10)).mean() < 0.05
        x = np.log10(drawn.energy_gev)
        found = detector.neutrinos(x, drawn.sigma_deg, np.full(2000, s))
        at = np.argmin(np.abs(SIN_DEC - s))
        weights = found.ratio[..., at] / found.ratio[..., at].sum(axis=1, keepdims=True)
        ours = np.einsum("gnk,nk->g", distribution(angles, found.kappa), weights) / 2000
        theirs = (drawn.angle_rad[:, None] < angles).mean(axis=0)
        np.testing.assert_allclose(ours, theirs, atol=0.04)
        below = np.concatenate([[0], np.cumsum(detector.signal_per_dex[:, at])])
        median = np.interp(below[-1] / 2, below[1:], LOG10_ENERGY)
        assert median == pytest.approx(np.median(x), abs=0.1)
