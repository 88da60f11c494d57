"""How likely a neutrino's proxy, stated error and direction are, from a source and from background.

What `Response` has of the proxy alone, with the stated error (AngErr) as one more axis and the
point-spread function as a mixture. At declinations of `SIN_DEC`, for signal and background alike,

    density(x, a | dec) = density(x | dec) * density(a | x, dec)

with x = log10 proxy and a = log10 AngErr, so that sums over AngErr are the tables of the proxy
alone, to the bit.
"""

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.neutrinos.mixture import (
    MULTIPLES,
    NODES_ANGERR,
    NODES_PROXY,
    concentrations,
    error_tents,
    shares,
    tents,
)
from llama.neutrinos.release import EffectiveArea
from llama.neutrinos.response import LOG10_ENERGY, SIN_DEC, Response, Stored
from llama.neutrinos.simulation import (
    ANGERR,
    ANGERR_STEP,
    PROXY,
    angerr_counts,
    angerr_density,
    cell_weights,
    energy_weights,
    proxy_counts,
    psf_weights,
)
from llama.neutrinos.smearing import Smearing
from llama.stats.compiled import njit

Floats = NDArray[np.float64]

# Of the background's AngErr: dex of the proxy and sin(dec), and how many events the wider
# distributions count as. The likelihood of held-out events of IC40 is highest there (tests).
SMOOTHING = (0.15, 0.04)
PRIOR = 10.0


class Mixture(NamedTuple):
    """Neutrinos as the statistic needs them: kappa [rad^-2] (n, components) and tables.

    ratio (n, components, sin dec nodes) [sr]: 2 pi s(x, a | dec) w / b(x, a, dec of the neutrino).
    """

    kappa: Floats
    ratio: Floats


@dataclass(frozen=True)
class Detector(Stored):
    """Tables over LOG10_ENERGY or PROXY (x), ANGERR (a) and SIN_DEC (s), float64.

    `signal_per_dex` [x, s], `signal_angerr` [x, a, s]: densities per dex for A_eff E^-gamma;
    `weights` [proxy nodes, AngErr nodes, components, s] of the point-spread function;
    `background_per_dex` [x, s], per dex and unit of sin(dec), and `background_angerr` [x, a, s].
    `true_per_dex` [true energy, s]; the others are those of `Response`.
    """

    # what results say of it
    energy_response: ClassVar[str] = "smearing"
    psf: ClassVar[str] = "mixture"
    log10_energy: ClassVar[Floats] = LOG10_ENERGY
    sin_dec: ClassVar[Floats] = SIN_DEC

    season: str
    gamma: float
    signal_per_dex: Floats
    signal_angerr: Floats
    weights: Floats
    background_per_dex: Floats
    background_angerr: Floats
    true_per_dex: Floats
    area_relative: Floats
    flux_area_cm2_gev: Floats
    rate_hz: float
    sigma_floor_deg: float

    def write(self, group: Any) -> None:
        """Write all tables to a group."""
        group.attrs.update({name: getattr(self, name) for name in _ATTRIBUTES})
        for name in _TABLES:
            table = getattr(self, name)
            group.create_dataset(name, data=table, compression="gzip", shuffle=True)

    @classmethod
    def read(cls, group: Any) -> Self:
        """Return what `write` wrote."""
        values = {name: group.attrs[name] for name in _ATTRIBUTES}
        return cls(**values, **{name: group[name][()] for name in _TABLES})

    def neutrinos(self, log10_proxy: Floats, sigma_deg: Floats, sin_dec: Floats) -> Mixture:
        """Return what each neutrino (n,) is, with any AngErr > 0 and |sin dec| <= 1.

        A proxy of NaN is not known: both densities are summed over it. What is outside of the
        tables is taken at the edge, except for the width of the point-spread function, which is
        always that of the AngErr given.
        """
        x, a, s = (np.atleast_1d(np.asarray(c, float)) for c in (log10_proxy, sigma_deg, sin_dec))
        if not (np.isfinite(a).all() and (a > 0).all() and (np.abs(s) <= 1).all()):
            raise ValueError("neutrinos must have AngErr > 0 and |sin(dec)| <= 1")
        unknown = np.isnan(x)
        x, error = np.where(unknown, 0.0, x), np.log10(a)
        column = tents(s, SIN_DEC)
        ratio = np.empty((x.size, MULTIPLES.size, SIN_DEC.size))
        _fill(
            ratio,
            unknown,
            column,
            (tents(x, LOG10_ENERGY), tents(x, PROXY), error_tents(error, ANGERR)),
            (tents(x, NODES_PROXY), error_tents(error, NODES_ANGERR)),
            self._arrays,
            self.unknown,
        )
        return Mixture(concentrations(a), ratio)

    @property
    def _arrays(self) -> tuple[Floats, ...]:
        return tuple(getattr(self, name) for name in _TABLES[:5])

    @cached_property
    def unknown(self) -> tuple[Floats, Floats]:
        """Signal [a, components, s] and background [a, s] summed over the proxy, per dex."""
        x = shares(tents(LOG10_ENERGY, PROXY), PROXY.size)
        found = []
        for density, angerr in (
            (self.signal_per_dex, self.signal_angerr),
            (self.background_per_dex, self.background_angerr),
        ):
            found.append(np.einsum("xp,xs,pas->pas", x, density * _step(LOG10_ENERGY), angerr))
        p = shares(tents(PROXY, NODES_PROXY), NODES_PROXY.size)
        a = shares(error_tents(ANGERR, NODES_ANGERR), NODES_ANGERR.size)
        by_node = np.einsum("pas,pn->nas", found[0], p)
        signal = np.einsum("nas,am,nmks->aks", by_node, a, self.weights, optimize=True)
        return signal, found[1].sum(axis=0)


