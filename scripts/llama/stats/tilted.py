"""Loops of weighted backgrounds: the cell of a neutrino, what is added to a list, and g / f."""

import math

import numpy as np

from llama.stats.compiled import inner, njit

BANDS, FINER, RA_BINS = 90, 8, 180  # of declination, parts of each for neighbors, of RA
ENERGIES, FIRST_ENERGY, ENERGY_STEP = 40, 1.995, 0.15  # of log10(E/GeV), which has two decimals
ERRORS, FIRST_ERROR_DEG, ERROR_FACTOR = 9, 0.2, 1.6  # classes of the stated error
_FINE = BANDS * FINER


@inner()
def _cell(dec_deg, sigma_deg, energy_gev, floor_deg, energies):  # type: ignore[no-untyped-def]
    """Return error class, energy bin and fine band of a neutrino; what is outside is at the edge.

    Without an energy it is in the first bin.
    """
    error = math.log(max(sigma_deg, floor_deg) / FIRST_ERROR_DEG) / math.log(ERROR_FACTOR)
    c = int(min(max(error + 0.5, 0.0), ERRORS - 1.0))
    e = 0
    if energies > 1 and energy_gev > 0.0:
        step = (math.log10(energy_gev) - FIRST_ENERGY) / ENERGY_STEP
        e = int(min(max(step, 0.0), energies - 1.0))
    d = int(min(max((dec_deg + 90.0) * (_FINE / 180.0), 0.0), _FINE - 1.0))
    return c, e, d


@njit()
def fill_cells(dec_deg, sigma_deg, energy_gev, floor_deg, energies, cell):  # type: ignore[no-untyped-def]
    """Fill the index of each neutrino's cell in [error class, energy bin, fine band]."""
    for i in range(cell.size):
        c, e, d = _cell(dec_deg[i], sigma_deg[i], energy_gev[i], floor_deg, energies)
        cell[i] = (c * energies + e) * _FINE + d


@njit()
def convolve(kernels, spectrum, smooth):  # type: ignore[no-untyped-def]
    """Fill smooth [width, m, b, 2] with kernels [width, m, b, b] times spectrum [m, b, 2]."""
    for k in range(kernels.shape[0]):
        for m in range(kernels.shape[1]):
            for i in range(BANDS):
                real = imaginary = 0.0
                for j in range(BANDS):
                    real += kernels[k, m, i, j] * spectrum[m, j, 0]
                    imaginary += kernels[k, m, i, j] * spectrum[m, j, 1]
                smooth[k, m, i, 0], smooth[k, m, i, 1] = real, imaginary


@inner()
def _timed(dt_s, window):  # type: ignore[no-untyped-def]
    """Return the length of the source times that explain a neutrino, over the longest."""
    start_s, stop_s, rise_s = window
    return max(min((dt_s - start_s) / rise_s, (stop_s - dt_s) / rise_s, 1.0), 0.0)


@inner()
def _time(u, power, window):  # type: ignore[no-untyped-def]
    """Return a time [s] whose density is `_timed` to a power."""
    start_s, stop_s, rise_s = window
    slope = rise_s / (1.0 + power)
    flat = stop_s - start_s - 2.0 * rise_s
    left = u * (flat + 2.0 * slope)
    if left < slope:
        return start_s + rise_s * (left / slope) ** (1.0 / (1.0 + power))
    left -= slope
    if left < flat:
        return start_s + rise_s + left
    left = min((left - flat) / slope, 1.0)
    return stop_s - rise_s * (1.0 - left) ** (1.0 / (1.0 + power))


