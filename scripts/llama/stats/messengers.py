"""Messengers besides gravitational waves and neutrinos: triggers of which a source gives one."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from llama.stats.arrays import Flags, Floats
from llama.stats.healpix import unit_vectors
from llama.stats.overlap import log_vmf_norm
from llama.stats.parameters import GrbParameters, SearchParameters


class Messenger(NamedTuple):
    """Triggers of one further messenger, of which a source that points at us gives one or none.

    start_s, stop_s: source times relative to t_gw that explain each trigger, empty for one that
    the source cannot give; spread_s: time over which the trigger's own time is spread evenly,
    given the source and the GW; vectors (n, 3); kappa (n, components) [rad^-2] and intensity (n,
    components, sin dec nodes) as of `llama.stats.odds.Neutrinos`: signal over background [s sr],
    without the position and the time; efficiency: probability that the source gives a trigger.
    """

    start_s: Floats
    stop_s: Floats
    spread_s: Floats
    vectors: Floats
    kappa: Floats
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
    gain: Floats | float = 1.0,
) -> Messenger:
    """Return gamma-ray bursts as a messenger; dt = t_grb - t_gw, all columns of shape (n,).

    A burst follows the merger, whose time is that of the GW; its density over the background's is
    vMF 4 pi gain / rate, gain: how much more of the source's bursts than of chance ones its
    instrument has. The share of the sky that the instrument sees cancels. nodes: of sin(dec) in
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
    fits = fits_delays(dt, grb)
    return Messenger(
        # the burst tells the merger's time, which the GW has told already
        np.full(dt.size, -params.tgwplus),
        np.where(fits, -params.tgwminus, -params.tgwplus),
        np.full(dt.size, grb.delay_max_s - grb.delay_min_s),
        unit_vectors(ra, dec).reshape(-1, 3),
        np.radians(sigma)[:, None] ** -2,
        np.broadcast_to(
            (np.full(dt.size, 4 * math.pi / grb.rate_hz) * gain)[:, None, None], (dt.size, 1, nodes)
        ).copy(),
        grb.efficiency,
    )


def fits_delays(dt_s: Floats, grb: GrbParameters) -> Flags:
    """Return whether a source can give bursts at dt = t_grb - t_gw."""
    return (dt_s >= grb.delay_min_s) & (dt_s <= grb.delay_max_s)


def check_messengers(messengers: Sequence[Messenger], nodes: int) -> None:
    """Raise ValueError for messengers that no instrument could give."""
    for m in messengers:
        n = m.start_s.size
        columns = (m.start_s, m.stop_s, m.spread_s)
        shapes = m.vectors.shape, m.kappa.shape[:1], m.intensity.shape
        if any(c.shape != (n,) for c in columns) or shapes != (
            *((n, 3), (n,)),
            (*m.kappa.shape, nodes),
        ):
            raise ValueError(
                "triggers of a messenger must be tables of one size, with as many declinations as "
                "the neutrinos'"
            )
        if not all(np.isfinite(c).all() for c in m) or not (
            0 <= m.efficiency < 1
            and (m.kappa > 0).all()
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
    kappa: Floats,
    intensity: Floats,
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
    share = _at(intensity, vectors[:, 2])
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-300)
    for m in messengers:
        seen = np.zeros(dt_s.size)
        for j in np.flatnonzero(m.stop_s > m.start_s):
            together = np.minimum(stop, m.stop_s[j]) - np.maximum(start, m.start_s[j])
            time_hz = np.maximum(together, 0) / ((stop - start) * (m.stop_s[j] - m.start_s[j]))
            node = _at(
                np.broadcast_to(m.intensity[j], (dt_s.size, *m.intensity[j].shape)), vectors[:, 2]
            )
            for d, one in enumerate(m.kappa[j]):
                common = (share * _common(vectors, kappa, m.vectors[j], float(one))).sum(axis=1)
                seen += time_hz * node[:, d] * common
        result *= 1 - m.efficiency + m.efficiency * seen
    return result


def _at(tables: Floats, sin_dec: Floats) -> Floats:
    """Return tables (n, components, nodes) at each sin(dec), (n, components)."""
    position = (sin_dec + 1) * (0.5 * (tables.shape[2] - 1))
    node = np.clip(position.astype(np.int64), 0, tables.shape[2] - 2)
    part = (position - node)[:, None]
    k = np.arange(sin_dec.size)
    return np.asarray((1 - part) * tables[k, :, node] + part * tables[k, :, node + 1])


def _common(vectors: Floats, kappa: Floats, vector: Floats, one: float) -> Floats:
    """Return the integral over the sky of each vMF density (n, components) times one [sr^-1]."""
    both = np.linalg.norm(kappa[:, :, None] * vectors[:, None, :] + one * vector, axis=2)
    norms, products = _log_norms(kappa), _log_norms(both)
    return np.exp(norms + log_vmf_norm(one) - products + both - kappa - one)


def _log_norms(kappa: Floats) -> Floats:
    return np.array([log_vmf_norm(float(k)) for k in kappa.flat]).reshape(kappa.shape)


class Mixtures(Protocol):
    """Point spreads: kappa (n, components) and intensity (n, components, sin dec nodes)."""

    @property
    def kappa(self) -> Floats: ...  # noqa: D102
    @property
    def intensity(self) -> Floats: ...  # noqa: D102


def join_components(lists: Sequence[Mixtures]) -> tuple[Floats, Floats]:
    """Return kappa and intensity of all triggers; what one has fewer components of is 0."""
    most = max(each.kappa.shape[1] for each in lists)
    kappas, intensities = [], []
    for each in lists:
        lacking = most - each.kappa.shape[1]
        kappas.append(np.pad(each.kappa, ((0, 0), (0, lacking)), constant_values=1.0))
        intensities.append(np.pad(each.intensity, ((0, 0), (0, lacking), (0, 0))))
    return np.concatenate(kappas), np.concatenate(intensities)
