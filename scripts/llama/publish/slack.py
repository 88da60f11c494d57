"""Slack: a message per event, its figures and all later messages in the thread below it."""

import http.client
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from llama.alerts.kafka import is_loopback, secret
from llama.errors import LlamaError
from llama.files import dump_json, sha256_file
from llama.publish.outbox import Found, NotSentError, Post
from llama.publish.result import Result

TIMEOUT_S = 30
FIGURES = ("coinc_skymap_lvc-i3.png", "coinc_scatter_lvc-i3.png")
_EVENT_TYPE = "llama_publication"
_EARLIER_S = 86_400  # this machine's clock may have been ahead of Slack's by so much
# Errors with which Slack does not say that nothing has happened.
_UNCLEAR = ("internal_error", "fatal_error", "service_unavailable", "request_timeout")


def build(result: Result, key: str, kind: str, refers_to: str | None) -> bytes:
    """Return key and text of the message, and its figures by path and sha256."""
    paths = [] if kind == "withdrawal" else [result.event_dir / name for name in FIGURES]
    content = {
        "key": key,
        "text": result.text(kind),
        "figures": [
            {
                "name": f"{result.info['notice']}-{key[:8]}-{path.name}",
                "path": str(path.absolute()),
                "sha256": sha256_file(path),
            }
            for path in paths
            if path.exists()
        ],
    }
    return dump_json(content).encode()


class Slack:
    """One Slack channel, by its id."""

    def __init__(self, destination: str) -> None:
        from slack_sdk import WebClient

        token = secret("SLACK_TOKEN")
        if not token:
            raise LlamaError(
                "SLACK_TOKEN is not set; give the bot's token in the environment, or to systemd "
                "by LoadCredential"
            )
        self._channel, self._secret = destination, token
        # no retries: the library's own resend what may have arrived
        quiet = logging.Logger(__name__, logging.CRITICAL)  # errors are ours to tell
        self._client = WebClient(
            token, timeout=TIMEOUT_S, retry_handlers=[], base_url=_base_url(), logger=quiet
        )

    def find(self, post: Post) -> Found | None:
        """Look for message and figures; a message without all its figures is not whole."""
        ts = self._message(post)
        return None if ts is None else Found(ts, whole=not list(self._missing(post, ts)))

    def send(self, post: Post) -> str:
        """Post what of message and figures is not there yet."""
        content = json.loads(post.payload)
        ts, posted = self._message(post), False
        if ts is None:
            answer = self._call(
                self._client.chat_postMessage,
                channel=self._channel,
                text=content["text"],
                thread_ts=post.refers_to,
                reply_broadcast=bool(post.refers_to) or None,
                unfurl_links=False,
                unfurl_media=False,
                metadata={"event_type": _EVENT_TYPE, "event_payload": {"key": post.key}},
            )
            ts = str(answer["ts"])
            posted = True
        try:
            for figure in self._missing(post, ts):
                self._call(
                    self._client.files_upload_v2,
                    channel=self._channel,
                    thread_ts=post.refers_to or ts,
                    file=figure["path"],
                    filename=figure["name"],
                    title=figure["name"],
                )
        except NotSentError as error:
            if posted:  # Slack may show it only in a moment
                raise LlamaError(str(error)) from error
            raise
        return ts

    def say(self, text: str) -> None:
        """Post a message of its own, which may arrive twice if it is repeated."""
        self._call(
            self._client.chat_postMessage, channel=self._channel, text=text, unfurl_links=False
        )

    def _message(self, post: Post) -> str | None:
        """Return the time stamp of the message with the key, None if there is none."""
        found = (
            message
            for message in self._messages(post, post.refers_to)
            if (message.get("metadata") or {}).get("event_payload", {}).get("key") == post.key
        )
        return next((str(message["ts"]) for message in found), None)

    def _missing(self, post: Post, ts: str) -> Iterator[dict[str, str]]:
        """Yield the figures that are not in the thread; one made anew since is left out."""
        figures = [
            figure
            for figure in json.loads(post.payload)["figures"]
            if Path(figure["path"]).exists() and sha256_file(figure["path"]) == figure["sha256"]
        ]
        if not figures:
            return
        messages = self._messages(post, post.refers_to or ts)
        there = {f.get("name") for message in messages for f in message.get("files") or []}
        yield from (figure for figure in figures if figure["name"] not in there)

    def _messages(self, post: Post, thread_ts: str | None) -> list[dict[str, Any]]:
        """Return the messages of the channel, or of a thread, since the post was prepared."""
        about: dict[str, Any] = {"channel": self._channel, "include_all_metadata": True}
        since = min(post.since, time.time()) - _EARLIER_S
        about |= {"limit": 200, "oldest": f"{since:.6f}"}
        read: Callable[..., Any] = self._client.conversations_history
        if thread_ts is not None:
            read, about = self._client.conversations_replies, about | {"ts": thread_ts}
        messages: list[dict[str, Any]] = []
        cursor = None
        while True:
            answer = self._call(read, cursor=cursor, **about)
            messages += answer.get("messages") or []
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return messages

    def _call(self, method: Callable[..., Any], **arguments: Any) -> Any:
        from slack_sdk.errors import SlackApiError, SlackClientError

        try:
            return method(**arguments)
        except SlackApiError as error:
            answer = error.response
            said = answer.get("error") if isinstance(answer.get("error"), str) else None
            status = getattr(answer, "status_code", None) or answer.get("status")
            what = f"Slack refused ({said or status}); it is tried again at the next run"
            if said in ("missing_scope", "not_in_channel", "channel_not_found"):
                what += ", once the bot is in the channel and may read and write in it"
            clear = (said and said not in _UNCLEAR) or status == 429
            raise (NotSentError if clear else LlamaError)(what) from None
        except (SlackClientError, OSError, http.client.HTTPException, ValueError) as error:
            reason = " ".join(str(error).replace(self._secret, "***").split())[:100]
            raise LlamaError(
                f"Slack cannot be reached or broke off ({type(error).__name__}: {reason}); "
                "it is tried again at the next run"
            ) from None


def _base_url() -> str:
    """Return Slack's address, or that of a double on this machine for tests."""
    given = os.environ.get("SLACK_API_URL", "")
    host = re.match(r"https?://([^/]*?)(:\d+)?/", given)
    return given if host and is_loopback(host[1]) else "https://slack.com/api/"
