"""Triggers drawn from the model itself; nothing of it is shared with the statistic."""

import itertools

import healpy
import numpy as np

from llama.neutrinos.mixture import error_tents, tents
from llama.neutrinos.response import SIN_DEC
from llama.neutrinos.simulation import ANGERR, ANGERR_STEP, PROXY
from llama.neutrinos.truth import UNIFORMS
from llama.stats.area import POLE
from llama.stats.healpix import tiles_geometry


def simulate(params, response, maps, p_astro, rng, sigma_range_deg):
    """Draw one trigger per entry of p_astro from the model of docs/method.md.

    maps: [(order, ipix, prob, distmu, distsigma)]. Returns the map of each trigger, whether it
    is a true coincidence, and its neutrinos: trigger, dt_s, ra, dec, sigma [deg], energy [GeV].
    """
    return simulate_sources(params, response, maps, p_astro, rng, sigma_range_deg)[0]


def simulate_bursts(grb, source, points_at_us, rng, sigma_range_deg, margin_s=3.0):
    """Draw the gamma-ray bursts around triggers: docs/messengers.md, drawn as told there.

    source: direction of each trigger's source; points_at_us: whether there is one and it does.
    Returns whether a burst of the source is seen, and all bursts, chance ones up to `margin_s`
    outside the window too: trigger, dt_s, ra, dec, sigma [deg].
    """
    n = points_at_us.size
    seen = points_at_us & (rng.random(n) < grb.efficiency)
    begin, end = grb.delay_min_s - margin_s, grb.delay_max_s + margin_s
    signal, noise = np.flatnonzero(seen), rng.poisson(grb.rate_hz * (end - begin), n)
    noise = np.repeat(np.arange(n), noise)
    sigma = rng.uniform(*sigma_range_deg, signal.size + noise.size)
    vectors = np.concatenate(
        [_scatter(source[signal], sigma[: signal.size], rng), _isotropic(noise, rng)]
    )
    delay = rng.uniform(grb.delay_min_s, grb.delay_max_s, signal.size)
    return (
        seen,
        np.concatenate([signal, noise]),
        np.concatenate([delay, rng.uniform(begin, end, noise.size)]),
        np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])) % 360,
        np.degrees(np.arcsin(vectors[:, 2])),
        sigma,
    )


def simulate_sources(params, response, maps, p_astro, rng, sigma_range_deg):
    """Return what `simulate` does, directions of sources, whether they point at us, distances."""
    which, counts, source, points_at_us, far = _draw_sources(params, response, maps, p_astro, rng)
    n, window = p_astro.size, params.window.length_s
    signal = np.repeat(np.arange(n), counts)
    noise = np.repeat(np.arange(n), rng.poisson(params.ratebgnu * window, n))
    from_source = source[signal]
    t_gw = rng.uniform(params.tgwminus, params.tgwplus, n)
    times = rng.uniform(params.tnuminus, params.tnuplus, signal.size) - t_gw[signal]
    sigma = rng.uniform(*sigma_range_deg, signal.size + noise.size)
    vectors = np.concatenate(
        [_scatter(from_source, sigma[: signal.size], rng), _isotropic(noise, rng)]
    )
    cell = response.signal_per_dex / response.signal_per_dex.max()
    x_signal = _accept(rng, signal.size, response, cell, from_source[:, 2])[0]
    cell = response.background_per_dex / response.background_per_dex.max()
    x_noise, z_noise = _accept(rng, noise.size, response, cell, None)
    dec = np.degrees(np.arcsin(np.concatenate([vectors[: signal.size, 2], z_noise])))
    triggers = (
        which,
        counts > 0,
        np.concatenate([signal, noise]),
        np.concatenate([times, rng.uniform(*params.window, noise.size)]),
        np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])) % 360,
        dec,
        sigma,
        10 ** np.concatenate([x_signal, x_noise]),
    )
    return triggers, source, points_at_us, far


def _draw_sources(params, response, maps, p_astro, rng):
    """Return each source's map, neutrinos, direction, whether it points at us, and distance."""
    alone = [(params.nu_51_100, response, POLE)]
    which, counts, *where = _draw_in_network(params, alone, maps, p_astro, rng)
    return which, counts[:, 0], *where


