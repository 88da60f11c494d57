"""Messengers besides gravitational waves and neutrinos: triggers of which a source gives one."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from llama.stats.arrays import Floats
from llama.stats.healpix import unit_vectors
from llama.stats.overlap import log_vmf_norm
from llama.stats.parameters import GrbParameters, SearchParameters


class Messenger(NamedTuple):
    """Triggers of one further messenger, of which a source that points at us gives one or none.

    start_s, stop_s: source times relative to t_gw that explain each trigger, empty for one that
    the source cannot give; spread_s: time over which the trigger's own time is spread evenly,
    given the source and the GW; vectors (n, 3); sigma_rad; intensity (n, sin dec nodes): signal
    over background [s sr], without the position and the time; efficiency: probability that the
    source gives a trigger.
    """

    start_s: Floats
    stop_s: Floats
    spread_s: Floats
    vectors: Floats
    sigma_rad: Floats
    intensity: Floats
    efficiency: float


def prepare_bursts(
    dt_s: Floats,
    ra_deg: Floats,
    dec_deg: Floats,
    sigma_deg: Floats,
    grb: GrbParameters,
    params: SearchParameters,
    nodes: int,
) -> Messenger:
    """Return gamma-ray bursts as a messenger; dt = t_grb - t_gw, all columns of shape (n,).

    A burst follows the merger, whose time is that of the GW; its density over the background's is
    vMF 4 pi / rate. The share of the sky that the instrument sees cancels. nodes: of sin(dec) in
    the neutrinos' tables. ValueError for values that are not finite or impossible.
    """
    columns = [np.atleast_1d(np.asarray(c, float)) for c in (dt_s, ra_deg, dec_deg, sigma_deg)]
    dt, ra, dec, sigma = columns
    if any(c.shape != dt.shape or c.ndim != 1 for c in columns):
        raise ValueError("columns of gamma-ray bursts must have the same length")
    if not (
        all(np.isfinite(c).all() for c in columns)
        and (np.abs(dec) <= 90).all()
        and (sigma > 0).all()
    ):
        raise ValueError(
            "gamma-ray bursts must have finite time and direction, |dec| <= 90 deg and sigma > 0"
        )
    fits = (dt >= grb.delay_min_s) & (dt <= grb.delay_max_s)
    return Messenger(
        # the burst tells the merger's time, which the GW has told already
        np.full(dt.size, -params.tgwplus),
        np.where(fits, -params.tgwminus, -params.tgwplus),
        np.full(dt.size, grb.delay_max_s - grb.delay_min_s),
        unit_vectors(ra, dec).reshape(-1, 3),
        np.radians(sigma),
        np.full((dt.size, nodes), 4 * math.pi / grb.rate_hz),
        grb.efficiency,
    )


def check_messengers(messengers: Sequence[Messenger], nodes: int) -> None:
    """Raise ValueError for messengers that no instrument could give."""
    for m in messengers:
        n = m.start_s.size
        columns = (m.start_s, m.stop_s, m.spread_s, m.sigma_rad)
        if any(c.shape != (n,) for c in columns) or (m.vectors.shape, m.intensity.shape) != (
            (n, 3),
            (n, nodes),
        ):
            raise ValueError(
                "triggers of a messenger must be tables of one size, with as many declinations as "
                "the neutrinos'"
            )
        if not all(np.isfinite(c).all() for c in m) or not (
            0 <= m.efficiency < 1
            and (m.sigma_rad > 0).all()
            and (m.spread_s > 0).all()
            and (m.intensity >= 0).all()
        ):
            raise ValueError(
                "triggers of a messenger must be finite and not negative, and its efficiency in "
                "[0, 1)"
            )


def given_messengers(
    dt_s: Floats,
    vectors: Floats,
    sigma_rad: Floats,
    messengers: Sequence[Messenger],
    params: SearchParameters,
) -> Floats:
    """Return how much likelier each neutrino's unseen source is (n,) with the messengers' triggers.

    Product over messengers of 1 - efficiency + efficiency sum_j l_ij, l_ij: density of trigger j
    over its background if the source of neutrino i gave it. The GW is noise, so that the
    source's time is known from the two alone.
    """
    result = np.ones(dt_s.size)
    start, stop = dt_s - params.tnuplus, dt_s - params.tnuminus
    for m in messengers:
        seen = np.zeros(dt_s.size)
        for j in np.flatnonzero(m.stop_s > m.start_s):
            together = np.minimum(stop, m.stop_s[j]) - np.maximum(start, m.start_s[j])
            time_hz = np.maximum(together, 0) / ((stop - start) * (m.stop_s[j] - m.start_s[j]))
            node = np.interp(
                vectors[:, 2], np.linspace(-1, 1, m.intensity.shape[1]), m.intensity[j]
            )
            seen += time_hz * node * _common(vectors, sigma_rad, m.vectors[j], m.sigma_rad[j])
        result *= 1 - m.efficiency + m.efficiency * seen
    return result


def _common(vectors: Floats, sigma: Floats, vector: Floats, sigma_rad: float) -> Floats:
    """Return the integral over the sky of each vMF density times one more [sr^-1]."""
    kappa, one = 1 / sigma**2, 1 / sigma_rad**2
    both = np.linalg.norm(kappa[:, None] * vectors + one * vector, axis=1)
    norms = np.array([log_vmf_norm(float(k)) for k in kappa])
    product = np.array([log_vmf_norm(float(k)) for k in both])
    return np.exp(norms + log_vmf_norm(one) - product + both - kappa - one)
