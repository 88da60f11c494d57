"""Slack: a message per event, its figures and all later messages in the thread below it."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import DecodeError, Struct, ValidationError, convert, json, to_builtins

from llama.errors import LlamaError
from llama.files import dump_json, sha256_file
from llama.publish.outbox import Found, NotSentError, Post
from llama.publish.result import Result
from llama.secrets import secret
from llama.settings.places import is_loopback

TIMEOUT_S = 30
FIGURES = ("coinc_skymap_lvc-i3.png", "coinc_scatter_lvc-i3.png")
_EVENT_TYPE = "llama_publication"
_MAX_BYTES = 1 << 22  # of a page of 200 messages; all other answers are far smaller
_MAX_PAGES = 1000
_LATER = "it is tried again at the next run"
_EARLIER_S = 86_400  # this machine's clock may have been ahead of Slack's by so much
# Errors with which Slack does not say that nothing has happened.
_UNCLEAR = ("internal_error", "fatal_error", "service_unavailable", "request_timeout")


class Figure(Struct, frozen=True):
    """A figure: its name at Slack, where it is here, and what it was when the message was made."""

    name: str
    path: str
    sha256: str


class Content(Struct, frozen=True):
    """What is sent."""

    text: str
    figures: list[Figure]
    key: str = ""


class _File(Struct, frozen=True):
    name: str | None = None


class _Metadata(Struct, frozen=True):
    event_payload: dict[str, object] = {}


class _Said(Struct, frozen=True):
    """What is read of a message at Slack."""

    ts: str = ""
    files: list[_File] | None = None
    metadata: _Metadata | None = None


class _More(Struct, frozen=True):
    next_cursor: str | None = None


class _Answer(Struct, frozen=True):
    """What is read of an answer: that to a post, to the wish for an upload, a page of messages."""

    ok: bool = False
    error: str | None = None
    ts: str = ""
    upload_url: str = ""
    file_id: str = ""
    messages: list[object] | None = None
    response_metadata: _More | None = None


def build(result: Result, key: str, kind: str, refers_to: str | None) -> bytes:
    """Return key and text of the message, and its figures by path and sha256."""
    paths = [] if kind == "withdrawal" else [result.event_dir / name for name in FIGURES]
    figures = [
        Figure(f"{result.info.notice}-{key[:8]}-{p.name}", str(p.absolute()), sha256_file(p))
        for p in paths
        if p.exists()
    ]
    return dump_json(to_builtins(Content(result.text(kind), figures, key))).encode()


class Slack:
    """One Slack channel, by its id."""

    def __init__(self, destination: str) -> None:
        from llama.web import open_session

        token = secret("SLACK_TOKEN")
        if not token:
            raise LlamaError(
                "SLACK_TOKEN is not set; give the bot's token in the environment, or to systemd "
                "by LoadCredential"
            )
        self._channel, self._secret = destination, token
        self._base_url, self._session = _base_url(), open_session()

    def find(self, post: Post) -> Found | None:
        """Look for message and figures; a message without all its figures is not whole."""
        ts = self._message(post)
        return None if ts is None else Found(ts, whole=not list(self._missing(post, ts)))

    def send(self, post: Post) -> str:
        """Post what of message and figures is not there yet."""
        content = json.decode(post.payload, type=Content)
        ts, posted = self._message(post), False
        if ts is None:
            answer = self._call(
                "chat.postMessage",
                channel=self._channel,
                text=content.text,
                thread_ts=post.refers_to,
                reply_broadcast=bool(post.refers_to) or None,
                unfurl_links=False,
                unfurl_media=False,
                metadata={"event_type": _EVENT_TYPE, "event_payload": {"key": post.key}},
            )
            ts, posted = answer.ts, True
            if not ts:
                raise LlamaError(f"Slack took a message and gave it no id; {_LATER}")
        try:
            for figure in self._missing(post, ts):
                self._upload(figure, post.refers_to or ts)
        except NotSentError as error:
            if posted:  # Slack may show it only in a moment
                raise LlamaError(str(error)) from error
            raise
        return ts

    def say(self, text: str) -> None:
        """Post a message of its own, which may arrive twice if it is repeated."""
        self._call("chat.postMessage", channel=self._channel, text=text, unfurl_links=False)

    def _upload(self, figure: Figure, thread_ts: str) -> None:
        """Put a figure into a thread, in the three steps that Slack wants."""
        content, name = Path(figure.path).read_bytes(), figure.name
        place = self._call("files.getUploadURLExternal", filename=name, length=len(content))
        # the address is the permission
        status, _ = self._post(place.upload_url, data=content, headers={})
        if status != 200:
            raise LlamaError(f"Slack answered {status} for {name}; it is tried again")
        files = json.encode([{"id": place.file_id, "title": name}]).decode()
        where = {"channel_id": self._channel, "thread_ts": thread_ts}
        self._call("files.completeUploadExternal", files=files, **where)

    def _message(self, post: Post) -> str | None:
        """Return the time stamp of the message with the key, None if there is none."""
        for said in self._messages(post, post.refers_to):
            if said.metadata and said.metadata.event_payload.get("key") == post.key:
                return said.ts
        return None

    def _missing(self, post: Post, ts: str) -> Iterator[Figure]:
        """Yield the figures that are not in the thread; one made anew since is left out."""
        figures = [
            figure
            for figure in json.decode(post.payload, type=Content).figures
            if Path(figure.path).exists() and sha256_file(figure.path) == figure.sha256
        ]
        if not figures:
            return
        messages = self._messages(post, post.refers_to or ts)
        there = {file.name for message in messages for file in message.files or []}
        yield from (figure for figure in figures if figure.name not in there)

    def _messages(self, post: Post, thread_ts: str | None) -> list[_Said]:
        """Return the messages of the channel, or of a thread, since the post was prepared."""
        about: dict[str, object] = {"channel": self._channel, "include_all_metadata": True}
        since = min(post.since, time.time()) - _EARLIER_S
        about |= {"limit": 200, "oldest": f"{since:.6f}"}
        method = "conversations.history"
        if thread_ts is not None:
            method, about = "conversations.replies", about | {"ts": thread_ts}
        messages: list[_Said] = []
        cursors: set[str] = set()
        while True:
            answer = self._call(method, **about)
            messages += map(_said, answer.messages or [])
            cursor = answer.response_metadata and answer.response_metadata.next_cursor
            if not cursor:
                return messages
            if cursor in cursors or len(cursors) >= _MAX_PAGES:
                raise LlamaError(f"Slack does not end its list of messages ({method}); {_LATER}")
            cursors.add(cursor)
            about["cursor"] = cursor

    def _call(self, method: str, **fields: object) -> _Answer:
        headers = {"Authorization": f"Bearer {self._secret}"}
        given = {name: value for name, value in fields.items() if value is not None}
        form: dict[str, object] = {"json": given}
        if method != "chat.postMessage":  # others know only forms
            form = {"data": {k: 1 if v is True else v for k, v in given.items()}}
        status, content = self._post(self._base_url + method, headers=headers, **form)
        try:
            answer = json.decode(content, type=_Answer)
        except (DecodeError, RecursionError):
            answer = _Answer()
        if status == 200 and answer.ok:
            return answer
        said = answer.error and answer.error.replace(self._secret, "")
        named = re.sub(r"\W+", " ", str(said or status), flags=re.ASCII)[:60]
        what = f"Slack refused ({named}); {_LATER}"
        if said in ("missing_scope", "not_in_channel", "channel_not_found"):
            what += ", once the bot is in the channel and may read and write in it"
        # a gateway's 5xx says nothing about who is behind it
        clear = (said and said not in _UNCLEAR and status < 500) or status == 429
        raise (NotSentError if clear else LlamaError)(what)

    def _post(self, address: str, **options: Any) -> tuple[int, bytes]:
        """Return status and body of the answer to a POST, which is never repeated."""
        import requests

        from llama.web import answer_body

        limits = {"timeout": (5.0, TIMEOUT_S), "allow_redirects": False, "stream": True}
        try:
            with self._session.post(address, **limits, **options) as answer:
                return answer.status_code, answer_body(answer.raw, _MAX_BYTES)
        except (requests.RequestException, ValueError) as error:
            reason = " ".join(str(error).replace(self._secret, "***").split())[:100]
            raise LlamaError(
                f"Slack cannot be reached or broke off ({type(error).__name__}: {reason}); {_LATER}"
            ) from None


def _said(message: object) -> _Said:
    """Return what is read of a message; nothing of one that cannot be ours."""
    try:
        return convert(message, _Said)
    except ValidationError:
        return _Said()


def _base_url() -> str:
    """Return Slack's address, or that of a double on this machine for tests."""
    given = os.environ.get("SLACK_API_URL", "")
    host = re.match(r"https?://([^/]*?)(:\d+)?/", given)
    return given if host and is_loopback(host[1]) else "https://slack.com/api/"