def _draw_in_network(params, detectors, maps, p_astro, rng):
    """Return what `_draw_sources` does, numbers in each of several detectors.

    detectors: [(nu, response, axis)], the latter what the response's sin(dec) counts from.
    """
    n = p_astro.size
    which = rng.integers(len(maps), size=n)
    source, far = np.zeros((n, 3)), np.zeros(n)
    counts = np.zeros((n, len(detectors)), dtype=int)
    for m, (order, ipix, prob, distmu, distsigma) in enumerate(maps):
        of = np.flatnonzero(which == m)
        k = rng.choice(prob.size, size=of.size, p=prob / prob.sum())
        depth = 20 - order[k].astype(np.int64)
        pixel = (ipix[k] << (2 * depth)) + rng.integers(0, 4**depth)
        source[of] = np.stack(healpy.pix2vec(2**20, pixel, nest=True), axis=-1)
        r = np.linspace(0, distmu.max() + 9 * distsigma.max(), 20_001)[1:]
        cdf = np.cumsum(r**2 * np.exp(-0.5 * ((r - distmu[0]) / distsigma[0]) ** 2))
        far[of] = r = np.interp(rng.random(of.size), cdf / cdf[-1], r)
        energy = np.exp(rng.uniform(*np.log([params.Enumin, params.Enumax]), of.size)) * params.fb
        centre = tiles_geometry(order, ipix)[0][k]
        more = 1 + redshift(r) if params.events_by_redshift else 1
        for d, (nu_51_100, response, axis) in enumerate(detectors):
            area = np.interp(centre @ axis, response.sin_dec, response.area_relative)
            expected = nu_51_100 * energy * (100 / r) ** 2 * area
            counts[of, d] = rng.poisson(expected * more)
    real = rng.random(n) < p_astro
    points_at_us = real & (rng.random(n) < 1 / params.fb)
    counts *= points_at_us[:, None]
    return which, counts, source, points_at_us, far


def simulate_network(params, detectors, maps, p_astro, rng):
    """Return what `simulate` does for several detectors, and which of them each neutrino is in.

    detectors: [(nu_51_100, response, background rate [Hz], range of sigma [deg])], and the axis of
    one's tables if that is not the pole. Detector comes before the trigger in the result.
    """
    axes = [detector[4] if len(detector) > 4 else POLE for detector in detectors]
    alone = [(*detector[:2], axis) for detector, axis in zip(detectors, axes, strict=True)]
    which, counts, source, *_ = _draw_in_network(params, alone, maps, p_astro, rng)
    n, parts = p_astro.size, []
    t_gw = rng.uniform(params.tgwminus, params.tgwplus, n)
    for d, (_, response, rate_hz, sigma_range_deg, *_) in enumerate(detectors):
        signal = np.repeat(np.arange(n), counts[:, d])
        noise = np.repeat(np.arange(n), rng.poisson(rate_hz * params.window.length_s, n))
        times = rng.uniform(params.tnuminus, params.tnuplus, signal.size) - t_gw[signal]
        sigma = rng.uniform(*sigma_range_deg, signal.size + noise.size)
        vectors = _scatter(source[signal], sigma[: signal.size], rng)
        cell = response.signal_per_dex / response.signal_per_dex.max()
        x_signal = _accept(rng, signal.size, response, cell, source[signal] @ axes[d])[0]
        cell = response.background_per_dex / response.background_per_dex.max()
        x_noise, z_noise = _accept(rng, noise.size, response, cell, None)
        around = np.repeat(axes[d][None], noise.size, 0)
        vectors = np.concatenate([vectors, _aside(around, z_noise, rng)])
        columns = (
            np.concatenate([signal, noise]),
            np.concatenate([times, rng.uniform(*params.window, noise.size)]),
            np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])) % 360,
            np.degrees(np.arcsin(np.clip(vectors[:, 2], -1, 1))),
            sigma,
            10 ** np.concatenate([x_signal, x_noise]),
        )
        parts.append((np.full(sigma.size, d), *columns))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return which, counts.sum(axis=1) > 0, *columns


def redshift(distance_mpc):
    """Return the redshift of luminosity distances, where all of a spectrum is seen."""
    from astropy.cosmology import Planck18

    z = np.geomspace(1e-6, 30, 4000)
    return np.interp(distance_mpc, Planck18.luminosity_distance(z).value, z)


