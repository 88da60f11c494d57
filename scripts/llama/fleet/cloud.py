"""DigitalOcean's account: lists that are whole, retries of what may be asked twice.

python-digitalocean does neither: when a later page fails it returns the first pages as if they were
all.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from llama.errors import LlamaError
from llama.fleet.connection import (
    CloudError,
    Connection,
    ForbiddenError,
    NotFoundError,
    PassingError,
    RefusedError,
    part,
)
from llama.fleet.records import (
    Account,
    Balance,
    Droplet,
    Image,
    Size,
    read_account,
    read_balance,
    read_droplet,
    read_image,
    read_size,
)
from llama.fleet.token import refuse_token

PER_CREATION = 10  # names that one order may hold
_T = TypeVar("_T")


class Cloud:
    """The account behind `token`.

    What may be asked twice is asked again for up to `patience_s` while the API is away, busy or
    over its rate; `tell` is told why. `create` is sent once; `llama.fleet.crew` makes it safe to
    repeat.
    """

    def __init__(
        self,
        token: str,
        patience_s: float = 120.0,
        tell: Callable[[str], object] = lambda text: None,
    ) -> None:
        self._connection = Connection(token)
        self._token = token
        self._patience_s = patience_s
        self._tell = tell

    def droplets(self, tag: str | None = None) -> list[Droplet]:
        """Return all droplets, or all with `tag`: every one or an error, never a part."""
        tagged = {"tag_name": tag} if tag else {}
        return [read_droplet(data) for data in self._list("droplets", tagged)]

    def droplet(self, ident: int) -> Droplet:
        """Return one droplet; `NotFoundError` when it is gone."""
        return read_droplet(self._one(f"droplets/{ident}", "droplet"))

    def snapshots(self) -> list[Image]:
        """Return the account's snapshots of droplets, newest first."""
        found = [read_image(data) for data in self._list("snapshots", {"resource_type": "droplet"})]
        return sorted(found, key=lambda image: (image.created, image.id), reverse=True)

    def image(self, name: str, region: str) -> Image:
        """Return the newest snapshot called `name`, else the public image; it is in `region`."""
        named = [image for image in self.snapshots() if name in (image.name, str(image.id))]
        if not named:
            try:
                named = [read_image(self._one(f"images/{quote(name, safe='')}", "image"))]
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
        return [read_size(data) for data in self._list("sizes")]

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

    def account(self) -> Account:
        """Return how many droplets the account may have, has, and whether it is in order."""
        return read_account(self._one("account", "account"), len(self.droplets()))

    def balance(self) -> Balance | None:
        """Return what the account has used and owes; None if the token may not see that."""
        try:
            answer = self._patiently(lambda: self._connection.ask("GET", "customers/my/balance"))
            return read_balance(answer)
        except (ForbiddenError, NotFoundError):
            return None
        except (KeyError, TypeError, ValueError) as error:
            raise CloudError("DigitalOcean's answer holds no balance; try again later") from error

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
        answer = self._connection.ask("POST", "droplets", order)
        return [read_droplet(data) for data in part(answer, "droplets", list)]

    def destroy(self, ident: int) -> None:
        """Destroy a droplet; one that is gone already is as good."""
        try:
            self._patiently(lambda: self._connection.ask("DELETE", f"droplets/{ident}"))
        except NotFoundError:
            return

    def act(self, ident: int, kind: str, **details: Any) -> int:
        """Order an action such as `snapshot` or `power_off`, once, and return its id."""
        answer = self._connection.ask(
            "POST", f"droplets/{ident}/actions", {"type": kind, **details}
        )
        return int(part(answer, "action", dict)["id"])

    def action_status(self, ident: int) -> str:
        """Return `in-progress`, `completed` or `errored`."""
        return str(self._one(f"actions/{ident}", "action")["status"])

    def _one(self, url: str, key: str) -> dict[str, Any]:
        return self._patiently(lambda: part(self._connection.ask("GET", url), key, dict))

    def _list(self, what: str, query: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        key = {"account/keys": "ssh_keys"}.get(what, what)

        def walk() -> list[dict[str, Any]]:
            found: dict[object, dict[str, Any]] = {}
            for page in range(1, 1000):
                # with `page` given the library does not follow `next` by itself
                answer = self._connection.ask("GET", what, {**(query or {}), "page": page})
                items = part(answer, key, list)
                total = part(part(answer, "meta", dict), "total", int)
                found.update((item.get("id", item.get("slug")), item) for item in items)
                if len(found) == total:
                    return list(found.values())
                if not items:
                    break
            raise PassingError(f"the list of {what} changed while it was read; try again")

        return self._patiently(walk)

    def _patiently(self, call: Callable[[], _T]) -> _T:
        import tenacity

        backoff = tenacity.wait_random_exponential(multiplier=0.5, max=30)

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return max(getattr(error, "wait_s", None) or 0.0, backoff(state))

        def tell(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            self._tell(f"{str(error).partition(';')[0]}; again in {state.upcoming_sleep:.0f} s")

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(PassingError),
            wait=wait,
            stop=tenacity.stop_before_delay(self._patience_s),
            before_sleep=tell,
            reraise=True,
        )
        return retrying(call)


def take_snapshot(
    cloud: Cloud,
    droplet: Droplet,
    name: str,
    tick: Callable[[float], object] = lambda seconds: None,
    every_s: float = 5.0,
    within_s: float = 4 * 3600.0,
) -> None:
    """Make a snapshot of a stopped droplet and wait for it; `tick` gets the seconds so far."""
    if droplet.status != "off":
        raise LlamaError(
            f"{droplet.name} is {droplet.status}, and a snapshot of a running disk may be torn; "
            "stop it with sudo shutdown now, wait until it is listed as off, and try again"
        )
    action, start = cloud.act(droplet.id, "snapshot", name=name), time.monotonic()
    tick(0.0)
    while (status := cloud.action_status(action)) == "in-progress":
        tick(time.monotonic() - start)
        if time.monotonic() - start > within_s:
            raise CloudError(f"the snapshot {name} takes too long; look with llama com do -S")
        time.sleep(every_s)
    if status != "completed":
        raise CloudError(f"DigitalOcean could not make the snapshot {name}; try again")
