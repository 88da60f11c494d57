"""What the expansion of space does to the neutrinos of a source: redshift and volume by distance.

Sky maps tell luminosity distances d_L. The cosmology is Planck 2018 (A&A 641, A6, 2020) as
`astropy.cosmology.Planck18` has it, tabulated because its import takes a second.
"""

import functools
import os

import numpy as np

from llama.stats.arrays import Floats

# where `SearchParameters.events_by_redshift` is known
REDSHIFTS = np.expm1(np.linspace(0.0, 3.3, 23))
STATIC_DEPTH_MPC = 3000.0  # of neutrino sources in the published search

# made by tests/bench/planck18.py
_TABLE = os.path.join(os.path.dirname(__file__), "templates", "planck18.csv")


@functools.cache
def grid() -> tuple[Floats, Floats]:
    """Return ln(d_L / Mpc), uniform, and ln(1 + z) there."""
    distance_mpc, redshift = np.loadtxt(_TABLE, delimiter=",").T
    return np.log(distance_mpc), np.log1p(redshift)


def log_gain(events_by_redshift: tuple[float, ...]) -> Floats:
    """Return ln of how many times the static count A E / d_L^2 is seen, at the distances of `grid`.

    (1 + z) times the part of the spectrum that is seen: of an E^-gamma spectrum with a given
    source-frame energy (1 + z)^(3 - gamma) times as many neutrinos arrive. Zeros without it.
    docs/method.md (3).
    """
    log_1z = grid()[1]
    if not events_by_redshift:
        return np.zeros(log_1z.size)
    return log_1z + np.interp(log_1z, np.log1p(REDSHIFTS), np.log(events_by_redshift))


def source_density(distance_mpc: Floats) -> Floats:
    """Return the density in d_L [Mpc] of sources of constant rate, up to a factor.

    Per comoving volume and source time: dV_c / dd_L / (1 + z).
    """
    log_d, log_1z = grid()
    slope = np.gradient(log_1z, log_d)
    here = np.log(np.maximum(distance_mpc, 1e-9))
    z, s = np.interp(here, log_d, log_1z), np.interp(here, log_d, slope)
    # comoving distance d = d_L / (1 + z): d^2 dd / dd_L / (1 + z)
    return np.asarray(distance_mpc**2 * np.exp(-4.0 * z) * (1.0 - s))


def depth_mpc(events_by_redshift: tuple[float, ...]) -> float:
    """Return the int dr of sources of all distances, each counted with the events that it gives.

    int dV_c / (4 pi d_L^2) / (1 + z) times `log_gain`'s factor; it converges. docs/method.md (14).
    """
    if not events_by_redshift:
        return STATIC_DEPTH_MPC
    log_d = grid()[0]
    d_l = np.exp(log_d)
    per_log = d_l**-1 * source_density(d_l) * np.exp(log_gain(events_by_redshift))
    return float(np.trapezoid(per_log, log_d))
