"""DigitalOcean's account: lists that are whole, retries of what may be asked twice."""

import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

import msgspec

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
from llama.fleet.records import Account, Action, Balance, Droplet, Image, Key, Order, Size
from llama.fleet.token import refuse_token

PER_CREATION = 10  # names that one order may hold
_PER_PAGE = 200  # the most that a list gives at once
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
        return self._list("droplets", list[Droplet], **({"tag_name": tag} if tag else {}))

    def snapshots(self) -> list[Image]:
        """Return the account's snapshots of droplets, newest first."""
        found = self._list("snapshots", list[Image], resource_type="droplet")
        return sorted(found, key=lambda image: (image.created, image.id), reverse=True)

    def image(self, name: str, region: str) -> Image:
        """Return the newest snapshot called `name`, else the public image; it is in `region`."""
        named = [image for image in self.snapshots() if name in (image.name, str(image.id))]
        if not named:
            try:
                named = [self._one(f"images/{quote(name, safe='')}", "image", Image)]
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
        return self._list("sizes", list[Size])

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
        return [key.id for key in self._list("account/keys", list[Key])]

    def account(self) -> Account:
        """Return how many droplets the account may have, has, and whether it is in order."""
        account = self._one("account", "account", Account)
        message = " ".join((account.message or "").split())[:200]
        return msgspec.structs.replace(account, droplets=len(self.droplets()), message=message)

    def balance(self) -> Balance | None:
        """Return what the account has used and owes; None if the token may not see that."""
        try:
            answer = self._patiently(lambda: self._connection.ask("GET", "customers/my/balance"))
        except (ForbiddenError, NotFoundError):
            return None
        return part({"balance": answer}, "balance", Balance)

    def create(self, order: Order) -> list[Droplet]:
        """Send one order for at most ten droplets; `PassingError`: nobody knows what came of it."""
        refuse_token(order.user_data or "", self._token, "the user data")
        answer = self._connection.ask("POST", "droplets", msgspec.structs.asdict(order))
        return part(answer, "droplets", list[Droplet])

    def destroy(self, ident: int) -> None:
        """Destroy a droplet; one that is gone already is as good."""
        try:
            self._patiently(lambda: self._connection.ask("DELETE", f"droplets/{ident}"))
        except NotFoundError:
            return

    def act(self, ident: int, kind: str, **details: str) -> int:
        """Order an action such as `snapshot` or `power_off`, once, and return its id."""
        url = f"droplets/{ident}/actions"
        answer = self._connection.ask("POST", url, {"type": kind, **details})
        return part(answer, "action", Action).id

    def action_status(self, ident: int) -> str:
        """Return `in-progress`, `completed` or `errored`."""
        return self._one(f"actions/{ident}", "action", Action).status

    def _one(self, url: str, key: str, form: type[_T]) -> _T:
        return self._patiently(lambda: part(self._connection.ask("GET", url), key, form))

    def _list(self, what: str, form: type[list[_T]], **query: str) -> list[_T]:
        key = "ssh_keys" if what == "account/keys" else what

        def walk() -> list[_T]:
            found = dict[object, _T]()
            for page in range(1, 1000):
                which = {**query, "page": page, "per_page": _PER_PAGE}
                answer = self._connection.ask("GET", what, which)
                items = part(answer, key, form)
                total = part(part(answer, "meta", dict), "total", int)
                found.update((getattr(item, "id", item), item) for item in items)
                if len(found) == total:
                    return list(found.values())
                if not items:
                    break
            raise PassingError(f"the list of {what} changed while it was read; try again")

        return self._patiently(walk)

    def _patiently(self, call: Callable[[], _T]) -> _T:
        import tenacity

        backoff = tenacity.wait_random_exponential(multiplier=0.5, max=30)

        def why(state: tenacity.RetryCallState) -> BaseException | None:
            return state.outcome.exception() if state.outcome else None

        def tell(state: tenacity.RetryCallState) -> None:
            reason = str(why(state)).partition(";")[0]
            self._tell(f"{reason}; again in {state.upcoming_sleep:.0f} s")

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(PassingError),
            wait=lambda state: max(getattr(why(state), "wait_s", None) or 0.0, backoff(state)),
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
