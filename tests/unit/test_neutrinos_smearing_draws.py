"""The sampler, the background and the shipped file against IceCube's public data."""

import gzip
import subprocess
import sys

import numpy as np
import proofs
import pytest
from public_matrix import Rows

from llama.neutrinos.detector import PRIOR, SMOOTHING, background_angerr
from llama.neutrinos.mixture import error_tents, tents
from llama.neutrinos.release import read_area, read_events
from llama.neutrinos.response import SIN_DEC
from llama.neutrinos.simulation import ANGERR, FLOOR, PROXY, piece_weights, pieces
from llama.neutrinos.smearing import PUBLIC_IC86, Smearing
from llama.neutrinos.truth import UNIFORMS, Sampler

SEED, WHOLE = 20261128, 2_000_000


@pytest.fixture(scope="module")
def directory(shared_data):
    return shared_data / "detectors" / "icetracks_dr2"


@pytest.fixture(scope="module")
def area(directory):
    return read_area(directory / "IC86_effectiveArea.csv")


@pytest.fixture(scope="module")
def matrix():
    return Smearing.load()


@pytest.fixture(scope="module")
def events(shared_data):
    file = shared_data / "icecube" / "icecube_10year_ps" / "events" / "IC40_exp.csv"
    return read_events([file])[0]


@pytest.fixture(scope="module")
def rows(matrix, area):
    return Rows(matrix, area)


def _distance(values, truth):
    """Kolmogorov's distance between numbers and a distribution, times the root of their number."""
    values = np.sort(values)
    steps = np.arange(values.size + 1) / values.size
    here = truth(values)
    return max(np.abs(here - steps[1:]).max(), np.abs(here - steps[:-1]).max()) * values.size**0.5


@pytest.mark.proof
def test_draws_follow_the_matrix(matrix, area, rows, proven):
    """Proxy, angle and AngErr of draws against the rows themselves, north, horizon and south."""
    n = proofs.size(WHOLE, 100_000) // 5
    sampler, rng = Sampler(matrix, area), np.random.default_rng(SEED)
    worst = 0.0
    for b in (1, 9, 17, 20, 26):
        at = np.nonzero(rows.dec == b)[0]
        drawn = sampler.draw(np.full(n, rows.centres[b]), rng.uniform(size=(n, UNIFORMS)))
        weight = rows.weight[at] / rows.weight[at].sum()
        seen = (
            np.log10(drawn.energy_gev),
            np.log(drawn.angle_rad),
            np.log10(drawn.sigma_deg[drawn.sigma_deg > 0.2]),
        )
        floor = rows.low[at, 2] < FLOOR
        share = weight[floor].sum()
        pull = ((drawn.sigma_deg == 0.2).mean() - share) * (n / share / (1 - share)) ** 0.5
        assert abs(pull) < 4
        for axis, values in enumerate(seen):
            kept = ~floor if axis == 2 else np.ones(at.size, dtype=bool)
            low, high, w = rows.low[at, axis][kept], rows.high[at, axis][kept], weight[kept]
            edges = np.unique(np.concatenate([low, high]))
            density = np.zeros(edges.size)
            np.add.at(density, np.searchsorted(edges, low), w / (high - low))
            np.add.at(density, np.searchsorted(edges, high), -w / (high - low))
            steps = np.cumsum(density)[:-1] * np.diff(edges)
            below = np.concatenate([[0], np.cumsum(steps)]) / w.sum()
            worst = max(worst, _distance(values, lambda v, e=edges, c=below: np.interp(v, e, c)))
    assert worst < 2.2  # 1.95 is reached by chance once in 1,000
    proven(SEED, WHOLE, worst_distance=round(worst, 3))


def test_energies_follow_area_and_spectrum(matrix, area):
    n = 100_000
    u = np.random.default_rng(3).uniform(size=(n, UNIFORMS))
    for s in (-0.62, 0.013, 0.7):
        drawn = Sampler(matrix, area).draw(np.full(n, s), u)
        cut = pieces(matrix, area, 2.0)
        weight = piece_weights(cut, area, np.array([s]))[:, 0]
        counts, _ = np.histogram(np.log10(drawn.true_energy_gev), cut.log10_edges)
        expected = n * weight / weight.sum()
        assert (np.abs(counts - expected) < 4.5 * np.sqrt(expected) + 6).all()


def test_background_smoothing_is_what_held_out_events_like_best(events):
    x, s = np.log10(events["energy_gev"]), np.sin(np.radians(events["dec_deg"]))
    sigma, held = events["sigma_deg"], np.arange(events["gps"].size) % 4 == 0

    def likelihood(smoothing, prior=PRIOR):
        table = background_angerr(x[~held], sigma[~held], s[~held], smoothing, prior)
        value = 0.0
        places = tents(x[held], PROXY), error_tents(np.log10(sigma[held]), ANGERR)
        places = (*places, tents(s[held], SIN_DEC))
        for corner in np.ndindex(2, 2, 2):
            at = tuple(node + k for (node, _), k in zip(places, corner, strict=True))
            parts = [p if k else 1 - p for (_, p), k in zip(places, corner, strict=True)]
            value = value + np.prod(parts, axis=0) * table[at]
        return np.log(value).mean()

    chosen = likelihood(SMOOTHING)
    dex, width = SMOOTHING
    for other in ((2 * dex, width), (dex / 3, width), (dex, 3 * width), (dex, width / 3)):
        assert chosen > likelihood(other)
    assert chosen > likelihood(SMOOTHING, 300.0)
    # what a distribution of AngErr that knows neither proxy nor declination gets
    flat = background_angerr(np.full(x.size, 4.0), sigma, np.zeros(x.size))[30, :, 100]
    alone = np.log(flat[error_tents(np.log10(sigma[held]), ANGERR)[0]]).mean()
    assert chosen > alone + 0.05


def test_the_shipped_matrix_is_the_release_read(directory, tmp_path):
    """All 3,360,000 rows, as they are served: 600 MB, of which not one is kept in memory."""
    path = tmp_path / "IC86_smearing.csv"
    with path.open("wb") as whole:
        for b, slice_ in enumerate(sorted((directory / "smearing").glob("*.csv.gz"))):
            text = gzip.decompress(slice_.read_bytes())
            whole.write(text if b == 0 else text[text.index(b"\n") + 1 :])
    assert path.stat().st_size == 598_080_195
    program = """
import re, sys, time
from pathlib import Path
from llama.neutrinos.smearing_table import read_smearing
read_smearing(Path(sys.argv[1])).save(sys.argv[2])
# of this program alone; what getrusage tells begins with the process that it was forked from
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(time.process_time(), int(peak) / 1024)
"""
    command = [sys.executable, "-c", program, str(path), str(tmp_path / "m.h5")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, memory_mib = map(float, said.split())
    assert seconds < 180
    assert memory_mib < 512
    read, shipped = Smearing.load(tmp_path / "m.h5"), Smearing.load(PUBLIC_IC86)
    np.testing.assert_array_equal(read.events, shipped.events)
    np.testing.assert_array_equal(read.edges, shipped.edges)
