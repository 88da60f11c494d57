"""The statistic of docs/method.md by brute force: pixels, sums and grids, no code of LLAMA.

Numbers in brackets are its equations. Nothing here is fast or in closed form where a sum will do:
directions are the pixels of HEALPix that are finer than the point spread, distances, energies and
the source's time are grids.
"""

import itertools
import math
from pathlib import Path
from typing import NamedTuple

import healpy
import numpy as np
from astropy.cosmology import Planck18
from astropy.table import Table
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FB, E_MIN, E_MAX = 10.0, 1e-5, 1.0  # isotropic-equivalent [1e51 erg]
HALF_S, YEAR_S = 250.0, 365 * 86400.0
NDOT = 23.9e-9 / YEAR_S  # [Mpc^-3 s^-1]
HORIZON_MPC = 2000.0  # of binary black holes, where a map tells no distance
ENERGIES, DISTANCES, TIMES, LEAST = 4001, 401, 200_001, 1e-10


class Sky(NamedTuple):
    """A multi-order sky map: tiles, density [sr^-1], distance as published [Mpc]."""

    order: NDArray[np.int64]
    ipix: NDArray[np.int64]
    density: Floats
    mu: Floats
    sigma: Floats


class Model(NamedTuple):
    """A detector: A(dec)/<A> on uniform nodes of sin(dec), its events and rate [Hz].

    events: of a source of 1e51 erg at 100 Mpc, sky average; gain: luminosity distances [Mpc] and
    (1 + z) f(z) there, without it space is static; depth_mpc: the integral of (14), each source
    counted with the events that it gives, in static space 3 Gpc; prior: the density of sources at
    luminosity distances, where a map tells none, in static space r^2.
    """

    area: Floats
    events: float
    rate_hz: float
    gain: tuple[Floats, Floats] | None = None
    depth_mpc: float = 3000.0
    prior: tuple[Floats, Floats] | None = None


class Neutrino(NamedTuple):
    """dt [s], direction, concentrations and, on nodes of sin(dec), what multiplies each vMF [sr].

    That is 2 pi s / p_bg of (4) to (7) without the vMF, and without the rate.
    """

    dt_s: float
    ra_deg: float
    dec_deg: float
    kappa: Floats
    ratio: Floats


