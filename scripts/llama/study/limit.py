"""Upper limit on the neutrino emission of one event, by injections on its own sky map."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from llama.errors import LlamaError
from llama.event.significance import search_parameters
from llama.neutrinos.archive import Archive
from llama.study.bank import Bank, build_bank
from llama.study.draws import KINDS
from llama.study.efficiency import Injections, efficiency_curve, energy_at, energy_grid
from llama.study.injections import run_shard
from llama.study.sensitivity import SOURCES

CONFIDENCE = 0.9
INJECTIONS = 3000  # of each kind: 0.5 % on the confidence level


def upper_limit(
    skymap: str | os.PathLike[str],
    significance: Mapping[str, Any],
    archive: Archive,
    search: Mapping[str, Any],
    seed: int,
    injections: int = INJECTIONS,
) -> dict[str, Any]:
    """Return the content of upper_limit_lvc-i3.json, without its provenance.

    The limit is the isotropic-equivalent energy in neutrinos [erg] of which 90 % of the sources,
    placed in direction and distance as the event's map says, would have given odds above the
    observed ones: Neyman's classical construction (Phil. Trans. A 236, 333, 1937) with the odds
    ratio as ordering, E^-2 spectrum, all model settings as in `search`. Only neutrinos of the
    source count towards 90 %, not lucky background, so that the limit is never empty and rather
    too high than too low. null with the reason when no energy is excluded.

    significance: content of significance_*.json; no background class is needed, since odds of one
    map and one p_astro rank as their p-values do.
    """
    alone = significance.get("without_bursts", significance)  # injections are of neutrinos
    population = significance["inputs"]["search_parameters"]["population"]
    params = search_parameters(search, population)
    response, observed = archive.response(), float(alone["odds_ratio"])
    kinds, distances = [], []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "skymap.hdf5"
        problems = build_bank([Path(skymap)], path, response.area_relative, params)
        if problems:
            raise LlamaError(problems[0])
        with Bank(path) as bank:
            for kind in SOURCES:
                rows, _ = run_shard(
                    bank,
                    archive.events(),
                    response,
                    params,
                    significance["p_astro"],
                    seed,
                    range(injections),
                    kind=kind,
                )
                kinds.append(Injections(KINDS[kind], rows["expected"], rows["odds"] > observed))
                distances.append(rows["distance_mpc"])
    expected = np.concatenate([kind.expected for kind in kinds])
    energies = energy_grid(expected)
    curve = efficiency_curve(kinds, energies)
    limit = energy_at(kinds, curve, CONFIDENCE)
    quantiles = np.quantile(np.concatenate(distances), (0.05, 0.5, 0.95))
    return {
        "e_iso_erg": limit["value_erg"],
        "e_iso_low_erg": limit["low_erg"],
        "e_iso_high_erg": limit["high_erg"],
        "reason": _reason(significance, energies.size) if limit["value_erg"] is None else None,
        "confidence": CONFIDENCE,
        "odds_ratio": observed,
        "p_value": alone["p_value"],
        "p_astro": significance["p_astro"],
        "injections": injections,
        "exceeding": {str(kind.neutrinos): float(kind.found.mean()) for kind in kinds},
        "distance_mpc": dict(zip(("p05", "median", "p95"), quantiles.tolist(), strict=True)),
        "distance": significance["distance"],
        "expected_from_1e51_erg": float(expected.mean()),
        "spectrum": "E^-2",
        "energy_range_gev": [params.epsilon_min_gev, params.epsilon_max_gev],
    }


def _reason(significance: Mapping[str, Any], energies: int) -> str:
    if energies == 0:
        return "the neutrino detector does not see any place where the source may be"
    if not significance["p_astro"] > 0:
        return "p_astro is 0, so that every odds ratio is 0"
    return (
        "fewer than 90 % of sources with four neutrinos would exceed the observed odds: "
        "the event itself looks like a common source"
    )
