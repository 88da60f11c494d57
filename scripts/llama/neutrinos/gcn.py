"""IceCube's gold and bronze track alerts in our own archive of notices, `gcn/YEAR-MONTH/DAY/`."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

from llama.files import dump_json, sha256_bytes
from llama.neutrinos.gcn_notice import MAX_BYTES, Key, Notice, may_be_notice, read_notice, unusable
from llama.neutrinos.sources import Found, SourceOptions, check_options
from llama.times import gps_to_iso, now_gps
from llama.topics import REPLAY, TRACKS, may_bring, topic_of_file

_LARGE, _END = 200_000, 4096  # bytes
LATE_DAYS = 7  # how long after an event its revision or retraction is looked for


class GcnSource:
    """Gold and bronze track alerts that `llama listen gcn` has heard; the newest notice counts."""

    time_scale = "UTC"
    sigma = "90 % radius / 2.145966, circularised"
    completeness = "a later alert of IceCube has been heard, and all can be read"
    credentials = "none of its own; the listener's"
    network = False

    class _Options(SourceOptions):
        cascades: bool = False

    def __init__(self, name: str, options: Mapping[str, object], output_dir: Path) -> None:
        self._cascades = check_options(self._Options, name, options).cascades
        self.name = name
        self._directory = output_dir / "gcn"

    def state(self, start_gps: float, stop_gps: float) -> list[object]:
        """Return a digest of what there is: Snakemake prints it, also of a blinded event."""
        found = self.fetch(start_gps, stop_gps)
        digest = sha256_bytes(dump_json([found.rows, found.unusable]).encode())[:12]
        return [found.covers, found.complete, digest]

    def fetch(self, start_gps: float, stop_gps: float) -> Found:
        """Return the alerts of the window as they stand now, and the notices that are of no use."""
        days = [day for day in self._days(start_gps, stop_gps) if day.is_dir()]
        heard = _named(
            [
                notice
                for day in days
                for notice in _notices(str(day), day.stat().st_mtime_ns, self._cascades)
            ]
        )
        newest: dict[Key | None, Notice] = {}
        for notice in sorted(heard, key=lambda notice: notice.order):
            if notice.row is not None or notice.problem is None:
                newest[notice.key] = notice
        times = [(n, n.gps) for n in newest.values() if n.gps is not None]
        problems = [
            notice.problem
            for notice in heard
            if notice.problem is not None
            # one without a time may be of any window
            and (notice.gps is None or start_gps <= notice.gps <= stop_gps)
            and newest.get(notice.key, notice).order <= notice.order
        ]
        return Found(
            rows=[dict(n.row) for n, gps in times if n.row and start_gps <= gps <= stop_gps],
            covers=bool(days),
            complete=any(gps > stop_gps for _, gps in times) and not problems,
            about={"kind": "gcn", "name": "IceCube gold and bronze track alerts"},
            unusable=problems,
        )

    def _days(self, start_gps: float, stop_gps: float) -> Iterator[Path]:
        last = min(stop_gps + LATE_DAYS * 86400, max(now_gps(), stop_gps))
        day, end = (date.fromisoformat(gps_to_iso(gps)[:10]) for gps in (start_gps, last))
        while day <= end:
            yield self._directory / f"{day:%Y-%m}" / f"{day:%d}"
            day += timedelta(days=1)


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
    if not may_bring(topic_of_file(path.name) or REPLAY, TRACKS):
        return None  # whoever wrote it there, it was not IceCube
    try:
        with path.open("rb") as file:
            if path.stat().st_size > _LARGE:  # most are alerts of LVK, whose maps need no reading
                ends = file.read(_END)
                file.seek(-_END, os.SEEK_END)
                if not may_be_notice(ends + file.read()):
                    return None
                file.seek(0)
            return read_notice(file.read(MAX_BYTES + 1), path.name, cascades)
    except OSError as error:
        return unusable(path.name, f"cannot be read ({error.strerror})")
