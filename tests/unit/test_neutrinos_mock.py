"""The toy release is self-consistent, quick to make, and the same every time."""

import time

import numpy as np
import pytest

from llama.neutrinos.coordinates import to_zenith_azimuth
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.release import read_release


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
