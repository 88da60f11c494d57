"""What IceCube's circulars say of the Bayesian search, beside LLAMA's p-values: docs/validation.md.

The circulars give time, direction, 90 % radius and p of a neutrino, never its energy. LLAMA's p is
that of the published reading without energies, those of the background hidden, too; beside it is
the mean of log p over the energies of archive neutrinos of its declination. Sky maps are files
`<superevent>*.fits*` of a directory.
"""

import csv
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from llama.background.cells import build_cells
from llama.background.draws import WEIGHTED, Draws, draw_background
from llama.background.tilts import tilt_map, weights
from llama.event.map_background import map_background
from llama.event.parameters import published_parameters
from llama.event.prepared import odds_of_drawn, prepare_skymap
from llama.sky import read_skymap
from llama.stats.overlap import PreparedMap
from llama.stats.pvalue import weighted_p_values

Floats = NDArray[np.float64]
SEED, INJECTIONS, WINDOWS, P_ASTRO = 20261130, 2_500, 10_000, 0.99
BANDS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)  # of published p
ENERGIES, FACTOR = 50, 3.0
LEAST = 1000  # archive neutrinos next in declination, of which energies are drawn
MAPS = ("events/S190425z/bayestar.multiorder.fits", "skymaps/S*.bayestar.multiorder.fits")
# factor of radius and sigma of a Gaussian
R90 = 2.145966026289347


