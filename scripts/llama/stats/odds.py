"""The odds ratio of a gravitational-wave trigger and the neutrinos around it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from llama.stats.alternatives import gw_only, neutrino_only
from llama.stats.area import AnyArea, check_area
from llama.stats.arrays import Floats, Integers, bracket
from llama.stats.healpix import unit_vectors
from llama.stats.messengers import (
    Messenger,
    check_messengers,
    given_messengers,
    join_components,
)
from llama.stats.overlap import PreparedMap
from llama.stats.parameters import SearchParameters
from llama.stats.sets import LEFT_OUT, sum_joint_sets, sum_sets


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


@runtime_checkable
class Detector(Protocol):
    """A `Response` that knows the point-spread function, as a mixture, and the stated error."""

    def neutrinos(
        self, log10_proxy: Floats, sigma_deg: Floats, sin_dec: Floats
    ) -> tuple[Floats, Floats]:
        """Return kappa (n, components) and 2 pi s w / b (n, components, sin dec nodes) [sr].

        A proxy of NaN is not known.
        """
        ...


class Neutrinos(NamedTuple):
    """Neutrinos of one trigger, as the statistic needs them.

    dt_s: t_nu - t_gw; vectors (n, 3); kappa (n, components) [rad^-2]: concentrations of the von
    Mises-Fisher densities whose mixture the point spread is; intensity (n, components, sin dec
    nodes): share of the component times signal over background per expected event [s sr].
    """

    dt_s: Floats
    vectors: Floats
    kappa: Floats
    intensity: Floats

    @property
    def shares(self) -> Floats:
        """Share of each component in the point spread, at declinations (as `intensity`).

        Where no source gives such a neutrino, its share at all declinations; 0 if none does.
        """
        everywhere = self.intensity.sum(axis=2, keepdims=True)
        known = self.intensity.any(axis=1, keepdims=True)
        weight = np.where(known, self.intensity, everywhere)
        total = weight.sum(axis=1, keepdims=True)
        return np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)


@dataclass(frozen=True)
class Odds:
    """Result of one trigger; likelihood ratios to the all-noise hypothesis.

    odds_ratio; lambda_s, lambda_cgw, lambda_cnu; single_odds: (n,), each neutrino alone, with no
    trigger of another messenger; sets: contributions to lambda_s, {indices: value}, where the
    triggers of other messengers are counted on after the neutrinos; largest_set: |S| summed up to.
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


def prepare_neutrinos(
    dt_s: Floats,
    ra_deg: Floats,
    dec_deg: Floats,
    sigma_deg: Floats,
    energy_gev: Floats,
    response: Response,
    params: SearchParameters,
) -> Neutrinos:
    """Return the neutrinos with their signal-to-background intensities, all of shape (n,).

    intensity_i(dec) = A_eff(eps_i, dec) eps_i^-2 / A(dec) / (b_i ratebgnu), docs/method.md (4-7)
    without the vMF density; energies outside epsilon_min..epsilon_max are taken at the edge. An
    energy of NaN is not known: both densities are summed over all energies. A response that is a
    `Detector` gives mixtures and densities of energy and sigma. ValueError for other values that
    are not finite, or impossible, and for a response that no detector could have.
    """
    columns = [
        np.atleast_1d(np.ascontiguousarray(c, dtype=float))
        for c in (dt_s, ra_deg, dec_deg, sigma_deg, energy_gev)
    ]
    dt, ra, dec, sigma, energy = columns
    if any(c.shape != dt.shape or c.ndim != 1 for c in columns):
        raise ValueError("neutrino columns must have the same length")
    unknown = np.isnan(energy)
    if not all(np.isfinite(c).all() for c in (*columns[:4], energy[~unknown])):
        raise ValueError("neutrinos must have finite time, direction, sigma and energy")
    if (np.abs(dec) > 90).any() or (sigma <= 0).any() or (energy <= 0).any():
        raise ValueError("neutrinos must have |dec| <= 90 deg, sigma > 0 and energy > 0")
    sigma = np.maximum(sigma, params.sigma_floor_deg)
    grid, nodes = response.log10_energy, response.sin_dec
    low_x = max(math.log10(params.epsilon_min_gev), grid[0])
    high_x = min(math.log10(params.epsilon_max_gev), grid[-1])
    x = np.minimum(np.maximum(np.log10(np.where(unknown, 1.0, energy)), low_x), high_x)
    vectors = unit_vectors(ra, dec).reshape(-1, 3)
    if isinstance(response, Detector):
        x, s = np.where(unknown, np.nan, x), np.sin(np.radians(dec))
        kappa, ratio = response.neutrinos(x, sigma, s)
        ratio /= params.ratebgnu  # in place: new memory would take as long again
        return Neutrinos(dt, vectors, kappa, _checked(ratio))
    sigma = np.radians(sigma)
    row, part = bracket(x, grid[0], grid[-1], grid.size)
    column, share = bracket(np.sin(np.radians(dec)), nodes[0], nodes[-1], nodes.size)
    below, above = response.background_per_dex[row], response.background_per_dex[row + 1]
    k = np.arange(dt.size)
    below = (1 - share) * below[k, column] + share * below[k, column + 1]
    above = (1 - share) * above[k, column] + share * above[k, column + 1]
    background = (1 - part) * below + part * above
    part = part[:, None]
    signal = (1 - part) * response.signal_per_dex[row] + part * response.signal_per_dex[row + 1]
    if unknown.any():
        signal[unknown] = np.trapezoid(response.signal_per_dex, grid, axis=0)
        sums = np.asarray(np.trapezoid(response.background_per_dex, grid, axis=0))
        background[unknown] = ((1 - share) * sums[column] + share * sums[column + 1])[unknown]
    if not (background > 0).all():
        raise ValueError("the background density is zero for a neutrino")
    intensity = _checked((2 * math.pi / params.ratebgnu) * signal / background[:, None])
    return Neutrinos(dt, vectors, 1 / (sigma * sigma)[:, None], intensity[:, None, :])