def read(path: Path) -> Sky:
    """Read a published multi-order map."""
    table = Table.read(path)
    uniq = np.asarray(table["UNIQ"]).astype(np.int64)
    order = np.array([(int(u).bit_length() - 1) // 2 - 1 for u in uniq])
    columns = (np.asarray(table[c], dtype=float) for c in ("PROBDENSITY", "DISTMU", "DISTSIGMA"))
    return Sky(order, uniq - 4 * 4**order, *columns)


def area_at(path: Path, log10_energy: Floats, sin_dec: Floats) -> Floats:
    """Return A_eff [cm^2] (energy, sin dec) of a release's table: linear between bin centers."""
    rows = np.loadtxt(path, comments="#")
    x_low, s_low = np.unique(rows[:, 0]), np.unique(rows[:, 2])
    grid = np.full((x_low.size, s_low.size), np.nan)
    at = np.searchsorted(x_low, rows[:, 0]), np.searchsorted(s_low, rows[:, 2])
    grid[at] = rows[:, 4]
    x_high, s_high = rows[:, 1].max(), 90.0
    x_edges = np.append(x_low, x_high)
    s_edges = np.sin(np.radians(np.append(s_low, s_high)))
    x, s = (x_edges[1:] + x_edges[:-1]) / 2, (s_edges[1:] + s_edges[:-1]) / 2
    over_s = np.array([np.interp(sin_dec, s, row) for row in grid])
    found = np.array([np.interp(log10_energy, x, column) for column in over_s.T]).T
    found[(log10_energy < x_low[0]) | (log10_energy > x_high)] = 0.0
    return found


def flux_area(path: Path, nodes: Floats, redshift: float = 0.0) -> Floats:
    """Return A(dec) [cm^2 GeV^-1], (2), of E^-2 from 10 GeV to 1e8 GeV at the source."""
    x = np.linspace(1.0, 8.0, 7001) - math.log10(1 + redshift)
    return np.trapezoid(area_at(path, x, nodes) * (math.log(10) * 10.0**-x)[:, None], x, axis=0)


def expected(path: Path) -> float:
    """Return nu_51,100 of an area: 1e51 erg at 100 Mpc, sky average."""
    nodes = np.linspace(-1, 1, 2001)
    erg_gev, mpc_cm = 624.15090744607, 3.0856775814913673e24
    per_area = 1e51 * erg_gev / math.log(1e7) / (4 * math.pi * (100 * mpc_cm) ** 2)
    return float(np.trapezoid(flux_area(path, nodes), nodes) / 2 * per_area)


def detector(path: Path, nodes: Floats, rate_hz: float, events: float | None = None) -> Model:
    """Return a detector; without a number of events it has its own and space expands."""
    flux = flux_area(path, nodes)
    mean = np.trapezoid(flux, nodes) / 2
    if events:
        return Model(flux / mean, events, rate_hz)
    z = np.expm1(np.linspace(0.0, 3.0, 151))
    seen = np.array([np.trapezoid(flux_area(path, nodes, one), nodes) / 2 / mean for one in z])
    luminosity, comoving = (
        np.array([f(one).value for one in z])
        for f in (Planck18.luminosity_distance, Planck18.comoving_distance)
    )
    depth = np.trapezoid(seen / (1 + z) ** 2, comoving)
    gain = np.maximum(luminosity, 1e-3), (1 + z) * seen
    density = comoving**2 * np.gradient(comoving, luminosity) / (1 + z)
    return Model(flux / mean, expected(path), rate_hz, gain, float(depth), (luminosity, density))


def ratio_of(path: Path, nodes: Floats, energy_gev: float, background_per_dex: float) -> Floats:
    """Return 2 pi s / p_bg on the nodes for an energy, (4) and (5); background: at the neutrino."""
    flux = flux_area(path, nodes)
    here = area_at(path, np.log10([energy_gev]), nodes)[0] * math.log(10) / energy_gev
    return (
        2
        * math.pi
        * np.divide(here, flux, out=np.zeros_like(flux), where=flux > 0)
        / (background_per_dex)
    )


def mean_counts(a: Floats, n: int) -> Floats:
    """Return <e^-mu mu^n> over log-uniform energy, mu = a E, by a sum over the energy."""
    energy = np.exp(np.linspace(math.log(E_MIN), math.log(E_MAX), ENERGIES))
    mu = a[:, None] * energy
    log_energy = np.log(energy)
    value = np.exp(-mu) * mu**n
    return np.trapezoid(value, log_energy, axis=1) / (log_energy[-1] - log_energy[0])


class Counts:
    """<e^-mu mu^n> over energy and distance, for tiles and declinations."""

    def __init__(self, model: Model, most: int) -> None:
        self.model = model
        self.log_a = np.linspace(-40.0, 25.0, 6501)
        blocks = np.array_split(np.exp(self.log_a), 65)
        self.table = [
            np.concatenate([mean_counts(block, n) for block in blocks]) for n in range(most + 1)
        ]

    def over_distance(self, mu: Floats, sigma: Floats, area: Floats, n: int) -> Floats:
        """Return the mean over r^2 N(r; mu, sigma), (13), for many places."""
        found = np.empty(mu.size)
        for some in np.array_split(np.arange(mu.size), mu.size // 2000 + 1):
            told = np.isfinite(mu[some])
            center, width = np.where(told, mu[some], 0), np.where(told, sigma[some], 1)
            high = np.where(told, np.maximum(center, 0) + 8 * width, HORIZON_MPC)
            low = np.where(told, np.maximum(center - 8 * width, 0), 0)
            part = np.linspace(0.0, 1.0, DISTANCES)[1:]
            # a negative DISTMU is an exponential tail, which begins at 0
            r = low[:, None] + (high - low)[:, None] * part**2
            step = (high - low)[:, None] * 2 * part
            arg = (r - center[:, None]) / width[:, None]
            log_density = 2 * np.log(r) - np.where(told[:, None], arg**2 / 2, 0)
            if self.model.prior:
                prior = np.log(np.maximum(np.interp(r, *self.model.prior), 1e-300))
                log_density = np.where(told[:, None], log_density, prior)
            weight = np.exp(log_density - log_density.max(axis=1, keepdims=True)) * step
            a = self.model.events * (100.0 / r) ** 2 * area[some, None]
            if self.model.gain:
                a *= np.interp(r, *self.model.gain)
            log_a = np.log(np.maximum(a, 1e-17))
            value = np.interp(log_a, self.log_a, self.table[n])
            found[some] = (weight * value).sum(axis=1) / weight.sum(axis=1)
        return found


def time_factor(dt_s: list[float]) -> float:
    """Return T_S, (8), by a sum over the source's time [s^-|S|]."""
    t = np.linspace(-HALF_S, HALF_S, TIMES)  # the source's, the wave's is 0
    inside = np.ones(t.size, dtype=bool)
    for dt in dt_s:
        inside &= np.abs(dt - t) <= HALF_S
    return float(inside.mean()) / (2 * HALF_S) ** len(dt_s)


def vmf(cos: Floats, kappa: float) -> Floats:
    """Return the von Mises-Fisher density [sr^-1]."""
    return kappa / (2 * math.pi * -math.expm1(-2 * kappa)) * np.exp(kappa * (cos - 1))


def find(sky: Sky, vectors: Floats) -> NDArray[np.int64]:
    """Return the tile that each direction is in."""
    found = np.full(len(vectors), -1)
    for order in np.unique(sky.order):
        tiles = np.flatnonzero(sky.order == order)
        along = tiles[np.argsort(sky.ipix[tiles])]
        pixel = healpy.vec2pix(2**order, *vectors.T, nest=True)
        at = np.minimum(np.searchsorted(sky.ipix[along], pixel), along.size - 1)
        hit = sky.ipix[along][at] == pixel
        found[hit] = along[at][hit]
    return found


def lambda_cgw(sky: Sky, counts: Counts, q: float) -> float:
    """Return (9): <e^-mu> over pixels no larger than those of NSIDE 64."""
    total, nodes = 0.0, np.linspace(-1, 1, counts.model.area.size)
    for order in np.unique(sky.order):
        tiles = np.flatnonzero(sky.order == order)
        deeper = max(0, 6 - order)
        pixels = (sky.ipix[tiles][:, None] << (2 * deeper)) + np.arange(4**deeper)
        z = healpy.pix2vec(2 ** (order + deeper), pixels.ravel(), nest=True)[2]
        area = np.interp(z, nodes, counts.model.area)
        each = np.repeat(tiles, 4**deeper)
        pixel_sr = 4 * math.pi / 12 / 4 ** (order + deeper)
        there = sky.density[each] > 0
        each, area = each[there], area[there]
        unseen = counts.over_distance(sky.mu[each], sky.sigma[each], area, 0)
        total += float((sky.density[each] * pixel_sr * unseen).sum())
    return q * ((1 - 1 / FB) + total / FB)


def lambda_cnu(neutrinos: list[Neutrino], model: Model) -> float:
    """Return (14): sources that are not seen as a wave, wherever they are."""
    energy = np.exp(np.linspace(math.log(E_MIN), math.log(E_MAX), ENERGIES))
    emitted = np.trapezoid(energy, np.log(energy)) / math.log(E_MAX / E_MIN)
    volume = model.events * emitted * 100.0**2 * model.depth_mpc  # int r^2 dr (100 Mpc / r)^2
    nodes = np.linspace(-1, 1, model.area.size)
    total = 0.0
    for one in neutrinos:
        z = math.sin(math.radians(one.dec_deg))
        ratio = np.interp(z, nodes, one.ratio.sum(axis=0) * model.area)
        total += NDOT / FB * volume * float(ratio) / model.rate_hz
    return total


def lambda_s(
    sky: Sky, neutrinos: list[Neutrino], counts: Counts, q: float, nside: int, reach_deg: float
) -> dict[tuple[int, ...], float]:
    """Return the summands of (10) by their sets, over pixels within a reach of a neutrino."""
    vectors = [np.array(healpy.ang2vec(n.ra_deg, n.dec_deg, lonlat=True)) for n in neutrinos]
    reach = math.radians(reach_deg)
    if reach_deg < 180:
        near = [healpy.query_disc(nside, v, reach, nest=True) for v in vectors]
        pixels = np.unique(np.concatenate(near))
    else:
        pixels = np.arange(12 * nside**2)
    x = np.array(healpy.pix2vec(nside, pixels, nest=True)).T
    tile = find(sky, x)
    there = sky.density[tile] > 0
    x, tile = x[there], tile[there]
    nodes = np.linspace(-1, 1, counts.model.area.size)
    area = np.interp(x[:, 2], nodes, counts.model.area)
    probability = sky.density[tile] * 4 * math.pi / (12 * nside**2)
    signal = []
    for one, v in zip(neutrinos, vectors, strict=True):
        parts = [
            vmf(x @ v, float(k)) * np.interp(x[:, 2], nodes, table)
            for k, table in zip(one.kappa, one.ratio, strict=True)
        ]
        signal.append(np.sum(parts, axis=0) / counts.model.rate_hz)
    found = {}
    for size in range(1, len(neutrinos) + 1):
        sets = list(itertools.combinations(range(len(neutrinos)), size))
        products = [probability * np.prod([signal[i] for i in which], axis=0) for which in sets]
        # of the pixels, those that can give 1e-10 of the highest
        worth = np.any([product > LEAST * product.max() for product in products], axis=0)
        places = sky.mu[tile[worth]], sky.sigma[tile[worth]], area[worth]
        weight = counts.over_distance(*places, size)
        for which, product in zip(sets, products, strict=True):
            t = time_factor([neutrinos[i].dt_s for i in which])
            found[which] = q / FB * t * float((weight * product[worth]).sum())
    return found
