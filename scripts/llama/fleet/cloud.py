"""DigitalOcean's API. The only module that knows python-digitalocean.

What that library (1.17, its last release) leaves to us: time limits; retries; errors that tell the
status; lists that are whole (when a later page fails it returns the first pages as if they were
all); no text of an error that could hold the token.
"""

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

from llama.errors import LlamaError
from llama.fleet.token import refuse_token

ANSWER_WITHIN_S = 20.0
PER_CREATION = 10  # names that one request may hold
_PER_PAGE = 200
_T = TypeVar("_T")


class CloudError(LlamaError):
    """The API has not done what it was asked to."""


class PassingError(CloudError):
    """May work later: no answer, half of one, 429 or 5xx. Whether anything was done is unknown.

    `wait_s` is the time that the API itself asks to wait, else None.
    """

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class BusyError(PassingError):
    """Too many requests (429): nothing was done."""


class RefusedError(CloudError):
    """The request as it is will never work (422)."""


class DropletLimitError(RefusedError):
    """The account may not have so many droplets."""


class NotFoundError(CloudError):
    """There is no such thing (404)."""


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
    """A snapshot or public image."""

    id: int
    name: str
    created: str
    regions: tuple[str, ...]
    size_gb: float
    min_disk_gb: int


class Size(NamedTuple):
    """What can be ordered, and its price."""

    slug: str
    price_hourly_usd: float
    memory_mb: int
    vcpus: int
    disk_gb: int
    regions: tuple[str, ...]


