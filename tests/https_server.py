"""A web server over HTTPS on loopback, with a CA of its own, that can be made to fail."""

import atexit
import contextlib
import json
import os
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import trustme

LOGIN_PAGE = b"<!DOCTYPE html><html><title>Login</title><form>Who are you?</form></html>"


class Request(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: Any
    body: bytes


class Answer(NamedTuple):
    """`content` is bytes, or else sent as JSON."""

    status: int
    content: Any = b""
    headers: dict[str, str] = {}  # noqa: RUF012


# What an answer can be spoilt with, by the end of the request's path. A list is used up from
# the left, request by request; anything else stays. Number: that status. Pair: a status and its
# Retry-After. `Answer`: sent instead. A function: returns the answer, and may carry the request out
# by calling what it is given. A word:
#   drop    the connection is closed without an answer
#   hang    no answer while the server lives
#   short   half of the body, then the connection is closed
#   silent  the same without a Content-Length: the client cannot tell
#   done    the request is carried out, and answered with 502
#   lost    the request is carried out, and the connection closed without an answer
#   late    the request is carried out, no answer while the server lives
#   login   a page in HTML, with status 200
Fault = Any


@dataclass
class Server:
    url: str = ""
    faults: dict[str, Fault] = field(default_factory=dict)
    hits: list[str] = field(default_factory=list)
    end: threading.Event = field(default_factory=threading.Event)

    def fault(self, path: str) -> Fault:
        """Take the next fault of the longest end of the path."""
        for end in sorted(self.faults, key=len, reverse=True):
            if path.endswith(end):
                fault = self.faults[end]
                if isinstance(fault, list):
                    return fault.pop(0) if fault else None
                return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        request = Request(self.command, path, query, self.headers, content)
        state = self.server.state
        state.hits.append(f"{self.command} {path}")
        fault = state.fault(path)
        if fault in ("lost", "late"):
            self.server.answer(request)
        if fault in ("hang", "late"):
            state.end.wait()
        if fault in ("drop", "hang", "lost", "late"):
            self.close_connection = True
        else:
            self._send(fault, self._answer(fault, request))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _answer(self, fault: Fault, request: Request) -> Answer:
        if isinstance(fault, Answer):
            return fault
        if isinstance(fault, int):
            return Answer(fault, {"error": "made up"})
        if isinstance(fault, tuple):
            return Answer(fault[0], {"error": "made up"}, {"Retry-After": str(fault[1])})
        if callable(fault):
            return fault(lambda: self.server.answer(request))
        if fault == "login":
            return Answer(200, LOGIN_PAGE, {"Content-Type": "text/html; charset=utf-8"})
        answer = self.server.answer(request)
        return Answer(502, {"error": "made up"}) if fault == "done" else answer

    def _send(self, fault: Fault, answer: Answer) -> None:
        content = answer.content
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if fault != "silent":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault in ("short", "silent"):
            content = content[: len(content) // 2]
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def __init__(self, answer: Callable[[Request], Answer], state: Server) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.state = answer, state
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate_authority().issue_cert("127.0.0.1").configure_cert(context)
        # a client that is slow to shake hands must not stop the others
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def handle_error(self, *args: Any) -> None:  # a client that has gone away
        pass


@cache
def certificate_authority() -> trustme.CA:
    return trustme.CA()


@cache
def ca_file() -> str:
    """Return the CA's certificate as a file; servers that end in any order may all name it."""
    directory = tempfile.TemporaryDirectory()
    atexit.register(directory.cleanup)
    path = str(Path(directory.name) / "ca.pem")
    certificate_authority().cert_pem.write_to_path(path)
    return path


@contextlib.contextmanager
def https_server(
    answer: Callable[[Request], Answer], faults: dict[str, Fault] | None = None
) -> Iterator[Server]:
    """Serve until the block ends; in it this process and its children trust the server's CA."""
    state = Server(faults=dict(faults or {}))
    server = _Server(answer, state)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    names = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")  # of requests; of everything on OpenSSL
    before = {name: os.environ.get(name) for name in names}
    try:
        os.environ.update(dict.fromkeys(names, ca_file()))
        state.url = f"https://127.0.0.1:{server.server_port}"
        yield state
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        state.end.set()
        server.shutdown()
        thread.join()
        server.server_close()
