"""The odds ratio of a gravitational-wave trigger and the neutrinos around it."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.stats.compiled import njit
from llama.stats.healpix import unit_vectors
from llama.stats.overlap import PreparedMap, log_vmf_norm, overlap
from llama.stats.parameters import SearchParameters

Floats = NDArray[np.float64]

SEPARATION_SIGMA = 5.0  # neutrinos further apart than this (combined sigma) form no set
MAX_SETS = 20_000  # sets of one size; beyond, larger sets are left out and the result says so


class Response(Protocol):
    """What a neutrino detector's archive gives the statistic (`llama.neutrinos`).

    log10_energy: nodes [log10 GeV], uniform; sin_dec: nodes from -1 to 1, uniform;
    signal_per_dex, background_per_dex: (energy, sin dec) densities per dex, the latter also
    per unit sin(dec); area_relative: A(dec)/<A>; all on these nodes.
    """

    @property
    def log10_energy(self) -> Floats: ...  # noqa: D102
    @property
    def sin_dec(self) -> Floats: ...  # noqa: D102
    @property
    def signal_per_dex(self) -> Floats: ...  # noqa: D102
    @property
    def background_per_dex(self) -> Floats: ...  # noqa: D102
    @property
    def area_relative(self) -> Floats: ...  # noqa: D102


class Neutrinos(NamedTuple):
    """Neutrinos of one trigger: dt = t_nu - t_gw [s], unit vectors (n, 3), sigma [rad],
    intensity (n, sin dec nodes): signal over background per expected event [s sr]."""  # noqa: D205, D209

    dt_s: Floats
    vectors: Floats
    sigma_rad: Floats
    intensity: Floats


@dataclass(frozen=True)
class Odds:
    """Result of one trigger; likelihood ratios to the all-noise hypothesis.

    odds_ratio; lambda_s, lambda_cgw, lambda_cnu; single_odds: (n,), each neutrino alone;
    sets: contributions to lambda_s, {indices: value}; largest_set: |S| summed up to.
    """

    odds_ratio: float
    lambda_s: float
    lambda_cgw: float
    lambda_cnu: float
    single_odds: Floats
    sets: dict[tuple[int, ...], float] = field(default_factory=dict)
    largest_set: int = 4

    def posterior(self) -> dict[str, float]:
        """Return the posterior probabilities of the four hypotheses; they sum to 1."""
        total = 1.0 + self.lambda_s + self.lambda_cgw + self.lambda_cnu
        return {
            "coincidence": self.lambda_s / total,
            "gw_only": self.lambda_cgw / total,
            "neutrino_only": self.lambda_cnu / total,
            "noise": 1.0 / total,
        }


def prepare_neutrinos(  # noqa: PLR0913
    dt_s: Floats,
    ra_deg: Floats,
    dec_deg: Floats,
    sigma_deg: Floats,
    energy_gev: Floats,
    response: Response,
    params: SearchParameters,
) -> Neutrinos:
    """Return the neutrinos with their signal-to-background intensities, all of shape (n,).

    intensity_i(dec) = A_eff(eps_i, dec) eps_i^-2 / A(dec) / (b_i ratebgnu), `statistics.md`
    section 3; energies outside epsilon_min..epsilon_max are taken at the edge. LlamaError for
    values that are not finite or impossible.
    """
    columns = [
        np.atleast_1d(np.asarray(c, dtype=float))
        for c in (dt_s, ra_deg, dec_deg, sigma_deg, energy_gev)
    ]
    dt, ra, dec, sigma, energy = columns
    if any(c.shape != dt.shape or c.ndim != 1 for c in columns):
        raise LlamaError("neutrino columns must have the same length; check the list")
    if not all(np.isfinite(c).all() for c in columns):
        raise LlamaError(
            "neutrinos must have finite time, direction, sigma and energy; check the list"
        )
    if (np.abs(dec) > 90).any() or (sigma <= 0).any() or (energy <= 0).any():
        raise LlamaError(
            "neutrinos must have |dec| <= 90 deg, sigma > 0 and energy > 0; check the list"
        )
    sigma = np.radians(np.maximum(sigma, params.sigma_floor_deg))
    grid = response.log10_energy
    bounds = np.log10([params.epsilon_min_gev, params.epsilon_max_gev])
    x = np.clip(np.log10(energy), max(bounds[0], grid[0]), min(bounds[1], grid[-1]))
    row = np.clip((x - grid[0]) / (grid[1] - grid[0]), 0, grid.size - 1)
    low = np.minimum(row.astype(int), grid.size - 2)
    part = (row - low)[:, None]
    signal = (1 - part) * response.signal_per_dex[low] + part * response.signal_per_dex[low + 1]
    rows = (1 - part) * response.background_per_dex[low] + part * response.background_per_dex[
        low + 1
    ]
    background = np.array(
        [
            np.interp(s, response.sin_dec, b)
            for s, b in zip(np.sin(np.radians(dec)), rows, strict=True)
        ]
    )
    if (background <= 0).any():
        raise LlamaError("the background density is zero for a neutrino; import the archive again")
    intensity = 2 * math.pi * signal / (background.reshape(-1, 1) * params.ratebgnu)
    return Neutrinos(dt, unit_vectors(ra, dec).reshape(-1, 3), sigma, intensity)


def event_odds(
    prepared: PreparedMap,
    neutrinos: Neutrinos,
    p_astro: float,
    params: SearchParameters,
    area_relative: Floats,
) -> Odds:
    """Return the odds that GW and neutrinos share a source, against all other hypotheses.

    p_astro: probability that the GW trigger is astrophysical, in [0, 1). area_relative:
    A(dec)/<A> on the response's nodes. Neutrinos outside the emission windows change nothing.
    LlamaError for a p_astro out of range. Source: `statistics.md` sections 4 and 5.
    """
    if not (math.isfinite(p_astro) and 0.0 <= p_astro < 1.0):
        raise LlamaError(f"p_astro must be in [0, 1), not {p_astro}; check p_astro.json")
    q = p_astro / (1.0 - p_astro)
    windows = np.array([params.tgwminus, params.tgwplus, params.tnuminus, params.tnuplus])
    members, values, largest = _sum_sets(prepared, *neutrinos, windows, params.max_set_size)
    # <exp(-mu)> from the map itself; 1 - fb^-1 of the sources do not point at us
    lambda_cgw = q * ((1 - 1 / params.fb) + prepared.weights[0].sum() / params.fb)
    lambda_cnu = neutrino_only(neutrinos, params, area_relative)
    values = values * (q / params.fb)
    n = neutrinos.dt_s.size
    single = np.zeros(n)
    sets: dict[tuple[int, ...], float] = {}
    for indices, value in zip(members, values, strict=True):
        which = tuple(int(i) for i in indices if i >= 0)
        if value > 0:
            sets[which] = float(value)
        if len(which) == 1:
            single[which[0]] = value
    lambda_s = math.fsum(sets.values())
    single /= 1.0 + lambda_cgw + lambda_cnu
    total = lambda_s / (1.0 + lambda_cgw + lambda_cnu.sum())
    return Odds(total, lambda_s, lambda_cgw, float(lambda_cnu.sum()), single, sets, int(largest))


def neutrino_only(neutrinos: Neutrinos, params: SearchParameters, area_relative: Floats) -> Floats:
    """Return Lambda_cnu of each neutrino (n,): GW noise, neutrino from an unseen source.

    Leading order of `science.md` eq. 6.7 with sources out to `cnu_horizon_mpc`, the detector's
    response at the neutrino's own declination, and no source in that volume seen in GW.
    """
    emitted = params.fb * (params.Enumax - params.Enumin) / math.log(params.Enumax / params.Enumin)
    volume = params.nu_51_100 * emitted * 1e4 * params.cnu_horizon_mpc  # int r^2 dr <mu>(r)
    inside = (neutrinos.dt_s > params.dt_min_s) & (neutrinos.dt_s < params.dt_max_s)
    nodes = np.linspace(-1, 1, area_relative.size)
    response = np.array(
        [
            np.interp(v[2], nodes, i * area_relative)
            for v, i in zip(neutrinos.vectors, neutrinos.intensity, strict=True)
        ]
    ).reshape(-1)
    return np.asarray(params.ndotgwnu / params.fb * volume * response * inside)


@njit()
def _sum_sets(prepared, dt, vectors, sigma, intensity, windows, max_size):  # type: ignore[no-untyped-def]
    """Return members (sets, 4; -1 = none), Lambda_s fb / Q of each set, and the largest size.

    Sets grow by one neutrino at a time, so that only compatible ones are ever visited.
    """
    n = dt.size
    span = (windows[1] - windows[0]) * (windows[3] - windows[2])
    earliest, latest = windows[2] - windows[1], windows[3] - windows[0]
    members = np.full((max(n, 1), 4), -1, dtype=np.int64)
    values = np.zeros(max(n, 1))
    count = 0
    for i in range(n):
        if earliest < dt[i] < latest:
            members[count, 0] = i
            count += 1
    members, values = members[:count].copy(), values[:count].copy()
    begin, largest = 0, 1
    for size in range(1, max_size + 1):
        if size > 1:
            grown = _grow(members, begin, size, dt, vectors, sigma, windows)
            if grown.shape[0] == 0:
                break
            if grown.shape[0] > MAX_SETS:
                return members, values, largest
            begin = members.shape[0]
            members = np.concatenate((members, grown))
            values = np.concatenate((values, np.zeros(grown.shape[0])))
        largest = size
        for k in range(begin, members.shape[0]):
            time_factor = _time_length(members[k], dt, windows) / span
            for _ in range(1, size):
                time_factor /= windows[3] - windows[2]
            values[k] = time_factor * _set_overlap(
                prepared, members[k], size, vectors, sigma, intensity
            )
    return members, values, max_size if largest < max_size else largest


@njit()
def _time_length(indices, dt, windows):  # type: ignore[no-untyped-def]
    """Length [s] of the source times, relative to t_gw, that explain the GW and all members."""
    low, high = -windows[1], -windows[0]
    for i in indices:
        if i >= 0:
            low, high = max(low, dt[i] - windows[3]), min(high, dt[i] - windows[2])
    return max(0.0, high - low)


@njit()
def _grow(members, begin, size, dt, vectors, sigma, windows):  # type: ignore[no-untyped-def]
    """Return all compatible sets of `size`, made from those of one less from row `begin`."""
    grown = np.empty((16, 4), dtype=np.int64)
    count = 0
    for k in range(begin, members.shape[0]):
        for j in range(members[k, size - 2] + 1, dt.size):
            fits = True
            for m in range(size - 1):
                i = members[k, m]
                d = vectors[i] - vectors[j]
                chord2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
                fits &= chord2 < SEPARATION_SIGMA**2 * (sigma[i] ** 2 + sigma[j] ** 2)
            if not fits:
                continue
            if count == grown.shape[0]:
                grown = np.concatenate((grown, np.empty_like(grown)))
            grown[count] = members[k]
            grown[count, size - 1] = j
            if _time_length(grown[count], dt, windows) > 0.0:
                count += 1
                if count > MAX_SETS:
                    return grown[:count]
    return grown[:count]


@njit()
def _set_overlap(prepared, indices, size, vectors, sigma, intensity):  # type: ignore[no-untyped-def]
    """Return sum_k w_{size,k} <prod_i vMF_i intensity_i>_k, the product taken as one vMF."""
    centre = np.zeros(3)
    table = np.ones(intensity.shape[1])
    log_norm = 0.0
    total = 0.0
    for m in range(size):
        i = indices[m]
        kappa = 1.0 / (sigma[i] * sigma[i])
        for axis in range(3):
            centre[axis] += kappa * vectors[i, axis]
        table *= intensity[i]
        log_norm += log_vmf_norm(kappa)
        total += kappa
    kappa = math.sqrt(centre[0] ** 2 + centre[1] ** 2 + centre[2] ** 2)
    if kappa == 0.0 or table.max() == 0.0:
        return 0.0
    # ln of the product at its centre: prod C(kappa_i) exp(kappa_S)
    factor = math.exp(log_norm + kappa - total)
    if factor == 0.0:
        return 0.0
    return factor * overlap(prepared, size, kappa, centre / kappa, table)
