"""Maps, a detector and neutrinos for the tests of the statistic, and slow exact integrals."""

import dataclasses
from dataclasses import dataclass

import healpy
import numpy as np

from llama.event.parameters import published_parameters
from llama.settings.search import Grb
from llama.stats.area import area_in
from llama.stats.direction_map import DirectionMap
from llama.stats.healpix import tiles_geometry, unit_vectors
from llama.stats.overlap import prepare_map
from llama.stats.parameters import GrbParameters, SearchParameters
from llama.stats.weights import weight_moments


def parameters(**changes: float) -> SearchParameters:
    """The published search, for a binary of unknown class, with changes: space is static."""
    return dataclasses.replace(published_parameters("cbc"), **changes)


def grb_parameters(**changes: float) -> GrbParameters:
    """The settings' defaults with changes."""
    return GrbParameters(**Grb().model_dump(exclude={"instruments"}) | changes)


FINEST = 600_000  # pixels that one brute-force integral may take


@dataclass(frozen=True)
class ToyResponse:
    """Tables as `llama.neutrinos.response` makes them."""

    log10_energy: np.ndarray
    sin_dec: np.ndarray
    signal_per_dex: np.ndarray
    background_per_dex: np.ndarray
    area_relative: np.ndarray


def flat_response():
    """Isotropic, with signal and background of one energy spectrum."""
    x, s = np.linspace(1, 8, 71), np.linspace(-1, 1, 21)
    flat = np.ones((x.size, s.size)) / 7
    return ToyResponse(x, s, flat, flat / 2, np.ones(s.size))


def steep_response():
    """A hard signal on a soft background, and a detector that sees the north better."""
    x, s = np.linspace(2, 7, 51), np.linspace(-1, 1, 21)
    signal = np.exp(-0.5 * ((x[:, None] - 4.3 - 0.8 * (s < 0)) / 0.9) ** 2) + 0 * s
    background = np.exp(-0.5 * ((x[:, None] - 3.2) / 0.7) ** 2) * (1.2 + 0.5 * s) + 1e-4
    area = 1 / (1 + np.exp(-4 * s)) + 0.1
    return ToyResponse(
        x,
        s,
        signal / np.trapezoid(signal, x, axis=0),
        background / np.trapezoid(np.trapezoid(background, s, axis=1), x),
        area / (np.trapezoid(area, s) / 2),
    )


def blob_map(ra_deg, dec_deg, sigma_deg, coarsest=3, finest=9, floor=1e-7, fineness=3):
    """Tiles of a Gaussian blob, refined where it is steep, on a faint floor: order, ipix, prob."""
    centre = unit_vectors(np.array(ra_deg), np.array(dec_deg))
    ipix = np.arange(12 * 4**coarsest)
    orders, pixels, densities = [], [], []
    for order in range(coarsest, finest + 1):
        vectors, area = tiles_geometry(np.full(ipix.size, order, np.int8), ipix)
        psi = np.arccos(np.clip(vectors @ centre, -1, 1))
        side = np.sqrt(area)
        split = (side > np.radians(sigma_deg) / fineness) & (psi < np.radians(5 * sigma_deg) + side)
        if order == finest:
            split[:] = False
        orders.append(np.full((~split).sum(), order))
        pixels.append(ipix[~split])
        blob = np.exp(-0.5 * (psi[~split] / np.radians(sigma_deg)) ** 2)
        densities.append((blob + floor) * area[~split])
        ipix = (4 * ipix[split][:, None] + np.arange(4)).ravel()
    prob = np.concatenate(densities)
    return np.concatenate(orders).astype(np.int8), np.concatenate(pixels), prob / prob.sum()


def contrast_map(seed=1, contrast=6.0):
    """Tiles of orders 3 and 4 only, whose densities differ by many powers of e."""
    rng = np.random.default_rng(seed)
    split = rng.random(768) < 0.5
    coarse = np.flatnonzero(~split)
    fine = (4 * np.flatnonzero(split)[:, None] + np.arange(4)).ravel()
    order = np.concatenate([np.full(coarse.size, 3), np.full(fine.size, 4)]).astype(np.int8)
    prob = np.exp(rng.normal(0, contrast, order.size)) * 4.0**-order
    return order, np.concatenate([coarse, fine]), prob / prob.sum()