def _checked(intensity: Floats) -> Floats:
    if not (intensity.min(initial=0.0) >= 0.0 and intensity.max(initial=0.0) < math.inf):
        raise ValueError("signal over background must be finite and not negative")
    return intensity


def event_odds(
    prepared: PreparedMap,
    neutrinos: Neutrinos,
    p_astro: float,
    params: SearchParameters,
    area_relative: AnyArea,
    messengers: Sequence[Messenger] = (),
    left_out: float = LEFT_OUT,
) -> Odds:
    """Return the odds that the GW shares a source with other triggers, against all else.

    p_astro: probability that the GW trigger is astrophysical, in [0, 1). area_relative:
    A(dec)/<A> on the response's nodes, or `Area`. messengers: further lists, searched whether or
    not they hold a trigger. Neutrinos outside the emission windows change nothing. left_out: what
    sets may lack together, relative to lambda_s.
    ValueError for a p_astro out of range and for tables of different sizes.
    Source: docs/method.md (1, 8-11, 14); docs/messengers.md.
    """
    q = odds_astrophysical(neutrinos, p_astro, area_relative)
    n, windows = neutrinos.dt_s.size, params.emission_windows_s
    if messengers:
        check_messengers(messengers, area_relative.size)
        members, values, largest = _joint_sets(
            prepared, neutrinos, messengers, windows, params, left_out
        )
    else:
        most = params.max_set_size
        members, values, largest = sum_sets(prepared, *neutrinos, windows, most, left_out)
    unseen = math.prod(1 - m.efficiency for m in messengers)
    lambda_cgw = gw_only(prepared, q, params, unseen)
    lambda_cnu = alone = neutrino_only(neutrinos, params, area_relative)
    if messengers:
        alone = lambda_cnu * unseen
        lambda_cnu = lambda_cnu * given_messengers(*neutrinos, messengers, params)
    values = values * (q / params.fb)
    single = np.zeros(n)
    sets: dict[tuple[int, ...], float] = {}
    for indices, value in zip(members, values, strict=True):
        which = tuple(int(i) for i in indices if i >= 0)
        if value > 0:
            sets[which] = float(value)
        if len(which) == 1 and which[0] < n:
            single[which[0]] = value
    lambda_s = math.fsum(sets.values())
    single /= 1.0 + lambda_cgw + alone
    total = lambda_s / (1.0 + lambda_cgw + lambda_cnu.sum())
    return Odds(total, lambda_s, lambda_cgw, float(lambda_cnu.sum()), single, sets, largest)


def odds_astrophysical(neutrinos: Neutrinos, p_astro: float, area_relative: AnyArea) -> float:
    """Return p_astro / (1 - p_astro), after a check of all that odds are made from.

    ValueError for a p_astro out of range, for tables of different sizes, and for areas that are
    negative or not finite.
    """
    if not (math.isfinite(p_astro) and 0.0 <= p_astro < 1.0):
        raise ValueError(f"p_astro must be in [0, 1), not {p_astro}")
    n = neutrinos.dt_s.size
    shape = *neutrinos.kappa.shape, area_relative.size
    if neutrinos.vectors.shape != (n, 3) or shape[0] != n or neutrinos.intensity.shape != shape:
        raise ValueError("neutrinos and effective areas must be tables of one size")
    check_area(area_relative)
    return p_astro / (1.0 - p_astro)


def _joint_sets(
    prepared: PreparedMap,
    neutrinos: Neutrinos,
    messengers: Sequence[Messenger],
    windows: Floats,
    params: SearchParameters,
    left_out: float,
) -> tuple[Integers, Floats, int]:
    """Return what `sum_sets` does, for sets with up to one trigger of each messenger as well."""
    sizes = [neutrinos.dt_s.size, *(m.start_s.size for m in messengers)]
    messenger = np.repeat(np.arange(len(sizes)), sizes)
    dt = neutrinos.dt_s
    first = [dt - windows[3], dt - windows[2], np.full(dt.size, windows[3] - windows[2])]
    starts, stops, spreads, vectors = (
        np.concatenate(parts)
        for parts in zip([*first, neutrinos.vectors], *(m[:4] for m in messengers), strict=True)
    )
    members, values, largest = sum_joint_sets(
        *(prepared, messenger, (starts, stops, spreads), vectors),
        *join_components([neutrinos, *messengers]),
        windows[:2],
        params.max_set_size,
        params.max_set_size + len(messengers),
        left_out,
    )
    for number, m in enumerate(messengers, 1):
        given = ((messenger[members] == number) & (members >= 0)).any(axis=1)
        values *= np.where(given, m.efficiency, 1 - m.efficiency)
    return members, values, largest
