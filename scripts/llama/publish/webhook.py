"""A plain webhook: one POST per message, and a GET that tells whether it has arrived."""

from typing import Any

from msgspec import to_builtins

from llama.errors import LlamaError, printable
from llama.files import dump_json
from llama.publish.outbox import Found, NotSentError, Post
from llama.publish.result import Result
from llama.secrets import secret


def build(result: Result, key: str, kind: str, refers_to: str | None) -> bytes:
    """Return the JSON that is posted."""
    content = {"key": key, "kind": kind, "refers_to": refers_to, "text": result.text(kind)}
    return dump_json(content | {"result": to_builtins(result.facts())}).encode()


class Webhook:
    """The receiver at `url` keeps the header Idempotency-Key and answers GET ?key=... by it."""

    def __init__(self, url: str) -> None:
        from llama.web import open_session

        self._url, self._session = url, open_session()
        token = secret("LLAMA_WEBHOOK_TOKEN")
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def find(self, post: Post) -> Found | None:
        """Ask for the message; 404 says that it has not arrived."""
        with self._ask("GET", params={"key": post.key}) as answer:
            if answer.status_code == 404:
                return None
            if answer.status_code == 200:
                return Found(self._identity(answer))
        raise LlamaError(
            f"the webhook {self._url} answered {answer.status_code} when asked for a message; it "
            "must answer GET ?key=KEY with 404 or with JSON that has an id; see docs/publishing.md"
        )

    def send(self, post: Post) -> str:
        """Post the message."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": post.key}
        with self._ask("POST", data=post.payload, headers=headers) as answer:
            if answer.status_code in (200, 201):
                return self._identity(answer)
        message = f"the webhook {self._url} answered {answer.status_code}; it is tried again later"
        # what refuses has not taken it; a gateway's 5xx says nothing about who is behind it
        refused = 300 <= answer.status_code < 500 and answer.status_code != 408
        raise (NotSentError if refused else LlamaError)(message)

    def _ask(self, method: str, **options: Any) -> Any:
        import requests

        try:
            # a redirect would carry the message to where nobody has allowed it to go
            return self._session.request(
                method, self._url, allow_redirects=False, stream=True, **options
            )
        except requests.RequestException as error:
            raise LlamaError(
                f"the webhook {self._url} cannot be reached or broke off "
                f"({type(error).__name__}); it is tried again at the next run"
            ) from error

    def _identity(self, answer: Any) -> str:
        from llama.web import ANSWER_BYTES, answer_body, parse_json

        try:
            identity = parse_json(answer_body(answer.raw))["id"]
            # one that is empty, true or false would be no sign that the message is there
            if (
                isinstance(identity, str | int)
                and not isinstance(identity, bool)
                and identity != ""
            ):
                return printable(identity, 200)
        except (ValueError, TypeError, KeyError):
            pass
        raise LlamaError(
            f"the webhook {self._url} answered without an id within {ANSWER_BYTES >> 10} KiB and "
            "its time; see docs/publishing.md"
        )
