"""Alerts of IceCube (gold and bronze tracks) and KM3NeT in our archive, `gcn/YEAR-MONTH/DAY/`."""

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

from pydantic import Field

from llama.files import dump_json, sha256_bytes
from llama.neutrinos.gcn_notice import MAX_BYTES, Key, Notice, may_be_notice, read_notice, unusable
from llama.neutrinos.km3net_notice import may_be_km3net, read_km3net
from llama.neutrinos.sources import Found, SourceOptions, check_options
from llama.times import gps_to_iso, now_gps
from llama.topics import ICECUBE, KM3NET, REPLAY, may_bring, topic_of_file

_LARGE, _END = 200_000, 4096  # bytes
_NAMES = {
    "icecube": "IceCube gold and bronze track alerts",
    "arca": "KM3NeT ARCA alerts",
    "orca": "KM3NeT ORCA alerts",
}
LATE_DAYS = 7  # how long after an event its revision or retraction is looked for


class GcnSource:
    """Alerts that `llama listen gcn` has heard, of these detectors; the newest notice counts."""

    class _Options(SourceOptions):
        # each detector has a background of its own: others only if they are asked for
        alerts: tuple[Literal["icecube", "arca", "orca"], ...] = Field(
            default=("icecube",), min_length=1
        )
        cascades: bool = False

    time_scale = "UTC"
    sigma = "90 % radius / 2.145966, circularised"
    completeness = "a later alert of that sender has been heard, and all can be read"
    credentials = "none of its own; the listener's"
    network = False

    def __init__(self, name: str, options: Mapping[str, object], output_dir: Path) -> None:
        self.name = name
        chosen = check_options(self._Options, name, options)
        self._alerts, self._cascades = chosen.alerts, chosen.cascades
        self._directory = output_dir / "gcn"

    def state(self, start_gps: float, stop_gps: float) -> list[object]:
        """Return a digest of what there is: Snakemake prints it, also of a blinded event."""
        found = self.fetch(start_gps, stop_gps)
        digest = sha256_bytes(dump_json([found.rows, found.unusable]).encode())[:12]
        return [found.covers, found.complete, digest]

    def fetch(self, start_gps: float, stop_gps: float) -> Found:
        """Return the alerts of the window as they stand now, and the notices that are of no use."""
        days = heard_days(self._directory, start_gps, stop_gps)
        found = (
            n for day in days for n in _notices(str(day), day.stat().st_mtime_ns, self._cascades)
        )
        senders = [name if name == "icecube" else "km3net" for name in self._alerts]
        heard = _named([n for n in found if n.sender in senders])
        newest: dict[Key | None, Notice] = {}
        for notice in sorted(heard, key=lambda notice: notice.order):
            if notice.row is not None or notice.problem is None:
                newest[notice.key] = notice
        rows = [row for n in newest.values() for row in (n.row, *n.others) if row]
        rows = [row for row in rows if row.get("instrument", "icecube") in self._alerts]
        # beside IceCube's, KM3NeT's are too rare to wait for
        waited = [n.gps for n in newest.values() if n.gps and n.sender == min(senders)]
        problems = [
            notice.problem
            for notice in heard
            if notice.problem is not None
            # one without a time may be of any window
            and (notice.gps is None or start_gps <= notice.gps <= stop_gps)
            and newest.get(notice.key, notice).order <= notice.order
        ]
        return Found(
            rows=[dict(row) for row in rows if start_gps <= cast(float, row["gps"]) <= stop_gps],
            covers=bool(days),
            complete=any(gps > stop_gps for gps in waited) and not problems,
            about={"kind": "gcn", "name": " and ".join(map(_NAMES.__getitem__, self._alerts))},
            unusable=problems,
        )


def heard_days(directory: Path, start_gps: float, stop_gps: float) -> list[Path]:
    """Return the directories of the archive that may have notices of a time, late ones, too."""
    last = min(stop_gps + LATE_DAYS * 86400, max(now_gps(), stop_gps))
    first, end = (date.fromisoformat(gps_to_iso(gps)[:10]) for gps in (start_gps, last))
    days = (first + timedelta(days=k) for k in range((end - first).days + 1))
    return [place for day in days if (place := _of_day(directory, day)).is_dir()]


def day_of(directory: Path, gps: float) -> Path:
    """Return the directory of the archive for what is heard at a time."""
    return _of_day(directory, date.fromisoformat(gps_to_iso(gps)[:10]))


def _of_day(directory: Path, day: date) -> Path:
    return directory / f"{day:%Y-%m}" / f"{day:%d}"


def _named(heard: list[Notice]) -> list[Notice]:
    """Return the notices, those that do not name their alert with the one of the same time."""
    times = [(notice.gps, notice.key) for notice in heard if notice.gps and notice.key]
    return [
        notice
        if notice.key is not None or notice.gps is None
        else replace(
            notice,
            key=next((key for gps, key in times if abs(gps - notice.gps) < 1.0), str(notice.gps)),
        )
        for notice in heard
    ]


@lru_cache(maxsize=1000)
def _notices(day: str, mtime_ns: int, cascades: bool) -> tuple[Notice, ...]:
    """Return the notices in a day's directory, which is read again when files have come."""
    with os.scandir(day) as entries:
        files = sorted((e for e in entries if e.is_file()), key=lambda entry: entry.name)
    found = (_notice(Path(entry.path), cascades) for entry in files)
    return tuple(notice for notice in found if notice is not None)


def _notice(path: Path, cascades: bool) -> Notice | None:
    topic = topic_of_file(path.name) or REPLAY
    if not (may_bring(topic, ICECUBE) or may_bring(topic, KM3NET)):
        return None  # whoever wrote it there, it was neither of them
    try:
        with path.open("rb") as file:
            if path.stat().st_size > _LARGE:  # most are alerts of LVK, whose maps need no reading
                ends = file.read(_END)
                file.seek(-_END, os.SEEK_END)
                ends += file.read()
                if not (may_be_notice(ends) or may_be_km3net(ends)):
                    return None
                file.seek(0)
            content = file.read(MAX_BYTES + 1)
            if may_bring(topic, KM3NET) and (topic != REPLAY or may_be_km3net(content)):
                return read_km3net(content, path.name)
            return read_notice(content, path.name, cascades)
    except OSError as error:
        return unusable(path.name, f"cannot be read ({error.strerror})")
