"""The smearing matrix folded with an effective area and a spectrum: what a source looks like.

Declination: the area has 50 bins and the matrix 30, which do not nest. Neither is cut: a
declination takes its area linearly between the centres of the area's bins, and the matrix linearly
between the centres of the matrix's, both in sin(dec), so that no neutrino's odds depend on which
side of an edge it is. Energy: the area's bins are cut at the edges of the matrix's, and the
spectrum is integrated over each piece.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama.neutrinos.mixture import ANGLES_DEG, fit_weights, shares, tents
from llama.neutrinos.release import EffectiveArea
from llama.neutrinos.smearing import Smearing

Floats = NDArray[np.float64]

LOG10_RANGE = (1.0, 8.0)  # true energies of a source [log10 GeV]
PROXY = np.round(1.0 + 0.1 * np.arange(71), 10)  # centres of the bins of AngErr's distribution
ANGERR = np.log10(0.2) + 0.05 + 0.1 * np.arange(25)  # the lowest bin begins at 0.2 deg
ANGERR_STEP = 0.1  # dex
FLOOR = np.log10(0.2001)  # an AngErr below is stated as 0.2 deg

_FIT_PROXY = np.round(1.25 + 0.5 * np.arange(15), 10)  # centres of the bins of a fit
_SMOOTHING_DEX = 0.2  # over the proxy, of AngErr's distribution


class Pieces(NamedTuple):
    """A spectrum's energies: edges (pieces + 1), bin of the area and bin of the matrix (pieces).

    flux: int E^-gamma dE of a piece.
    """

    log10_edges: Floats
    area_bin: NDArray[np.int64]
    energy_bin: NDArray[np.int64]
    flux: Floats


def pieces(smearing: Smearing, area: EffectiveArea, gamma: float) -> Pieces:
    """Return the energies that both tables have, cut at the edges of either."""
    low = max(LOG10_RANGE[0], smearing.log10_energy[0], area.log10_energy[0])
    high = min(LOG10_RANGE[1], smearing.log10_energy[-1], area.log10_energy[-1])
    both = np.round(np.concatenate([smearing.log10_energy, area.log10_energy, [low, high]]), 9)
    edges = np.unique(both[(both >= low) & (both <= high)])
    centre = (edges[1:] + edges[:-1]) / 2
    if gamma == 1:
        flux = np.diff(edges) * math.log(10)
    else:
        flux = np.diff(10.0 ** (edges * (1 - gamma))) / (1 - gamma)
    return Pieces(
        edges,
        np.searchsorted(area.log10_energy, centre) - 1,
        np.searchsorted(smearing.log10_energy, centre) - 1,
        flux,
    )


def piece_weights(cut: Pieces, area: EffectiveArea, sin_dec: Floats) -> Floats:
    """Return int A_eff(E, dec) E^-gamma dE of each piece at declinations (pieces, n) [cm^2 ...]."""
    at = area.area_cm2 @ _between(sin_dec, np.sin(np.radians(area.dec_deg)))
    return at[cut.area_bin] * cut.flux[:, None]


def energy_weights(
    smearing: Smearing, area: EffectiveArea, gamma: float, sin_dec: Floats
) -> Floats:
    """Return int A_eff(E, dec) E^-gamma dE over the matrix's energy bins (14, n)."""
    cut = pieces(smearing, area, gamma)
    weights = np.zeros((smearing.log10_energy.size - 1, sin_dec.size))
    np.add.at(weights, cut.energy_bin, piece_weights(cut, area, sin_dec))
    return weights


def cell_weights(smearing: Smearing, energy_weight: Floats, sin_dec: Floats) -> Floats:
    """Return what a simulated event of each cell counts at declinations (14, 30, n).

    Sum over events = the energy weight. A cell without simulation leaves its weight to its
    neighbour; where neither has any, the energy is left out.
    """
    share = _between(sin_dec, smearing.sin_dec) * (smearing.simulated > 0)[:, :, None]
    total = share.sum(axis=1, keepdims=True)
    share = np.divide(share, total, out=np.zeros_like(share), where=total > 0)
    return share / np.maximum(smearing.simulated, 1.0)[:, :, None] * energy_weight[:, None]


def overlaps(low: Floats, high: Floats, edges: Floats) -> Floats:
    """Return what part of each interval is in each bin (..., bins)."""
    width = np.maximum(high - low, 1e-12)
    below = np.clip((edges - low[..., None]) / width[..., None], 0.0, 1.0)
    return np.asarray(np.diff(below, axis=-1))


