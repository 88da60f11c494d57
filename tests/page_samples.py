"""Event directories as their pages find them, without a workflow."""

import base64
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from llama.event.names import COINCIDENCE, COMBINED
from llama.files import write_json
from llama.sky.mock import mock_skymap

GPS = 1368450000.0
HOSTILE = (
    '</script><script>document.title="taken"</script>',
    '"><img src=x onerror=document.title="taken">',
    "' onmouseover='document.title=1' x='",
    "<!--<script>",
    "\u202eelddim eht ni \u2066right to left\u2069 שלום",
    "{{7*7}} {% raw %} ${7*7} &lt;b&gt; \\u003c",
    "javascript:document.title='taken'",
    "]]></svg><style>*{display:none}</style>",
)
# 1 x 1 pixel
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
FLAGS = {
    "VETOED": False, "ROLE": "test", "UPLOAD": False, "BLINDED_NEUTRINOS": False,
    "MANUAL": False, "ONLINE": True, "ICECUBE_UPLOAD": False, "P_VALUE": "auto",
}  # fmt: skip


def info(graceid: str = "S230518h", **changes: Any) -> dict[str, Any]:
    return {
        "alert_type": "igwn-alert", "graceid": graceid, "event_time": "2023-05-18T12:59:42.000000Z",
        "gps_time": GPS, "far": 3.2e-10, "pipeline": "GSTLAL", "group": "CBC", "search": "AllSky",
        "instruments": ["H1", "L1"], "significant": True, "role": "observation",
        "retracted": False, "internal": False, "revision": 2,
        "gracedb_service_url": "https://gracedb.ligo.org/api/",
        "alert_file": "alerts/2-Initial.json", "event_alert_file": "alerts/2-Initial.json",
        "neutrino_file": None,
        "notice_time": "2023-05-18T13:30:00.000000Z", "notice": f"{graceid}-2-Initial",
        "skymap_filename": "bayestar.multiorder.fits", "skymap_sha256": "0" * 64,
        "skymap_file": "alerts/2-Initial.fits", "skymap_alert_file": None,
    } | changes  # fmt: skip


def neutrino(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"138000_{number}", "mjd": 60082.54 + number / 1000, "gps": GPS + 10.0 * number,
        "ra": 101.0 + number, "dec": -24.0, "sigma": 0.8, "energy": 3000.0 * number,
        "type": "observation", "run": 138000, "event": number, "subevent": None,
        "dt": 10.0 * number, "in_window": True,
    } | changes  # fmt: skip


def significance(event: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any]:
    factors = {
        "p_astro": 0.9, "distance": 0.002, "background_rate": 0.15625, "time": 1.96,
        "position": 45.0, "energy": 0.8, "other_sets": 1.25,
    }  # fmt: skip
    odds = 1.0
    for factor in factors.values():
        odds *= factor
    why = {
        "members": [events[0]["id"]] if events else [], "factors": factors,
        "probability_of_count": 0.02, "expected_background": 6.4, "fb": 10.0,
    }  # fmt: skip
    return {
        "odds_ratio": odds if events else 0.0,
        "explanation": why if events else None,
        "p_astro": 0.9, "p_value": 0.0123, "p_value_population": "nsbh-o4-H1L1",
        "n_background": 20000, "p_astro_joint": 0.91,
        "posterior": {"coincidence": 0.03, "gw_only": 0.87, "neutrino_only": 1e-9, "noise": 0.1},
        "most_probable_direction": {"ra": 102.0, "dec": -24.1},
        "single_neutrino": [
            {key: e[key] for key in ("id", "dt", "ra", "dec", "sigma")}
            | {"i3event": e["event"], "odds_ratio": 0.01, "p_value": 0.2}
            for e in events
        ],
        "inputs": {"gw_skymap_info": event, "neutrino_info": events},
        "provenance": {"software": "llama 0.1.0", "inputs": {"lvc_skymap.hdf5": "ab" * 32}},
    }  # fmt: skip


def latency() -> dict[str, Any]:
    def entry(number: int, kind: str, start_s: float) -> dict[str, Any]:
        names = ("sent", "heard", "taken_over", "map", "neutrinos", "significance")
        steps: dict[str, Any] = {
            name: {"after_event_s": start_s + k, "after_notice_s": float(k)}
            for k, name in enumerate(names)
        }
        notice = "2023-05-18T13:05:00Z"
        return {"revision": number, "kind": kind, "notice_time": notice, "steps": steps}

    return {"revisions": [entry(1, "Preliminary", 300.0), entry(2, "Initial", 1800.0)]}


def alert(kind: str, minute: int = 5, far: float = 3.2e-10, pipeline: str = "gstlal") -> bytes:
    event = {
        "significant": True, "time": "2023-05-18T12:59:42.000Z", "far": far,
        "instruments": ["H1", "L1"], "group": "CBC", "pipeline": pipeline, "search": "AllSky",
        "properties": {}, "skymap": None,
        "classification": {"BNS": 0.0, "NSBH": 0.87, "BBH": 0.03, "Terrestrial": 0.1},
    }  # fmt: skip
    record = {
        "alert_type": kind.upper(), "time_created": f"2023-05-18T13:{minute:02d}:00Z",
        "superevent_id": "S230518h", "external_coinc": None,
        "urls": {"gracedb": "https://gracedb.ligo.org/superevents/S230518h/view/"},
        "event": None if kind == "Retraction" else event,
    }  # fmt: skip
    return json.dumps(record).encode()


def write_event(
    output_dir: Path,
    graceid: str = "S230518h",
    events: list[dict[str, Any]] | None = None,
    flags: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """Write every product that a page reads; return the directory."""
    event_dir = output_dir / "current_run" / graceid
    (event_dir / "alerts").mkdir(parents=True)
    events = [neutrino(1), neutrino(2, ra=300.0, dec=50.0)] if events is None else events
    event = info(graceid, **changes)
    window = {"start": "2023-05-18T12:51:22Z", "stop": "2023-05-18T13:08:02Z"}
    tiles = mock_skymap(102.0, -24.0, (9.0, 3.0), (270.0, 60.0))
    tiles.save(event_dir / "lvc_skymap.hdf5")
    products = {
        "skymap_info": event,
        "flags": FLAGS | (flags or {}),
        "p_astro": {"p_astro": 0.9, "population": "nsbh", "source": "alert", "NSBH": 0.87},
        "lvc_skymap_distances": tiles.summary(),
        "lvc_gracedb_event_data": {},
        "icecube_neutrino_list": {"events": events, "complete": True, "window": window},
        "significance_lvc-i3": significance(event, events),
        "combined_skymap": {"gw": {}, "combined": {}, "coincidence": None},
        "gcn_notice": {},
        "latency": latency(),
        "manifest": {"products": {}, "settings_sha256": "0" * 64, "versions": {"numpy": "2"}},
    }  # fmt: skip
    for name, content in products.items():
        write_json(event_dir / f"{name}.json", content)
    for name in ("skymap", "scatter"):
        (event_dir / f"coinc_{name}_lvc-i3.png").write_bytes(PNG)
    for name in (COMBINED, COINCIDENCE):
        (event_dir / name).write_bytes(b"")
    (event_dir / "alerts" / "1-Preliminary.json").write_bytes(alert("Preliminary", far=5e-9))
    (event_dir / "alerts" / "2-Initial.json").write_bytes(alert("Initial", 30))
    return event_dir


class Page(HTMLParser):
    """Tags with attributes, text outside of scripts and styles, and the scripts."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self._inside: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.words.append(data)
        elif self._inside[-1] == "script":
            self.scripts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())
