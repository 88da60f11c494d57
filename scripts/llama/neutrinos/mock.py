"""A toy release in IceCube's file format, so that demo and tests need no outside data.

Shapes and sizes are like IceCube's (the area grows with energy, the southern sky has a higher
threshold, the Earth absorbs at high energies); no number in it was measured.
"""

import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llama.neutrinos.coordinates import to_zenith_azimuth
from llama.neutrinos.release import MOCK_SEASON
from llama.neutrinos.scramble import generator
from llama.neutrinos.smearing_table import Grid

GRID = Grid(energies=7, declinations=6, bins=6)  # of the smearing matrix
_RUN_DAYS, _GAP_DAYS = 8 / 24, 1 / 1440  # runs of eight hours, a minute lost between them

Floats = NDArray[np.float64]


def write_mock_release(
    directory: str | Path,
    seed: int = 1,
    n_events: int = 20_000,
    mjd_start: float = 58574.0,
    mjd_stop: float = 58634.0,
    matrix: bool = False,
) -> None:
    """Write events, effective area and uptime of season MOCK to `directory`, and a smearing matrix.

    An archive made from it says "simulated", and so do the neutrinos which come out of it.
    The background rate is n_events over the livetime; the default is 60 days in 2019 (UTC).
    Without a `matrix` an archive has the published reading only.
    """
    rng = generator(seed)
    starts = np.arange(mjd_start, mjd_stop, _RUN_DAYS + _GAP_DAYS)
    stops = np.minimum(starts + _RUN_DAYS, mjd_stop)
    root = Path(directory)
    for folder in ("events", "irfs", "uptime"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    np.savetxt(
        root / "uptime" / f"{MOCK_SEASON}_exp.csv",
        np.column_stack([starts, stops]),
        fmt="%17.8f",
        header="MJD_start[days]  MJD_stop[days]",
    )
    np.savetxt(
        root / "irfs" / f"{MOCK_SEASON}_effectiveArea.csv",
        _area_table(),
        fmt=["%16.2f", "%20.2f", "%16.4f", "%16.4f", "%16.2f"],
        header="log10(E_nu/GeV)_min  log10(E_nu/GeV)_max  "
        "Dec_nu_min[deg]  Dec_nu_max[deg]  A_Eff[cm^2]",
    )
    np.savetxt(
        root / "events" / f"{MOCK_SEASON}_exp.csv",
        _draw_events(rng, n_events, starts, stops),
        fmt=["%17.8f", *["%13.2f"] * 2, *["%13.3f"] * 4],
        header="MJD[days]  log10(E/GeV)  AngErr[deg]  RA[deg]  Dec[deg]  Azimuth[deg]  Zenith[deg]",
    )
    if matrix:
        np.savetxt(
            root / "irfs" / f"{MOCK_SEASON}_smearing.csv",
            _matrix_table(),
            fmt=["%.0f"] * 2 + ["%.4f"] * 2 + ["%.6g"] * 7,
            header="log10(E_nu/GeV)_min log10(E_nu/GeV)_max Dec_nu_min[deg] Dec_nu_max[deg] "
            "log10(E/GeV)_min log10(E/GeV)_max PSF_min[deg] PSF_max[deg] AngErr_min[deg] "
            "AngErr_max[deg] Fractional_Counts",
        )


def _draw_events(rng: np.random.Generator, n: int, starts: Floats, stops: Floats) -> Floats:
    # Uniform over the livetime: a run by its length, a moment within it.
    run = rng.choice(len(starts), size=n, p=(stops - starts) / (stops - starts).sum())
    mjd = np.sort(starts[run] + (stops - starts)[run] * rng.uniform(0.0, 1.0, n))
    # Two in three are atmospheric neutrinos from below the horizon (north), with a soft
    # spectrum; the others are energetic muon bundles from above.
    north = rng.uniform(0.0, 1.0, n) < 2 / 3
    height = rng.beta(1.0, 1.6, n)  # |sin dec|, more near the horizon
    sin_dec = np.where(north, height - 0.05, -height)
    log10_energy = np.where(
        north, 2.6 + rng.gamma(2.5, 0.26, n), 3.9 + 0.4 * height + rng.gamma(4.0, 0.17, n)
    )
    sigma = _sigma_deg(rng, log10_energy)
    ra, dec = rng.uniform(0.0, 360.0, n), np.degrees(np.arcsin(sin_dec))
    zenith, azimuth = to_zenith_azimuth(ra, dec, mjd)
    return np.column_stack(
        [
            mjd,
            np.clip(log10_energy, 1.5, 7.5),
            sigma,
            *(ra, dec),
            *(azimuth, zenith),
        ]
    )


def _sigma_deg(rng: np.random.Generator, log10_proxy: Floats) -> Floats:
    spread = np.exp(rng.normal(0.0, 0.5, log10_proxy.size))
    return np.clip(0.75 * 10.0 ** (-0.12 * (log10_proxy - 3.0)) * spread, 0.2, 10.0)


def _matrix_table() -> Floats:
    """Simulate 2,000 neutrinos in each cell of true energy and declination, and count them.

    Proxies are lower than energies, AngErr is as the events', angles are those of AngErr, but for
    8 % with 3.5 times as wide a spread, and for 2 % whose track is lost.
    """
    rng, n, bins = generator(0), 2000, GRID.bins
    sides = np.array([0, 0.08, 0.3, 0.55, 0.8, 0.96, 1])  # more bins where there are more
    dec = np.degrees(np.arcsin(np.linspace(-1.0, 1.0, GRID.declinations + 1)))
    rows = []
    for low, high in itertools.pairwise(dec):
        for energy in range(2, 2 + GRID.energies):
            proxy = 0.3 + 0.75 * rng.uniform(energy, energy + 1, n) + rng.normal(0.0, 0.35, n)
            sigma = _sigma_deg(rng, proxy)
            width = np.radians(sigma * np.where(rng.uniform(size=n) < 0.08, 3.5, 1.0))
            width = np.where(rng.uniform(size=n) < 0.02, 0.5, width)
            away = -np.log1p(rng.uniform(size=n) * np.expm1(-2 / width**2)) * width**2
            angle = np.degrees(np.arccos(1 - away))
            above = np.quantile(sigma[sigma > 0.2], sides[2:])  # the floor has a bin of its own
            edges = [np.quantile(proxy, sides), np.quantile(angle, sides), [0.2, 0.2001, *above]]
            drawn = np.stack([proxy, angle, sigma], axis=1)
            edges = [np.round(np.asarray(side, float), 6) for side in edges]
            for side, values in zip(edges, drawn.T, strict=True):
                side[[0, -1]] = min(side[0], values.min()), max(side[-1], values.max())
            counts, _ = np.histogramdd(drawn, bins=edges)
            cell = np.empty((bins, bins, bins, 11))
            cell[..., :4] = energy, energy + 1, low, high
            for axis, side in enumerate(edges):
                shape = [1, 1, 1]
                shape[axis] = bins
                cell[..., 4 + 2 * axis] = side[:-1].reshape(shape)
                cell[..., 5 + 2 * axis] = side[1:].reshape(shape)
            cell[..., 10] = counts / n
            rows.append(cell.reshape(-1, 11))
    return np.concatenate(rows)


def _area_table() -> Floats:
    """Return rows of 40 bins in log10 energy times 50 in sin(dec), as in the 10-year release."""
    energy = np.linspace(2.0, 10.0, 41)
    sin_dec = np.linspace(-1.0, 1.0, 51)
    s, x = np.meshgrid(
        (sin_dec[1:] + sin_dec[:-1]) / 2, (energy[1:] + energy[:-1]) / 2, indexing="ij"
    )
    dec = np.degrees(np.arcsin(sin_dec))
    low_s, low_x = np.meshgrid(dec[:-1], energy[:-1], indexing="ij")
    high_s, high_x = np.meshgrid(dec[1:], energy[1:], indexing="ij")
    columns = (low_x, high_x, low_s, high_s, _area_cm2(x, s))
    return np.column_stack([column.ravel() for column in columns])


def _area_cm2(log10_energy: Floats, sin_dec: Floats) -> Floats:
    down, up = np.clip(-sin_dec, 0.0, 1.0), np.clip(sin_dec, 0.0, 1.0)
    threshold = 3.5 + 2.3 * down**0.5
    below = 1.2 * np.logaddexp(0.0, (threshold - log10_energy) / 0.5)  # muon range and selection
    absorbed = 0.35 * up * np.logaddexp(0.0, (log10_energy - 5.0) / 0.5)
    return 10.0 ** (5.95 + 0.6 * (log10_energy - 5.0) - below - absorbed)
