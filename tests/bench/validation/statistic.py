"""LLAMA's statistic beside brute force, for several maps and neutrinos: docs/validation.md.

What both are given are the map's file, the effective area's file, and of the background the number
p_bg at each neutrino; with the detector's simulation also its tables of signal over background.
"""

import math
from pathlib import Path
from typing import Any

import brute
import healpy
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from llama.event.parameters import published_parameters, search_parameters
from llama.event.prepared import prepare_columns, prepare_skymap
from llama.settings import Settings
from llama.sky import read_skymap
from llama.stats.odds import Neutrinos, event_odds
from llama.stats.parameters import SearchParameters

Floats = NDArray[np.float64]
P_ASTRO = 0.9
AREA = "detectors/icetracks_dr2/IC86_effectiveArea.csv"
MAPS = {
    "S190425z": "events/S190425z/bayestar.multiorder.fits",
    "S190412m": "skymaps/S190412m.bayestar.multiorder.fits",
    "S190426c": "skymaps/S190426c.bayestar.multiorder.fits",
    "S190510g": "skymaps/S190510g.bayestar.multiorder.fits",
    "GW191109_010717": "skymaps/GW191109_010717*.fits",
    "GW200115_042309": "skymaps/GW200115_042309*.fits",
}
WITH_MATRIX = ("S190412m", "GW191109_010717")
# dt [s], away from the densest tile [deg] and in which direction, sigma [deg], energy [GeV]
NEUTRINOS = (
    (50.0, 0.5, 0.0, 0.4, 2e4),
    (-150.0, 1.5, 2.0, 1.2, 3e3),
    (300.0, 4.0, 4.0, 2.5, 1e3),
)
SOUTH = 30.0  # times the energy: in the south areas begin at some 30 TeV
NSIDE, REACH = 512, 8.0  # REACH: in the widest sigma


def statistic(data: Path, site: Any) -> dict[str, Any]:
    """Return rows of what both have of each map; site: the detector, of `power.site`."""
    area = data / AREA
    nodes, rows = site.published.sin_dec, []
    published = brute.detector(area, nodes, 0.0064, 1.1)
    search = Settings().search_parameters() | {"real_time": True}
    expanding = brute.detector(area, nodes, 0.0064)
    kernel = _kernel(site)
    for name, pattern in MAPS.items():
        path = next(data.glob(pattern))
        given = _columns(brute.read(path))
        for matrix in (False, True)[: 1 + (name in WITH_MATRIX)]:
            response = site.matrix if matrix else site.published
            params = published_parameters("bbh")
            if matrix:
                params = search_parameters(search, "bbh", response)
            found, neutrinos = _llama(path, given, response, params)
            model = expanding if matrix else published
            own = [
                brute.Neutrino(
                    dt,
                    given["ra_deg"][i],
                    given["dec_deg"][i],
                    neutrinos.kappa[i],
                    neutrinos.intensity[i] * params.ratebgnu
                    if matrix
                    else brute.ratio_of(
                        area, nodes, given["energy_gev"][i], _background(response, given, i)
                    )[None],
                )
                for i, dt in enumerate(given["dt_s"])
            ]
            reach_deg = 180.0 if matrix else REACH * float(given["sigma_deg"].max())
            rows.append(_compare(name, matrix, path, own, model, found, reach_deg))
    nu = {"brute_force": brute.expected(area), "llama": search_parameters(
        search, "bbh", site.matrix).nu_51_100}  # fmt: skip
    return {"rows": rows, "nu_51_100": nu, "background": kernel, "p_astro": P_ASTRO}


def _columns(sky: brute.Sky) -> dict[str, Floats]:
    best = int(np.argmax(sky.density))
    order, ipix = int(sky.order[best]), int(sky.ipix[best])
    ra, dec = healpy.pix2ang(2**order, ipix, nest=True, lonlat=True)
    dt, away, turn, sigma, energy = np.array(NEUTRINOS).T
    return {
        "dt_s": dt,
        "ra_deg": (ra + away * np.sin(turn) / math.cos(math.radians(dec))) % 360,
        "dec_deg": np.clip(dec + away * np.cos(turn), -89, 89),
        "sigma_deg": sigma,
        "energy_gev": energy * (SOUTH if dec < 0 else 1.0),
    }


def _llama(
    path: Path, given: dict[str, Floats], response: Any, params: SearchParameters
) -> tuple[Any, Neutrinos]:
    tiles = read_skymap(path.read_bytes(), path.name)
    prepared = prepare_skymap(tiles, response.area_relative, params)
    neutrinos = prepare_columns(given["dt_s"], given, response, params)
    odds = event_odds(prepared, neutrinos, P_ASTRO, params, response.area_relative)
    return odds, neutrinos


def _background(response: Any, given: dict[str, Floats], i: int) -> float:
    """Return p_bg per dex and unit of sin(dec) at a neutrino: the archive's table between nodes."""
    s = math.sin(math.radians(given["dec_deg"][i]))
    row = [np.interp(s, response.sin_dec, r) for r in response.background_per_dex]
    return float(np.interp(math.log10(given["energy_gev"][i]), response.log10_energy, row))


def _compare(
    name: str,
    matrix: bool,
    path: Path,
    own: list[brute.Neutrino],
    model: brute.Model,
    found: Any,
    reach_deg: float,
) -> dict[str, Any]:
    sky, q = brute.read(path), P_ASTRO / (1 - P_ASTRO)
    counts = brute.Counts(model, len(own))
    sets = brute.lambda_s(sky, own, counts, q, NSIDE, reach_deg)
    cgw, cnu = brute.lambda_cgw(sky, counts, q), brute.lambda_cnu(own, model)
    odds = sum(sets.values()) / (1 + cgw + cnu)
    off = {
        "".join("ABC"[i] for i in which): found.sets.get(which, 0.0) / value - 1
        for which, value in sets.items()
    }
    return {
        "map": name,
        "reading": "matrix" if matrix else "published",
        "odds": odds,
        "odds_off": found.odds_ratio / odds - 1,
        "cgw_off": found.lambda_cgw / cgw - 1,
        "cnu_off": found.lambda_cnu / cnu - 1,
        "sets": {"".join("ABC"[i] for i in which): value for which, value in sets.items()},
        "sets_off": off,
    }


def _kernel(site: Any) -> dict[str, Any]:
    """Return p_bg of LLAMA over a sum of Gaussians at every event, at places of the middle."""
    x, s = np.log10(site.events["energy_gev"]), np.sin(np.radians(site.events["dec_deg"]))
    ratios, enough = [], 1e-3 * x.size  # where the tables are not made of single events
    for at_x in (2.7, 3.0, 3.5, 4.0, 4.5):
        for at_s in (-0.7, -0.3, 0.0, 0.3, 0.7):
            each = np.exp(-(((x - at_x) / 0.1) ** 2 + ((s - at_s) / 0.04) ** 2) / 2)
            inside = ndtr((1 - at_s) / 0.04) - ndtr((-1 - at_s) / 0.04)
            own = each.sum() / (2 * math.pi * 0.1 * 0.04) / inside + 1 / 14
            row = [np.interp(at_s, site.published.sin_dec, r) for r in
                   site.published.background_per_dex]  # fmt: skip
            theirs = np.interp(at_x, site.published.log10_energy, row) * (x.size + 1)
            if own > enough:
                ratios.append(float(theirs / own))
    return {"places": len(ratios), "lowest": min(ratios), "highest": max(ratios)}
