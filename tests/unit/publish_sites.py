"""The channels with their servers on loopback, as the tests of publishing and the soak use them."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import receivers
from gracedb_server import GraceDB
from https_server import Answer, Request, https_server

from llama.event.messages import Receipt
from llama.publish import gracedb_log, slack, webhook
from llama.publish.deliver import publish


class Site:
    """A channel, its server, and what has arrived there as (key, text, referred to)."""

    name: str
    kind: type
    where: str
    # ends of paths whose requests change something, or look something up
    ends: tuple[str, ...]

    def __init__(self, server: Any, double: Any) -> None:
        self.server, self.double = server, double
        self.destinations = {"real": None, "test": self.where.format(url=server.url)}

    def publish(self, event_dir: Path) -> Receipt:
        return publish(event_dir, self.name, self.destinations)

    def arrived(self) -> list[tuple[str, str, str | None]]:
        raise NotImplementedError

    def figures(self) -> list[str]:
        return []

    def spoil(self, end: str, faults: list[Any]) -> None:
        self.server.faults = {end: faults}


class SlackSite(Site):
    name, kind, where = "slack", slack.Slack, "C0123456789"
    ends = ("/chat.postMessage", "/files.completeUploadExternal", "/conversations.history")

    def arrived(self) -> list[tuple[str, str, str | None]]:
        return [
            (m["metadata"]["event_payload"]["key"], m["text"], m["thread_ts"])
            for m in self.double.messages
            if "metadata" in m
        ]

    def figures(self) -> list[str]:
        return [file["name"] for m in self.double.messages for file in m.get("files", [])]


class WebhookSite(Site):
    name, kind, where, ends = "webhook", webhook.Webhook, "{url}/hook", ("/hook",)

    def arrived(self) -> list[tuple[str, str, str | None]]:
        return [(key, post["text"], post["refers_to"]) for key, post in self.double.posts]

    def spoil(self, end: str, faults: list[Any]) -> None:
        self.server.faults = {end: [None, *faults]}  # GET and POST have one path


class GraceDBSite(Site):
    name, kind, where, ends = "gracedb", gracedb_log.GraceDBLog, "{url}", ("/logs/",)

    def arrived(self) -> list[tuple[str, str, str | None]]:
        found = []
        for rows in self.double.logs.values():
            for row in rows:
                if row["filename"].endswith(".fits"):
                    continue
                *lines, key = row["comment"].splitlines()
                refers_to = [x for x in lines if x.startswith("See also ")]
                text = refers_to[0][9:-1] if refers_to else None
                found.append((key.removeprefix("LLAMA "), "\n".join(lines), text))
        return found

    def figures(self) -> list[str]:
        return [
            row["comment"]
            for rows in self.double.logs.values()
            for row in rows
            if row["filename"].endswith(".fits")
        ]

    def spoil(self, end: str, faults: list[Any]) -> None:
        self.server.faults = {end: [None, *faults]}  # GET and POST have one path


class GuardedGraceDB(GraceDB):
    """Knows every superevent, and lets only the right token write."""

    def answer(self, request: Request) -> Answer:
        known = request.headers.get("Authorization") == "Bearer canary-gracedb"
        if request.method == "POST" and not known:
            return Answer(401, {"detail": "who are you?"})
        match = re.search("superevents/([^/]+)/", request.path)
        if match:
            self.records.setdefault(match[1], {"superevent_id": match[1], "labels": []})
            self.files.setdefault(match[1], {})
        return super().answer(request)


@contextlib.contextmanager
def gracedb_site() -> Iterator[tuple[Any, Any]]:
    double = GuardedGraceDB({}, {}, anonymous=False)
    with https_server(double.answer) as server:
        server.url += "/api/"
        yield server, double


SITES = {
    SlackSite: receivers.slack_server,
    WebhookSite: receivers.webhook_server,
    GraceDBSite: gracedb_site,
}
