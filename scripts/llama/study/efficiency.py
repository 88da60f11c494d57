"""How often a source of given energy is found, and how bright it must be to be found.

Injections have one, two or four neutrinos of a source, whatever its energy. The number n that a
source of isotropic-equivalent energy E does give is Poisson with mean mu = expected E / 1e51 erg,
so that every E is a weight on the same injections, d telling which of them are found:

    efficiency(E) = sum over k of < P(k | mu) > < P(k | mu) d >_k / < P(k | mu) >_k,

k = 1, 2 to 3, 4 and more, where < >_k is the mean over injections with so many, < > over all.

That is conservative twice: a source that gives no neutrino is never found, not even by chance, and
three neutrinos count as two, more than four as four. On the map of one event, the same weights give
the upper limit on its emission.
"""

import dataclasses
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from llama.background.draws import KINDS, SOURCES, Draws
from llama.errors import LlamaError
from llama.event.detectors import Site
from llama.event.parameters import search_parameters
from llama.event.results import NO_UPTIME
from llama.stats.arrays import Flags, Floats
from llama.stats.parameters import SearchParameters
from llama.study.bank import Bank, build_bank
from llama.study.injections import run_shard

REFERENCE_ERG = 1e51  # `expected` belongs to a source of this isotropic-equivalent energy
_PER_DECADE = 10
CONFIDENCE = 0.9
# 0.5 % on the confidence level; sets of four take ten times as long and are nearly always found
INJECTIONS = {"signal": 3000, "doublet": 3000, "quadruplet": 300}


class Injections(NamedTuple):
    """Injections of one kind: count expected from 1e51 erg, and found or not, both shape (n,)."""

    neutrinos: int
    expected: Floats
    found: Flags


class Emitting(Protocol):
    """Injections with a number of neutrinos of a source."""

    @property
    def neutrinos(self) -> int: ...  # noqa: D102


class Curve(NamedTuple):
    """Efficiency and its standard error at isotropic-equivalent energies [erg], all (n,)."""

    e_iso_erg: Floats
    value: Floats
    error: Floats


def poisson(expected: Floats, e_iso_erg: float, least: int, below: int | None) -> Floats:
    """Return P(least <= n < below) of sources of isotropic-equivalent energy E [erg]; None: any."""
    mu = expected * (e_iso_erg / REFERENCE_ERG)
    first, last = (least, below) if below is not None else (0, least)
    terms = [np.exp(-mu) * mu**n / math.factorial(n) for n in range(first, last)]
    between = np.sum(terms, axis=0)
    return np.asarray(between if below is not None else np.maximum(1 - between, 0.0))


def efficiency(kinds: Sequence[Injections], e_iso_erg: float) -> tuple[float, float]:
    """Return the fraction of sources of energy E [erg] that are found, and its standard error.

    kinds: ascending in neutrinos. How probable each count is, is the mean over the sources of all
    kinds; which of them are found, the weighted share of those with that count. So few injections
    tell a share near 1. The error is that of the injections as a sample of sources: binomial for
    equal sources. One injection in all is added, so that no count, all or none, has the error 0.
    Without injections of a kind nothing is known: 0 and 1.
    """
    pool, variance = np.concatenate([kind.expected for kind in kinds]), 0.0
    found_of_each = np.zeros(pool.size)
    for (_, expected, found), counts in zip(kinds, counts_of(kinds), strict=True):
        if not found.size:
            return 0.0, 1.0
        of_all = poisson(pool, e_iso_erg, *counts)
        weight = shares_of(poisson(expected, e_iso_erg, *counts))
        share = float(weight @ found)
        spread = float(((weight * (found - share)) ** 2).sum())
        variance += float(of_all.mean()) ** 2 * (spread + found.size**-2)
        found_of_each += of_all * share
    value, variance = found_of_each.mean(), variance + found_of_each.var() / pool.size
    return min(float(value), 1.0), min(float(variance) ** 0.5, 1.0)


def shares_of(weights: Floats) -> Floats:
    """Return weights over their sum; if that is 0, equal ones."""
    total = weights.sum()
    return np.asarray(weights / total if total > 0 else np.full(weights.size, 1 / weights.size))


def counts_of(kinds: Sequence["Emitting"]) -> list[tuple[int, int | None]]:
    """Return which counts of neutrinos each kind stands for, from the first to below the second."""
    least = [kind.neutrinos for kind in kinds]
    return list(zip(least, [*least[1:], None], strict=True))


def efficiency_curve(kinds: Sequence[Injections], energies_erg: Floats) -> Curve:
    """Return the efficiency at each of the energies [erg]."""
    points = np.array([efficiency(kinds, e) for e in energies_erg]).reshape(-1, 2)
    return Curve(energies_erg, points[:, 0], points[:, 1])


def energy_grid(expected: Floats) -> Floats:
    """Return energies [erg], ten a decade, from no source found to all; empty if none is seen."""
    seen = expected[expected > 0]
    if seen.size == 0:
        return np.empty(0)
    faint, bright = np.quantile(seen, [0.01, 0.99])
    low = int(np.floor(np.log10(REFERENCE_ERG * 0.01 / bright)))
    high = int(np.ceil(np.log10(REFERENCE_ERG * 100 / faint)))
    return np.logspace(low, high, (high - low) * _PER_DECADE + 1)


