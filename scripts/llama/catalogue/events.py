"""What a catalogue takes from the files of each of its events."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct

from llama.catalogue.limits import Emitter, sources_of
from llama.catalogue.sums import chance
from llama.errors import LlamaError
from llama.event.names import MAP_BACKGROUND, significance_name
from llama.event.page_files import EventFiles, read_event
from llama.event.populations import read_map_background
from llama.event.ranks import without_energy
from llama.event.results import REMEDY, Single
from llama.event.skymap_info import EventInfo
from llama.figures.text import marks
from llama.files import read_json, reading_hdf5
from llama.stats.arrays import Floats
from llama.typed import typed

_REMAKE = "; delete it and run snakemake again"
LIMIT, LIMIT_INJECTIONS = "upper_limit_lvc-i3.json", "upper_limit_lvc-i3.hdf5"


class _Ranked(Struct, frozen=True):
    """What the files of a significance say of the odds and p-value of neutrinos alone."""

    odds_ratio: float
    p_h_s2: float
    p_astro_joint: float
    p_value_map: float | None = None
    p_value_map_error: float | None = None
    p_value_map_reason: str | None = None
    p_value_reason: str | None = None
    p_value_odds: float | None = None
    p_value_p_astro: float | None = None
    p_value_without_energy: bool = False


class _Result(_Ranked, frozen=True, kw_only=True):
    p_astro: float
    without_bursts: _Ranked | None = None


class _Limit(Struct, frozen=True):
    e_iso_erg: float | None
    reason: str | None


class Entry(NamedTuple):
    """An event of a catalogue.

    row: what its table says; p: of its own map, None with the reason in the row; value:
    log(1 + odds) as compared; background: such values of injections with its map, and their
    weights; emitter: what it gives by chance and from a source, None where energies are hidden.
    """

    row: dict[str, Any]
    p: float | None
    value: float = 0.0
    background: tuple[Floats, Floats] | None = None
    emitter: Emitter | None = None


def input_names(info: EventInfo) -> list[str]:
    """Return the names of the files of an event that a catalogue is made from."""
    return [
        *(significance_name(info), "icecube_neutrino_list.json", "p_astro.json"),
        *("lvc_skymap_distances.json", MAP_BACKGROUND, LIMIT, LIMIT_INJECTIONS),
    ]


def read_entry(event_dir: Path) -> Entry:
    """Return an event of a catalogue; `LlamaError` names a file that is broken.

    p-values and odds are those of neutrinos alone, without gamma-ray bursts, and of the event's own
    map, a kind that every event has.
    """
    event = read_event(event_dir)
    path = event_dir / significance_name(event.info)
    result = typed(read_json(path), _Result, str(path), REMEDY)
    ranked = result.without_bursts or result
    limit = typed(read_json(event_dir / LIMIT), _Limit, str(event_dir / LIMIT), REMEDY)
    row = _row(event, result, ranked, limit)
    if ranked.p_value_map is None:
        return Entry(row, None)
    if ranked.p_value_odds is None or not ranked.p_value_p_astro:
        raise LlamaError(f"{path} lacks p_value_odds or p_value_p_astro; {REMEDY}")
    p = min(max(ranked.p_value_map, np.nextafter(0, 1)), 1.0)
    background = read_map_background(event_dir / MAP_BACKGROUND)
    if ranked.p_value_without_energy:
        background = without_energy(background)
    if "weights" not in background.get("weights", {}):
        raise LlamaError(f"{event_dir / MAP_BACKGROUND} has no odds{_REMAKE}")
    among, weights = background["odds"], background["weights"]["weights"]
    if not 0 < among.size == weights.size or not (
        np.isfinite(among).all() and np.isfinite(weights).all()
    ):
        raise LlamaError(f"{event_dir / MAP_BACKGROUND} is broken{_REMAKE}")
    # every background has one p_astro, a catalogue has that of each event
    at = _scale(result.p_astro, ranked.p_h_s2, background["p_astro"])
    observed = ranked.p_value_odds * _scale(result.p_astro, ranked.p_h_s2, ranked.p_value_p_astro)
    # the observed list is one of the injections, as in the p-value; at 1, which is where that is
    # cut off or the odds are 0, the p-value does not tell its weight: the mean of all
    own = max(p * (1 + among.size) - weights[among * at >= observed].sum(), 0.0) if p < 1 else 1.0
    values = np.log1p(np.append(among * at, observed))
    weighted = values, np.append(weights, own)
    emitter = None
    if not ranked.p_value_without_energy:
        # the neutrinos of sources have energies
        kinds = _injections(event_dir / LIMIT_INJECTIONS)
        emitter = Emitter(min(result.p_astro, 1.0), chance(*weighted), sources_of(kinds))
        if (best := _best(event)) is not None and best.odds_ratio is not None:
            above = weights[among * at >= best.odds_ratio].sum()
            alone = min((own + above) / (1 + among.size), 1.0) if best.odds_ratio > 0 else 1.0
            row["best_neutrino_p_value"] = float(alone)
    return Entry(row, p, float(np.log1p(observed)), weighted, emitter)


def _best(event: EventFiles) -> Single | None:
    """Return the neutrino that has the highest odds alone; None without a p-value."""
    singles = event.significance.of_neutrinos.single_neutrino
    return max(singles, key=lambda one: one.odds_ratio or 0.0, default=None)


def _scale(p_astro: float, lambda_cgw: float, of: float) -> float:
    """Return the odds at p_astro over those at another: Lambda_s and Lambda_cgw are as p / (1 - p).

    Lambda_cnu, 1e-4 at most, is left out on both sides. Source: docs/method.md (1, 9, 10).
    """
    q, before = p_astro / (1 - p_astro), of / (1 - of)
    return q / (1 + lambda_cgw) * (1 + lambda_cgw * before / q) / before


def _injections(path: Path) -> dict[int, tuple[Floats, Floats]]:
    from llama.background.draws import KINDS, SOURCES

    with reading_hdf5(path, f"{path} is broken{_REMAKE}") as file:
        return {
            KINDS[kind]: (file[f"{kind}/expected"][()], file[f"{kind}/odds"][()])
            for kind in SOURCES
        }


def _row(event: EventFiles, result: _Result, ranked: _Ranked, limit: _Limit) -> dict[str, Any]:
    info, best = event.info, _best(event) if ranked.p_value_map is not None else None
    inside = [n for n in event.neutrinos.events if n.in_window is not False]
    # how probable noise is, p_astro says
    classes = {k: p for k, p in event.p_astro.classes.items() if k != "Terrestrial" and p > 0}
    reason = ranked.p_value_map_reason or ranked.p_value_reason
    return {
        "event": info.graceid,
        "marks": ", ".join(
            marks(info, event.neutrinos.events, event.flags, event.neutrinos.source)
        ),
        "time_utc": info.event_time,
        "gps_s": info.gps_time,
        "class": max(classes, key=lambda name: classes[name]) if classes else None,
        "detectors": "".join(info.instruments),
        "area_90_deg2": event.distances.area_90_deg2,
        "distance_mpc": event.distances.distmean_mpc,
        "distance_std_mpc": event.distances.diststd_mpc,
        "neutrinos": len(inside),
        "best_neutrino": None if best is None else best.key,
        "best_neutrino_dt_s": None if best is None else best.dt,
        "best_neutrino_p_value": None if best is None else best.p_value,
        "odds_ratio": ranked.odds_ratio,
        "p_value": ranked.p_value_map,
        "p_value_error": ranked.p_value_map_error,
        "p_value_reason": None if ranked.p_value_map is not None else reason,
        "p_astro": result.p_astro,
        "p_astro_joint": ranked.p_astro_joint,
        "e_iso_limit_erg": limit.e_iso_erg,
        "e_iso_limit_reason": limit.reason,
    }
