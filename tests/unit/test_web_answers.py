"""Answers that never end, or hardly go on: of webhooks, of Slack, and of whoever is read from."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from llama import web
from llama.errors import LlamaError
from llama.publish.outbox import Post
from llama.publish.slack import Slack
from llama.publish.webhook import Webhook

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ID = b'{"ok": true, "id": "1", "ts": "1", "x": "'
Talk = Callable[[socket.socket, threading.Event], None]


def endless(connection: socket.socket, end: threading.Event) -> None:
    connection.sendall(HEAD + b"\r\n" + ID)
    while not end.is_set():
        connection.sendall(b"x" * 65536)


def endless_chunks(connection: socket.socket, end: threading.Event) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while not end.is_set():
        connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")


def silent(connection: socket.socket, end: threading.Event) -> None:
    connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + ID)
    end.wait()


def dripping(connection: socket.socket, end: threading.Event) -> None:
    connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + ID)
    while not end.wait(0.05):
        connection.sendall(b" ")


def dripping_headers(connection: socket.socket, end: threading.Event) -> None:
    connection.sendall(HEAD + b"X-Long: ")
    while not end.wait(0.05):
        connection.sendall(b"x")


TALKS = [endless, endless_chunks, silent, dripping, dripping_headers]


@contextlib.contextmanager
def server(talk: Talk) -> Iterator[str]:
    """Talk to everybody who comes, after the request; the address."""
    end = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 20)
            talk(connection, end)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            end.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture(params=TALKS, ids=lambda talk: talk.__name__)
def address(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    # tenths of the real limits, which nothing here keeps
    monkeypatch.setattr(web, "_PROGRESS_S", 0.5)
    monkeypatch.setattr(web, "_ANSWER_S", 3.0)
    monkeypatch.setattr(web, "_HEADERS_S", 1.0)
    monkeypatch.setattr(web, "PAUSE_S", 0.001)
    monkeypatch.setenv("SLACK_TOKEN", "xoxb-canary")
    with server(request.param) as url:
        yield url


def post() -> Post:
    return Post("k" * 64, "new", None, b'{"text": "x", "figures": []}', since=0.0, tried=False)


def test_the_limits_are_those_of_security_md() -> None:
    assert (web.ANSWER_BYTES, web._PROGRESS_S) == (65_536, 5.0)


def test_a_webhook_cannot_hold_us(address: str) -> None:
    for ask in (Webhook(f"{address}/hook").send, Webhook(f"{address}/hook").find):
        with pytest.raises(LlamaError, match=r"answered without an id within 64 KiB|broke off"):
            ask(post())


def test_slack_cannot_hold_us(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_API_URL", f"{address}/api/")
    slack = Slack("C1")
    for ask in (lambda: slack.say("x"), lambda: slack.find(post())):
        with pytest.raises(LlamaError, match="Slack cannot be reached or broke off") as caught:
            ask()
        assert "canary" not in str(caught.value)


def test_nobody_who_is_read_from_can_hold_us(address: str) -> None:
    def ask() -> bytes:
        with requests.Session() as session:
            session.mount("http://", web.ReadingAdapter())
            return web.body(session.get(address, stream=True).raw, 1 << 20, limit_s=2.0)

    with pytest.raises((ValueError, OSError)):  # what callers make sentences of
        ask()


def test_slacks_list_that_turns_in_a_circle_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def same_page(connection: socket.socket, _: threading.Event) -> None:
        text = b'{"ok": true, "messages": [5], "response_metadata": {"next_cursor": "again"}}'
        length = f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode()
        connection.sendall(HEAD + length + text)

    monkeypatch.setenv("SLACK_TOKEN", "xoxb-canary")
    with server(same_page) as url:
        monkeypatch.setenv("SLACK_API_URL", f"{url}/api/")
        with pytest.raises(LlamaError, match="does not end its list of messages"):
            Slack("C1").find(post())
