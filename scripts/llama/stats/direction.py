"""Where the joint source most probably is, and how faint a source the detector would see there."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from llama.stats.arrays import Floats, Integers
from llama.stats.healpix import within_turn
from llama.stats.messengers import Messenger, join_components
from llama.stats.odds import Neutrinos
from llama.stats.overlap import PreparedMap, log_vmf_norm

_UPPER_LIMIT_EVENTS = 2.302585  # -ln 0.1: expected events that 90 % of experiments would see


def most_probable_direction(
    prepared: PreparedMap,
    neutrinos: Neutrinos,
    sets: Mapping[tuple[int, ...], float],
    messengers: Sequence[Messenger] = (),
) -> tuple[float, float]:
    """Return ra, dec [deg] where the posterior density of the joint source is highest.

    The set of triggers that contributes most to Lambda_s decides; its density is that of its
    combined point-spread function times the map's weights, looked for at tile centres, at the
    set's centre and on a grid of a tenth sigma around it. Without a set: the densest tile.
    """
    area = math.pi / 3 * 4.0 ** -prepared.order.astype(float)
    lists: list[Neutrinos | Messenger] = [neutrinos, *messengers]
    vectors = np.concatenate([each.vectors for each in lists])
    if any(not which or min(which) < 0 or max(which) >= len(vectors) for which in sets):
        raise ValueError("a set names a trigger that is not there")
    if not sets:
        vector = prepared.vectors[np.argmax((prepared.weights[0] + prepared.weights[1]) / area)]
        return _ra_dec(vector)
    members = list(max(sets.items(), key=lambda item: item[1])[0])
    kappas, intensities = (each[members] for each in join_components(lists))
    # a grid about the product of the components that say most
    usual = intensities.max(axis=2).argmax(axis=1)
    centre = kappas[np.arange(len(members)), usual] @ vectors[members]
    kappa = float(np.linalg.norm(centre))
    points = np.concatenate([prepared.vectors, _grid(centre / kappa, 1 / math.sqrt(kappa))])
    tiles = np.concatenate(
        [np.arange(prepared.order.size), _tiles_at(prepared, points[prepared.order.size :])]
    )
    count = sum(i < neutrinos.dt_s.size for i in members)
    with np.errstate(divide="ignore"):
        density = np.log(prepared.weights[count][tiles] / area[tiles])
        for i, kappa_c, tables in zip(members, kappas, intensities, strict=True):
            density += _log_mixture(points, vectors[i], kappa_c, tables)
    return _ra_dec(points[np.argmax(density)])


def _log_mixture(points: Floats, vector: Floats, kappas: Floats, tables: Floats) -> Floats:
    """Return ln of sum_c I_c(dec) vMF_c at points (n, 3)."""
    away = 0.5 * ((points - vector) ** 2).sum(axis=1)
    nodes = np.linspace(-1, 1, tables.shape[1])
    logs = [
        np.log(np.interp(points[:, 2], nodes, table)) + (log_vmf_norm(float(kappa)) - kappa * away)
        for kappa, table in zip(kappas, tables, strict=True)
        if table.any()
    ]
    return np.asarray(np.logaddexp.reduce(logs, axis=0))


def flux_sensitivity(
    detectors: Sequence[tuple[Floats, Floats, Floats]], sin_dec: Floats, log10_energy: Floats
) -> dict[str, list[float]]:
    """Return the notice's `neutrino_flux_sensitivity_range` for a region of the sky.

    detectors: of each, A [cm^2 GeV] at nodes of sin(dec), the density of energies of a source [x,
    node], and where the region's tiles (n,) are on these nodes' axis.
    flux_sensitivity: lowest and highest E^2 dN/dE [GeV cm^-2] of an E^-2 spectrum that gives
    2.3 expected events (90 % upper limit without background) in the region;
    sensitive_energy_range [GeV]: central 90 % of those events, averaged over the region.
    """
    areas, spectrum = np.zeros(detectors[0][2].size), np.zeros(log10_energy.size)
    for flux_area_cm2_gev, signal_per_dex, where in detectors:
        tables = sin_dec, flux_area_cm2_gev, signal_per_dex, log10_energy, where
        if not all(np.isfinite(table).all() for table in tables) or (
            signal_per_dex.shape != (log10_energy.size, sin_dec.size)
            or flux_area_cm2_gev.shape != sin_dec.shape
            or (flux_area_cm2_gev < 0).any()
            or (signal_per_dex < 0).any()
        ):
            raise ValueError("the detector's response must be finite, not negative, of one shape")
        own = np.interp(where, sin_dec, flux_area_cm2_gev)
        rows = np.array([np.interp(where, sin_dec, row) for row in signal_per_dex])
        areas, spectrum = areas + own, spectrum + rows @ own
    seen = areas[areas > 0]
    if seen.size == 0:
        return {"flux_sensitivity": [], "sensitive_energy_range": []}
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (spectrum[1:] + spectrum[:-1]))])
    edges = np.interp([0.05, 0.95], cumulative / cumulative[-1], log10_energy)
    return {
        "flux_sensitivity": [
            _UPPER_LIMIT_EVENTS / float(seen.max()),
            _UPPER_LIMIT_EVENTS / float(seen.min()),
        ],
        "sensitive_energy_range": [float(10**edge) for edge in edges],
    }


def joint_p_astro(p_astro: float, likelihood_ratio: float) -> float:
    """Return p_astro of the GW trigger given the neutrinos (docs/method.md (16)).

    likelihood_ratio: (Lambda_cgw + Lambda_s) / Q. ValueError for p_astro outside [0, 1] or a
    ratio that is negative or not finite.
    """
    if not (0 <= p_astro <= 1 and 0 <= likelihood_ratio < math.inf):
        raise ValueError(
            f"p_astro must be from 0 to 1 and its likelihood ratio finite, not {p_astro} and "
            f"{likelihood_ratio}"
        )
    if p_astro == 1:
        return 1.0
    return p_astro * likelihood_ratio / (p_astro * likelihood_ratio + 1 - p_astro)


def _grid(centre: Floats, sigma: float) -> Floats:
    east = np.array([-centre[1], centre[0], 0.0])
    east = east / np.linalg.norm(east) if np.linalg.norm(east) > 0 else np.array([0.0, 1.0, 0.0])
    north = np.cross(centre, east)
    steps = np.linspace(-3, 3, 61) * math.tan(min(sigma, 0.4))
    x, y = np.meshgrid(steps, steps)
    points = centre + x.reshape(-1, 1) * east + y.reshape(-1, 1) * north
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))


def _tiles_at(prepared: PreparedMap, points: Floats) -> Integers:
    """Return the index of the tile nearest in angle to each point; exact enough to rank points."""
    from scipy.spatial import cKDTree  # imports slowly

    return np.asarray(cKDTree(prepared.vectors).query(points)[1], dtype=np.int64)


def _ra_dec(vector: Floats) -> tuple[float, float]:
    return (
        float(within_turn(np.degrees(np.arctan2(vector[1], vector[0])))),
        float(np.degrees(np.arcsin(np.clip(vector[2], -1, 1)))),
    )
