"""IceCube's alerts and published files beside gravitational-wave events: docs/validation.md.

Plain arithmetic on the public tables, with astropy's time scales instead of LLAMA's.
"""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from astropy.time import Time

from llama.event.parameters import published_parameters
from llama.settings.search import Search

LAGS = (("0-500 s", 0, 500), ("500 s-1 h", 500, 3600), ("1 h-1 d", 3600, 86400),
        ("1-7 d", 86400, 7 * 86400))  # fmt: skip
RUNS = (("O1", 1126051217, 1137254417), ("O2", 1164556817, 1187733618),
        ("O3a", 1238166018, 1253977218))  # fmt: skip
# what the published search stored and LLAMA has no use for (docs/method.md)
NOT_USED = {"Egwmin", "Egwmax", "k0", "rhomin", "ratebggw", "ΔE", "δω"}
NAMES = {"εmin": "epsilon_min_gev", "εmax": "epsilon_max_gev"}


def alerts(data: Path) -> dict[str, Any]:
    """Return pairs of the events of O1 to O3a and IceCat-1's alerts by lag, and the nearest one."""
    events = _rows(data / "catalogues/3ogc_57_events.csv")
    found = _rows(data / "catalogues/IceCube_Gold_Bronze_Tracks.csv")
    gps = np.array([float(row["gps"]) for row in events])
    times = Time([float(row["EVENTMJD"]) for row in found], format="mjd", scale="utc").gps
    lag = times[None, :] - gps[:, None]
    event, alert = np.unravel_index(np.argmin(np.abs(lag)), lag.shape)
    whole = times.max() - times.min()
    rate = times.size / whole
    # alerts were revised in 2019: each run has a rate of its own
    inside = [np.sum((times >= low) & (times < high)) / (high - low) for _, low, high in RUNS]
    of_run = [int(np.sum((gps >= low) & (gps < high))) for _, low, high in RUNS]
    return {
        "events": len(events), "alerts": len(found), "rate_per_year": rate * 365.25 * 86400,
        "nearest": {"event": events[event]["name"], "alert": found[alert]["NAME"],
                    "lag_s": float(lag[event, alert])},
        "lags": [
            {"lag": name, "pairs": int(np.sum((np.abs(lag) >= low) & (np.abs(lag) < high))),
             "expected": float(sum(n * r for n, r in zip(of_run, inside, strict=True))
                               * 2 * (high - low))}
            for name, low, high in LAGS
        ],
        "published": json.loads(
            (data / "catalogues/icecat1_x_gwtc_pair_counts.json").read_text())["cells"],
        "proxies": _proxies(data),
    }  # fmt: skip


def _proxies(data: Path) -> dict[str, float]:
    """Return northern events a day with proxies above 10 TeV of IC40 (benchmarks.json)."""
    release = data / "icecube/icecube_10year_ps"
    events = np.loadtxt(release / "events/IC40_exp.csv")
    uptime = np.loadtxt(release / "uptime/IC40_exp.csv")
    days = float((uptime[:, 1] - uptime[:, 0]).sum())
    north = (events[:, 4] > 0) & (events[:, 1] >= 4)
    return {"per_day": float(north.sum() / days), "days": days}


def published_file(data: Path) -> dict[str, Any]:
    """Return what holds within the published result file, and what of it LLAMA has as default."""
    path = data / "llama/significance_subthreshold_lvc-i3.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    neutrinos = found["inputs"]["neutrino_info"]
    stored = found["inputs"]["search_parameters"]
    ours = published_parameters("cbc").as_dict()
    same = {
        name: float(ours[NAMES.get(name, name)]) / value - 1
        for name, value in stored.items()
        if isinstance(value, float) and name not in NOT_USED
    }
    far, q = found["inputs"]["gw_skymap_info"]["far"], found["p_h_s2"] / found["p_h_0"]
    default = Search().far_signal_rate_hz
    gps = Time([n["mjd"] for n in neutrinos], format="mjd", scale="utc").gps
    trigger = Time(found["inputs"]["gw_skymap_info"]["event_time"], scale="utc").gps
    return {
        "odds_ratio": found["odds_ratio"],
        "identity": found["p_h_s1"] / (found["p_h_0"] + found["p_h_c"]) / found["odds_ratio"] - 1,
        "cgw_in_c": found["p_h_s2"] / found["p_h_c"],
        "q": q, "q_llama": default / far,
        "same": same, "largest": max(map(abs, same.values())), "not_used": sorted(NOT_USED),
        "zenith_deg": max(abs(n["zenith"] - 90 - n["dec"]) for n in neutrinos),
        "dt_s": [float(t - trigger) for t in gps],
        "floor_deg": min(n["sigma"] for n in neutrinos),
        "expected": stored["ratebgnu"] * 1000, "neutrinos": len(neutrinos),
        "chance": float(_poisson_tail(len(neutrinos), stored["ratebgnu"] * 1000)),
        "p_value": found["p_value"],
    }  # fmt: skip


def _poisson_tail(n: int, mean: float) -> float:
    return 1 - sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(n))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