def proxy_counts(smearing: Smearing, edges: Floats) -> Floats:
    """Return the events of each cell in bins of log10 proxy (14, 30, bins), spread evenly."""
    counts = smearing.events.sum(axis=(3, 4), dtype=float)
    part = overlaps(smearing.edges[:, :, 0, :-1], smearing.edges[:, :, 0, 1:], edges)
    return np.einsum("ebi,ebix->ebx", counts, part)


def angerr_counts(smearing: Smearing) -> Floats:
    """Return the events of each cell in bins about `PROXY` and `ANGERR` (14, 30, 71, 25)."""
    counts = smearing.events.sum(axis=3, dtype=float)
    x, a = _parts(smearing, _around(PROXY))
    return np.einsum("ebik,ebix,ebka->ebxa", counts, x, a, optimize=True)


def psf_weights(smearing: Smearing, cell_weight: Floats) -> Floats:
    """Return the mixture's weights at the centres of the matrix's declination bins.

    cell_weight (14, 30): what an event counts. Shape (30, proxy nodes, AngErr nodes, components).
    """
    x, a = _parts(smearing, _around(_FIT_PROXY))
    low, high = (np.log(np.maximum(side, 1e-3)) for side in _sides(smearing, 1))
    closer = np.clip(
        (np.log(ANGLES_DEG) - low[..., None]) / np.maximum(high - low, 1e-12)[..., None], 0.0, 1.0
    )
    fits = []
    for b in range(smearing.dec_deg.size - 1):
        share = np.zeros((_FIT_PROXY.size, ANGERR.size))
        found = np.zeros((*share.shape, ANGLES_DEG.size))
        for e in np.nonzero(cell_weight[:, b] > 0)[0]:
            here = smearing.events[e, b].astype(float)
            events = np.einsum("ijk,ix,ka->xaj", here, x[e, b], a[e, b], optimize=True)
            share += cell_weight[e, b] * events.sum(axis=2)
            found += cell_weight[e, b] * events @ closer[e, b]
        found /= np.maximum(share, 1e-300)[..., None]
        fits.append(fit_weights(share, found, _FIT_PROXY, ANGERR))
    return np.array(fits)


def angerr_density(counts: Floats, prior: float = 3.0) -> Floats:
    """Return densities of log10 AngErr from (proxy, AngErr, ...) counts; integrals are 1.

    Smoothed over the proxy; where there are few events, `prior` of them are those of all proxies.
    """
    from scipy.ndimage import gaussian_filter1d

    step = PROXY[1] - PROXY[0]
    smooth = gaussian_filter1d(counts, _SMOOTHING_DEX / step, axis=0, mode="nearest")
    smooth *= math.sqrt(4 * math.pi) * _SMOOTHING_DEX / step  # events that make up the mean
    whole = counts.sum(axis=0) + 1e-3 * counts.sum(axis=(0, 1)) / ANGERR.size
    whole = whole + (whole.sum(axis=0) == 0)
    smooth = smooth + prior * whole / whole.sum(axis=0)
    return np.asarray(smooth / (smooth.sum(axis=1, keepdims=True) * ANGERR_STEP))


def _parts(smearing: Smearing, proxy_edges: Floats) -> tuple[Floats, Floats]:
    """Return the parts of the cells' bins in bins of the proxy and of AngErr (14, 30, 20, bins)."""
    errors = _around(ANGERR)
    errors[-1] = 3.0  # nothing is lost
    low, high = (np.log10(np.maximum(side, 0.2)) for side in _sides(smearing, 2))
    x_edges = np.concatenate([[-9.0], proxy_edges[1:-1], [20.0]])
    parts = overlaps(low, high, errors)
    parts[low <= FLOOR] = np.eye(1, ANGERR.size)  # the lowest bin is that of the floor
    return overlaps(*_sides(smearing, 0), x_edges), parts


def _sides(smearing: Smearing, axis: int) -> tuple[Floats, Floats]:
    return smearing.edges[:, :, axis, :-1], smearing.edges[:, :, axis, 1:]


def _around(centres: Floats) -> Floats:
    half = (centres[1] - centres[0]) / 2
    return np.append(centres - half, centres[-1] + half)


def _centres(edges: Floats) -> Floats:
    return (edges[1:] + edges[:-1]) / 2


def _between(sin_dec: Floats, edges: Floats) -> Floats:
    """Return what share each bin has at declinations (bins, n), linear between their centres."""
    return shares(tents(sin_dec, _centres(edges)), edges.size - 1).T