_ATTRIBUTES = ("season", "gamma", "rate_hz", "sigma_floor_deg")
_TABLES = tuple(field.name for field in fields(Detector) if field.name not in _ATTRIBUTES)


def build_detector(
    smearing: Smearing,
    area: EffectiveArea,
    response: Response,
    energies_gev: Floats,
    dec_deg: Floats,
    sigma_deg: Floats,
    gamma: float = 2.0,
) -> Detector:
    """Return the tables of a matrix, an effective area and an archive's events.

    response: the archive's, whose background of proxy and declination is taken as it is, and so
    are its areas.
    """
    weight = energy_weights(smearing, area, gamma, SIN_DEC)
    if not weight.any():
        raise LlamaError(
            f"the effective area of {area.season} is zero at all energies of the smearing matrix; "
            "its table must be in cm^2 with log10 energies in GeV"
        )
    event = cell_weights(smearing, weight, SIN_DEC)
    cells = np.concatenate([[-9.0], (LOG10_ENERGY[1:] + LOG10_ENERGY[:-1]) / 2, [20.0]])
    signal = np.einsum("ebx,ebs->xs", proxy_counts(smearing, cells), event) / _step(LOG10_ENERGY)
    total = np.trapezoid(signal, LOG10_ENERGY, axis=0)
    counts = np.einsum(
        "ebxa,ebs->xas", angerr_counts(smearing), _numbers(event, smearing.simulated), optimize=True
    )
    centres = (smearing.sin_dec[1:] + smearing.sin_dec[:-1]) / 2
    at_centre = energy_weights(smearing, area, gamma, centres)
    seen = np.flatnonzero(at_centre.any(axis=0))  # where it is blind, as where it is next not
    at_centre = at_centre[:, seen[np.abs(seen - np.arange(centres.size)[:, None]).argmin(axis=1)]]
    fits = psf_weights(smearing, np.einsum("ebb->eb", cell_weights(smearing, at_centre, centres)))
    between = shares(tents(SIN_DEC, centres), centres.size)
    signal /= np.where(total > 0, total, 1.0)
    return Detector(
        *(area.season, gamma, np.ascontiguousarray(signal)),  # as `load` has it
        angerr_density(counts),
        np.ascontiguousarray(np.einsum("sb,bxak->xaks", between, fits)),
        response.background_per_dex,
        background_angerr(np.log10(energies_gev), sigma_deg, np.sin(np.radians(dec_deg))),
        response.signal_per_dex,
        response.area_relative,
        response.flux_area_cm2_gev,
        *(response.rate_hz, response.sigma_floor_deg),
    )