def brute_force(order, ipix, weight, log_density, response, nside):
    """Sum weight times the mean of exp(log_density) R over healpy's pixel centres in each tile.

    log_density(vectors) and response(z) are functions. Tiles are taken by what they can give
    until the rest is below 3e-4. Returns the sum and the change of the exponent across a pixel
    where it matters most, or None if it would need too many pixels.
    """
    finest = int(np.log2(nside))
    order = order.astype(int)
    ok = weight > 0
    order, ipix, weight = order[ok], ipix[ok], weight[ok]
    peak = np.empty(order.size)
    for o in np.unique(order):
        of = order == o
        vectors = np.array(healpy.pix2vec(2**o, ipix[of], nest=True)).T
        # highest over the tile: at the centre, plus the slope over its radius
        peak[of] = log_density(vectors, healpy.max_pixrad(2**o))
    along = np.argsort(-(np.log(weight) + peak))
    bound = (np.log(weight) + peak)[along]
    rest = np.logaddexp.accumulate(bound[::-1])[::-1]
    total, slope, used, i = 0.0, 0.0, 0, 0
    while i < along.size and (total == 0 or rest[i] > np.log(total) - np.log(3e3)):
        if rest[i] < -690:
            break
        o = order[along[i]]
        j = i
        depth = max(0, finest - o)
        while j < along.size and order[along[j]] == o and (j - i) * 4**depth < 300_000:
            j += 1
        k = along[i:j]
        used += k.size * 4**depth
        if used > FINEST:
            return None
        pixels = (ipix[k][:, None] << (2 * depth)) + np.arange(4**depth)
        x = np.stack(healpy.pix2vec(2 ** (o + depth), pixels, nest=True), axis=-1)
        exponent = log_density(x, 0.0)
        value = weight[k][:, None] * np.exp(exponent) * response(x[..., 2]) / 4**depth
        total += value.sum()
        best = x.reshape(-1, 3)[np.argmax(value)][None]
        side = np.sqrt(np.pi / 3) / 2 ** (o + depth)
        slope += value.sum() * (log_density(best, side) - log_density(best, 0.0))[0]
        i = j
    return total, slope / max(total, 1e-300)


def vmf_exponent(kappa, centre):
    """Log density of a von Mises-Fisher PDF relative to its centre; `reach` rad nearer at most."""

    def log_density(vectors, reach):
        chord = np.sqrt(((vectors - centre) ** 2).sum(axis=-1))
        return -0.5 * kappa * np.maximum(chord - reach, 0) ** 2

    return log_density


def random_point(rng, kind, order, ipix, prob):
    """A unit vector drawn from the map or the sky, at a tile's corner, a pole, or RA 0."""
    if kind == "map":
        k = rng.choice(prob.size, p=prob / prob.sum())
        depth = 20 - int(order[k])
        v = healpy.pix2vec(2**20, (int(ipix[k]) << (2 * depth)) + rng.integers(4**depth), nest=True)
    elif kind == "sky":
        v = rng.normal(size=3)
    elif kind == "corner":
        k = rng.integers(prob.size)
        v = healpy.boundaries(2 ** int(order[k]), int(ipix[k]), nest=True)[:, rng.integers(4)]
    elif kind == "pole":
        v = [rng.normal(0, 0.002), rng.normal(0, 0.002), rng.choice([-1, 1])]
    else:
        v = [1, rng.normal(0, 0.003), rng.normal(0, 0.7)]
    v = np.array(v, dtype=float)
    return v / np.linalg.norm(v)


KINDS = ("map", "sky", "corner", "pole", "ra0")


def near_blob(ra, dec, sigma, mu, distsigma, coarsest=2, finest=3, floor=1e-6):
    """Return `blob_map` with one distance everywhere: order, ipix, prob, distmu, distsigma."""
    order, ipix, prob = blob_map(ra, dec, sigma, coarsest=coarsest, finest=finest, floor=floor)
    return order, ipix, prob, np.full(prob.size, mu), np.full(prob.size, distsigma)


def prepare_tiles(order, ipix, prob, distmu, distsigma, area, params):
    """Return the map that `event_odds` takes."""
    relative = area_in(area, tiles_geometry(order, ipix)[0])
    weights = weight_moments(prob, relative, distmu, distsigma, params, powers=1)
    return prepare_map(order, ipix, weights[0])


def worst_deviation(odds, true):
    """Largest |observed - expected| in binomial sigma over decades of odds, and their number."""
    deviations = []
    for decade in range(-8, 8):
        inside = (odds >= 10.0**decade) & (odds < 10.0 ** (decade + 1))
        p = odds[inside] / (1 + odds[inside])
        spread = np.sqrt((p * (1 - p)).sum())
        if min(p.sum(), (1 - p).sum()) >= 5:
            deviations.append(abs(true[inside].sum() - p.sum()) / spread)
    return max(deviations), len(deviations)


def vmf_map(ra_deg, dec_deg, *sigmas_deg, fineness=8, finest=12):
    """The mean of von Mises-Fisher densities as a `DirectionMap`, in tiles finer than sigma."""
    centre = unit_vectors(np.array(ra_deg), np.array(dec_deg))
    kappas = 1 / np.radians(sigmas_deg) ** 2
    order, ipix = np.full(192, 2, dtype=np.int8), np.arange(192)
    while True:
        vectors, area = tiles_geometry(order, ipix)
        away, side = 0.5 * ((vectors - centre) ** 2).sum(axis=1), np.sqrt(area)
        near = np.maximum(np.sqrt(2 * away) - side, 0) ** 2 * kappas[:, None] < 25
        split = (near & (side * np.sqrt(kappas)[:, None] > 1 / fineness)).any(axis=0)
        split &= order < finest
        if not split.any():
            break
        order = np.append(order[~split], np.repeat(order[split] + 1, 4)).astype(np.int8)
        ipix = np.append(ipix[~split], (4 * ipix[split][:, None] + np.arange(4)).ravel())
    each = kappas[:, None] * np.exp(-kappas[:, None] * away) / -np.expm1(-2 * kappas)[:, None]
    prob = each.sum(axis=0) * area
    along = np.argsort(ipix << (2 * (29 - order.astype(np.int64))))
    return DirectionMap(order[along], ipix[along], prob[along] / prob.sum())
