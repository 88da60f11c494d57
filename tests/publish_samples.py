"""An event with a result to publish, and what can happen while it is published."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from llama.event.flags import write_flags
from llama.event.names import COINCIDENCE, COMBINED, COMBINED_SUMMARY, significance_name
from llama.event.skymap_info import unchecked_info
from llama.files import sha256_file, write_json
from llama.publish import outbox

GRACEID = "S240101ab"
GPS = 1388102418.125
INFO: dict[str, Any] = {
    "alert_type": "igwn-alert", "graceid": GRACEID, "gps_time": GPS,
    "event_time": "2024-01-01T00:00:00.125000Z", "far": 1e-9, "pipeline": "GSTLAL",
    "group": "CBC", "search": "AllSky", "instruments": ["H1", "L1"], "significant": True,
    "role": "observation", "retracted": False, "internal": False,
    "skymap_filename": "bayestar.multiorder.fits,1", "skymap_sha256": "ab" * 32,
    "skymap_file": None, "skymap_alert_file": "alerts/1-Initial.json",
    "alert_file": "alerts/1-Initial.json",
    "event_alert_file": "alerts/1-Initial.json", "neutrino_file": None,
    "gracedb_service_url": "https://gracedb.ligo.org/api/", "revision": 1,
    "notice_time": "2024-01-01T00:05:00Z", "notice": f"{GRACEID}-1-Initial",
}  # fmt: skip
PUBLIC = {"ROLE": "observation", "UPLOAD": True, "ICECUBE_UPLOAD": True}
INPUTS = (
    *("lvc_skymap.hdf5", "lvc_skymap_distances.json", "p_astro.json"),
    *("icecube_neutrino_list.json", "skymap_info.json"),
)
FIGURE = "coinc_skymap_lvc-i3.png"


def neutrino(k: int, dt: float, p_value: float, kind: str = "observation") -> dict[str, Any]:
    place = {"ra": 40.0 + k, "dec": 20.0, "sigma": 0.5}
    identity = {"id": f"13900{k}_77", "run": 139000 + k, "event": 77, "subevent": None}
    return place | identity | {
        "mjd": 60310.0 + dt / 86400, "gps": GPS + dt, "dt": dt, "energy": 2000.0, "type": kind,
        "in_window": True, "zenith": 110.0, "azimuth": 10.0, "p_value": p_value,
    }  # fmt: skip


def make_event(run_dir: Path, flags: dict[str, Any] = PUBLIC, **info: Any) -> Path:
    """Write an event with two neutrinos, its significance and a figure."""
    made = {**INFO, **info}
    made["notice"] = info.get("notice", f"{made['graceid']}-1-Initial")
    event_dir = run_dir / made["graceid"]
    event_dir.mkdir(parents=True)
    write_flags(event_dir, flags)
    (event_dir / FIGURE).write_bytes(b"\x89PNG not really")
    write_result(event_dir, made)
    return event_dir


def write_result(
    event_dir: Path, info: dict[str, Any], kind: str = "observation", p_value: float = 0.0056
) -> None:
    """Write info, map, neutrinos and the significance made from them."""
    write_json(event_dir / "skymap_info.json", info)
    alert = event_dir / info["event_alert_file"]
    alert.parent.mkdir(exist_ok=True)
    alert.touch()
    with h5py.File(event_dir / "lvc_skymap.hdf5", "w") as tiles:
        tiles.attrs["input_sha256"] = info["skymap_sha256"]
    for name, made_from in {
        "lvc_skymap_distances.json": ["lvc_skymap.hdf5"],
        "p_astro.json": ["skymap_info.json", info["event_alert_file"]],
    }.items():
        inputs = {Path(path).name: sha256_file(event_dir / path) for path in made_from}
        write_json(event_dir / name, {"provenance": {"inputs": inputs}})
    singles = [neutrino(1, 35.0, 5.05e-5, kind), neutrino(2, -170.0, 0.3, kind)]
    window: dict[str, Any] = {"centre_gps": info["gps_time"]}
    window |= {"start": "2023-12-31T23:51:40Z", "stop": "2024-01-01T00:08:20Z"}
    neutrinos = {"events": singles, "complete": True, "window": window}
    neutrinos |= {"retrieved_at": "2024-01-01T00:09:00Z"}
    write_json(event_dir / "icecube_neutrino_list.json", neutrinos)
    inputs = {name: sha256_file(event_dir / name) for name in INPUTS}
    significance = {
        "odds_ratio": 0.0321, "p_value": p_value, "p_value_population": "bns-o4-H1L1",
        "p_h_0": 1.0, "p_h_c": 0.1, "p_h_s1": 0.2, "p_h_s2": 0.3, "dump": {},
        "single_neutrino": [s | {"i3event": s["event"]} for s in singles],
        "most_probable_direction": {"ra": 41.0, "dec": 20.1},
        "neutrino_flux_sensitivity_range": {
            "flux_sensitivity": [0.0277, 0.647], "sensitive_energy_range": [542.0, 2.3e7],
        },
        "inputs": {"gw_skymap_info": info, "neutrino_info": singles, "search_parameters": {}},
        "provenance": {"inputs": inputs, "software": "llama 0.1.0"},
    }  # fmt: skip
    write_json(event_dir / significance_name(unchecked_info(info)), significance)


def combined() -> dict[str, dict[str, float]]:
    """Return what `combined_skymap.json` says of a map that neutrinos change."""
    names = "area_50_deg2", "area_90_deg2", "distmode_mpc"
    return {
        "gw": dict(zip(names, (1200.0, 7461.0, 155.2), strict=True)),
        "combined": dict(zip(names, (3.21, 400.0, 150.4), strict=True)),
        "coincidence": dict(zip(names, (1.5, 6.25, 149.6), strict=True)),
    }


def write_skymaps(event_dir: Path, change: bool = True) -> None:
    """Write the maps that point at the source, as if they were some."""
    for name in (COMBINED, COINCIDENCE):
        (event_dir / name).write_bytes(f"{name} of {event_dir.name}".encode())
    name = significance_name(unchecked_info(json.loads((event_dir / INPUTS[-1]).read_text())))
    inputs = {name: sha256_file(event_dir / name)}
    told: dict[str, Any] = {**combined(), "provenance": {"inputs": inputs}}
    write_json(event_dir / COMBINED_SUMMARY, told if change else told | {"coincidence": None})


def revise(event_dir: Path, **changes: Any) -> None:
    """Bring the next notice of the event."""
    info = json.loads((event_dir / "skymap_info.json").read_text())
    revision = info["revision"] + 1
    word = "Retraction" if changes.get("retracted") else "Update"
    info |= {"revision": revision, "notice": f"{info['graceid']}-{revision}-{word}", **changes}
    write_result(event_dir, info, p_value=0.0056 + revision * 1e-4)


class Killed(BaseException):
    """The process is gone: nothing may catch it."""


class Crash:
    """Stands for kill -9 before the n-th step of sending; a step is a write or a request."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.steps = at, 0

    def step(self) -> None:
        self.steps += 1
        if self.at is not None and self.steps > self.at:
            raise Killed

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.step()
            result = function(*arguments, **options)
            self.step()
            return result

        return call

    def install(self, monkeypatch: Any, *channels: type) -> None:
        """Count the steps of the outbox and of channels, until the patch is undone."""
        places = [(outbox.Outbox, "_write")]
        places += [(channel, name) for channel in channels for name in ("find", "send")]
        for owner, name in places:
            monkeypatch.setattr(owner, name, self.around(getattr(owner, name)))
