"""A toy release in IceCube's file format, so that demo and tests need no outside data.

Shapes and sizes are like IceCube's (the area grows with energy, the southern sky has a higher
threshold, the Earth absorbs at high energies); no number in it was measured.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llama.neutrinos.coordinates import to_zenith_azimuth
from llama.neutrinos.release import MOCK_SEASON
from llama.neutrinos.scramble import generator

_RUN_DAYS, _GAP_DAYS = 8 / 24, 1 / 1440  # runs of eight hours, a minute lost between them

Floats = NDArray[np.float64]


def write_mock_release(
    directory: str | Path,
    seed: int = 1,
    n_events: int = 20_000,
    mjd_start: float = 58574.0,
    mjd_stop: float = 58634.0,
) -> None:
    """Write events, effective area and uptime of season MOCK to `directory`.

    An archive made from it says "simulated", and so do the neutrinos which come out of it.
    The background rate is n_events over the livetime; the default is 60 days in 2019 (UTC).
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
    sigma = 0.75 * 10.0 ** (-0.12 * (log10_energy - 3.0)) * np.exp(rng.normal(0.0, 0.5, n))
    ra, dec = rng.uniform(0.0, 360.0, n), np.degrees(np.arcsin(sin_dec))
    zenith, azimuth = to_zenith_azimuth(ra, dec, mjd)
    return np.column_stack(
        [
            mjd,
            np.clip(log10_energy, 1.5, 7.5),
            np.clip(sigma, 0.2, 10.0),
            *(ra, dec),
            *(azimuth, zenith),
        ]
    )


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