def energy_at(kinds: Sequence[Injections], curve: Curve, level: float) -> dict[str, float | None]:
    """Return the smallest energy [erg] whose efficiency is `level`, and its 1-sigma range.

    curve: of the same injections, on `energy_grid`. Keys value_erg, low_erg, high_erg; None
    where no energy is enough.
    """

    def excess(log10_energy: float, sigmas: float) -> float:
        value, error = efficiency(kinds, 10**log10_energy)
        return value + sigmas * error - level

    grid = np.log10(curve.e_iso_erg)
    energies: dict[str, float | None] = {}
    for name, sigmas in (("value_erg", 0.0), ("low_erg", 1.0), ("high_erg", -1.0)):
        above = np.flatnonzero(curve.value + sigmas * curve.error >= level)
        if above.size == 0:
            energies[name] = None
        elif above[0] == 0:
            energies[name] = float(curve.e_iso_erg[0])
        else:
            between = grid[above[0] - 1], grid[above[0]]
            energies[name] = float(10 ** brentq(excess, *between, args=(sigmas,), xtol=1e-9))
    return energies


def inject_on_map(
    skymap: str | Path,
    significance: Mapping[str, Any],
    site: Site,
    search: Mapping[str, Any],
    seed: int,
    live: float = 1.0,
    injections: Mapping[str, int] = INJECTIONS,
) -> dict[str, NDArray[Any]]:
    """Return {kind: rows} of sources with one, two and four neutrinos on the map of an event.

    Rows have odds (at the event's p_astro), expected, distance_mpc and what else
    `llama.study.injections` keeps. site: detectors that were on; significance: content of
    significance_*.json, from a list whose stream has the rate of their background; live: as of
    `live_fraction`, with which fewer neutrinos are expected.
    """
    params = _parameters(significance, site, search)
    truth, found = site.truth(), {}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "skymap.hdf5"
        problems = build_bank([Path(skymap)], path, site.response, params)
        if problems:
            raise LlamaError(problems[0])
        with Bank(path) as bank:
            for kind in SOURCES:
                draws = Draws(seed, kind, site.events(), site.response, params, truth)
                found[kind], _ = run_shard(
                    bank, draws, significance["p_astro"], range(injections[kind])
                )
                found[kind]["expected"] *= live
    return found


def live_fraction(neutrino_list: Mapping[str, Any], window_s: float) -> float:
    """Return which part of an event's window was observed; 1 if the list does not say.

    Of a source's neutrinos, which may come at any time of the window, such a part is seen.
    """
    live_s = neutrino_list.get("livetime_s")
    if live_s is None or (live_s == 0 and neutrino_list["events"]):
        return 1.0
    return min(float(live_s) / window_s, 1.0)


def upper_limit(
    rows: Mapping[str, NDArray[Any]],
    significance: Mapping[str, Any],
    site: Site,
    search: Mapping[str, Any],
    live: float = 1.0,
) -> dict[str, Any]:
    """Return the content of upper_limit_lvc-i3.json, without its provenance.

    The limit is the isotropic-equivalent energy in neutrinos [erg] of which 90 % of the sources,
    placed in direction and distance as the event's map says, would have given odds above the
    observed ones: Neyman's classical construction (Phil. Trans. A 236, 333, 1937) with the odds
    ratio as ordering, E^-2 spectrum, all model settings as in `search`. Only neutrinos of the
    source count towards 90 %, not lucky background, so that the limit is never empty and rather
    too high than too low. null with the reason when no energy is excluded.

    rows: of `inject_on_map` with the other arguments; no background class is needed, since odds of
    one map and one p_astro rank as their p-values do. live: as there.
    """
    alone = significance.get("without_bursts", significance)  # injections are of neutrinos
    params, observed = _parameters(significance, site, search), float(alone["odds_ratio"])
    kinds = [Injections(KINDS[k], of["expected"], of["odds"] > observed) for k, of in rows.items()]
    expected = np.concatenate([kind.expected for kind in kinds])
    energies = energy_grid(expected)
    curve = efficiency_curve(kinds, energies)
    limit = energy_at(kinds, curve, CONFIDENCE)
    reason = _reason(energies.size) if limit["value_erg"] is None else None
    if live == 0:
        limit, reason = dict.fromkeys(limit), NO_UPTIME
    distances = np.concatenate([of_kind["distance_mpc"] for of_kind in rows.values()])
    quantiles = np.quantile(distances, (0.05, 0.5, 0.95))
    return {
        "e_iso_erg": limit["value_erg"],
        "e_iso_low_erg": limit["low_erg"],
        "e_iso_high_erg": limit["high_erg"],
        "reason": reason,
        "confidence": CONFIDENCE,
        "odds_ratio": observed,
        "p_value": alone["p_value"],
        "p_astro": significance["p_astro"],
        "injections": {kind: int(of_kind.size) for kind, of_kind in rows.items()},
        "exceeding": {str(kind.neutrinos): float(kind.found.mean()) for kind in kinds},
        "distance_mpc": dict(zip(("p05", "median", "p95"), quantiles.tolist(), strict=True)),
        "distance": significance["distance"],
        "expected_from_1e51_erg": float(expected.mean()),
        "spectrum": "E^-2",
        "energy_range_gev": [params.epsilon_min_gev, params.epsilon_max_gev],
    }


def _parameters(
    significance: Mapping[str, Any], site: Site, search: Mapping[str, Any]
) -> SearchParameters:
    """Return the model of an event, at the background rate of the stream that gave its list."""
    used = significance["inputs"]["search_parameters"]
    params = search_parameters(search, used["population"], site.response)
    return dataclasses.replace(params, ratebgnu=used["ratebgnu"])


def _reason(energies: int) -> str:
    if energies == 0:
        return "the neutrino detector does not see any place where the source may be"
    return (
        "fewer than 90 % of sources with four neutrinos would exceed the observed odds: "
        "the event itself looks like a common source"
    )