def circulars(data: Path, maps: Path | None, site: Any) -> dict[str, Any]:
    """Return what can be compared with these maps, and what a comparison can come to at best."""
    with (data / "catalogues/gcn_llama_pvalues.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    given = [row for row in rows if row["nu_p_bayes"] and row["dt_nu_minus_gw_s"]]
    compared, missing = [], []
    for name, group in itertools.groupby(given, key=lambda row: row["superevent"]):
        found = sorted(maps.glob(f"{name}*.fits*")) if maps else []
        listed = list(group)
        if found:
            compared += _compare(found[0], listed, site)
        else:
            missing.append(_missing(name, listed))
    background = _Background(data, site)
    return {
        "compared": compared,
        "missing": missing,
        "without_row": sorted({r["superevent"] for r in rows if r["overall_p_bayes"]}
                              - {r["superevent"] for r in given}),
        "whole": _whole(rows, background),
        "at_best": background.at_best(),
    }  # fmt: skip


def _missing(name: str, listed: list[dict[str, str]]) -> dict[str, Any]:
    return {"superevent": name, "map": listed[0]["gw_map"], "gcn": listed[0]["gcn_circular"],
            "neutrinos": [_stated(row) for row in listed]}  # fmt: skip


def _stated(row: dict[str, str]) -> dict[str, float]:
    names = ("dt_nu_minus_gw_s", "nu_ra_deg", "nu_dec_deg", "nu_r90_deg", "nu_p_bayes")
    return dict(zip(("dt_s", "ra_deg", "dec_deg", "r90_deg", "p"), (float(row[n]) for n in names),
                    strict=True))  # fmt: skip


def _compare(path: Path, listed: list[dict[str, str]], site: Any) -> list[dict[str, Any]]:
    """Return a row for each neutrino of an event whose sky map is there."""
    prepared, params = _prepared(path, site), published_parameters("cbc")
    draws = Draws(SEED, WEIGHTED, site.events, site.published, params)
    groups = map_background(prepared, draws, P_ASTRO, INJECTIONS, 2)["map"]
    found = []
    for row in listed:
        stated = _stated(row)
        unknown = _columns(stated, np.array([np.nan]))
        hides = draws._replace(hides_energy=True)
        places = "without_energy", "weights/without_energy"
        blind = _p(prepared, hides, unknown, groups[places[0]], groups[places[1]])
        told = _columns(stated, _energies(site, stated["dec_deg"]))
        each = _p(prepared, draws, told, groups[""], groups["weights"])
        row_of = {"superevent": row["superevent"], "file": path.name, **stated}
        mean = {"p_mean": float(np.exp(np.log(each).mean()))}
        range_68 = {"p_68": np.quantile(each, (0.16, 0.84)).tolist()}
        found.append(row_of | {"p_without_energy": float(blind[0])} | mean | range_68)
    return found


def _p(
    prepared: PreparedMap, draws: Draws, columns: dict[str, Floats], among: Floats, w: Floats
) -> Floats:
    """Return p of neutrinos, each alone, among weighted windows of the same map."""
    counts = np.ones(columns["dt_s"].size, dtype=np.int64)
    odds = odds_of_drawn(prepared, draws, counts, columns, P_ASTRO).odds_ratio
    cells = build_cells(draws.events, draws.response, draws.params, draws.hides_energy)
    own = weights(draws, counts, columns, cells, tilt_map(prepared, draws, cells))
    return weighted_p_values(odds, own, among, w).p


def _prepared(path: Path, site: Any) -> PreparedMap:
    tiles = read_skymap(path.read_bytes(), path.name)
    return prepare_skymap(tiles, site.published.area_relative, published_parameters("cbc"))


def _columns(stated: dict[str, float], energy_gev: Floats) -> dict[str, Floats]:
    one = np.ones(energy_gev.size)
    return {
        "dt_s": stated["dt_s"] * one,
        "ra_deg": stated["ra_deg"] * one,
        "dec_deg": stated["dec_deg"] * one,
        "sigma_deg": stated["r90_deg"] / R90 * one,
        "energy_gev": energy_gev,
    }


def _energies(site: Any, dec_deg: float) -> Floats:
    """Return energies of archive neutrinos near a declination, the same at each run [GeV]."""
    near = np.argsort(np.abs(np.sin(np.radians(site.events["dec_deg"])) -
                             np.sin(np.radians(dec_deg))), kind="stable")[:LEAST]  # fmt: skip
    energy = np.sort(site.events["energy_gev"][near])
    return np.asarray(energy[((np.arange(ENERGIES) + 0.5) / ENERGIES * LEAST).astype(int)])


class _Background:
    """Windows of chance with public maps of alerts, with energies and with hidden ones."""

    def __init__(self, data: Path, site: Any) -> None:
        self.site, self.params = site, published_parameters("cbc")
        draws = Draws(SEED, "background", site.events, site.published, self.params)
        self.maps = sorted(p for pattern in MAPS for p in data.glob(pattern))
        self.parts = []
        for k, path in enumerate(self.maps):
            prepared = _prepared(path, site)
            numbers = np.arange(k * WINDOWS, (k + 1) * WINDOWS)
            counts, columns = draw_background(draws, numbers)
            told = odds_of_drawn(prepared, draws, counts, columns, P_ASTRO)
            hides = draws._replace(hides_energy=True)
            blind = odds_of_drawn(prepared, hides, counts, columns, P_ASTRO)
            self.parts.append((prepared, draws, counts, columns, told, blind))

    def at_best(self) -> dict[str, Any]:
        """Return how p of windows compares with that of the same without energies, by p."""
        p, without, mean = ([] for _ in range(3))
        for prepared, draws, counts, columns, told, blind in self.parts:
            own, hidden = (_ranks(o.odds_ratio, o.odds_ratio) for o in (told, blind))
            chosen = np.flatnonzero((own >= BANDS[0]) & (own < BANDS[-1]))
            stops = np.cumsum(counts)
            best = [
                k + int(np.argmax(told.single_odds[k : stops[i]]))
                for i, k in zip(chosen, (stops - counts)[chosen], strict=True)
            ]
            energies = [_energies(self.site, float(columns["dec_deg"][j])) for j in best]
            many = {name: np.repeat(c[best], ENERGIES) for name, c in columns.items()}
            many["energy_gev"] = np.concatenate(energies)
            ones = np.ones(len(best) * ENERGIES, dtype=np.int64)
            odds = odds_of_drawn(prepared, draws, ones, many, P_ASTRO).odds_ratio
            each = _ranks(odds, told.odds_ratio).reshape(-1, ENERGIES)
            p += own[chosen].tolist()
            without += hidden[chosen].tolist()
            mean += np.exp(np.log(each).mean(axis=1)).tolist()
        bands = [*itertools.pairwise(BANDS), (BANDS[0], BANDS[-1])]
        return {
            "maps": len(self.parts),
            "windows": WINDOWS,
            "bands": [_agreement(np.array([p, without, mean]), *band) for band in bands],
        }

    def together(self, p: list[float]) -> float:
        """Return p of a window of neutrinos that have these p: that of the sum of their odds."""
        found = []
        for *_, told, _blind in self.parts:
            background = np.sort(told.odds_ratio)[::-1]
            odds = [np.interp(v * WINDOWS, np.arange(1, WINDOWS + 1), background) for v in p]
            found.append(float(_ranks(np.array([sum(odds)]), background)[0]))
        return float(np.exp(np.mean(np.log(found))))


def _ranks(odds: Floats, background: Floats) -> Floats:
    along = np.sort(background)
    above = along.size - np.searchsorted(along, odds, side="left")
    return np.where(odds > 0, (1 + above) / (1 + along.size), 1.0)


def _agreement(all_p: Floats, low: float, high: float) -> dict[str, Any]:
    p, without, mean = all_p[:, (all_p[0] >= low) & (all_p[0] < high)]
    found: dict[str, Any] = {"low": low, "high": high, "windows": p.size}
    for name, other in (("without_energy", without), ("mean_over_energies", mean)):
        ratio = np.log10(other / p)
        found[name] = {
            "within": float((np.abs(ratio) <= np.log10(FACTOR)).mean()),
            "rank_correlation": float(spearmanr(p, other).statistic),
            "quantiles": (10 ** np.quantile(ratio, (0.16, 0.5, 0.84))).tolist(),
        }
    return found


def _whole(rows: list[dict[str, str]], background: _Background) -> list[dict[str, Any]]:
    """Return the overall p of events beside that of their neutrinos, and of several LLAMA's."""
    found = []
    for name, group in itertools.groupby(rows, key=lambda row: row["superevent"]):
        listed = [row for row in group if row["nu_p_bayes"]]
        if listed and listed[0]["overall_p_bayes"]:
            p = [float(row["nu_p_bayes"]) for row in listed]
            row = {"superevent": name, "p": p, "overall": float(listed[0]["overall_p_bayes"])}
            found.append(row | {"llama": background.together(p) if len(p) > 1 else None})
    return found
