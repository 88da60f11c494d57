"""What the API tells of droplets, images and sizes, and Spaces of objects."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

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
    """Image, region or size of a droplet."""

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


class Stored(NamedTuple):
    """An object: key, size [bytes], date [Unix s], ETag, sha256 or "", and notes put with it."""

    key: str
    size: int
    modified: float
    etag: str
    sha256: str = ""
    notes: Mapping[str, str] = MappingProxyType({})
