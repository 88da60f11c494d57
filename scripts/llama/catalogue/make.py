"""A catalogue: the events of a run as one search, catalogue.json and catalogue.ecsv."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llama.catalogue.events import Entry, input_names, read_entry
from llama.catalogue.limits import stacked_limits
from llama.catalogue.sums import sum_test
from llama.catalogue.trials import best_event, binomial_scan, counts_below, uniform_band
from llama.event.find import run_named
from llama.event.provenance import provenance
from llama.event.skymap_info import read_info
from llama.files import atomic_path, write_json
from llama.study.efficiency import CONFIDENCE

# Units of the table's columns, and what they are.
COLUMNS = {
    "event": (None, "id"),
    "marks": (None, "what event and neutrinos are, such as REAL or SCRAMBLED NEUTRINOS"),
    "time_utc": (None, "time of the event (UTC)"),
    "gps_s": ("s", "the same, GPS"),
    "class": (None, "most probable class of source"),
    "detectors": (None, "gravitational-wave detectors that took part"),
    "area_90_deg2": ("deg2", "area of the sky map's 90 % region"),
    "distance_mpc": ("Mpc", "mean luminosity distance of the sky map"),
    "distance_std_mpc": ("Mpc", "its standard deviation"),
    "neutrinos": (None, "neutrinos in the window of the search"),
    "best_neutrino": (None, "id of the neutrino with the smallest p-value"),
    "best_neutrino_dt_s": ("s", "its time after the event"),
    "best_neutrino_p_value": (None, "its p-value"),
    "odds_ratio": (None, "odds of a common source"),
    "p_value": (None, "how often chance has such odds with this sky map"),
    "p_value_error": (None, "standard error of the p-value"),
    "p_value_reason": (None, "why there is no p-value"),
    "p_astro": (None, "probability that the event is astrophysical"),
    "p_astro_joint": (None, "the same with the neutrinos"),
    "e_iso_limit_erg": ("erg", "90 % upper limit on the isotropic-equivalent energy in neutrinos"),
    "e_iso_limit_reason": (None, "why there is no limit"),
}
_TEXTS = {"event", "marks", "time_utc", "class", "detectors", "best_neutrino"}
_TEXTS |= {"p_value_reason", "e_iso_limit_reason"}


def make_catalogue(
    event_dirs: Sequence[Path],
    left_out: Mapping[str, str],
    run: str,
    seed: int,
    window_s: float,
    outputs: Mapping[str, str],
) -> None:
    """Write the catalogue of some events, `json` and `ecsv` of `outputs`.

    left_out: other events of the run with the reason; window_s: length of the search's window.
    `LlamaError` names a file that is broken.
    """
    entries = [read_entry(path) for path in event_dirs]
    content = catalogue_content(entries, seed)
    content |= {"run": run_named(run), "left_out": dict(left_out)}
    content["share_neutrinos"] = _neighbors(entries, window_s)
    made_from = {
        f"{event.name}/{name}": event / name
        for event in event_dirs
        for name in input_names(read_info(event))
    }
    content["provenance"] = provenance(made_from, seed=seed)
    _write_table([entry.row for entry in entries], content, outputs["ecsv"])
    write_json(outputs["json"], content)


def catalogue_content(entries: Sequence[Entry], seed: int) -> dict[str, Any]:
    """Return what a catalogue says of its events together. Source: docs/method.md (30-33)."""
    tested = [entry for entry in entries if entry.p is not None]
    content: dict[str, Any] = {
        "events": [entry.row for entry in entries],
        "n_events": len(entries),
        "n_tested": len(tested),
        "p_value_method": "map",
        "best_event": None,
        "counts": [],
        "binomial_scan": None,
        "p_value_band": None,
        "summed_odds": None,
        "stacked_limit": None,
    }
    if not tested:
        return content
    p = np.array([entry.p for entry in tested])
    total = float(sum(entry.value for entry in tested))
    best, scan = tested[int(np.argmin(p))], binomial_scan(p)
    members = [tested[i].row["event"] for i in np.argsort(p, kind="stable")[: scan.k]]
    summed = sum_test([entry.background for entry in tested if entry.background], total, seed)
    limited = [(entry.emitter, entry.value) for entry in tested if entry.emitter]
    limits = stacked_limits([emitter for emitter, _ in limited], sum(v for _, v in limited))
    low, high = uniform_band(p.size)[1]
    return content | {
        "best_event": {
            "event": best.row["event"],
            "p_value": best.p,
            "p_value_after_trials": best_event(p),
        },
        "counts": [below._asdict() for below in counts_below(p)],
        "binomial_scan": {**scan._asdict(), "events": members},
        "p_value_band": {"sigmas": 2, "low": low.tolist(), "high": high.tolist()},
        "summed_odds": {"sum": total, "p_value": summed.p, "p_value_error": summed.error},
        "stacked_limit": {**limits._asdict(), "confidence": CONFIDENCE},
    }


def _neighbors(entries: Sequence[Entry], window_s: float) -> list[list[str]]:
    """Return pairs of events so close in time that they look at the same neutrinos."""
    along = sorted(
        (float(entry.row["gps_s"]), str(entry.row["event"]))
        for entry in entries
        if entry.row["gps_s"] is not None
    )
    return [
        [one, other]
        for i, (gps, one) in enumerate(along)
        for after, other in along[i + 1 :]
        if after - gps < window_s
    ]


def _write_table(rows: Sequence[Mapping[str, Any]], content: Mapping[str, Any], path: str) -> None:
    """Write the rows as ECSV; what is null in JSON is masked."""
    from astropy.table import MaskedColumn, Table

    table = Table(meta={"run": content["run"], "software": content["provenance"]["software"]})
    for name, (unit, words) in COLUMNS.items():
        values = [row[name] for row in rows]
        empty = "" if name in _TEXTS else 0
        table[name] = MaskedColumn(
            [empty if value is None else value for value in values],
            mask=[value is None for value in values],
            unit=unit,
            description=words,
            dtype=str if name in _TEXTS else int if name == "neutrinos" else float,
        )
    with atomic_path(path) as temporary:
        table.write(temporary, format="ascii.ecsv", overwrite=True)