def simulate_truth(params, site, map_, p_astro, rng):
    """Draw triggers whose signal is from the rows of a smearing matrix.

    site: detector (of the background), sampler. Returns whether each is a true coincidence, and
    its neutrinos: trigger, dt_s, ra, dec, sigma [deg], energy [GeV].
    """
    _, counts, source, *_ = _draw_sources(params, site.detector, [map_], p_astro, rng)
    n = p_astro.size
    signal = np.repeat(np.arange(n), counts)
    noise = np.repeat(np.arange(n), rng.poisson(params.ratebgnu * params.window.length_s, n))
    drawn = site.sampler.draw(source[signal, 2], rng.random((signal.size, UNIFORMS)))
    vectors = _aside(source[signal], np.cos(drawn.angle_rad), rng)
    t_gw = rng.uniform(params.tgwminus, params.tgwplus, n)
    times = rng.uniform(params.tnuminus, params.tnuplus, signal.size) - t_gw[signal]
    background = site.detector.background_per_dex
    x, z = _accept(rng, noise.size, site.detector, background / background.max(), None)
    ra = np.arctan2(vectors[:, 1], vectors[:, 0])
    return (
        counts > 0,
        np.concatenate([signal, noise]),
        np.concatenate([times, rng.uniform(*params.window, noise.size)]),
        np.concatenate([np.degrees(ra) % 360, rng.uniform(0, 360, noise.size)]),
        np.degrees(np.arcsin(np.concatenate([vectors[:, 2], z]))),
        np.concatenate([drawn.sigma_deg, draw_angerr(site.detector, x, z, rng)]),
        np.concatenate([drawn.energy_gev, 10**x]),
    )


def draw_angerr(detector, log10_proxy, sin_dec, rng):
    """Draw each background neutrino's AngErr [deg] at its proxy and declination, by rejection."""
    table, log_error = detector.background_angerr, np.empty(sin_dec.size)
    left = np.arange(sin_dec.size)
    first = ANGERR[0] - ANGERR_STEP / 2
    while left.size:
        drawn = first + rng.uniform(0, ANGERR.size * ANGERR_STEP, left.size)
        places = tents(log10_proxy[left], PROXY), error_tents(drawn, ANGERR)
        height = 0.0
        for dx, da, ds in itertools.product((0, 1), repeat=3):
            (p, px), (a, pa) = places
            s, ps = tents(sin_dec[left], SIN_DEC)
            weight = np.where(dx, px, 1 - px) * np.where(da, pa, 1 - pa) * np.where(ds, ps, 1 - ps)
            height = height + weight * table[p + dx, a + da, s + ds]
        # a density of steps of 0.1 dex is at most 10
        kept = rng.random(left.size) < height * ANGERR_STEP
        log_error[left[kept]] = drawn[kept]
        left = left[~kept]
    return 10**log_error


def _isotropic(trigger, rng):
    vectors = rng.normal(size=(trigger.size, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _scatter(centre, sigma_deg, rng):
    """Draw from a von Mises-Fisher PDF about each centre (Ulrich 1984; Wood 1994)."""
    kappa = 1 / np.radians(sigma_deg) ** 2
    cos = 1 + np.log1p(-rng.random(kappa.size) * -np.expm1(-2 * kappa)) / kappa
    return _aside(centre, cos, rng)


def _aside(centre, cos, rng):
    tangent = np.cross(centre, rng.normal(size=centre.shape))
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    return cos[:, None] * centre + np.sqrt(1 - cos**2)[:, None] * tangent


def _accept(rng, n, response, density, sin_dec):
    """Draw log10 energy (and sin dec, unless given) from a density of maximum 1 on the grid."""
    x, z = np.empty(n), np.empty(n) if sin_dec is None else sin_dec.copy()
    left = np.arange(n)
    grid = (response.log10_energy, response.sin_dec)
    while left.size:
        x[left] = rng.uniform(grid[0][0], grid[0][-1], left.size)
        if sin_dec is None:
            z[left] = rng.uniform(-1, 1, left.size)
        at = []
        for value, nodes in zip((x[left], z[left]), grid, strict=True):
            position = (value - nodes[0]) / (nodes[1] - nodes[0])
            low = np.clip(position.astype(int), 0, nodes.size - 2)
            at.append((low, position - low))
        (i, f), (j, g) = at
        height = (1 - f) * ((1 - g) * density[i, j] + g * density[i, j + 1]) + f * (
            (1 - g) * density[i + 1, j] + g * density[i + 1, j + 1]
        )
        left = left[rng.random(left.size) > height]
    return x, z