def background_angerr(
    log10_proxy: Floats,
    sigma_deg: Floats,
    sin_dec: Floats,
    smoothing: tuple[float, float] = SMOOTHING,
    prior: float = PRIOR,
) -> Floats:
    """Return the density of events in log10 AngErr at each proxy and declination [x, a, s].

    Smoothed over proxy and declination by Gaussians. Where there are few events it becomes that of
    all declinations, and where there are none that of all events, which one event spread evenly
    keeps from being 0.
    """
    from scipy.ndimage import gaussian_filter

    errors = np.append(ANGERR - ANGERR_STEP / 2, ANGERR[-1] + ANGERR_STEP / 2)
    columns = [
        np.clip(values, low, high)
        for values, low, high in (
            (log10_proxy, PROXY[0], PROXY[-1]),
            (np.log10(sigma_deg), errors[0] + 1e-9, errors[-1] - 1e-9),
            (sin_dec, -1.0, 1.0),
        )
    ]
    edges = (_around(PROXY), errors, _around(SIN_DEC))
    counts, _ = np.histogramdd(np.stack(columns, axis=1), bins=edges)
    width_x, width_s = smoothing[0] / 0.1, smoothing[1] / 0.01  # steps of the grids
    smooth = gaussian_filter(counts, (width_x, 0.0, width_s), mode="nearest")
    smooth *= 4 * math.pi * width_x * width_s  # events that make up the mean
    everywhere = counts.sum(axis=(0, 2)) + 1.0 / ANGERR.size
    by_proxy = gaussian_filter(counts.sum(axis=2), (width_x, 0.0), mode="nearest")
    by_proxy *= math.sqrt(4 * math.pi) * width_x
    by_proxy += prior * everywhere / everywhere.sum()
    by_proxy /= by_proxy.sum(axis=1, keepdims=True)
    smooth += prior * by_proxy[:, :, None]
    return np.asarray(smooth / (smooth.sum(axis=1, keepdims=True) * ANGERR_STEP))


def _numbers(event: Floats, simulated: Floats) -> Floats:
    """Return what events count, scaled so that their sum is the number of events it is worth."""
    total = np.einsum("ebs,eb->s", event, simulated)
    squares = np.einsum("ebs,eb->s", event**2, simulated)
    return event * np.divide(total, squares, out=np.zeros_like(total), where=squares > 0)


def _step(nodes: Floats) -> Floats:
    """Return the widths of the cells around nodes, those at the ends half as wide (n, 1)."""
    width = np.gradient(nodes)
    width[[0, -1]] /= 2
    return width[:, None]


def _around(nodes: Floats) -> Floats:
    half = (nodes[1] - nodes[0]) / 2
    return np.append(nodes - half, nodes[-1] + half)


@njit()
def _fill(ratio, unknown, column, places, gates, tables, sums):  # type: ignore[no-untyped-def]
    """Fill 2 pi s w / b (n, components, s); places on the axes as `tents` gives them."""
    (fine, fine_part), (coarse, coarse_part), (error, error_part) = places
    (xn, x_part), (an, a_part) = gates
    signal_x, signal_a, weights, background_x, background_a = tables
    signal = np.empty(ratio.shape[2])
    for i in range(ratio.shape[0]):
        c, t, e, u = column[0][i], column[1][i], error[i], error_part[i]
        if unknown[i]:
            b = 0.0
            for j, share in ((c, 1 - t), (c + 1, t)):
                b += share * ((1 - u) * sums[1][e, j] + u * sums[1][e + 1, j])
            for k in range(ratio.shape[1]):
                for j in range(ratio.shape[2]):
                    s = (1 - u) * sums[0][e, k, j] + u * sums[0][e + 1, k, j]
                    ratio[i, k, j] = 2 * math.pi * s / b
            continue
        f, v, p, q = fine[i], fine_part[i], coarse[i], coarse_part[i]
        b = 0.0
        for j, share in ((c, 1 - t), (c + 1, t)):
            here = (1 - v) * background_x[f, j] + v * background_x[f + 1, j]
            low = (1 - u) * background_a[p, e, j] + u * background_a[p, e + 1, j]
            high = (1 - u) * background_a[p + 1, e, j] + u * background_a[p + 1, e + 1, j]
            b += share * here * ((1 - q) * low + q * high)
        x, w, a, z = xn[i], x_part[i], an[i], a_part[i]
        for j in range(ratio.shape[2]):
            s = (1 - v) * signal_x[f, j] + v * signal_x[f + 1, j]
            low = (1 - u) * signal_a[p, e, j] + u * signal_a[p, e + 1, j]
            high = (1 - u) * signal_a[p + 1, e, j] + u * signal_a[p + 1, e + 1, j]
            signal[j] = s * (((1 - q) * low + q * high) * 2 * math.pi / b)
        for k in range(ratio.shape[1]):
            for j in range(ratio.shape[2]):  # along memory, several at a time
                m = (1 - w) * ((1 - z) * weights[x, a, k, j] + z * weights[x, a + 1, k, j])
                m += w * ((1 - z) * weights[x + 1, a, k, j] + z * weights[x + 1, a + 1, k, j])
                ratio[i, k, j] = signal[j] * m
