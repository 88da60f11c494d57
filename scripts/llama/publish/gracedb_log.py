"""GraceDB: the significance file in the log of the superevent, with tags."""

import contextlib
from collections.abc import Iterator, Mapping

from msgspec import Struct, json, to_builtins

from llama.errors import LlamaError
from llama.event.names import significance_name
from llama.files import dump_json
from llama.publish.outbox import Found, NotSentError, Post
from llama.publish.result import Result
from llama.secrets import secret

TAGS = ("em_follow",)
_MAX_BYTES = 50_000_000


class Row(Struct, frozen=True):
    """What is written into the log: a comment and, unless it is a withdrawal, a file."""

    graceid: str
    comment: str
    filename: str | None = None
    content: str | None = None


def upload_name(result: Result) -> str:
    """Return the name under which O4's tools look for the file."""
    word = "opa" if result.info.significant else "subthreshold"
    return f"significance_{word}_lvc-i3.json"


def build(result: Result, key: str, kind: str, refers_to: str | None) -> bytes:
    """Return the comment and the file's content; a withdrawal is a comment alone."""
    lines = result.text(kind).splitlines()
    if refers_to:
        lines.append(f"See also {refers_to}.")
    comment = "\n".join([*lines, f"LLAMA {key}"])  # the key is how the row is found again
    info, name, content = result.info, None, None
    if kind != "withdrawal":
        name = upload_name(result)
        content = (result.event_dir / significance_name(info)).read_text(encoding="utf-8")
    return dump_json(to_builtins(Row(info.graceid, comment, name, content))).encode()


class GraceDBLog:
    """The log of superevents at the GraceDB whose API is at `service_url`."""

    def __init__(self, service_url: str) -> None:
        from llama.alerts.gracedb import open_session

        self._url = service_url
        try:
            if token := secret("GRACEDB_TOKEN"):
                self._session = open_session(service_url)
                self._session.headers["Authorization"] = f"Bearer {token}"
            else:  # a SciToken or certificate where IGWN's tools look for them
                self._session = open_session(service_url, fail_if_noauth=True)
            self._session.max_redirects = 0  # nobody has allowed the message to go elsewhere
        except LlamaError:
            raise
        except Exception as error:  # noqa: BLE001 - of many libraries, and may hold secrets
            raise LlamaError(
                f"there are no credentials for GraceDB at {service_url} ({type(error).__name__}); "
                "get a token, for example with htgettoken, or give it as GRACEDB_TOKEN"
            ) from None

    def find(self, post: Post) -> Found | None:
        """Look for the row of the log that ends in the message's key."""
        from llama import web

        with self._sentences():
            graceid = json.decode(post.payload, type=Row).graceid
            listing = web.parse_json(web.body(self._session.logs(graceid).raw, _MAX_BYTES))
            rows = listing.get("logs", listing.get("log"))  # API v2, v1
            if not isinstance(rows, list):
                raise ValueError("its log is no list")
            for row in rows:
                if str(row.get("comment", "")).endswith(f"LLAMA {post.key}"):
                    return Found(_identity(graceid, row))
        return None

    def send(self, post: Post) -> str:
        """Write the row, with its file."""
        from llama import web

        row = json.decode(post.payload, type=Row)
        with self._sentences():
            answer = self._session.write_log(
                row.graceid,
                row.comment,
                filename=row.filename,
                filecontents=None if row.content is None else row.content.encode(),
                tag_name=list(TAGS),
            )
            return _identity(row.graceid, web.parse_json(web.answer_body(answer.raw)))

    @contextlib.contextmanager
    def _sentences(self) -> Iterator[None]:
        """Turn what goes wrong into a sentence, without what was sent or any credential."""
        import requests
        import urllib3

        # requests' own errors are OSErrors
        broken = (urllib3.exceptions.HTTPError, OSError, ValueError, TypeError, KeyError)
        try:
            yield
        except requests.HTTPError as error:
            status = getattr(error.response, "status_code", 0)
            refused = 400 <= status < 500 and status != 408
            what = f"GraceDB at {self._url} answered {status}; it is tried again at the next run"
            if status in (401, 403):
                what += ", once the credentials may write there"
            raise (NotSentError if refused else LlamaError)(what) from None
        except (*broken, AttributeError) as error:
            raise LlamaError(
                f"GraceDB at {self._url} cannot be reached or broke off "
                f"({type(error).__name__}); it is tried again at the next run"
            ) from None


def _identity(graceid: str, row: Mapping[str, object]) -> str:
    name = row.get("filename")
    file = f" {name},{row.get('file_version')}" if name else ""
    return f"{graceid} log {int(str(row['N']))}{file}"
