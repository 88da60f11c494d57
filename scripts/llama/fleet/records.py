"""What the API tells of droplets, images and sizes, and Spaces of objects."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Droplet(NamedTuple):
    """One droplet; `created` is ISO 8601 UTC, addresses are "" until it has any."""

    id: int
    name: str
    status: str
    ip: str
    private_ip: str
    size: str
    region: str
    image: str
    created: str
    tags: tuple[str, ...]
    memory_mb: int
    vcpus: int
    disk_gb: int
    price_hourly_usd: float | None


class Image(NamedTuple):
    """A snapshot or public image; `public` is what everybody has, without LLAMA."""

    id: int
    name: str
    created: str
    regions: tuple[str, ...]
    size_gb: float
    min_disk_gb: int
    public: bool


class Size(NamedTuple):
    """What can be ordered, and its price."""

    slug: str
    price_hourly_usd: float
    memory_mb: int
    vcpus: int
    disk_gb: int
    regions: tuple[str, ...]


class Account(NamedTuple):
    """Droplets it may have and has, status (`active`, `warning`, `locked`) and what that means."""

    droplet_limit: int
    droplets: int
    status: str
    message: str


class Balance(NamedTuple):
    """Usage of this month, and what is due with it [USD]; what is negative is credit."""

    month_usd: float
    due_usd: float


def read_account(data: dict[str, Any], droplets: int) -> Account:
    """Return the account of the API's JSON, which has `droplets` now."""
    message = " ".join(str(data.get("status_message") or "").split())[:200]
    status = str(data.get("status") or "active")
    return Account(int(data["droplet_limit"]), droplets, status, message)


def read_balance(data: dict[str, Any]) -> Balance:
    """Return the balance of the API's JSON, whose amounts are texts."""
    return Balance(float(data["month_to_date_usage"]), float(data["month_to_date_balance"]))


def read_droplet(data: dict[str, Any]) -> Droplet:
    """Return the droplet of the API's JSON."""
    networks = (data.get("networks") or {}).get("v4") or []
    ips = {network["type"]: network["ip_address"] for network in networks}
    image, size = data.get("image") or {}, data.get("size") or {}
    price = size.get("price_hourly")
    return Droplet(
        int(data["id"]),
        data["name"],
        data["status"],
        ips.get("public", ""),
        ips.get("private", ""),
        data.get("size_slug") or "",
        (data.get("region") or {}).get("slug") or "",
        image.get("slug") or image.get("name") or "",
        data["created_at"],
        tuple(data.get("tags") or ()),
        int(data.get("memory") or 0),
        int(data.get("vcpus") or 0),
        int(data.get("disk") or 0),
        None if price is None else float(price),
    )


def read_image(data: dict[str, Any]) -> Image:
    """Return the image or snapshot of the API's JSON."""
    return Image(
        int(data["id"]),
        data["name"],
        data["created_at"],
        tuple(data["regions"]),
        float(data.get("size_gigabytes") or 0),
        int(data.get("min_disk_size") or 0),
        bool(data.get("public")),
    )


def read_size(data: dict[str, Any]) -> Size:
    """Return the size of the API's JSON."""
    return Size(
        data["slug"],
        float(data["price_hourly"]),
        data["memory"],
        data["vcpus"],
        data["disk"],
        tuple(data["regions"]),
    )


class Stored(NamedTuple):
    """An object: key, size [bytes], date [Unix s], ETag, sha256 or "", and notes put with it."""

    key: str
    size: int
    modified: float
    etag: str
    sha256: str = ""
    notes: Mapping[str, str] = MappingProxyType({})
