"""A double of the DigitalOcean v2 API, on loopback, with the faults of the real one.

It answers droplets, actions, images, snapshots, account, keys, tags, regions and sizes, with pages,
bearer token, Ratelimit headers, boot delay and droplet limit. `boot` and `halt` are called with a
droplet that comes and goes, and may start and stop a stand-in for it; as a program
(`python do_server.py --help`) they are programs run with NAME IP and the user data on stdin.

Control, without token: GET /_ctl tells what happened; POST /_ctl takes any of
  {"faults": [{"match": "GET droplets", "times": 2, "status": 503}]}   see `Fault`
  {"rate_limit": {"burst": 20, "window": 60}}, {"droplet_limit": 5},
  {"boot_fail": ["llama-3"]}, {"droplets": [{"name": "foreign", "tags": []}]}, {"clear_log": true}
"""

import collections
import itertools
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?")
SIZES = {"s-1vcpu-1gb": (1024, 1, 25, 0.00893), "s-2vcpu-4gb": (4096, 2, 80, 0.03571)}
REGIONS = ("nyc3", "ams3")


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class ApiError(Exception):
    def __init__(self, status: int, ident: str, message: str):
        self.status, self.content = status, {"id": ident, "message": message}


def missing(what: str) -> ApiError:
    return ApiError(404, "not_found", f"The {what} you were accessing could not be found.")


@dataclass
class Fault:
    """What goes wrong with requests whose `METHOD path?query` starts with the regex `match`."""

    match: str
    times: int = 1
    status: int = 0  # answer with this status instead of doing anything
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None  # of that answer: HTML, or anything else that is not the API's
    before_s: float = 0  # nothing is done or answered for so long
    lose: bool = False  # done, but the connection ends without an answer
    late_s: float = 0  # with `lose`: done only so long after the connection has ended
    cut: bool = False  # only half of the body comes
    drip_s: float = 0  # the body's halves come so far apart


