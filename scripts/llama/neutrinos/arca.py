"""The response of KM3NeT/ARCA230 as published (KM3NeT-ARCA-irf): tracks of nu_mu.

Areas over cos(zenith), energy response and point spread over true energy, and the background over
reconstructed energy and declination, which is a mean over a sidereal day. The rates over
cos(zenith) of which that is the mean follow from it, since the rotation is known. There are no
events: 200,000 are drawn from these rates. Energy response and point spread become a smearing
matrix like IceCube's, in which a neutrino's stated error is the 39 % radius of the point spread at
its reconstructed energy, at least 0.2 deg, where the matrix's errors begin.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llama.errors import LlamaError
from llama.neutrinos.local import Site
from llama.neutrinos.other_release import (
    OtherRelease,
    drawn_events,
    local_form,
    other_release,
    sidereal_area,
)
from llama.neutrinos.smearing import Smearing

Floats = NDArray[np.float64]

AREA = "aeff_coszen_allnumuCC_track.csv"
_BACKGROUND, _ENERGY = "bkg_track.csv", "energyresponse_numuCC_track.csv"
_PSF = "psf_numuCC_track.csv"
SITE = Site(36.2667, 16.1)  # off Capo Passero, 36 deg 16' N, 16 deg 6' E
_SMOOTH = 0.03  # second differences of local rates, relative to misfits
_CM2_PER_M2 = 1e4
_BINS = 20
_FLOOR_DEG = 0.2
# of the bins of the point spread, how much of it is within each edge
_INNER, _OUTER = (0.0, 0.02, 0.05, 0.1, 0.15), (0.93, 0.96, 0.98, 0.99, 0.997, 1.0)
_WITHIN = np.concatenate([_INNER, np.linspace(0.2, 0.7, 6), np.linspace(0.75, 0.9, 4), _OUTER])
_SIMULATED = 1e6  # events that a bin of true energy counts as


def read_arca(directory: Path) -> OtherRelease:
    """Return ARCA230 as a release with a smearing matrix."""
    x, up, area = _grid(directory / AREA, 0, 3)
    proxy, sin_dec, rate_hz = _grid(directory / _BACKGROUND, 0, 3)
    matrix, errors = _smearing(directory, proxy)
    rate_hz = local_rates(sin_dec, rate_hz, up, np.asarray(area.any(axis=0)))
    sigma_deg = np.repeat(errors[:, None], up.size - 1, axis=1)
    events, livetime_s = drawn_events(proxy, up, rate_hz, sigma_deg, SITE)
    named = "ARCA230", x, up, area * _CM2_PER_M2
    table = sidereal_area(*named, SITE.latitude_deg)
    files = [directory / name for name in (AREA, _BACKGROUND, _ENERGY, _PSF)]
    runs = np.array([[0.0, livetime_s]])
    reason = f"{_ENERGY} and {_PSF}; background in local coordinates by inversion of its mean"
    release = other_release(table, events, runs, files)
    return OtherRelease(release, matrix, reason, {"drawn": True}, local_form(*named, SITE))


def local_rates(sin_dec: Floats, rate_hz: Floats, up: Floats, seen: NDArray[np.bool_]) -> Floats:
    """Return rates [energy, cos zenith] whose means over a day are those in sin(dec).

    sin_dec, up: edges, the latter 1 from above; seen: bins in which the detector sees anything at
    all. Least squares of rates that are not negative and bend little.
    """
    from scipy.optimize import nnls

    middle, turn = (up[1:] + up[:-1]) / 2, 2 * np.pi * (np.arange(720) + 0.5) / 720
    phi, bins = np.radians(SITE.latitude_deg), np.flatnonzero(seen)
    parts = np.empty((sin_dec.size - 1, bins.size))
    for column, k in enumerate(bins):
        z = np.linspace(up[k], up[k + 1], 202)[1:-1, None]
        height = np.sin(phi) * z + np.cos(phi) * np.sqrt(1 - z**2) * np.cos(turn)
        parts[:, column] = np.histogram(height, sin_dec)[0] / height.size
    bend = np.diff(np.eye(bins.size), 2, axis=0)
    found = np.zeros((rate_hz.shape[0], middle.size))
    for row, rates in enumerate(rate_hz):
        total = rates.sum()
        if total > 0:
            wanted = np.concatenate([rates / total, np.zeros(len(bend))])
            local, _ = nnls(np.concatenate([parts, _SMOOTH * bend]), wanted)
            found[row, bins] = local * (total / local.sum())
    return found


def _smearing(directory: Path, proxy: Floats) -> tuple[Smearing, Floats]:
    """Return the matrix, and the stated error of each bin of the proxy [deg]."""
    true, same, response = _grid(directory / _ENERGY, 0, 3)
    energies, radius, cumulative = _point_spread(directory / _PSF)
    if not np.array_equal(same, proxy) or proxy.size != _BINS + 1:
        raise _broken(directory / _ENERGY, f"energies are not the {_BINS} bins of {_BACKGROUND}")
    first = np.searchsorted(true, energies[0])
    response = response[first:]
    if not np.allclose(true[first:], energies):
        raise _broken(directory / _PSF, f"true energies are not those of {_ENERGY}")
    response = response / np.maximum(response.sum(axis=1, keepdims=True), 1e-300)
    # E^-2, and as many neutrinos of each energy as the response has: those of one proxy together
    spectrum = 10.0 ** -energies[:-1]
    mixed = (spectrum[:, None] * response).T @ cumulative
    mixed /= np.maximum(mixed[:, -1:], 1e-300)
    errors = np.array([np.interp(1 - np.exp(-0.5), row, radius) for row in mixed])
    errors = np.maximum(np.where(response.any(axis=0), errors, errors.max()), _FLOOR_DEG)
    error_edges = _FLOOR_DEG * 10 ** (0.1 * np.arange(_BINS + 1))
    error_bin = np.clip(np.searchsorted(error_edges, errors, side="right") - 1, 0, _BINS - 1)
    shape = energies.size - 1, 2
    edges = np.empty((*shape, 3, _BINS + 1))
    counts = np.zeros((*shape, _BINS, _BINS, _BINS), dtype=np.uint32)
    edges[:, :, 0], edges[:, :, 2] = proxy, error_edges
    for e, row in enumerate(cumulative):
        edges[e, :, 1] = np.maximum(np.interp(_WITHIN, row, radius), 1e-4 * np.arange(1, _BINS + 2))
        of_bin = _SIMULATED * np.multiply.outer(response[e], np.diff(_WITHIN))
        counts[e][:, np.arange(_BINS), :, error_bin] = np.rint(of_bin)[:, None, :]
    dec = np.array([-90.0, 0.0, 90.0])
    return Smearing(energies, dec, edges, counts, "KM3NeT-ARCA-irf"), errors


def _point_spread(path: Path) -> tuple[Floats, Floats, Floats]:
    """Return edges of true energy, radii [deg], and how much is within each [energy, radius]."""
    rows = _rows(path, 5)
    energies, low = np.union1d(rows[:, 0], rows[:, 2]), np.unique(rows[:, 0])
    if rows.shape[0] % low.size:
        raise _broken(path, "not every energy has as many radii")
    table = rows[np.lexsort((rows[:, 3], rows[:, 0]))].reshape(low.size, -1, 5)
    radius = 10.0 ** table[0, :, 3]
    cap = 2 * np.pi * (1 - np.cos(np.radians(np.minimum(radius, 180.0))))
    density = table[:, :, 4]
    rings = np.diff(cap) * (density[:, 1:] + density[:, :-1]) / 2
    inner = density[:, :1] * cap[0]
    cumulative = np.concatenate([inner, inner + np.cumsum(rings, axis=1)], axis=1)
    if not (np.abs(cumulative[:, -1] - 1) < 0.01).all():
        raise _broken(path, "the point spread does not integrate to 1 per sr")
    return energies, radius, cumulative / cumulative[:, -1:]


def _grid(path: Path, first: int, second: int) -> tuple[Floats, Floats, Floats]:
    """Return edges along two axes, whose low and high are in columns k and k + 2, and values."""
    rows = _rows(path, 7)
    edges = [np.union1d(rows[:, k], rows[:, k + 2]) for k in (first, second)]
    shape = tuple(edge.size - 1 for edge in edges)
    at = [np.searchsorted(edge, rows[:, k]) for edge, k in zip(edges, (first, second), strict=True)]
    values = np.full(shape, np.nan)
    if all((place < n).all() for place, n in zip(at, shape, strict=True)):
        values[at[0], at[1]] = rows[:, 6]
    if rows.shape[0] != values.size or not (values >= 0).all() or not values.any():
        raise _broken(path, "its bins do not fill a rectangle with numbers of 0 or more")
    return edges[0], edges[1], values


def _rows(path: Path, columns: int) -> Floats:
    try:
        rows = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    except (OSError, ValueError) as error:
        raise _broken(path, " ".join(str(error).split())[:100]) from error
    if rows.shape[1] != columns or not np.isfinite(rows).all():
        raise _broken(path, f"it has {rows.shape[1]} columns, not {columns} of finite numbers")
    return rows


def _broken(path: Path, what: str) -> LlamaError:
    return LlamaError(f"{path} cannot be read ({what}); fetch KM3NeT-ARCA-irf again")
