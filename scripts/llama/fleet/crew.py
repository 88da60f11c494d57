"""The fleet's droplets: made within the budget and never twice, destroyed, counted, reaped."""

import re
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from llama.fleet.cloud import PER_CREATION, Cloud
from llama.fleet.connection import (
    BusyError,
    CloudError,
    DropletLimitError,
    PassingError,
    RefusedError,
)
from llama.fleet.money import (
    Cost,
    Ledger,
    check_account,
    check_budget,
    hours_left,
    running_cost,
    unix,
)
from llama.fleet.records import Droplet, Image, Order, Size, check_names, doubles, matching
from llama.fleet.token import find_token
from llama.settings import Settings

# A droplet ordered may come into the list late, and one that is gone may stay in it.
LIST_LAGS_S = 60.0
_LOOKS, _LOOK_EVERY_S = 3, 2.0
# An order whose answer was lost may come true so long after another one has replaced it.
LATE_S = 60.0


class Offer(NamedTuple):
    """What an order would be: its parts, its price, and how long the day's money would last."""

    image: Image
    size: Size
    region: str
    usd_per_hour: float
    hours_left: float


class Made(NamedTuple):
    """Droplets of an order: new, there before, and names that got none with the reason.

    unanswered: what was ordered may come late, or twice; see `Crew.look_again`.
    """

    new: list[Droplet]
    old: list[Droplet]
    missing: dict[str, str]
    unanswered: bool = False


