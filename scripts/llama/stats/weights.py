"""Weights of sky-map tiles: expected counts averaged over energy and distance."""

import math

import numpy as np

from llama.stats.area import check_area
from llama.stats.arrays import Floats
from llama.stats.compiled import njit
from llama.stats.cosmology import grid, log_gain, source_density
from llama.stats.distance import distance_nodes, quadrature
from llama.stats.parameters import WeightModel
from llama.stats.tile_average import response_at

MAX_COUNT = 4
_LOG_A_MIN, _LOG_A_MAX, _LOG_A_STEP = -60.0, 25.0, 0.01


def count_moments(a: Floats, params: WeightModel) -> Floats:
    """Return <exp(-mu) mu^n> over log-uniform energy for n = 0..4, shape (5, a.size).

    a: expected count of a source with 1e51 erg isotropic-equivalent at the distance in
    question (mu = a E), docs/method.md (3). Closed form, docs/method.md (12).
    """
    from scipy.special import exp1, gammainc, gammaincc  # imports slowly

    low, high = a * params.Enumin * params.fb, a * params.Enumax * params.fb
    log_range = math.log(params.Enumax / params.Enumin)
    moments = np.empty((MAX_COUNT + 1, a.size))
    moments[0] = (exp1(low) - exp1(high)) / log_range
    for n in range(1, MAX_COUNT + 1):
        # the complement where both are near 1, so that their difference keeps its digits
        below, above = gammainc(n, high) - gammainc(n, low), gammaincc(n, low) - gammaincc(n, high)
        moments[n] = math.factorial(n - 1) * np.where(low > n, above, below) / log_range
    return moments


def moment_table(params: WeightModel) -> Floats:
    """Return `count_moments` on the grid of ln a that `tile_weights` interpolates in."""
    log_a = np.arange(_LOG_A_MIN, _LOG_A_MAX, _LOG_A_STEP)
    return count_moments(np.exp(log_a), params)


def tile_weights(
    prob: Floats,
    sin_dec: Floats,
    distmu: Floats | None,
    distsigma: Floats | None,
    area_relative: Floats,
    params: WeightModel,
    table: Floats | None = None,
) -> Floats:
    """Return w_{n,k} = p_k n! int dr d_k(r) P(n | r, dec_k), shape (5, tiles).

    prob [-], distmu and distsigma [Mpc], or None for a map without distance; area_relative:
    A(dec)/<A> on uniform nodes of sin(dec) from -1 to 1. Tiles whose distmu is not finite get
    a distance prior uniform in comoving volume and source time out to `assumed_horizon_mpc`.
    ValueError for inputs that are not a sky map. Source: docs/method.md (11-13).
    """
    if sin_dec.shape != prob.shape:
        raise ValueError("a sky map needs one probability and one declination per tile")
    if not (np.abs(sin_dec) <= 1).all():
        raise ValueError("sin(dec) of tiles must be from -1 to 1")
    check_area(area_relative)
    relative = _along(np.ascontiguousarray(area_relative, dtype=float), sin_dec)
    columns = prob, relative, distmu, distsigma
    return np.asarray(weight_moments(*columns, params, table, powers=1)[0])


def weight_moments(
    prob: Floats,
    relative: Floats,
    distmu: Floats | None,
    distsigma: Floats | None,
    params: WeightModel,
    table: Floats | None = None,
    *,
    powers: int,
) -> Floats:
    """Return `tile_weights` with powers of r [Mpc] under the integral, shape (powers, 5, tiles).

    relative: A/<A> at each tile. The first, of power 0, are the weights themselves; the next tell
    the distance of a source that gave n neutrinos, docs/method.md (27).
    """
    if prob.ndim != 1 or prob.size == 0 or relative.shape != prob.shape:
        raise ValueError("a sky map needs one probability and one area per tile")
    if not (np.isfinite(prob).all() and (prob >= 0).all() and abs(prob.sum() - 1) < 0.01):
        raise ValueError("tile probabilities must be finite, not negative and sum to 1")
    if distmu is None or distsigma is None:
        distmu, distsigma = np.full(prob.size, np.inf), np.ones(prob.size)
    elif distmu.shape != prob.shape or distsigma.shape != prob.shape:
        raise ValueError("distance columns must have one row per tile")
    known = np.isfinite(distmu)
    if not (np.isfinite(distsigma[known]).all() and (distsigma[known] > 0).all()):
        raise ValueError("distsigma must be positive where distmu is finite")
    roots, shares = quadrature()
    assumed = params.assumed_horizon_mpc * roots * roots
    uniform = shares * assumed * assumed
    if params.events_by_redshift:
        uniform = shares * source_density(assumed)
    return _tile_weights(
        np.ascontiguousarray(prob, dtype=float),
        np.ascontiguousarray(relative, dtype=float),
        np.ascontiguousarray(distmu, dtype=float),
        np.ascontiguousarray(distsigma, dtype=float),
        moment_table(params) if table is None else table,
        roots,
        shares,
        params.nu_51_100,
        assumed,
        uniform,
        grid()[0],
        log_gain(params.events_by_redshift),
        powers,
    )


