"""The detector from its simulation: reading a matrix, its tables, neutrinos, and draws.

The matrix is the public one that ships; the area is a mock one, whose sums take as long.
"""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measure import row

from llama.neutrinos.detector import build_detector
from llama.neutrinos.mock import write_mock_release
from llama.neutrinos.release import read_release
from llama.neutrinos.response import build_response
from llama.neutrinos.smearing import Smearing
from llama.neutrinos.smearing_table import GRID, read_smearing
from llama.neutrinos.truth import UNIFORMS, Sampler

NEUTRINOS = 20_000
_TITLES = (
    "log10(E_nu/GeV)_min log10(E_nu/GeV)_max Dec_nu_min[deg] Dec_nu_max[deg] log10(E/GeV)_min "
    "log10(E/GeV)_max PSF_min[deg] PSF_max[deg] AngErr_min[deg] AngErr_max[deg] Fractional_Counts"
)


def rows() -> Iterator[dict[str, Any]]:
    """Yield the rows; times are those of one processor."""
    matrix = Smearing.load()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "IC86_smearing.csv"
        _write(matrix, path)
        yield row("smearing_read_s", _seconds(lambda: read_smearing(path)), "s", 180)
        write_mock_release(Path(directory) / "release", 1)
        release = read_release(Path(directory) / "release")
    yield row("smearing_load_s", _seconds(lambda: Smearing.load()), "s", None)
    area, events = release.areas[0], release.events
    response = build_response(area, events["energy_gev"], events["dec_deg"])
    columns = [events[name] for name in ("energy_gev", "dec_deg", "sigma_deg")]
    built = []
    seconds = _seconds(lambda: built.append(build_detector(matrix, area, response, *columns)))
    yield row("detector_build_s", seconds, "s", 30)
    rng = np.random.default_rng(1)
    which = rng.integers(0, columns[0].size, NEUTRINOS)
    x, sigma = np.log10(columns[0][which]), columns[2][which]
    s = np.sin(np.radians(columns[1][which]))
    built[0].neutrinos(x[:2], sigma[:2], s[:2])  # compiles
    for number in (10, 1000):

        def evaluate(number: int = number) -> None:
            for k in range(0, NEUTRINOS, number):
                at = slice(k, k + number)
                built[0].neutrinos(x[at], sigma[at], s[at])

        name = f"detector_neutrino_of_{number}_us"
        yield row(name, 1e6 * _seconds(evaluate) / NEUTRINOS, "us", 20)
    sampler, u = Sampler(matrix, area), rng.uniform(size=(NEUTRINOS, UNIFORMS))
    yield row("truth_draw_us", 1e6 * _seconds(lambda: sampler.draw(s, u)) / NEUTRINOS, "us", 50)


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _write(matrix: Smearing, path: Path) -> None:
    """Write a matrix as the release has it, 400 MB."""
    with path.open("w", encoding="ascii") as file:
        file.write(f"# {_TITLES}\n")
        for b, e in np.ndindex(*matrix.events.shape[1::-1]):
            sides = (*matrix.log10_energy[e : e + 2], *matrix.dec_deg[b : b + 2])
            begin = "{:.2f} {:.2f} {:.6f} {:.6f}".format(*sides)
            bins = [
                [f"{low:.9e} {high:.9e}" for low, high in itertools.pairwise(edges)]
                for edges in matrix.edges[e, b]
            ]
            total = matrix.events[e, b].sum()
            shares = [f"{n / total:.9e}" for n in range(int(matrix.events[e, b].max()) + 1)]
            events = matrix.events[e, b]
            file.writelines(
                f"{begin} {bins[0][i]} {bins[1][j]} {bins[2][k]} {shares[events[i, j, k]]}\n"
                for i, j, k in np.ndindex(*[GRID.bins] * 3)
            )
