"""Neutrinos that never were: the archive's events at random times and right ascensions.

Declination, energy and sigma of an event stay together, because the detector ties them; right
ascension and time are what a source would correlate, so they are drawn anew. A detector away from
the pole ties right ascension to time: there only the time is drawn, and right ascension follows.
"""

import hashlib

import numpy as np

from llama.neutrinos.table import Columns
from llama.stats.healpix import within_turn
from llama.stats.window import Window
from llama.times import SIDEREAL_DAY_S


def seed_from(text: str) -> int:
    """Return a seed (48 bits: exact in JSON everywhere) that depends on nothing but `text`."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


def generator(seed: int) -> np.random.Generator:
    """Return the project's random generator (Philox) for a seed."""
    return np.random.Generator(np.random.Philox(seed))


def scramble(
    archive_events: Columns,
    n: int,
    rng: np.random.Generator,
    event_gps: float,
    window: Window,
    turns: bool = False,
) -> Columns:
    """Return `n` background neutrinos in the window, ascending gps.

    Columns gps (s), ra_deg, dec_deg, sigma_deg, energy_gev. (dec, sigma, energy) are drawn
    together, with replacement, from `archive_events`; RA and time are uniform. turns: RA is such
    that events stay where they were in the detector's sky.
    """
    drawn = rng.integers(len(archive_events["dec_deg"]), size=n)
    gps = event_gps + np.sort(rng.uniform(*window, n))
    ra_deg = rng.uniform(0.0, 360.0, n)
    if turns:
        days = (gps - archive_events["gps"][drawn]) / SIDEREAL_DAY_S
        ra_deg = within_turn(archive_events["ra_deg"][drawn] + 360.0 * (days % 1.0))
    return {
        "gps": gps,
        "ra_deg": ra_deg,
        **{name: archive_events[name][drawn] for name in ("dec_deg", "sigma_deg", "energy_gev")},
    }


def simulate(
    archive_events: Columns,
    seed: int,
    event_gps: float,
    window: Window,
    rate_hz: float,
    turns: bool = False,
) -> Columns:
    """Return a background window as `scramble` does, with a Poisson number at `rate_hz`."""
    rng = generator(seed)
    n = int(rng.poisson(rate_hz * window.length_s))
    return scramble(archive_events, n, rng, event_gps, window, turns)
