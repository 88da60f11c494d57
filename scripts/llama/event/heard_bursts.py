"""Bursts of an event as instruments' notices tell them: heard_grbs.json, from our archive `gcn/`.

Of each trigger the newest notice with a position counts, of Fermi GBM's rather one from the ground
than from the flight, and rather a final one; a retraction ends it, whenever it came. A burst that
several instruments saw counts once, with the best position.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypedDict

from llama.event.burst_notice import read_burst
from llama.event.burst_trigger import BurstNotice
from llama.neutrinos.gcn import day_of, heard_days
from llama.neutrinos.gcn_notice import MAX_BYTES
from llama.topics import INSTRUMENTS, REPLAY, brought_by, topic_of_file

# what is known of an instrument's errors is from this long before the event
_BEFORE_S = 7 * 86400.0
_COMES_S = 3600.0  # notices of a burst come within the hour, perhaps after midnight
# two triggers of one burst: instruments begin at different parts of it
_SAME_S, _SAME_SIGMA, _SAME_DEG = 60.0, 3.0, 0.2


class HeardRow(TypedDict):
    """A burst: as in a list by hand, with who saw it and which notice says so."""

    graceid: str
    gps_time: float
    ra: float
    dec: float
    sigma: float
    instrument: str
    notice: str
    also: list[str]


class HeardBursts(TypedDict):
    """The content of heard_grbs.json: whose bursts count, these, and what cannot be used."""

    instruments: list[str]
    events: list[HeardRow]
    unusable: list[str]


def heard_bursts(
    output_dir: Path, gps: float, grb: Mapping[str, Any], topics: Sequence[str]
) -> HeardBursts | None:
    """Return the bursts around a GW at `gps` seconds, None if no listener was running.

    grb: settings block; topics: that are heard, which bring bursts of instruments that count. The
    list has those of the week before, too: they tell the errors that chance bursts have.
    """
    brought = {kind for topic in topics for kind in brought_by(topic)}
    counting = sorted(name for name in grb["instruments"] if name in brought)
    start, stop = gps + grb["delay_min_s"], gps + grb["delay_max_s"]
    archive = output_dir / "gcn"
    if not counting or not _listened(archive, start, stop):
        return None
    days = heard_days(archive, gps - _BEFORE_S, stop)
    heard = [n for day in days for n in _notices(str(day), day.stat().st_mtime_ns)]
    rows: list[HeardRow] = []
    unusable: list[str] = []
    for notices in _triggers(n for n in heard if n.instrument in counting):
        row, problems = _newest(notices)
        if row and gps - _BEFORE_S <= row["gps_time"] <= stop:
            rows.append(row)
        times = [notice.gps for notice in notices if notice.gps is not None]
        # one without a time may be of any event
        if not times or any(start <= time <= stop for time in times):
            unusable += problems
    return HeardBursts(instruments=counting, events=_once(rows), unusable=sorted(unusable))


def _listened(archive: Path, start: float, stop: float) -> bool:
    """Return whether a record came on a day of the delays, or within the hour after them."""
    return any(day_of(archive, gps).is_dir() for gps in (start, stop, stop + _COMES_S))


@lru_cache(maxsize=1000)
def _notices(day: str, mtime_ns: int) -> tuple[BurstNotice, ...]:
    """Return the notices in a day's directory, which is read again when files have come."""
    found = []
    for path in sorted(Path(day).iterdir()):
        topic = topic_of_file(path.name) or REPLAY
        if not any(kind in INSTRUMENTS for kind in brought_by(topic)) or not path.is_file():
            continue
        try:
            with path.open("rb") as file:
                found.append(read_burst(file.read(MAX_BYTES + 1), path.name, topic))
        except OSError:  # moved away just now
            continue
    return tuple(notice for notice in found if notice is not None)


def _triggers(notices: Iterable[BurstNotice]) -> list[list[BurstNotice]]:
    """Return the notices of each trigger: those that share an id, perhaps by way of a third."""
    groups: list[list[BurstNotice]] = []
    names: list[set[tuple[str, str]]] = []
    for notice in notices:
        mine = {(notice.instrument, each) for each in notice.ids}
        shared = [k for k, known in enumerate(names) if known & mine]
        together = [notice]
        for k in reversed(shared):
            together = groups.pop(k) + together
            mine |= names.pop(k)
        groups.append(together)
        names.append(mine)
    return groups


def _newest(notices: list[BurstNotice]) -> tuple[HeardRow | None, list[str]]:
    """Return the burst of a trigger, None if it is none, and what cannot be used of it."""
    if any(notice.retracted for notice in notices):
        return None, []
    notices = sorted(notices, key=lambda notice: notice.order)
    good = [n for n in notices if n.place or n.other]
    # of what flight software says, only the last counts
    last_of_flight = [n for n in good if n.stage == 0][-1:]
    newest = max((*last_of_flight, *(n for n in good if n.stage)), key=_rank, default=None)
    later = [n for n in notices if not newest or _rank(n) > _rank(newest)]
    problems = [n.problem for n in later if n.problem]
    if newest is None and not problems:
        last = notices[-1]
        said = f"trigger {last.ids[0] if last.ids else last.order[2]}"
        problems = [f"{said} of {INSTRUMENTS[last.instrument]} has no position yet"]
    if newest is None or newest.place is None or newest.gps is None:
        return None, problems
    ra, dec, sigma = newest.place
    name = newest.ids[0] if newest.ids else f"{newest.gps:.2f}"
    row = HeardRow(
        graceid=re.sub(r"[^A-Za-z0-9_.:+-]", "_", f"{newest.instrument}:{name}")[:64],
        gps_time=newest.gps,
        ra=ra,
        dec=dec,
        sigma=sigma,
        instrument=newest.instrument,
        notice=newest.order[2],
        also=[],
    )
    return row, problems


def _rank(notice: BurstNotice) -> tuple[int, tuple[float, float, str]]:
    """Return what orders notices: a position from the ground is better than one from the flight.

    A final one is better still, but flight software that sees no burst is believed until then.
    """
    return max(notice.stage, int(notice.other)), notice.order


def _once(rows: list[HeardRow]) -> list[HeardRow]:
    """Return each burst once, in the order of time: where it is known best, and who else saw it."""
    kept: list[HeardRow] = []
    for row in sorted(rows, key=lambda row: (row["sigma"], row["gps_time"], row["graceid"])):
        same = next((other for other in kept if _are_same(row, other)), None)
        if same is None:
            kept.append(row)
        else:
            same["also"].append(row["graceid"])
    return sorted(kept, key=lambda row: (row["gps_time"], row["graceid"]))


def _are_same(one: HeardRow, other: HeardRow) -> bool:
    if one["graceid"] == other["graceid"]:
        return True
    if abs(one["gps_time"] - other["gps_time"]) > _SAME_S:
        return False
    return _apart_deg(one, other) <= _SAME_DEG + _SAME_SIGMA * math.hypot(
        one["sigma"], other["sigma"]
    )


def _apart_deg(one: HeardRow, other: HeardRow) -> float:
    d1, d2 = math.radians(one["dec"]), math.radians(other["dec"])
    ra = math.radians(one["ra"] - other["ra"])
    half = math.sin((d1 - d2) / 2) ** 2 + math.cos(d1) * math.cos(d2) * math.sin(ra / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(half))))