class Cloud:
    """The account behind `token`.

    What may be asked twice is asked again for up to `patience_s` while the API is away, busy or
    over its rate. `create` is sent once; `llama.fleet.crew` makes it safe to repeat.
    """

    def __init__(self, token: str, patience_s: float = 120.0) -> None:
        from digitalocean.baseapi import BaseAPI

        class Connection(BaseAPI):  # type: ignore[misc]
            """The library's request, with a time limit and the response kept."""

            last: Any = None

            def get_timeout(self) -> float:
                return ANSWER_WITHIN_S

            def _BaseAPI__perform_request(self, *arguments: Any) -> Any:  # noqa: N802
                self.last = None
                self.last = super()._BaseAPI__perform_request(*arguments)
                return self.last

        _check_end_point(os.environ.get("DIGITALOCEAN_END_POINT", ""))
        self._connect: Callable[[], Any] = lambda: Connection(token=token)
        self._token = token
        self._patience_s = patience_s

    def droplets(self, tag: str | None = None) -> list[Droplet]:
        """Return all droplets, or all with `tag`: every one or an error, never a part."""
        tagged = {"tag_name": tag} if tag else {}
        return [_droplet(data) for data in self._list("droplets", tagged)]

    def droplet(self, ident: int) -> Droplet:
        """Return one droplet; `NotFoundError` when it is gone."""
        return _droplet(self._one(f"droplets/{ident}", "droplet"))

    def snapshots(self) -> list[Image]:
        """Return the account's snapshots of droplets, newest first."""
        found = [_image(data) for data in self._list("snapshots", {"resource_type": "droplet"})]
        return sorted(found, key=lambda image: (image.created, image.id), reverse=True)

    def image(self, name: str, region: str) -> Image:
        """Return the newest snapshot called `name`, else the public image; it is in `region`."""
        named = [image for image in self.snapshots() if name in (image.name, str(image.id))]
        if not named:
            try:
                named = [_image(self._one(f"images/{quote(name, safe='')}", "image"))]
            except (NotFoundError, RefusedError) as error:
                raise CloudError(
                    f"no snapshot or public image is called {name}; see llama com do -S"
                ) from error
        here = [image for image in named if region in image.regions]
        if not here:
            raise CloudError(
                f"{name} is not in {region} but in {', '.join(named[0].regions)}; "
                "give that as --region, or copy the snapshot"
            )
        return here[0]

    def sizes(self) -> list[Size]:
        """Return what can be ordered, with prices [USD/h]."""
        return [
            Size(
                data["slug"],
                float(data["price_hourly"]),
                data["memory"],
                data["vcpus"],
                data["disk"],
                tuple(data["regions"]),
            )
            for data in self._list("sizes")
        ]

    def size(self, slug: str, region: str) -> Size:
        """Return one size; `CloudError` names the others when it is unknown or not in `region`."""
        sizes = self.sizes()
        for size in sizes:
            if size.slug == slug and region in size.regions:
                return size
        others = ", ".join(size.slug for size in sizes if region in size.regions)
        raise CloudError(
            f"there is no size {slug} in {region}; choose one of {others}"
            if others
            else f"there is no region {region}; correct --region or fleet.region"
        )

    def ssh_keys(self) -> list[int]:
        """Return the ids of all ssh keys of the account."""
        return [int(data["id"]) for data in self._list("account/keys")]

    def droplet_limit(self) -> int:
        """Return how many droplets the account may have."""
        return int(self._one("account", "account")["droplet_limit"])

    def create(
        self,
        names: list[str],
        image: Image,
        size: str,
        region: str,
        ssh_keys: list[int],
        tags: list[str],
        user_data: str = "",
        vpc_uuid: str | None = None,
    ) -> list[Droplet]:
        """Send one order for at most ten droplets; `PassingError`: nobody knows what came of it."""
        refuse_token(user_data, self._token, "the user data")
        order: dict[str, Any] = {
            "names": names,
            "region": region,
            "size": size,
            "image": image.id,
            "ssh_keys": ssh_keys,
            "tags": tags,
            "user_data": user_data or None,
            "vpc_uuid": vpc_uuid,
            "backups": False,
            "monitoring": False,
        }
        answer = self._ask("POST", "droplets", order)
        return [_droplet(data) for data in _part(answer, "droplets", list)]

    def destroy(self, ident: int) -> None:
        """Destroy a droplet; one that is gone already is as good."""
        try:
            self._patiently(lambda: self._ask("DELETE", f"droplets/{ident}"))
        except NotFoundError:
            return

    def act(self, ident: int, kind: str, **details: Any) -> int:
        """Order an action such as `snapshot` or `power_off`, once, and return its id."""
        answer = self._ask("POST", f"droplets/{ident}/actions", {"type": kind, **details})
        return int(_part(answer, "action", dict)["id"])

    def action_status(self, ident: int) -> str:
        """Return `in-progress`, `completed` or `errored`."""
        return str(self._one(f"actions/{ident}", "action")["status"])

    def _one(self, url: str, key: str) -> dict[str, Any]:
        return self._patiently(lambda: _part(self._ask("GET", url), key, dict))

    def _list(self, what: str, query: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        key = {"account/keys": "ssh_keys"}.get(what, what)

        def walk() -> list[dict[str, Any]]:
            found: dict[object, dict[str, Any]] = {}
            for page in range(1, 1000):
                # with `page` given the library does not follow `next` by itself
                answer = self._ask("GET", what, {**(query or {}), "page": page})
                items = _part(answer, key, list)
                total = int(_part(answer, "meta", dict).get("total", len(items)))
                found.update((item.get("id", item.get("slug")), item) for item in items)
                if len(found) == total:
                    return list(found.values())
                if not items:
                    break
            raise PassingError(f"the list of {what} changed while it was read; try again")

        return self._patiently(walk)

    def _ask(self, verb: str, url: str, details: dict[str, Any] | None = None) -> Any:
        """Send one request and return its JSON; every failure is a `CloudError`."""
        import requests
        from digitalocean.baseapi import Error

        connection = self._connect()
        try:
            return connection.get_data(url, type=verb, params=dict(details or {}))
        except requests.RequestException as error:
            what = "did not answer in time" if isinstance(error, requests.Timeout) else "is away"
            if connection.last is not None or isinstance(error, ValueError):
                what = "gave half of an answer"
            problem: CloudError = PassingError(f"DigitalOcean {what}; try again later")
        # the library takes errors apart without looking what they are made of
        except (Error, LookupError, TypeError, AttributeError) as error:
            problem = self._problem(connection.last, str(error), f"{verb} {url}")
        finally:
            connection._session.close()
        # `from None`: what the library says may quote the request, and tracebacks are logged
        raise problem from None

    def _problem(self, response: Any, text: str, request: str) -> CloudError:
        status = response.status_code if response is not None else 0
        said = text.replace(self._token, "[token]")[:300] or "no reason given"
        if status == 401:
            return CloudError(
                "DigitalOcean does not know this token; make a new one on its API page and "
                "export it as DIGITALOCEAN"
            )
        if status == 403:
            return CloudError(
                f"this token may not do that ({said}); make one with write access and export it "
                "as DIGITALOCEAN"
            )
        if status == 404:
            return NotFoundError(
                f"DigitalOcean has nothing at {request.split()[-1]}; list it again"
            )
        if status == 429:
            wait_s = _asked_to_wait_s(response.headers)
            minutes = f" in {wait_s / 60:.0f} minutes" if wait_s else " later"
            return BusyError(f"too many requests to DigitalOcean; try again{minutes}", wait_s)
        if status == 422:
            limit = "droplet limit" in said.lower()
            return (DropletLimitError if limit else RefusedError)(
                f"DigitalOcean refuses this: {said}"
            )
        if status >= 500 or status < 300:
            return PassingError(f"DigitalOcean is out of order ({status}: {said}); try again later")
        return CloudError(f"DigitalOcean answers {status} to {request}: {said}")

    def _patiently(self, call: Callable[[], _T]) -> _T:
        import tenacity

        backoff = tenacity.wait_random_exponential(multiplier=0.5, max=30)

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return max(getattr(error, "wait_s", None) or 0.0, backoff(state))

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(PassingError),
            wait=wait,
            stop=tenacity.stop_before_delay(self._patience_s),
            reraise=True,
        )
        return retrying(call)


def _check_end_point(url: str) -> None:
    parts = urlsplit(url)
    if url and parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise LlamaError(
            "$DIGITALOCEAN_END_POINT is neither https nor on this machine, and the token would "
            "travel in clear; correct or unset it"
        )


def _asked_to_wait_s(headers: Any) -> float | None:
    for text, since in (
        (headers.get("Retry-After"), 0.0),
        (headers.get("Ratelimit-Reset"), time.time()),
    ):
        try:
            return min(max(float(text) - since, 0.0), 3600.0)
        except (TypeError, ValueError):
            continue
    return None


def _part(answer: Any, key: str, kind: type[_T]) -> _T:
    part = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(part, kind):
        raise PassingError(f"DigitalOcean's answer holds no {key}; try again later")
    return part


def _droplet(data: dict[str, Any]) -> Droplet:
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


def _image(data: dict[str, Any]) -> Image:
    return Image(
        int(data["id"]),
        data["name"],
        data["created_at"],
        tuple(data["regions"]),
        float(data.get("size_gigabytes") or 0),
        int(data.get("min_disk_size") or 0),
    )
