"""What the API tells of droplets, images and sizes; names of droplets, and what they may be."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from llama.errors import LlamaError

_API_NAMES = {
    "created": "created_at",
    "memory_mb": "memory",
    "disk_gb": "disk",
    "size_gb": "size_gigabytes",
    "min_disk_gb": "min_disk_size",
    "price_hourly_usd": "price_hourly",
    "message": "status_message",
    "month_usd": "month_to_date_usage",
    "due_usd": "month_to_date_balance",
    "size": "size_slug",
    "image_part": "image",
    "region_part": "region",
    "size_part": "size",
}


class _Form(msgspec.Struct, frozen=True, rename=_API_NAMES):
    """A JSON object of the API."""


class _Address(_Form, frozen=True, order=True):
    type: str
    ip_address: str


class _Networks(_Form, frozen=True, order=True):
    v4: tuple[_Address, ...] | None = None


class _Part(_Form, frozen=True, order=True):
    slug: str | None = None
    name: str | None = None
    price_hourly_usd: float | None = None


class Droplet(_Form, frozen=True, order=True):
    """One droplet; `created` is ISO 8601 UTC, addresses are "" until it has any."""

    id: int
    name: str
    status: str
    created: str
    networks: _Networks | None = None
    size: str = ""
    region_part: _Part | None = None
    image_part: _Part | None = None
    size_part: _Part | None = None
    tags: tuple[str, ...] = ()
    memory_mb: int = 0
    vcpus: int = 0
    disk_gb: int = 0

    def _address(self, kind: str) -> str:
        found = (self.networks and self.networks.v4) or ()
        return next((one.ip_address for one in found if one.type == kind), "")

    @property
    def ip(self) -> str:
        """Its public address."""
        return self._address("public")

    @property
    def private_ip(self) -> str:
        """Its address among the droplets of the account."""
        return self._address("private")

    @property
    def region(self) -> str:
        """Its data centre."""
        return (self.region_part and self.region_part.slug) or ""

    @property
    def image(self) -> str:
        """The snapshot or public image that it was made from, "" if that is gone."""
        return (self.image_part and (self.image_part.slug or self.image_part.name)) or ""

    @property
    def price_hourly_usd(self) -> float | None:
        """Its price, None if the API does not tell it."""
        return self.size_part.price_hourly_usd if self.size_part else None


class Image(_Form, frozen=True):
    """A snapshot or public image; `public` is what everybody has, without LLAMA."""

    id: int
    name: str
    created: str
    regions: tuple[str, ...]
    size_gb: float | None = None
    min_disk_gb: int = 0
    public: bool = False


class Size(_Form, frozen=True):
    """What can be ordered, and its price."""

    slug: str
    price_hourly_usd: float
    memory_mb: int
    vcpus: int
    disk_gb: int
    regions: tuple[str, ...]


class Order(msgspec.Struct, frozen=True):
    """An order for droplets that are all alike but for their names, as the API has it."""

    names: list[str]
    image: int
    size: str
    region: str
    ssh_keys: list[int]
    tags: list[str]
    user_data: str | None = None


class Account(_Form, frozen=True):
    """Droplets it may have and has, status (`active`, `warning`, `locked`) and what that means."""

    droplet_limit: int
    status: str = "active"
    message: str | None = None
    droplets: int = 0


class Balance(_Form, frozen=True):
    """Usage of this month, and what is due with it [USD]; what is negative is credit."""

    month_usd: float
    due_usd: float


class Action(_Form, frozen=True):
    """Something ordered; status: `in-progress`, `completed` or `errored`."""

    id: int
    status: str


class Key(_Form, frozen=True):
    """An ssh key of the account."""

    id: int


_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,253}[a-zA-Z0-9])?")
_RANGE = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")
_MOST = 10_000  # as fleet.max_droplets


def expand(name: str) -> list[str]:
    """Return `llama-00`, `llama-01` for `llama-{00..01}`, which fish passes on as it was typed."""
    found = _RANGE.search(name)
    if not found:
        return [name]
    first, last = (int(number) for number in found.groups())
    if abs(last - first) >= _MOST:
        raise _too_many(name)
    width = max(map(len, found.groups())) if "0" in (found[1][0], found[2][0]) else 0
    numbers = range(first, last + 1) if first <= last else range(first, last - 1, -1)
    names = list[str]()
    for number in numbers:
        names += expand(f"{name[: found.start()]}{number:0{width}}{name[found.end() :]}")
        if len(names) > _MOST:
            raise _too_many(name)
    return names


def _too_many(name: str) -> LlamaError:
    return LlamaError(f"{name} is more than {_MOST:,} names; order fewer droplets")


def check_names(names: Iterable[str]) -> None:
    """Raise `LlamaError` when a droplet cannot have one of `names`."""
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong:
        shown = ", ".join(name[:100] for name in wrong[:5]) + ", ..." * (len(wrong) > 5)
        raise LlamaError(
            f"no droplet can be called {shown}; use letters, digits, dashes and dots, with a "
            "letter or digit first and last"
        )


def doubles(droplets: Iterable[Droplet]) -> list[Droplet]:
    """Return all but the oldest droplet of each name."""
    ordered = sorted(droplets)
    oldest = {droplet.name: droplet.id for droplet in reversed(ordered)}
    return [droplet for droplet in ordered if droplet.id != oldest[droplet.name]]


def matching(droplets: Iterable[Droplet], patterns: Iterable[str]) -> list[Droplet]:
    """Return the droplets whose names match any of `patterns` (the shell's wildcards), by name."""
    patterns = [one for pattern in patterns for one in expand(pattern)]
    chosen = [d for d in droplets if any(fnmatchcase(d.name, pattern) for pattern in patterns)]
    return sorted(chosen, key=lambda droplet: (droplet.name, droplet.id))
