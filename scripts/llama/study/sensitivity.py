"""What a study can see: content of sensitivity.json.

Only sums, quantiles and curves are kept; figures and page are drawn from them.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from llama.background.draws import KINDS, SOURCES
from llama.errors import LlamaError, for_users
from llama.files import reading_hdf5
from llama.stats.arrays import Flags, Floats
from llama.stats.pvalue import p_values
from llama.study.bank import Bank
from llama.study.efficiency import Injections, efficiency_curve, energy_at, energy_grid
from llama.study.populations import BROKEN, collate

ByKind = dict[str, NDArray[Any]]

PAIRED_SEED = -1  # of pairs of a superevent and a list, which are not drawn
P_FOUND = 0.01  # IceCube notifies the public of coincidences below it
JOINT_FAR_YEARS = 100.0
LEVELS = (0.5, 0.9)
_BINS, _DISTANCES = 8, 12
_QUANTILES = (0.5, 0.9, 0.99)
_POINTS = 150


class Threshold(NamedTuple):
    """A criterion: the largest p-value that is found, and the reason if none can be."""

    name: str
    criterion: str
    p_value: float
    reason: str | None


def compute_sensitivity(
    shards: Mapping[str, Sequence[Path]], bank: Bank, triggers_per_year: float
) -> dict[str, Any]:
    """Return the content of sensitivity.json, without its provenance.

    shards: those of each kind of injection (`KINDS`).
    LlamaError when they do not belong together, or when the detector sees no source.
    """
    (p_astro, seed, settings), rows = _rows(shards)
    expected = np.concatenate([rows[kind]["expected"] for kind in SOURCES])
    energies = energy_grid(expected)
    if energies.size == 0:
        raise LlamaError(
            "the neutrino detector sees no source of this study; import its archive again"
        )
    table = np.sort(rows["background"]["odds"])
    with for_users("delete the shards of the study and run snakemake again"):
        p = {kind: p_values(of_kind["odds"], table) for kind, of_kind in rows.items()}
    thresholds, by_distance = [], []
    for threshold in _thresholds(table.size, triggers_per_year):
        found = {k: p[k] <= threshold.p_value for k in SOURCES}
        kinds = [Injections(KINDS[k], rows[k]["expected"], found[k]) for k in SOURCES]
        curve = efficiency_curve(kinds, energies)
        needed = {f"e_iso_{100 * level:.0f}": energy_at(kinds, curve, level) for level in LEVELS}
        shares = {f"efficiency_{k}": _share(found[k]) for k in found}
        listed = {"value": curve.value.tolist(), "error": curve.error.tolist()}
        thresholds.append(threshold._asdict() | needed | shares | {"efficiency": listed})
        by_distance.append(_by_distance(rows, found, energies))
    areas = np.zeros(len(bank.names))  # of maps in use
    for index in np.unique(np.concatenate([of_kind["skymap"] for of_kind in rows.values()])):
        areas[index] = bank.tiles(int(index)).credible_area_deg2(0.9)
    return {
        "injections": {kind: int(of_kind.size) for kind, of_kind in rows.items()},
        "skymaps": int((areas > 0).sum()),
        "broken_skymaps": len(bank.broken),
        "p_astro": p_astro,
        "seed": seed,
        "settings_sha256": settings,
        "triggers_per_year": triggers_per_year,
        "e_iso_erg": energies.tolist(),
        "thresholds": thresholds,
        "by_distance": by_distance,
        "uniformity": uniformity(rows["background"]["odds"]),
        "cumulative": cumulative(p),
        "by_neutrinos": _by(rows, p, {k: of_kind["neutrinos"] for k, of_kind in rows.items()}),
        "by_area_90_deg2": _by(rows, p, {k: areas[r["skymap"]] for k, r in rows.items()}),
    }


def _rows(shards: Mapping[str, Sequence[Path]]) -> tuple[tuple[float, int, str], ByKind]:
    """Return p_astro, seed and settings hash, and each kind's injections in order of number.

    Background that was not drawn, but paired from lists made before, has settings of its own.
    """
    made, rows = {}, {}
    for kind, paths in shards.items():
        made[kind] = collate(paths)[2:5]
        columns = ["odds", "neutrinos", "skymap"]
        columns += [] if kind == "background" else ["distance_mpc", "expected"]
        parts = []
        for path in paths:
            with reading_hdf5(path, BROKEN.format(path)) as file:
                if file.attrs["kind"] != kind:
                    raise LlamaError(f"{path} is no {kind}; delete it and run snakemake again")
                parts.append((int(file.attrs["first"]), file["injections"].fields(columns)[()]))
        rows[kind] = np.concatenate([part for _, part in sorted(parts, key=lambda part: part[0])])
    p_astro, seed, settings = made["signal"]
    drawn = made["background"][1] != PAIRED_SEED
    expected = made["signal"] if drawn else (p_astro, *made["background"][1:])
    if {made[kind] for kind in SOURCES} != {made["signal"]} or made["background"] != expected:
        raise LlamaError(
            "the kinds of injections were made with different settings; "
            "delete them and run snakemake again"
        )
    return (p_astro, seed, settings), rows


def _thresholds(n_background: int, triggers_per_year: float) -> list[Threshold]:
    # p < 0.01, where p is a multiple of 1 / (1 + n)
    strictly = (math.ceil(P_FOUND * (1 + n_background)) - 1) / (1 + n_background)
    joint = min(1 / (JOINT_FAR_YEARS * triggers_per_year), np.nextafter(1, 0))
    return [
        Threshold(name, words, float(p), _reason(p, n_background))
        for name, words, p in (
            ("p_value", f"p < {P_FOUND:g}", strictly),
            ("joint_far", f"joint FAR ≤ 1 per {JOINT_FAR_YEARS:g} yr", joint),
        )
    ]


def _reason(p: float, n_background: int) -> str | None:
    if p >= 1 / (1 + n_background):
        return None
    needed = math.ceil(1 / p) - 1 if p > 0 else math.ceil(1 / P_FOUND)
    return (
        f"{n_background:,} background injections cannot give so small a p-value; "
        f"raise background.injections to {needed:,} or more"
    )


def _share(found: Flags) -> dict[str, float]:
    share = float(found.mean())
    return {"value": share, "error": math.sqrt(share * (1 - share) / found.size + found.size**-2)}


def _by_distance(
    rows: ByKind, found: ByKind, energies: Floats
) -> dict[str, list[float] | list[list[float]]]:
    """Return the efficiencies of sources in distance bins [Mpc] with equally many of them.

    The nearest and the farthest percent are left out: bins would be wide for their sake only.
    """
    distances = {k: rows[k]["distance_mpc"] for k in found}
    steps = np.linspace(0.01, 0.99, _DISTANCES + 1)
    edges = np.unique(np.quantile(np.concatenate(list(distances.values())), steps))
    curves = []
    for k in range(edges.size - 1):
        kinds = []
        for kind, distance in distances.items():
            inside = (edges[k] <= distance) & (distance < edges[k + 1])
            expected = rows[kind]["expected"][inside]
            kinds.append(Injections(KINDS[kind], expected, found[kind][inside]))
        curves.append(efficiency_curve(kinds, energies))
    return {
        "distance_mpc": edges.tolist(),
        "value": [curve.value.tolist() for curve in curves],
        "error": [curve.error.tolist() for curve in curves],
    }


def _by(rows: ByKind, p: ByKind, values: ByKind) -> list[dict[str, Any]]:
    """Return what becomes of injections in bins of a quantity, equally many of background."""
    edges = np.unique(np.quantile(values["background"], np.linspace(0, 1, _BINS + 1)))
    bins = {kind: np.searchsorted(edges[1:-1], v, side="right") for kind, v in values.items()}
    table = []
    for k in range(_BINS):
        inside = {kind: which == k for kind, which in bins.items()}
        if not inside["background"].any():
            continue
        here = values["background"][inside["background"]]
        entry: dict[str, Any] = {"low": float(here.min()), "high": float(here.max())}
        for kind, those in inside.items():
            if those.any():
                odds = np.quantile(rows[kind]["odds"][those], _QUANTILES).tolist()
                quantiles = {
                    f"odds_{100 * q:.0f}": x for q, x in zip(_QUANTILES, odds, strict=True)
                }
                found = _share(p[kind][those] < P_FOUND)
                entry[kind] = {"n": int(those.sum()), "found": found, **quantiles}
            else:
                entry[kind] = None
        table.append(entry)
    return table


def uniformity(odds: Floats) -> dict[str, object]:
    """Return how the p-values of one half of a background are distributed against the other half.

    odds: of background injections in the order of their numbers. Which half one is in, reference
    or tested, is drawn with a fixed seed: where superevents are paired with lists in turn, even
    and odd numbers have different maps. The halves share nothing but the sky maps. Odds of 0
    have p = 1 on both sides: they are compared by their number, and the others by the two-sample
    Kolmogorov-Smirnov test, whose result is null when there are not two of each.

    p: k / (1 + n_reference) for some k; fraction: of the tested with at most that p; sigma: its
    standard deviation, both halves being samples. The k-th largest of a reference has a
    Beta(k, n_reference + 1 - k) distributed fraction above it, so that the count of the tested
    is beta-binomial.
    """
    shuffled = np.random.default_rng(0).permutation(odds)
    reference, tested = np.sort(shuffled[::2]), shuffled[1::2]
    m, n = reference.size, tested.size
    above = reference[::-1][: int((reference > 0).sum())]  # descending
    k = np.unique(np.geomspace(1, max(above.size, 1), _POINTS).astype(int))[: above.size]
    p = k / (1 + m)
    reached = n - np.searchsorted(np.sort(tested), above[k - 1], side="right")
    sigma = np.sqrt(p * (1 - p) * (m + 1 + n) / (max(n, 1) * (m + 2)))
    fraction = reached / max(n, 1)
    positive = tested[tested > 0]
    enough = min(above.size, positive.size) >= 2
    zero = np.array([m - above.size, n - positive.size])
    pooled = zero.sum() / max(m + n, 1)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / max(m, 1) + 1 / max(n, 1)))
    difference = zero[0] / max(m, 1) - zero[1] / max(n, 1)
    return {
        "n_reference": int(m),
        "n_tested": int(n),
        "p": p.tolist(),
        "fraction": fraction.tolist(),
        "sigma": sigma.tolist(),
        "ks_p_value": float(ks_2samp(above, positive).pvalue) if enough else None,
        "zero_odds": zero.tolist(),
        "zero_odds_sigma": float(difference / spread) if spread > 0 else 0.0,
    }


def cumulative(p_values: dict[str, Floats]) -> dict[str, list[float]]:
    """Return the fraction of each kind of injection with at most a p-value, at p from 1/n to 1."""
    smallest = 1 / (1 + p_values["background"].size)
    p = np.geomspace(smallest, 1, _POINTS)
    p[-1] = 1.0
    shares = {
        kind: (np.searchsorted(np.sort(values), p, side="right") / values.size).tolist()
        for kind, values in p_values.items()
    }
    return {"p": p.tolist(), **shares}
