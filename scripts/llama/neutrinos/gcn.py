"""IceCube's gold and bronze track alerts in our own archive of notices, `gcn/YEAR-MONTH/DAY/`."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.files import dump_json, sha256_bytes
from llama.neutrinos.given import check_rows
from llama.neutrinos.sources import Found, SourceOptions, check_options
from llama.times import gps_to_iso, gps_to_mjd, iso_to_gps, now_gps
from llama.topics import REPLAY, TRACKS, may_bring, topic_of_file
from llama.voxml import params_of, parse, text

LATE_DAYS = 7  # how long after an event its revision or retraction is looked for
R90_PER_SIGMA = math.sqrt(2 * math.log(10))  # 2.145966, of a 2D Gaussian
_MAX_BYTES = 200_000  # a notice has some 5 kB; an alert of LVK with its map 1 MB
# what reading a notice that is not as it should be may end in
BROKEN = (
    LlamaError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
)
_YEAR_S = 365.25 * 86400
_TRACKS = {"173": "gold", "174": "bronze"}  # Packet_Type of classic notices
_PIPELINES = {"Gold Track Alert": "gold", "Bronze Track Alert": "bronze"}


@dataclass(frozen=True)
class Notice:
    """One notice of one IceCube alert; `row` is None for a retraction."""

    key: tuple[int, int]  # run, event
    order: tuple[float, int, str]  # time of the notice (GPS), revision, file
    gps: float
    row: dict[str, Any] | None


class GcnSource:
    """Gold and bronze track alerts that `llama listen gcn` has heard; the newest notice counts."""

    time_scale = "UTC"
    sigma = "90 % radius / 2.145966, circularised"
    completeness = "a later alert of IceCube has been heard"
    credentials = "none of its own; the listener's"
    network = False

    def __init__(self, name: str, options: Mapping[str, Any], output_dir: Path) -> None:
        check_options(SourceOptions, name, options)
        self.name = name
        self._directory = output_dir / "gcn"

    def state(self, start_gps: float, stop_gps: float) -> list[Any]:
        """Return a digest of what there is: Snakemake prints it, also of a blinded event."""
        found = self.fetch(start_gps, stop_gps)
        digest = sha256_bytes(dump_json(found.rows).encode())[:12]
        return [found.covers, found.complete, digest]

    def fetch(self, start_gps: float, stop_gps: float) -> Found:
        """Return the alerts of the window as they stand now."""
        days = [day for day in self._days(start_gps, stop_gps) if day.is_dir()]
        notices = [n for day in days for n in _notices(str(day), day.stat().st_mtime_ns)]
        newest: dict[tuple[int, int], Notice] = {}
        for notice in sorted(notices, key=lambda notice: notice.order):
            newest[notice.key] = notice
        inside = [n for n in newest.values() if start_gps <= n.gps <= stop_gps]
        return Found(
            rows=[dict(notice.row) for notice in inside if notice.row is not None],
            covers=bool(days),
            complete=any(notice.gps > stop_gps for notice in newest.values()),
            about={"kind": "gcn", "name": "IceCube gold and bronze track alerts"},
        )

    def _days(self, start_gps: float, stop_gps: float) -> Iterator[Path]:
        last = min(stop_gps + LATE_DAYS * 86400, max(now_gps(), stop_gps))
        day, end = (date.fromisoformat(gps_to_iso(gps)[:10]) for gps in (start_gps, last))
        while day <= end:
            yield self._directory / f"{day:%Y-%m}" / f"{day:%d}"
            day += timedelta(days=1)


@lru_cache(maxsize=1000)
def _notices(day: str, mtime_ns: int) -> tuple[Notice, ...]:
    """Return the notices in a day's directory, which is read again when files have come."""
    with os.scandir(day) as entries:
        small = [e for e in entries if e.is_file() and e.stat().st_size <= _MAX_BYTES]
    found = (_notice(entry.path) for entry in sorted(small, key=lambda entry: entry.name))
    return tuple(notice for notice in found if notice is not None)


def _notice(path: str) -> Notice | None:
    """Return the notice in a file, None if it holds anything else."""
    content, name = Path(path).read_bytes(), Path(path).name
    if not may_bring(topic_of_file(name) or REPLAY, TRACKS):
        return None  # whoever wrote it there, it was not IceCube
    start = content[:200].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    try:
        if start == b"{" and b"Track Alert" in content:
            return _of_json(json.loads(content), name)
        if start == b"<" and b"AMON" in content:
            return _of_voevent(content, name)
    except BROKEN:
        return None  # whatever may have been sent; the archive keeps it
    return None


def _of_json(notice: dict[str, Any], name: str) -> Notice | None:
    stream = _PIPELINES.get(notice["pipeline"])
    if stream is None or notice.get("alert_tense") != "current":
        return None
    ids = notice["id"] if isinstance(notice["id"], list) else [notice["id"]]
    run, event = ids[0].split("_")[:2]
    key = (int(run), int(event))
    gps = iso_to_gps(notice["trigger_time"])
    order = (iso_to_gps(notice["alert_datetime"]), int(notice.get("record_number", 0)), name)
    if notice["alert_type"] == "retraction":
        return Notice(key, order, gps, None)
    error = notice["ra_dec_error"]
    if isinstance(error, list):  # axes of an ellipse, and its position angle
        error = math.sqrt(error[0] * error[1])
    contained = float(notice.get("containment_probability", 0.9))
    row = {
        "ra": notice["ra"],
        "dec": notice["dec"],
        "sigma": error / math.sqrt(-2 * math.log(1 - contained)),
        "energy": notice["nu_energy"] * 1e3,
        "p_astro": notice.get("p_astro"),
        "far_hz": notice.get("far"),
    }
    return Notice(key, order, gps, _row(row, key, gps, stream, name))


def _of_voevent(content: bytes, name: str) -> Notice | None:
    root = parse(content)
    params = params_of(root)
    top = {param: value for (group, param), value in params.items() if not group}
    flags = {param: value for (group, param), value in params.items() if group == "Trigger_ID"}
    stream = _TRACKS.get(top.get("Packet_Type", ""))
    test = "true" in (flags.get("Test"), flags.get("InternalTest"))
    if stream is None or root.get("role") != "observation" or test:
        return None
    key = (int(top["run_id"]), int(top["event_id"]))
    gps = iso_to_gps(str(text(root, "{*}WhereWhen//{*}ISOTime")))
    sent = iso_to_gps(str(text(root, "{*}Who/{*}Date")))
    order = (sent, int(top.get("Rev", 0)), name)
    if flags.get("Retraction") == "true":
        return Notice(key, order, gps, None)
    row = {
        "ra": text(root, "{*}WhereWhen//{*}Position2D/{*}Value2/{*}C1"),
        "dec": text(root, "{*}WhereWhen//{*}Position2D/{*}Value2/{*}C2"),
        "sigma": float(top["src_error_90"]) / R90_PER_SIGMA,
        "energy": float(top["energy"]) * 1e3,  # TeV, whatever old descriptions say
        "p_astro": float(top["signalness"]) if "signalness" in top else None,
        "far_hz": float(top["FAR"]) / _YEAR_S if "FAR" in top else None,
    }
    return Notice(key, order, gps, _row(row, key, gps, stream, name))


def _row(
    row: dict[str, Any], key: tuple[int, int], gps: float, stream: str, name: str
) -> dict[str, Any]:
    whole = row | {
        "gps": gps,
        "mjd": float(gps_to_mjd(gps)),
        "run": key[0],
        "event": key[1],
        "type": "alert",
        "stream": stream,
        "notice": name,
    }
    return check_rows([whole], name)[0]