class Cloud:
    """The account: what exists, and what has been asked."""

    def __init__(
        self,
        token: str = "double-token",  # noqa: S107
        net: str = "127.77",
        boot_delay: float = 0.05,
        boot: Callable[[dict[str, Any]], object] = lambda droplet: None,
        halt: Callable[[dict[str, Any]], object] = lambda droplet: None,
    ):
        self.lock = threading.RLock()
        self.token, self.boot_delay, self.boot_hook, self.halt_hook = token, boot_delay, boot, halt
        self.ids = itertools.count(3164494)
        self.free_ips = collections.deque(f"{net}.{n // 250}.{n % 250 + 2}" for n in range(1000))
        self.droplets: dict[int, dict[str, Any]] = {}
        self.images: dict[int, dict[str, Any]] = {}
        self.actions: dict[int, dict[str, Any]] = {}
        self.keys: dict[int, dict[str, Any]] = {}
        self.faults: list[Fault] = []
        self.boot_fail: set[str] = set()
        self.rate: dict[str, float] = {"burst": 5000, "window": 3600}
        self.hits: collections.deque[float] = collections.deque()
        self.droplet_limit, self.snapshot_s = 25, 0.1
        self.status, self.status_message = "active", ""
        self.balance: dict[str, str] | None = {  # None: the token may not see it
            "month_to_date_balance": "23.44", "account_balance": "12.23",
            "month_to_date_usage": "11.21", "generated_at": now(),
        }  # fmt: skip
        self.log: list[str] = []
        self.peak = self.created = self.deleted = 0
        self.add_key("operator")
        self.add_image("llama-worker")
        self.add_image("debian-12-x64", slug="debian-12-x64", public=True)

    def add_key(self, name: str) -> dict[str, Any]:
        ident = next(self.ids)
        pair = {"fingerprint": f"f5:{ident}", "public_key": f"ssh-ed25519 AAAA{ident}"}
        self.keys[ident] = {"id": ident, "name": name, **pair}
        return self.keys[ident]

    def add_image(self, name: str, slug: str | None = None, public: bool = False) -> dict[str, Any]:
        ident = next(self.ids)
        self.images[ident] = {
            "id": ident, "name": name, "distribution": "Debian", "slug": slug, "public": public,
            "regions": list(REGIONS) if public else ["nyc3"], "tags": [], "created_at": now(),
            "type": "base" if public else "snapshot", "min_disk_size": 25, "size_gigabytes": 2.3,
            "description": "", "status": "available", "error_message": "",
        }  # fmt: skip
        return self.images[ident]

    def action(self, kind: str, resource: int, seconds: float, then: Callable[[], object]) -> Any:
        ident = next(self.ids)
        action = {
            "id": ident, "status": "in-progress", "type": kind, "started_at": now(),
            "completed_at": None, "resource_id": resource, "resource_type": "droplet",
            "region": {"slug": "nyc3"}, "region_slug": "nyc3",
        }  # fmt: skip
        self.actions[ident] = action

        def finish() -> None:
            time.sleep(seconds)
            good = then() is not False
            with self.lock:
                action.update(status="completed" if good else "errored", completed_at=now())

        threading.Thread(target=finish, daemon=True).start()
        return action

    def image_of(self, wanted: object) -> dict[str, Any]:
        for image in self.images.values():
            if str(wanted) in (str(image["id"]), image["slug"]):
                return image
        raise ApiError(
            422,
            "unprocessable_entity",
            "You specified an invalid image for Droplet creation.",
        )

    def create(self, body: dict[str, Any]) -> tuple[int, Any]:
        names = body.get("names") or [body[key] for key in ("name",) if key in body]
        problem = next(
            (
                text
                for bad, text in (
                    (not names, "Name can't be blank"),
                    (len(names) > 10, "at most 10 droplets may be created at once"),
                    (not all(NAME.fullmatch(n) for n in names),
                     "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)"),
                    (body.get("region") not in REGIONS, "Region is not available"),
                    (body.get("size") not in SIZES, "Size is not available in this region."),
                    (len(body.get("user_data") or "") > 65536, "User data is too long"),
                    (len(self.droplets) + len(names) > self.droplet_limit,
                     "creating this/these droplet(s) will exceed your droplet limit"),
                )
                if bad
            ),
            None,
        )  # fmt: skip
        if problem:
            raise ApiError(422, "unprocessable_entity", problem)
        image = self.image_of(body.get("image"))
        made = [self.add_droplet(name, body, image) for name in names]
        actions = [
            self.action("create", d["id"], self.boot_delay, lambda d=d: self.boot(d)) for d in made
        ]
        links = [
            {"id": a["id"], "rel": "create", "href": f"http://127.0.0.1/v2/actions/{a['id']}"}
            for a in actions
        ]
        shown = [self.show(d) for d in made]
        if "names" in body:
            return 202, {"droplets": shown, "links": {"actions": links}}
        return 202, {"droplet": shown[0], "links": {"actions": links}}

    def add_droplet(self, name: str, body: dict[str, Any], image: Any) -> dict[str, Any]:
        ident = next(self.ids)
        memory, vcpus, disk, price = SIZES[body["size"]]
        size = {"slug": body["size"], "price_hourly": price, "memory": memory, "vcpus": vcpus}
        self.droplets[ident] = droplet = {
            "id": ident, "name": name, "memory": memory, "vcpus": vcpus, "disk": disk,
            "locked": True, "status": "new", "kernel": None, "created_at": now(),
            "features": ["private_networking"], "backup_ids": [], "snapshot_ids": [],
            "next_backup_window": None, "image": image, "size": size, "size_slug": body["size"],
            "networks": {"v4": [], "v6": []}, "region": {"slug": body["region"], "name": "NYC"},
            "tags": list(body.get("tags") or []), "volume_ids": [],
            "vpc_uuid": body.get("vpc_uuid"), "_ip": self.free_ips.popleft(),
            "_user_data": body.get("user_data") or "", "_keys": body.get("ssh_keys") or [],
        }  # fmt: skip
        self.created += 1
        self.peak = max(self.peak, len(self.droplets))
        return droplet

    def boot(self, droplet: dict[str, Any]) -> bool:
        with self.lock:
            if droplet["id"] not in self.droplets:
                return False
            address = {"ip_address": droplet["_ip"], "netmask": "255.255.0.0", "gateway": "0.0.0.0"}  # noqa: S104
            droplet["networks"]["v4"] = [address | {"type": kind} for kind in ("private", "public")]
        if droplet["name"] not in self.boot_fail:  # else "active", but nothing ever comes up
            self.boot_hook(droplet)
        with self.lock:
            droplet.update(status="active", locked=False)
            alive = droplet["id"] in self.droplets
        if not alive:
            self.halt_hook(droplet)
        return alive

    def off(self, droplet: dict[str, Any]) -> None:
        self.halt_hook(droplet)
        droplet["status"] = "off"

    def delete(self, ident: int) -> None:
        droplet = self.droplets.pop(ident, None)
        if droplet is None:
            raise missing("droplet")
        self.deleted += 1

        def gone() -> None:
            self.halt_hook(droplet)
            with self.lock:
                self.free_ips.append(droplet["_ip"])

        threading.Thread(target=gone, daemon=True).start()

    def act(self, droplet: dict[str, Any], body: dict[str, Any]) -> Any:
        kind = body.get("type")

        def snapshot() -> None:
            with self.lock:
                droplet["snapshot_ids"].append(self.add_image(body["name"])["id"])

        ways: dict[object, Callable[[], object]] = {
            "snapshot": snapshot,
            "power_off": lambda: self.off(droplet),
            "shutdown": lambda: self.off(droplet),
            "power_on": lambda: self.boot(droplet),
        }
        if kind not in ways:
            raise ApiError(422, "unprocessable_entity", f"{kind} is not a valid action")
        seconds = self.snapshot_s if kind == "snapshot" else self.boot_delay
        return 201, {"action": self.action(str(kind), droplet["id"], seconds, ways[kind])}

    @classmethod
    def show(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: cls.show(v) for k, v in value.items() if not k.startswith("_")}
        return value

    def control(self, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            if "faults" in body:
                self.faults = [Fault(**fault) for fault in body["faults"]]
            if "rate_limit" in body:
                self.rate = body["rate_limit"]
                self.hits.clear()
            self.boot_fail = set(body.get("boot_fail", self.boot_fail))
            self.droplet_limit = body.get("droplet_limit", self.droplet_limit)
            for wanted in body.get("droplets", []):
                plain = {"size": "s-1vcpu-1gb", "region": "nyc3"} | wanted
                made = self.add_droplet(wanted["name"], plain, self.image_of("debian-12-x64"))
                made.update({k: v for k, v in wanted.items() if k == "created_at"})
                self.boot(made)
            if body.get("clear_log"):
                self.log.clear()
            names = [d["name"] for d in self.droplets.values()]
            counts = {"peak": self.peak, "created": self.created, "deleted": self.deleted}
            return {"now": names, "log": list(self.log), **counts}

    def fault(self, request: str) -> Fault | None:
        with self.lock:
            self.log.append(request)
            for fault in self.faults:
                if fault.times > 0 and re.match(fault.match, request):
                    fault.times -= 1
                    return fault
        return None

    def over_rate(self) -> bool:
        with self.lock:
            while self.hits and self.hits[0] < time.time() - self.rate["window"]:
                self.hits.popleft()
            over = len(self.hits) >= self.rate["burst"]
            if not over:
                self.hits.append(time.time())
            return over

    def rate_headers(self) -> dict[str, str]:
        left = max(0, int(self.rate["burst"]) - len(self.hits))
        reset = (self.hits[0] if self.hits else time.time()) + self.rate["window"]
        values = (int(self.rate["burst"]), left, int(reset) + 1)
        names = ("Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset")
        return {name: str(value) for name, value in zip(names, values, strict=True)}
