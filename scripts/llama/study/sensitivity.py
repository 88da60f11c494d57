"""What a study can see: content of sensitivity.json.

Only sums, quantiles and curves are kept; figures and page are drawn from them.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama.background.draws import KINDS, SOURCES, WEIGHTED
from llama.errors import LlamaError, for_users
from llama.files import reading_hdf5
from llama.stats.arrays import Flags, Floats
from llama.stats.pvalue import weighted_p_values
from llama.study.bank import Bank
from llama.study.efficiency import Injections, efficiency_curve, energy_at, energy_grid
from llama.study.populations import BROKEN, collate
from llama.study.uniformity import cumulative, uniformity

ByKind = dict[str, NDArray[Any]]

PAIRED_SEED = -1  # of pairs of a superevent and a list, which are not drawn
P_FOUND = 0.01  # IceCube notifies the public of coincidences below it
JOINT_FAR_YEARS = 100.0
LEVELS = (0.5, 0.9)
_BINS, _DISTANCES = 8, 12
_QUANTILES = (0.5, 0.9, 0.99)


class Threshold(NamedTuple):
    """A criterion: the largest p-value that is found, and the reason if none can be.

    background_effective: effective number of background injections that are found, too.
    """

    name: str
    criterion: str
    p_value: float
    reason: str | None
    background_effective: float


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
    odds, weights = rows["background"]["odds"], _weights(rows["background"])
    along = np.argsort(odds, kind="stable")
    table = odds[along], weights[along]
    with for_users("delete the shards of the study and run snakemake again"):
        p = {kind: _p_values(of_kind["odds"], *table) for kind, of_kind in rows.items()}
    thresholds, by_distance = [], []
    for threshold in _thresholds(p["background"], weights, table[1][-1], triggers_per_year):
        found = {k: p[k] <= threshold.p_value for k in SOURCES}
        kinds = [Injections(KINDS[k], rows[k]["expected"], found[k]) for k in SOURCES]
        curve = efficiency_curve(kinds, energies)
        needed = {f"e_iso_{100 * level:.0f}": energy_at(kinds, curve, level) for level in LEVELS}
        shares = {f"efficiency_{k}": _share(found[k], np.ones(found[k].size)) for k in found}
        listed = {"value": curve.value.tolist(), "error": curve.error.tolist()}
        thresholds.append(threshold._asdict() | needed | shares | {"efficiency": listed})
        by_distance.append(_by_distance(rows, found, energies))
    areas = np.zeros(len(bank.names))  # of maps in use
    for index in np.unique(np.concatenate([of_kind["skymap"] for of_kind in rows.values()])):
        areas[index] = bank.tiles(int(index)).credible_area_deg2(0.9)
    return {
        "injections": {kind: int(of_kind.size) for kind, of_kind in rows.items()},
        "sampling": WEIGHTED if _is_weighted(rows["background"]) else "plain",
        "skymaps": int((areas > 0).sum()),
        "broken_skymaps": len(bank.broken),
        "p_astro": p_astro,
        "seed": seed,
        "settings_sha256": settings,
        "triggers_per_year": triggers_per_year,
        "e_iso_erg": energies.tolist(),
        "thresholds": thresholds,
        "by_distance": by_distance,
        "uniformity": uniformity(odds, weights),
        "cumulative": cumulative(p, weights),
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
                given = file.attrs["kind"]
                if given != kind and (kind, given) != ("background", WEIGHTED):
                    raise LlamaError(f"{path} is no {kind}; delete it and run snakemake again")
                fields = [*columns, "weight"] if given == WEIGHTED else columns
                parts.append((int(file.attrs["first"]), file["injections"].fields(fields)[()]))
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


def _weights(rows: NDArray[Any]) -> Floats:
    """Return the weights of injections, 1 of those that are drawn as they come."""
    return rows["weight"] if _is_weighted(rows) else np.ones(rows.size)


def _is_weighted(rows: NDArray[Any]) -> bool:
    return "weight" in (rows.dtype.names or ())


def _p_values(odds: Floats, background: Floats, weights: Floats) -> Floats:
    """Return the p-value of each of some odds; background: ascending, with weights.

    What is judged counts with the weight of the background injection at or next below its odds:
    its own if it is one of them, and about that of a source's neutrinos.
    """
    below = np.searchsorted(background, odds, side="right") - 1
    return weighted_p_values(odds, weights[np.maximum(below, 0)], background, weights).p


def _thresholds(
    p: Floats, weights: Floats, best: float, triggers_per_year: float
) -> list[Threshold]:
    """Return the criteria; p and weights: of the background, best: of these at the highest odds."""
    joint = min(1 / (JOINT_FAR_YEARS * triggers_per_year), np.nextafter(1, 0))
    made = []
    for name, words, most in (
        ("p_value", f"p < {P_FOUND:g}", float(np.nextafter(P_FOUND, 0))),
        ("joint_far", f"joint FAR ≤ 1 per {JOINT_FAR_YEARS:g} yr", float(joint)),
    ):
        there = weights[p <= most]
        effective = float(there.sum() ** 2 / (there**2).sum()) if there.size else 0.0
        made.append(Threshold(name, words, most, _reason(most, p.size, best), effective))
    return made


def _reason(p: float, n_background: int, best: float) -> str | None:
    if p >= best / (1 + n_background):
        return None
    return (
        f"{n_background:,} background injections cannot give so small a p-value; "
        f"raise background.injections to {math.ceil(best / p) - 1:,} or more"
    )


def _share(found: Flags, weights: Floats) -> dict[str, float]:
    """Return the weighted share and its error, in which one injection more is never nothing."""
    share = float(np.average(found, weights=weights))
    spread = float(((weights * (found - share)) ** 2).sum()) / float(weights.sum()) ** 2
    return {"value": share, "error": math.sqrt(spread + found.size**-2)}


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
    """Return what becomes of injections in bins of a quantity, equally much of background."""
    weights = {kind: _weights(of_kind) for kind, of_kind in rows.items()}
    steps = np.linspace(0, 1, _BINS + 1)
    edges = np.unique(_quantiles(values["background"], weights["background"], steps))
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
                of_each = weights[kind][those]
                odds = _quantiles(rows[kind]["odds"][those], of_each, _QUANTILES).tolist()
                quantiles = {
                    f"odds_{100 * q:.0f}": x for q, x in zip(_QUANTILES, odds, strict=True)
                }
                found = _share(p[kind][those] < P_FOUND, of_each)
                entry[kind] = {"n": int(those.sum()), "found": found, **quantiles}
            else:
                entry[kind] = None
        table.append(entry)
    return table


def _quantiles(values: Floats, weights: Floats, shares: Sequence[float] | Floats) -> Floats:
    return np.quantile(values, shares, weights=weights, method="inverted_cdf")
