"""Alerts and sky maps made here, in the forms of the real ones, for the tests of intake."""

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llama.alerts.gwalert import parse_alert
from llama.alerts.intake import IntakeResult, create_event
from llama.errors import LlamaError


def outcome(function: Callable[..., Any], *args: Any) -> Any:
    """What the function returns, or the sentence of its `LlamaError`."""
    try:
        return function(*args)
    except LlamaError as error:
        return str(error)


def _card(key: str, value: Any) -> bytes:
    if isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    else:
        text = f"{value!r:>20}" if not isinstance(value, str) else f"'{value:<8}'"
    return f"{key:<8}= {text}".ljust(80).encode()


def _header(cards: dict[str, Any]) -> bytes:
    block = b"".join(_card(key, value) for key, value in cards.items()) + b"END".ljust(80)
    return block.ljust(-(-len(block) // 2880) * 2880)


def skymap_fits(seed: int = 0) -> bytes:
    """A multi-order map as BAYESTAR writes it: 48 tiles of order 1, random, with distance."""
    tiles = 48
    density = np.random.default_rng(seed).uniform(0.1, 1, tiles)
    density /= density.sum() * 4 * np.pi / tiles
    names = ("PROBDENSITY", "DISTMU", "DISTSIGMA", "DISTNORM")
    rows = np.zeros(tiles, [("UNIQ", ">i8"), *((name, ">f8") for name in names)])
    rows["UNIQ"] = np.arange(16, 16 + tiles)
    rows["PROBDENSITY"] = density
    rows["DISTMU"], rows["DISTSIGMA"], rows["DISTNORM"] = 100.0, 20.0, 1 / (100.0**2 + 20.0**2)
    primary = {"SIMPLE": True, "BITPIX": 8, "NAXIS": 0, "EXTEND": True}
    table: dict[str, Any] = {
        "XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 40, "NAXIS2": tiles,
        "PCOUNT": 0, "GCOUNT": 1, "TFIELDS": 5,
    }  # fmt: skip
    for k, (name, form, unit) in enumerate(
        [
            ("UNIQ", "K", ""),
            ("PROBDENSITY", "D", "sr-1"),
            ("DISTMU", "D", "Mpc"),
            ("DISTSIGMA", "D", "Mpc"),
            ("DISTNORM", "D", "Mpc-2"),
        ],
        1,
    ):
        table |= {f"TTYPE{k}": name, f"TFORM{k}": form, f"TUNIT{k}": unit}
    table |= {"PIXTYPE": "HEALPIX", "ORDERING": "NUNIQ", "COORDSYS": "C", "MOCORDER": 1}
    data = rows.tobytes()
    return _header(primary) + _header(table) + data.ljust(-(-len(data) // 2880) * 2880, b"\0")


def skymap_gz(seed: int = 0) -> bytes:
    return gzip.compress(skymap_fits(seed), mtime=0)


def gwalert(event: dict[str, Any] | None = None, **top: Any) -> dict[str, Any]:
    """An `igwn.gwalert` record of S240101ab; `event` and `top` replace keys."""
    return {
        "alert_type": "PRELIMINARY",
        "time_created": "2024-01-01T00:05:00Z",
        "superevent_id": "S240101ab",
        "urls": {"gracedb": "https://gracedb.ligo.org/superevents/S240101ab/view/"},
        "event": {
            "significant": True,
            "time": "2024-01-01T00:00:00.125Z",
            "far": 1e-10,
            "instruments": ["L1", "H1"],
            "group": "CBC",
            "pipeline": "gstlal",
            "search": "AllSky",
            "properties": {"HasNS": 1.0},
            "classification": {"BNS": 0.9, "NSBH": 0.02, "BBH": 0.03, "Terrestrial": 0.05},
            "skymap": base64.b64encode(skymap_fits()).decode(),
            **(event or {}),
        },
        "external_coinc": None,
        **top,
    }


def gwalert_bytes(event: dict[str, Any] | None = None, **top: Any) -> bytes:
    return json.dumps(gwalert(event, **top)).encode()


RETRACTION = json.dumps(
    {
        "alert_type": "RETRACTION",
        "time_created": "2024-01-01T02:00:00Z",
        "superevent_id": "S240101ab",
        "urls": {"gracedb": "https://gracedb.ligo.org/superevents/S240101ab/view/"},
        "event": None,
        "external_coinc": None,
    }
).encode()

_O4 = {
    "Packet_Type": "151",
    "internal": "0",
    "Pkt_Ser_Num": "2",
    "GraceID": "S240101ab",
    "AlertType": "Initial",
    "HardwareInj": "0",
    "OpenAlert": "1",
    "EventPage": "https://gracedb.ligo.org/superevents/S240101ab/view/",
    "Instruments": "H1,L1",
    "FAR": "1e-10",
    "Significant": "1",
    "Group": "CBC",
    "Pipeline": "gstlal",
    "Search": "AllSky",
}
_GROUPS = {
    "Classification": {"BNS": "0.9", "NSBH": "0.02", "BBH": "0.03", "Terrestrial": "0.05"},
    "Properties": {"HasNS": "1.0", "HasRemnant": "0.9", "HasMassGap": "0.0"},
    "GW_SKYMAP": {
        "skymap_fits": "https://gracedb.ligo.org/api/superevents/S240101ab/files/"
        "bayestar.multiorder.fits,1"
    },
}
# O2 (as for G298048): no classification, three addresses of the map, properties at the top.
O2_PARAMS = {
    **{key: value for key, value in _O4.items() if key != "Significant"},
    "GraceID": "G298048",
    "EventPage": "https://gracedb.ligo.org/events/G298048",
    "Pkt_Ser_Num": "1",
    "Retraction": "0",
    "Vetted": "1",
    "ProbHasNS": "1.0",
    "ProbHasRemnant": "",
}
O2_GROUPS = {
    "GW_SKYMAP": {
        f"skymap_fits_{kind}": f"https://gracedb.ligo.org/{kind}/events/G298048/files/b.fits.gz"
        for kind in ("shib", "x509", "basic")
    }
}


def voevent(
    params: dict[str, str | None] | None = None,
    groups: dict[str, dict[str, str]] | None = None,
    *,
    date: str = "2024-01-01T00:10:00Z",
    time: str = "2024-01-01T00:00:00.125Z",
    role: str = "observation",
    ivorn: str = "ivo://gwnet/LVC#S240101ab-2-Initial",
    prolog: str = "",
) -> bytes:
    """A VOEvent in O4's form; `params` replaces (None removes) top-level Params."""
    chosen = {**_O4, **(params or {})}
    what = "".join(
        f'<Param name="{name}" value="{value}"/>'
        for name, value in chosen.items()
        if value is not None
    )
    for kind, members in (_GROUPS if groups is None else groups).items():
        inside = "".join(f'<Param name="{name}" value="{v}"/>' for name, v in members.items())
        what += f'<Group type="{kind}" name="any">{inside}</Group>'
    where = f"<WhereWhen><X><TimeInstant><ISOTime>{time}</ISOTime></TimeInstant></X></WhereWhen>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{prolog}'
        '<voe:VOEvent xmlns:voe="http://www.ivoa.net/xml/VOEvent/v2.0" version="2.0" '
        f'role="{role}" ivorn="{ivorn}"><Who><Date>{date}</Date></Who>'
        f"<What>{what}</What>{where}</voe:VOEvent>"
    ).encode()


NEUTRINOS = b"mjd,ra,dec,sigma,energy\n60310.0,10,20,0.5,1000\n"
UPDATE = gwalert_bytes(
    {"skymap": base64.b64encode(skymap_fits(1)).decode()},
    alert_type="UPDATE",
    time_created="2024-01-01T01:00:00Z",
)


NOT_OURS = [
    b'{"$schema": "https://gcn.nasa.gov/schema/x.json", "mission": "Fermi"}',
    b'{"type": "IceCube LVK Alert Nu Track Search", "ref_ID": "S240101ab-1-Preliminary"}',
    b'{"superevent_id": "S240101ab", "p": 1}',
    b'<voe:VOEvent role="test" ivorn="ivo://nasa.gsfc.gcn/AMON#1"/>',
    b"{ cut off",
    b"<cut off",
    b"\x00\xff",
    b"[]",
    b"",
]
MALFORMED = {  # and what is said of it
    b"": "neither a VOEvent",
    gwalert_bytes()[:500]: "not valid JSON",
    b"[" * 100_000: "neither",
    b'{"a":' * 100_000: "not valid JSON",
    gwalert_bytes({"time": None}): "no event time",
    b'{"mission": "\\ud800"}': "not an LVK gravitational-wave alert (\\ud800)",
    b'{"mission": "\\u001b[2J\\u202e"}': "not an LVK gravitational-wave alert (\\x1b[2J\\u202e)",
    gwalert_bytes({"skymap": "%%%"}): "not base64",
    gwalert_bytes({"skymap": base64.b64encode(b"no FITS").decode()}): "map in the alert",
    gwalert_bytes(superevent_id="../../etc/passwd"): "not a GraceDB id",
    gwalert_bytes(superevent_id=None): "not a GraceDB id",
    gwalert_bytes(event=None) + b"x": "not valid JSON",
}


def take(run_dir: Path, content: bytes, **options: Any) -> IntakeResult:
    alert = parse_alert(content, "alert")
    suffix = "xml" if content.startswith(b"<") else "json"
    return create_event(run_dir, alert, alert_content=content, alert_suffix=suffix, **options)


def tree(directory: Path) -> dict[str, bytes]:
    """Every file with its content, the hidden ones too, but for the locks of events."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def go_to_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a new directory with files to give to `skymap_info`; return the output directory."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("LLAMA_CONFIG", raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    (work / "notice.xml").write_bytes(voevent())
    (work / "alert.json").write_bytes(gwalert_bytes())
    (work / "mock.json").write_bytes(gwalert_bytes(superevent_id="MS240101ab"))
    (work / "retraction.json").write_bytes(RETRACTION)
    (work / "map.fits.gz").write_bytes(skymap_gz())
    (work / "neutrinos.csv").write_bytes(NEUTRINOS)
    return tmp_path / "data" / "llama"


def without_log(output: Path) -> dict[str, bytes]:
    """Every file but the log of errors, with its content."""
    return {name: text for name, text in tree(output).items() if name != "logs/skymap_info.log"}