@njit()
def draw_more(u, cells, tilt, place, more, which, ra_deg, dt_s):  # type: ignore[no-untyped-def]
    """Fill how many neutrinos each list has more, and their archive events, RA and time.

    u (lists, 16): uniform numbers; place: dec, sigma and energy of the archive's events.
    """
    energies = cells.near.shape[1]
    for k in range(more.size):
        part, below = 0, cells.shares[0]
        while part < cells.shares.size - 1 and u[k, 0] >= below:
            part += 1
            below += cells.shares[part]
        more[k], g, s = cells.parts[part]
        if more[k] == 0:
            continue
        cumulative = tilt.cumulative[g]
        chosen = np.searchsorted(cumulative, u[k, 1] * cumulative[-1], side="right")
        chosen = min(chosen, cumulative.size - 1)
        event = _one_of(u[k, 2], cells, chosen * FINER, (chosen + 1) * FINER)
        sky = tilt.sky[g, cells.smoothing[chosen // (energies * BANDS)], chosen % BANDS]
        left, turn = u[k, 3] * sky.sum(), 0
        while turn < RA_BINS - 1 and left >= sky[turn]:
            left -= sky[turn]
            turn += 1
        ra = (turn + min(left / sky[turn], 1.0)) * (360.0 / RA_BINS) % 360.0
        which[k, 0], ra_deg[k, 0] = event, ra
        dt_s[k, 0] = _time(u[k, 4], cells.gammas[g], cells.window)
        first = _cell(place[0][event], place[1][event], place[2][event], cells.floor_deg, energies)
        for j in range(1, more[k]):
            which[k, j], width = _neighbor(u[k, 2 + 3 * j], cells, s, first)
            ra_deg[k, j] = (ra + width * (2.0 * u[k, 3 + 3 * j] - 1.0)) % 360.0
            dt_s[k, j] = _time(u[k, 4 + 3 * j], cells.near_power, cells.window)


@inner()
def _one_of(u, cells, first, last):  # type: ignore[no-untyped-def]
    """Return an archive event of the cells first..last-1."""
    start, size = cells.starts[first], cells.starts[last] - cells.starts[first]
    return cells.along[start + min(int(u * size), size - 1)]


@inner()
def _width_deg(reach, d, cells):  # type: ignore[no-untyped-def]
    """Return how far in RA neighbors are on either side [deg]."""
    return min(reach * (180.0 / _FINE) / cells.cosines[d], 180.0)


@inner()
def _neighbor(u, cells, s, first):  # type: ignore[no-untyped-def]
    """Return an archive event by the density k about a neutrino, and how far it is in RA [deg]."""
    c, _, d = first
    errors, energies = cells.near.shape[:2]
    masses = np.empty(errors * energies)
    for other in range(errors):
        reach = cells.reach[s, c, other]
        low, high = max(d - reach, 0), min(d + reach + 1, _FINE)
        for e in range(energies):
            mass = cells.sums[other, e, high] - cells.sums[other, e, low]
            masses[other * energies + e] = mass * _width_deg(reach, d, cells)
    below = np.cumsum(masses)
    left = u * below[-1]
    chosen = min(np.searchsorted(below, left, side="right"), below.size - 1)
    left = (left - (below[chosen] - masses[chosen])) / masses[chosen]
    reach = cells.reach[s, c, chosen // energies]
    low, high = max(d - reach, 0), min(d + reach + 1, _FINE)
    sums = cells.sums[chosen // energies, chosen % energies]
    left = sums[low] + left * (sums[high] - sums[low])
    b = low + np.searchsorted(sums[low + 1 : high], left, side="right")
    part = (left - sums[b]) / (sums[b + 1] - sums[b])
    event = _one_of(min(max(part, 0.0), 1.0), cells, chosen * _FINE + b, chosen * _FINE + b + 1)
    return event, _width_deg(reach, d, cells)


@inner()
def _beside(vectors, errors, i, j):  # type: ignore[no-untyped-def]
    """Return about the density of neutrinos of the source of one where another is [sr^-1]."""
    away = 0.0
    for axis in range(3):
        away += 0.5 * (vectors[i, axis] - vectors[j, axis]) ** 2
    both = errors[i] ** 2 + errors[j] ** 2
    return 1.0 / (2.0 * math.pi * both * (1.0 + away / both) ** 2)


@njit()
def fill_ratios(ends, columns, cells, tilt, ratio, guess):  # type: ignore[no-untyped-def]
    """Fill g / f and a guess of Lambda_s of lists, which end at `ends` in the columns.

    Columns dt_s, ra_deg, dec_deg, sigma_deg, energy_gev, and how much denser background is there
    than at all times.
    """
    dt_s, ra_deg, dec_deg, sigma_deg, energy_gev, denser = columns
    gammas, scales = cells.gammas.size, cells.reach.shape[0]
    begin = 0
    for k in range(ends.size):
        n = ends[k] - begin
        place = np.empty((n, 3), dtype=np.int64)
        timed, near, tilted = np.empty(n), np.empty(n), np.empty((gammas, n))
        given, here = np.empty(n), np.empty(n)
        vectors, errors = np.empty((n, 3)), np.empty(n)
        for i in range(n):
            j = begin + i
            place[i] = _cell(
                dec_deg[j], sigma_deg[j], energy_gev[j], cells.floor_deg, cells.near.shape[1]
            )
            c, e, d = place[i]
            b = d // FINER
            turn = min(int(ra_deg[j] * (RA_BINS / 360.0)), RA_BINS - 1)
            timed[i] = _timed(dt_s[j], cells.window)
            for g in range(gammas):
                h = cells.tilts[g, c, e, b] * tilt.sky[g, cells.smoothing[c], b, turn]
                h = h * timed[i] ** cells.gammas[g] / (tilt.norms[g] * cells.mean)
                tilted[g, i] = h / denser[j]
            near[i] = cells.near[c, e, b] * timed[i] ** cells.near_power / denser[j]
            given[i] = cells.ratio[c, e, b] * timed[i]
            ra, dec = math.radians(ra_deg[j]), math.radians(dec_deg[j])
            vectors[i, 0], vectors[i, 1] = (
                math.cos(dec) * math.cos(ra),
                math.cos(dec) * math.sin(ra),
            )
            vectors[i, 2] = math.sin(dec)
            errors[i] = math.radians(max(sigma_deg[j], cells.floor_deg))
            here[i] = tilt.density[cells.smoothing[c], b, turn]
        # sums over sets of one, two and three others about each neutrino
        around = np.zeros((3, scales, n))
        guess[k] = 0.0
        for i in range(n):
            if timed[i] == 0.0:
                continue
            c, _, d = place[i]
            one = two = three = 0.0
            for j in range(n):
                if j == i or near[j] == 0.0:
                    continue
                value = _beside(vectors, errors, i, j)
                value *= given[j]
                three += two * value
                two += one * value
                one += value
                away = abs(d - place[j, 2])
                aside = abs(ra_deg[begin + i] - ra_deg[begin + j])
                aside = min(aside, 360.0 - aside)
                for s in range(scales):
                    reach = cells.reach[s, c, place[j, 0]]
                    if away <= reach and aside <= _width_deg(reach, d, cells):
                        density = near[j] / (cells.norms[s, c, d] * cells.mean)
                        around[2, s, i] += 3.0 * around[1, s, i] * density
                        around[1, s, i] += 2.0 * around[0, s, i] * density
                        around[0, s, i] += density
            one, two, three = (
                tilt.sums[1] * one / 2,
                tilt.sums[2] * two / 3,
                tilt.sums[3] * three / 4,
            )
            guess[k] += given[i] * here[i] * (tilt.sums[0] + one + two + three)
        ratio[k] = cells.shares[0]
        for part in range(1, cells.shares.size):
            more, g, s = cells.parts[part]
            total = 0.0
            for i in range(n):
                total += tilted[g, i] * (1.0 if more == 1 else around[more - 2, s, i])
            ratio[k] += cells.shares[part] * total
        begin = ends[k]