@njit()
def _along(table, sin_dec):  # type: ignore[no-untyped-def]
    found = np.empty(sin_dec.size)
    for k in range(sin_dec.size):
        found[k] = response_at(table, sin_dec[k])
    return found


_distance_nodes = njit()(distance_nodes)


@njit()
def _add_powers(moments, terms, r):  # type: ignore[no-untyped-def]
    for power in range(1, moments.shape[0]):
        for n in range(terms.size):
            terms[n] *= r
            moments[power, n] += terms[n]


@njit()
def _tile_weights(  # type: ignore[no-untyped-def]
    prob,
    area,
    distmu,
    distsigma,
    table,
    roots,
    shares,
    nu,
    assumed,
    uniform,
    log_d,
    gain,
    powers,
):
    weights = np.zeros((powers, table.shape[0], prob.size))
    moments, terms = np.empty((powers, table.shape[0])), np.empty(table.shape[0])
    last = table.shape[1] - 3
    per_log_d = (log_d.size - 1) / (log_d[-1] - log_d[0])
    for k in range(prob.size):
        if prob[k] == 0.0:
            continue
        relative = area[k]
        if relative <= 0.0:  # the detector is blind there
            weights[0, 0, k] = prob[k]
            if powers == 1:
                continue
        if math.isfinite(distmu[k]):
            distances, densities = _distance_nodes(distmu[k], distsigma[k], roots, shares)
        else:
            distances, densities = assumed, uniform
        if relative <= 0.0:
            norm = densities.sum()
            for power in range(1, powers):
                weights[power, 0, k] = prob[k] * (densities * distances**power).sum() / norm
            continue
        count = math.log(nu * relative * 1e4)
        norm = 0.0
        moments[:] = 0.0
        for j in range(distances.size):
            r, density = distances[j], densities[j]
            norm += density
            log_r = math.log(r)
            step = min(max((log_r - log_d[0]) * per_log_d, 0.0), log_d.size - 1.001)
            g = int(step)
            more = gain[g] + (step - g) * (gain[g + 1] - gain[g])
            position = (count - 2.0 * log_r + more - _LOG_A_MIN) / _LOG_A_STEP
            i = min(max(int(position), 1), last)
            f = min(max(position - i, -1.0), 2.0)
            # cubic Lagrange: relative error below 1e-7 for n = 4 in a step of 0.01
            c0 = -f * (f - 1.0) * (f - 2.0) / 6.0
            c1 = (f + 1.0) * (f - 1.0) * (f - 2.0) / 2.0
            c2 = -(f + 1.0) * f * (f - 2.0) / 2.0
            c3 = (f + 1.0) * f * (f - 1.0) / 6.0
            for n in range(table.shape[0]):
                terms[n] = density * (
                    c0 * table[n, i - 1]
                    + c1 * table[n, i]
                    + c2 * table[n, i + 1]
                    + c3 * table[n, i + 2]
                )
                moments[0, n] += terms[n]
            _add_powers(moments, terms, r)
        for power in range(powers):
            for n in range(table.shape[0]):
                # interpolation may undershoot where the moments fall below 1e-200
                weights[power, n, k] = prob[k] * max(0.0, moments[power, n]) / norm
    return weights