class Crew:
    """All droplets with the fleet's tag, behind one ledger in `output_dir`/fleet."""

    def __init__(
        self,
        settings: Settings,
        cloud: Cloud | None = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._pause = pause
        self.directory = settings.output_dir / "fleet"
        self.limits = settings.fleet
        self.ledger = Ledger(self.directory)
        self.cloud = cloud or Cloud(find_token())

    @property
    def worker_prefix(self) -> str:
        """How the names of all workers begin, and those of no other droplet."""
        return f"{re.sub('[_.]', '-', self.limits.tag.lower())}-worker-"

    def droplets(self, patterns: Iterable[str] = ("*",)) -> list[Droplet]:
        """Return the fleet's droplets whose names match any of `patterns`, by name."""
        return matching(self.cloud.droplets(self.limits.tag), patterns)

    def cost(self) -> Cost:
        """Return the fleet's cost as the ledger tells it, without asking the cloud."""
        return running_cost(self.ledger.lives(), time.time())

    def reconcile(self) -> list[Droplet]:
        """Bring the ledger to what is there, and return that: all that have the fleet's tag."""
        droplets, now = self.droplets(), time.time()
        there = {droplet.id: droplet for droplet in droplets}
        lives = {life.id: life for life in self.ledger.lives()}
        for droplet in there.values():
            known = lives.get(droplet.id)
            if known is None or (known.end is not None and now - known.end > LIST_LAGS_S):
                self._enter(droplet, self.ledger.study_of(droplet.name))
        for life in lives.values():
            if life.end is None and life.id not in there and now - life.start > LIST_LAGS_S:
                self.ledger.record("gone", now, id=life.id, name=life.name, why="not in the cloud")
        return droplets

    def offer(self, count: int, image: str, size: str, region: str, study: str = "") -> Offer:
        """Return what `count` droplets would be and cost.

        `LlamaError` if they may not be: by the limits of the settings, or those of the account.
        """
        self.reconcile()
        ordered, found = self.cloud.size(size, region), self.cloud.image(image, region)
        if found.min_disk_gb > ordered.disk_gb:
            raise CloudError(
                f"{image} needs a disk of {found.min_disk_gb} GB, {size} has {ordered.disk_gb}; "
                "choose a larger --size"
            )
        usd_per_hour, now = count * ordered.price_hourly_usd, time.time()
        lives = self.ledger.lives()
        check_budget(self.limits, lives, now, count, usd_per_hour, study)
        if count:
            check_account(self.cloud.account(), count)
        left = hours_left(self.limits, running_cost(lives, now), usd_per_hour)
        return Offer(found, ordered, region, usd_per_hour, left)

    def create(
        self,
        names: list[str],
        offer: Offer,
        study: str = "",
        user_data: str = "",
        patience_s: float = 180.0,
        progress: Callable[[int], object] = lambda done: None,
    ) -> Made:
        """Make a droplet for each of `names` that has none, ten at a time, within the budget.

        Before an order is sent again the list is read, so that none is made twice; `patience_s`
        is for an API that is away. `LlamaError` before anything is ordered: a name that no droplet
        may have, or a limit.
        """
        check_names(names)
        with self.ledger.alone():
            old = self._oldest(self.reconcile(), names)
            wanted = [name for name in dict.fromkeys(names) if name not in old]
            if not wanted:
                return Made([], list(old.values()), {})
            price, now = offer.size.price_hourly_usd, time.time()
            usd_per_hour, lives = len(wanted) * price, self.ledger.lives()
            check_budget(self.limits, lives, now, len(wanted), usd_per_hour, study)
            self.ledger.record("ordered", now, names=wanted, study=study, price_hourly_usd=price)
            what = (offer.image.id, offer.size.slug, offer.region)
            keys, tags = self.cloud.ssh_keys(), [self.limits.tag]
            order = Order(wanted, *what, keys, tags, user_data or None)
            new: dict[str, Droplet] = {}
            deadline = time.monotonic() + patience_s
            reason, lost = self._fill(order, study, new, deadline, progress)
        missing = {name: reason for name in wanted if name not in new}
        return Made(list(new.values()), list(old.values()), missing, lost)

    def look_again(self, made: Made) -> Made:
        """Return what has become of an order a minute after an answer to it was lost."""
        if not made.unanswered:
            return made
        self._pause(LATE_S)
        with self.ledger.alone():
            new = self._without_twins({droplet.name: droplet for droplet in made.new}, made.missing)
        missing = {name: why for name, why in made.missing.items() if name not in new}
        return Made(list(new.values()), made.old, missing)

    def _without_twins(
        self, new: dict[str, Droplet], missing: Iterable[str] = ()
    ) -> dict[str, Droplet]:
        """Return `new` and what of `missing` is there; destroy what else has a name of theirs."""
        there = self.reconcile()
        kept = self._oldest(there, missing) | new
        self.destroy([d for d in there if d.name in kept and d.id != kept[d.name].id], "double")
        return kept

    def _fill(
        self,
        order: Order,
        study: str,
        new: dict[str, Droplet],
        deadline: float,
        progress: Callable[[int], object],
    ) -> tuple[str, bool]:
        """Fill an order into `new`; return why some are missing, and if an answer was lost."""
        reason, batch_size, lost = "", PER_CREATION, False
        while (left := [name for name in order.names if name not in new]) and (
            not reason or time.monotonic() < deadline
        ):
            batch = left[:batch_size]
            try:
                made = self.cloud.create(msgspec.structs.replace(order, names=batch))
                reason = "" if made else "DigitalOcean has made no droplet, and given no reason"
            except DropletLimitError as error:
                reason = str(error)
                if batch_size == 1:
                    break
                batch_size, made = 1, []  # some may fit
            except RefusedError as error:
                if not new:
                    raise
                reason = str(error)
                break
            except BusyError as error:
                reason, made = str(error), []
                wait_s = 2.0 if error.wait_s is None else max(error.wait_s, 0.1)
                time.sleep(min(wait_s, max(deadline - time.monotonic(), 0.0)))
            except PassingError as error:
                reason, lost = str(error), True
                made = self._come_late(batch)
            for droplet in made:
                new[droplet.name] = droplet
                self._enter(droplet, study)
            progress(len(made))
        if lost:
            self._without_twins(new)
        return reason, lost

    @staticmethod
    def _oldest(droplets: Iterable[Droplet], names: Iterable[str]) -> dict[str, Droplet]:
        return {d.name: d for d in sorted(droplets, reverse=True) if d.name in set(names)}

    def _come_late(self, names: list[str]) -> list[Droplet]:
        for _ in range(_LOOKS):
            time.sleep(_LOOK_EVERY_S)
            found = [d for d in self.cloud.droplets(self.limits.tag) if d.name in names]
            if found:
                break
        return found

    def destroy(
        self,
        droplets: Iterable[Droplet],
        why: str = "asked for",
        progress: Callable[[int], object] = lambda done: None,
    ) -> dict[str, str]:
        """Destroy droplets; returns the reasons, by name, of those that could not be."""
        failed = {}
        for droplet in droplets:
            try:
                self.cloud.destroy(droplet.id)
            except CloudError as error:
                failed[droplet.name] = str(error)
            else:
                if self.limits.tag in droplet.tags:
                    now = time.time()
                    self.ledger.record("gone", now, id=droplet.id, name=droplet.name, why=why)
            progress(1)
        return failed

    def _enter(self, droplet: Droplet, study: str | None) -> None:
        price = droplet.price_hourly_usd
        if price is None:
            price = self.cloud.size(droplet.size, droplet.region).price_hourly_usd
        self.ledger.record(
            "created",
            time.time(),
            id=droplet.id,
            name=droplet.name,
            size=droplet.size,
            region=droplet.region,
            price_hourly_usd=price,
            study=study or "",
            found=study is None,
            since=droplet.created,
        )


def orphans(crew: Crew) -> list[tuple[Droplet, str]]:
    """Return the fleet's droplets that nobody owns any more, each with the reason."""
    now, found = time.time(), []
    lives = {life.id: life for life in crew.ledger.lives()}
    droplets = crew.droplets()
    twice = doubles(droplets)
    for droplet in droplets:
        life = lives.get(droplet.id)
        hours = (now - unix(droplet.created)) / 3600
        if droplet in twice:
            found.append((droplet, "another droplet has the same name, it was ordered twice"))
        elif life is None and crew.ledger.study_of(droplet.name) is not None:
            found.append((droplet, "ordered from here, came after it was given up"))
        elif life is None or life.found:
            found.append((droplet, "not made from here"))
        elif life.end is not None and now - life.end > LIST_LAGS_S:
            found.append((droplet, "was destroyed, and is still there"))
        elif hours > crew.limits.max_hours:
            found.append((droplet, f"{hours:.0f} h old, fleet.max_hours is over"))
        elif droplet.status == "off" and droplet.name.startswith(crew.worker_prefix):
            found.append((droplet, "a worker that has powered itself off"))
    return found
