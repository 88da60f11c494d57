"""What the fleet costs: a ledger of every droplet, and the limits that settings put on it."""

import contextlib
import json
import math
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from llama.errors import LlamaError, system_errors
from llama.fleet.records import Account
from llama.locks import locked_file, take_lock
from llama.settings.fleet import Fleet as Limits

_DAY_S = 86400.0
_ALONE_WITHIN_S = 300.0  # an order may wait three minutes for an API that is away


class Life(NamedTuple):
    """A droplet from `start` to `end` [Unix s], None while it lives; `study` is "" for none.

    `found` says that nobody here has ordered it: it was in the cloud, with the fleet's tag.
    """

    id: int
    name: str
    price_hourly_usd: float
    study: str
    start: float
    end: float | None
    found: bool = False

    def hours_started(self, now: float, since: float = -math.inf) -> int:
        """Return how many hours began after `since`, each of which counts whole."""
        stop = now if self.end is None else self.end
        total = max(math.ceil((stop - self.start) / 3600), 1)
        before = math.floor((since - self.start) / 3600) + 1 if since >= self.start else 0
        return max(total - before, 0)


class Cost(NamedTuple):
    """Droplets alive, their price, and what was spent: in 24 hours, on each study, in all [USD]."""

    droplets: int
    usd_per_hour: float
    usd_of_day: float
    usd_of_study: dict[str, float]
    usd: float


class Entry(msgspec.Struct):
    """A line of the ledger; event: `ordered`, `created` or `gone`."""

    time: str
    event: str
    id: int = 0
    name: str = ""
    names: tuple[str, ...] = ()
    study: str = ""
    price_hourly_usd: float = 0.0
    since: str = ""
    found: bool = False


class OverBudgetError(LlamaError):
    """A limit of the settings would be exceeded."""


class Ledger:
    """Creations and destructions of one fleet, one JSON object per line, only ever appended to."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "ledger.jsonl"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other process check the budget and order droplets within the block.

        `LlamaError` when another one is at it for more than `_ALONE_WITHIN_S`.
        """
        with locked_file(
            self.path.with_suffix(".lock"),
            _ALONE_WITHIN_S,
            lambda: (
                f"another command has been making droplets for {_ALONE_WITHIN_S:.0f} s; "
                "try again when it has ended (llama com do -D tells what is there)"
            ),
        ):
            yield

    def record(self, event: str, time: float, **content: object) -> None:
        """Append one line, on disk when this returns."""
        stamp = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": stamp, "event": event, **content}, allow_nan=False) + "\n"
        remedy = "no droplet is made without it; free some space or correct the permissions"
        with system_errors(f"cannot write the ledger {self.path}", remedy):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as stream:
                # a line of another writer would look torn
                take_lock(
                    stream,
                    _ALONE_WITHIN_S,
                    lambda: f"another process keeps {self.path} locked; find it with fuser, end it",
                )
                # what a full disk or a crash has left of the last line stays a line of its own
                if stream.tell():
                    stream.seek(-1, os.SEEK_END)
                    line = line if stream.read(1) == b"\n" else f"\n{line}"
                stream.write(line.encode())
                stream.flush()
                os.fsync(stream.fileno())

    def entries(self) -> list[Entry]:
        """Return all lines; a broken one is left out, its droplet is found again in the cloud."""
        found = list[Entry]()
        try:
            for line in self.path.read_text("utf-8", "replace").splitlines():
                with contextlib.suppress(msgspec.DecodeError):
                    found.append(msgspec.json.decode(line, type=Entry))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LlamaError(f"cannot read the ledger {self.path} ({error.strerror})") from error
        return found

    def lives(self) -> list[Life]:
        """Return every droplet there was, in the order of their first entries."""
        lives: dict[int, Life] = {}
        for one in self.entries():
            if one.event == "created":
                begin, price = unix(one.since), one.price_hourly_usd
                lives[one.id] = Life(one.id, one.name, price, one.study, begin, None, one.found)
            elif one.event == "gone" and one.id in lives:
                lives[one.id] = lives[one.id]._replace(end=unix(one.time))
        return list(lives.values())

    def study_of(self, name: str) -> str | None:
        """Return for which study a droplet called `name` was last ordered, None if it never was."""
        for one in reversed(self.entries()):
            if one.event == "ordered" and name in one.names:
                return one.study
        return None


