"""Doubles of those who receive results: Slack's Web API and a webhook, over HTTPS on loopback."""

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from https_server import Answer, Request, Server, https_server

TOKEN = "xoxb-canary-0123456789"  # noqa: S105
_PAGE = 2  # messages per page: every look-up turns pages


class SlackDouble:
    """The methods that LLAMA uses, with Slack's answers: errors come with status 200."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.files: dict[str, dict[str, Any]] = {}
        self.base = ""
        self.now = time.time
        self._count = itertools.count(1)

    def answer(self, request: Request) -> Answer:
        name = request.path.rpartition("/")[2]
        if "/upload/" in request.path:
            assert "Authorization" not in request.headers
            file = self.files[name]
            file["content"] = request.body
            good = len(request.body) == file["length"]
            return Answer(200 if good else 400, b"OK")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Answer(200, {"ok": False, "error": "invalid_auth"})
        fields: dict[str, Any] = dict(request.query)
        if "json" in request.headers.get("Content-Type", ""):
            fields |= json.loads(request.body or b"{}")
        else:
            fields |= dict(parse_qsl(request.body.decode()))
        method = getattr(self, name.replace(".", "_"), None)
        if method is None:
            return Answer(200, {"ok": False, "error": "unknown_method"})
        return Answer(200, {"ok": True} | method(fields))

    def _ts(self) -> str:
        return f"{int(self.now())}.{next(self._count):06d}"

    def chat_postMessage(self, fields: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        message = {key: fields[key] for key in ("text", "metadata", "channel") if key in fields}
        message |= {"ts": self._ts(), "thread_ts": fields.get("thread_ts")}
        message["broadcast"] = bool(fields.get("reply_broadcast"))
        self.messages.append(message)
        return {"ts": message["ts"], "channel": fields["channel"], "message": message}

    def files_getUploadURLExternal(self, fields: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = f"F{next(self._count)}"
        self.files[name] = {"name": fields["filename"], "length": int(fields["length"])}
        return {"file_id": name, "upload_url": f"{self.base}/upload/{name}"}

    def files_completeUploadExternal(self, fields: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        given = fields["files"]
        named = json.loads(given) if isinstance(given, str) else given
        files = [{"id": f["id"], "name": self.files[f["id"]]["name"]} for f in named]
        message = {"text": "", "channel": fields["channel_id"], "ts": self._ts(), "files": files}
        message |= {"thread_ts": fields.get("thread_ts"), "broadcast": False}
        self.messages.append(message)
        return {"files": files}

    def conversations_history(self, fields: dict[str, Any]) -> dict[str, Any]:
        shown = [m for m in self.messages if not m["thread_ts"] or m["broadcast"]]
        return self._page(shown[::-1], fields)

    def conversations_replies(self, fields: dict[str, Any]) -> dict[str, Any]:
        root = fields["ts"]
        return self._page([m for m in self.messages if root in (m["ts"], m["thread_ts"])], fields)

    def _page(self, messages: list[dict[str, Any]], fields: dict[str, Any]) -> dict[str, Any]:
        if fields.get("include_all_metadata") not in ("1", "true", "True", True):
            messages = [{k: v for k, v in m.items() if k != "metadata"} for m in messages]
        found = [
            m
            for m in messages
            if m["channel"] == fields["channel"] and float(m["ts"]) >= float(fields["oldest"])
        ]
        start = int(fields.get("cursor") or 0)
        more = str(start + _PAGE) if start + _PAGE < len(found) else ""
        return {
            "messages": found[start : start + _PAGE],
            "has_more": bool(more),
            "response_metadata": {"next_cursor": more},
        }


class WebhookDouble:
    """Keeps every post; unlike a good receiver it does not drop those that it knows."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.places: list[str] = []  # the path of each post
        self.authorization: list[str | None] = []

    def answer(self, request: Request) -> Answer:
        self.authorization.append(request.headers.get("Authorization"))
        if request.method == "POST":
            self.places.append(request.path)
            self.posts.append((request.headers["Idempotency-Key"], json.loads(request.body)))
            return Answer(201, {"id": f"post-{len(self.posts)}"})
        keys = [key for key, _ in self.posts]
        key = request.query["key"]
        return Answer(200, {"id": f"post-{keys.index(key) + 1}"}) if key in keys else Answer(404)


@contextlib.contextmanager
def slack_server() -> Iterator[tuple[Server, SlackDouble]]:
    """Serve until the block ends; the API is at `url` + /api/."""
    double = SlackDouble()
    with https_server(double.answer) as server:
        double.base = server.url
        yield server, double


@contextlib.contextmanager
def webhook_server() -> Iterator[tuple[Server, WebhookDouble]]:
    """Serve until the block ends, at any path."""
    double = WebhookDouble()
    with https_server(double.answer) as server:
        yield server, double
