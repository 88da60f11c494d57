"""A server in front of the S3 server that hands everything on, and breaks what it is told to."""

import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from s3_lists import kind_of, of_all, one_page

KEY, SECRET = "SPACESKEY0123456789A", "canary/secret+of/spaces0123456789abcdefg"
_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass
class Fault:
    """What to do to requests whose "METHOD /path?query" matches, so many times.

    status: answer that, with S3's code `code`; cut: close the connection after so many bytes of the
    body; flip: change the first byte of the body; hang_s: wait before anything else.
    """

    match: str
    times: int = 1
    status: int = 0
    code: str = "ServiceUnavailable"
    cut: int | None = None
    flip: bool = False
    hang_s: float = 0.0


@dataclass
class FaultyS3:
    """The front: its URL, what it has been asked, and the faults to come."""

    url: str = ""
    bucket: str = ""
    s3: Any = None
    requests: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    down_until: float = 0.0
    lists: str = "good"  # how lists are cut into pages, see `one_page`
    page: int = 1000

    def away_for(self, seconds: float) -> None:
        """Answer 503 to everything until then."""
        self.down_until = time.monotonic() + seconds

    def fault_for(self, line: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.match, line):
                fault.times -= 1
                return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    """Hands one request on; `front` and `behind` are set by `faulty_s3`."""

    front: FaultyS3
    behind: str
    protocol_version = "HTTP/1.1"

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        line = f"{self.command} {self.path}"
        self.front.requests.append(line)
        if f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
            return self._error(403, "InvalidAccessKeyId")
        if time.monotonic() < self.front.down_until:
            return self._error(503, "ServiceUnavailable")
        fault = self.front.fault_for(line)
        if fault:
            time.sleep(fault.hang_s)
            if fault.status:
                return self._error(fault.status, fault.code)
        connection = http.client.HTTPConnection(self.behind, timeout=60)
        connection.request(self.command, of_all(self.path), body, dict(self.headers.items()))
        answer = connection.getresponse()
        with suppress(ConnectionError):  # who asked may have been killed
            self._pass_on(answer, self._listed(line, answer), fault)
        connection.close()
        return None

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do  # noqa: N815

    def _listed(self, line: str, answer: Any) -> bytes:
        content: bytes = answer.read()
        if answer.status != 200 or not kind_of(line):
            return content
        answer.headers.replace_header("Content-Length", "0")
        return one_page(line, content.decode(), self.front.page, self.front.lists).encode()

    def _pass_on(self, answer: Any, content: bytes, fault: Fault | None) -> None:
        if fault and fault.flip:
            content = bytes([content[0] ^ 1]) + content[1:]
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        length = answer.getheader("Content-Length", "0")
        if self.command != "HEAD":  # and not what has been read
            length = str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        if fault and fault.cut is not None:
            self.wfile.write(content[: fault.cut])
            self.close_connection = True
        else:
            self.wfile.write(content)

    def _error(self, status: int, code: str) -> None:
        text = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", "0" if self.command == "HEAD" else str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def faulty_s3(endpoint: str) -> Iterator[FaultyS3]:
    """Run a front of the S3 server at `endpoint`; it lets only `KEY` in."""
    front = FaultyS3()
    about = {"front": front, "behind": urlsplit(endpoint).netloc}
    handler = type("Handler", (_Handler,), about)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        front.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield front
        server.shutdown()