def unix(stamp: str) -> float:
    """Return Unix seconds of an ISO 8601 time with its zone."""
    return datetime.fromisoformat(stamp).timestamp()


def running_cost(lives: list[Life], now: float) -> Cost:
    """Return what the droplets of `lives` cost at `now` [Unix s]; started hours count whole."""
    alive = [life for life in lives if life.end is None]
    of_study: dict[str, float] = {}
    for life in lives:
        usd = life.hours_started(now) * life.price_hourly_usd
        of_study[life.study] = of_study.get(life.study, 0.0) + usd
    return Cost(
        len(alive),
        math.fsum(life.price_hourly_usd for life in alive),
        math.fsum(life.hours_started(now, now - _DAY_S) * life.price_hourly_usd for life in lives),
        of_study,
        math.fsum(of_study.values()),
    )


def over_budget(
    limits: Limits, lives: list[Life], now: float, count: int, usd_per_hour: float, study: str
) -> str:
    """Return which limit `count` more droplets, `usd_per_hour` in all, break, "" if none.

    With `count` 0 this tells whether the fleet may go on as it is.
    """
    cost = running_cost(lives, now)
    if cost.droplets + count > limits.max_droplets:
        return (
            f"{cost.droplets} droplets and {count} more are above fleet.max_droplets = "
            f"{limits.max_droplets}; destroy some or raise it"
        )
    for life in lives:
        if life.end is None and now - life.start > limits.max_hours * 3600:
            return (
                f"{life.name} has lived for {(now - life.start) / 3600:.0f} h, above "
                f"fleet.max_hours = {limits.max_hours:g}; destroy it (llama com do --reap) "
                "or raise it"
            )
    day = cost.usd_of_day + usd_per_hour
    if day > limits.max_usd_per_day:
        return (
            f"the last 24 hours and one hour of these droplets cost ${day:,.2f}, above "
            f"fleet.max_usd_per_day = {limits.max_usd_per_day:g}; wait, order fewer, or raise it"
        )
    spent = cost.usd_of_study.get(study, 0.0) + usd_per_hour
    if study and spent > limits.max_usd_per_study:
        return (
            f"{study} would have cost ${spent:,.2f}, above fleet.max_usd_per_study = "
            f"{limits.max_usd_per_study:g}; order fewer or raise it"
        )
    return ""


def check_budget(
    limits: Limits, lives: list[Life], now: float, count: int, usd_per_hour: float, study: str
) -> None:
    """Raise `OverBudgetError` when `over_budget` names a limit."""
    if reason := over_budget(limits, lives, now, count, usd_per_hour, study):
        raise OverBudgetError(reason)


def check_account(account: Account, count: int) -> None:
    """Raise `OverBudgetError` when the account, whoever else uses it, may not have `count` more."""
    if account.status == "locked":
        raise OverBudgetError(
            f"DigitalOcean has locked this account ({account.message or 'no reason given'}); "
            "settle that on its web page"
        )
    if account.droplets + count > account.droplet_limit:
        raise OverBudgetError(
            f"the account may have only {max(account.droplet_limit - account.droplets, 0)} more "
            "droplets; order fewer, destroy some, or ask DigitalOcean for a higher limit"
        )


def hours_left(limits: Limits, cost: Cost, usd_per_hour: float) -> float:
    """Return for how long the day's money lasts at `usd_per_hour` more [h]; inf if for a day."""
    rate = cost.usd_per_hour + usd_per_hour
    left = (limits.max_usd_per_day - cost.usd_of_day) / rate if rate else math.inf
    return left if left < 24 else math.inf
