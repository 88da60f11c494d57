"""The double of do_double.py as an HTTP server: routes, pages, faults; a fixture and a program."""

import argparse
import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from do_double import REGIONS, SIZES, ApiError, Cloud, Fault, missing


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud: Cloud

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, body: Any, fault: Fault | None = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        headers = self.cloud.rate_headers()
        if fault:
            data = data if fault.body is None else fault.body.encode()
            headers |= fault.headers
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        half = len(data) // 2
        cut = fault is not None and fault.cut
        self.send_header("Content-Length", str(half if cut else len(data)))
        self.end_headers()
        self.wfile.write(data[:half])
        if fault and fault.drip_s:
            time.sleep(fault.drip_s)
        self.wfile.write(b"" if cut else data[half:])

    def answer(self) -> None:
        cloud, url = self.cloud, urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw) if raw.strip() else {}
        except ValueError:
            self.reply(400, {"id": "bad_request", "message": "no JSON"})
            return
        if url.path == "/_ctl":
            self.reply(200, cloud.control(body))
            return
        path = url.path.removeprefix("/v2").strip("/")
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        shown = "&".join(f"{k}={v}" for k, v in sorted(query.items()) if k != "per_page")
        fault = cloud.fault(f"{self.command} {path}?{shown}")
        if fault:
            time.sleep(fault.before_s)
            if fault.lose:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                time.sleep(fault.late_s)
        if self.headers.get("Authorization") != f"Bearer {cloud.token}":
            status, content = 401, {"id": "unauthorized", "message": "Unable to authenticate you."}
        elif cloud.over_rate():
            text = "API Rate limit exceeded."
            status, content = 429, {"id": "too_many_requests", "message": text}
        elif fault and fault.status:
            text = "Unexpected server-side error"
            status, content = fault.status, {"id": "server_error", "message": text}
        else:
            try:
                with cloud.lock:
                    status, content = self.route(path.split("/"), query, body)
            except ApiError as error:
                status, content = error.status, error.content
        if not (fault and fault.lose):
            with contextlib.suppress(OSError):  # the client has not waited
                self.reply(status, content, fault)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815

    def page(self, what: str, items: list[Any], query: dict[str, str]) -> tuple[int, Any]:
        per, page = min(int(query.get("per_page", 20)), 200), int(query.get("page", 1))
        pages = {}
        if page * per < len(items):
            more = urlencode(query | {"page": page + 1, "per_page": per})
            pages["next"] = f"http://{self.headers['Host']}{urlsplit(self.path).path}?{more}"
        shown = [Cloud.show(item) for item in items[(page - 1) * per : page * per]]
        return 200, {what: shown, "links": {"pages": pages}, "meta": {"total": len(items)}}

    def route(self, parts: list[str], query: dict[str, str], body: Any) -> tuple[int, Any]:
        cloud, head, rest = self.cloud, parts[0], parts[1:]
        if head == "droplets":
            return self.droplets(rest, query, body)
        if head == "actions" and rest:
            return self.one("action", cloud.actions, rest[0])
        if head == "images" and rest and not rest[0].isdigit():
            found = [i for i in cloud.images.values() if i["slug"] == rest[0]]
            return self.one("image", dict(enumerate(found)), "0")
        if head == "images" and rest:
            return self.one("image", cloud.images, rest[0])
        if head == "images":
            private = query.get("private") == "true"
            return self.page(
                "images", [i for i in cloud.images.values() if private <= (not i["public"])], query
            )
        if head == "snapshots" and self.command == "DELETE":
            if cloud.images.pop(int(rest[0]), None) is None:
                raise missing("snapshot")
            return 204, None
        if head == "snapshots":
            kept = ("name", "regions", "created_at", "min_disk_size", "size_gigabytes", "tags")
            items = [
                {key: image[key] for key in kept}
                | {"id": str(image["id"]), "resource_type": "droplet", "resource_id": "1"}
                for image in cloud.images.values()
                if not image["public"]
            ]
            return self.page("snapshots", items, query)
        if head in ("account", "customers"):
            return self.account(parts, query)
        if head == "sizes":
            items = [
                {"slug": slug, "memory": memory, "vcpus": vcpus, "disk": disk, "transfer": 1.0,
                 "available": True, "price_hourly": price, "price_monthly": price * 672,
                 "regions": list(REGIONS), "description": "Basic"}
                for slug, (memory, vcpus, disk, price) in SIZES.items()
            ]  # fmt: skip
            return self.page("sizes", items, query)
        raise missing("resource")

    def account(self, parts: list[str], query: dict[str, str]) -> tuple[int, Any]:
        cloud = self.cloud
        if parts == ["account", "keys"]:
            return self.page("ssh_keys", list(cloud.keys.values()), query)
        if parts == ["customers", "my", "balance"]:
            if cloud.balance is None:
                raise ApiError(403, "Forbidden", "You are not authorized to perform this operation")
            return 200, cloud.balance
        account = {
            "droplet_limit": cloud.droplet_limit, "floating_ip_limit": 3, "volume_limit": 10,
            "email": "llama@example.org", "uuid": "0", "email_verified": True,
            "status": cloud.status, "status_message": cloud.status_message,
        }  # fmt: skip
        return 200, {"account": account}

    def one(self, what: str, things: dict[int, Any], ident: str) -> tuple[int, Any]:
        thing = things.get(int(ident)) if ident.isdigit() else None
        if thing is None:
            raise missing(what)
        return 200, {what: Cloud.show(thing)}

    def droplets(self, rest: list[str], query: dict[str, str], body: Any) -> tuple[int, Any]:
        cloud = self.cloud
        if not rest and self.command == "POST":
            return cloud.create(body)
        if not rest:
            found = [
                droplet
                for droplet in cloud.droplets.values()
                if query.get("tag_name") in (None, *droplet["tags"])
            ]
            return self.page("droplets", found, query)
        if self.command == "DELETE":
            cloud.delete(int(rest[0]))
            return 204, None
        if rest[1:] == ["actions"] and int(rest[0]) in cloud.droplets:
            return cloud.act(cloud.droplets[int(rest[0])], body)
        return self.one("droplet", cloud.droplets, rest[0])


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that has gone away is part of the tests."""


def serve(cloud: Cloud, port: int = 0) -> Server:
    """Return a server of `cloud` on loopback, at `port` or at any free one; not yet running."""
    return Server(("127.0.0.1", port), type("OneHandler", (Handler,), {"cloud": cloud}))


@contextlib.contextmanager
def running(cloud: Cloud) -> Iterator[str]:
    """Serve until the block ends; yields the end point, with its final slash."""
    server = serve(cloud)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v2/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8021)
    parser.add_argument("--token", default="double-token")
    parser.add_argument("--net", default="127.77", help="first half of the droplets' addresses")
    parser.add_argument("--boot", help="program run with NAME IP, user data on stdin")
    parser.add_argument("--halt", help="program run with NAME IP")
    parser.add_argument("--boot-delay", type=float, default=0.5)
    options = parser.parse_args()

    def hook(program: str | None, droplet: dict[str, Any]) -> None:
        if program:
            command = [program, droplet["name"], droplet["_ip"]]
            subprocess.run(command, text=True, input=droplet["_user_data"], timeout=120)

    cloud = Cloud(
        options.token,
        options.net,
        options.boot_delay,
        lambda droplet: hook(options.boot, droplet),
        lambda droplet: hook(options.halt, droplet),
    )
    server = serve(cloud, options.port)
    print("listening", *server.server_address, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
