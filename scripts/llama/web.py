"""Reading from the network: every wait ends, only reading is repeated, sizes are limited."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar
from urllib.parse import urljoin

import requests
import tenacity
import urllib3
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Retry

from llama.errors import LlamaError

TIMEOUT_S = (5.0, 30.0)  # to connect, between two packets; the libraries wait for ever
PAUSE_S = 0.2  # before the second repetition; doubled before each later one
DEADLINE_S = 600.0  # for one body, so that a server that sends a byte now and then ends too
ANSWER_BYTES = 1 << 16  # of an answer that is only looked at
_ANSWER_S = 30.0  # for the body of such an answer
_PROGRESS_S = 5.0  # between two packets of it
_FETCH_TIMEOUT_S = (3.0, 10.0)  # an event waits for a neutrino's map
_FETCH_S = 60.0  # for all of it
_MAX_REDIRECTS = 3
_HEADERS_S = 60.0  # for status and headers, however they drip
_READING = frozenset({"GET", "HEAD"})
_PASSING = (408, 429, 500, 502, 503, 504)
_LONGEST_PAUSE_S = 30.0

# A body that ended too early; no layer below repeats it, because its beginning was handed on.
_BROKEN_BODY = (
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.ReadTimeoutError,
    requests.exceptions.ChunkedEncodingError,
)

T = TypeVar("T")


class _Retry(Retry):
    def get_retry_after(self, response: Any) -> float | None:
        pause_s = super().get_retry_after(response)
        return None if pause_s is None else min(pause_s, _LONGEST_PAUSE_S)


class _Watch:
    """Ends an exchange that takes longer than `limit_s`: reading from `socket` fails then."""

    def __init__(self, sock: socket.socket | None, limit_s: float) -> None:
        self.expired = False
        self._sock = sock
        self._timer = threading.Timer(limit_s, self._expire)
        self._timer.daemon = True

    def _expire(self) -> None:
        self.expired = True
        if self._sock is not None:
            with contextlib.suppress(OSError):  # not TLS's own, which another thread is reading
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def __enter__(self) -> "_Watch":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _watched(connection: HTTPConnection, read: Callable[[], Any]) -> Any:
    """Return the answer, whose headers come in time, with the socket that its body comes from."""
    sock = connection.sock
    with _Watch(sock, _HEADERS_S) as watch:
        answer = read()
    if watch.expired:  # headers that are cut off look whole
        answer.close()
        raise TimeoutError(f"status and headers took more than {_HEADERS_S:g} s")
    answer.llama_sock = sock
    return answer


class _Connection(HTTPConnection):
    def getresponse(self) -> Any:
        return _watched(self, super().getresponse)


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> Any:
        return _watched(self, super().getresponse)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class ReadingAdapter(HTTPAdapter):  # type: ignore[misc]
    """Transport that waits at most `TIMEOUT_S` and repeats GET and HEAD, nothing else, 3 times.

    An answer that is still an error is returned as it is. `policy` is a retry policy to keep the
    rules of, such as ligo-gracedb's reading of status 503.
    """

    def __init__(self, policy: Retry | None = None) -> None:
        super().__init__(
            max_retries=(policy or _Retry()).new(
                total=3,
                read=1,
                backoff_factor=PAUSE_S,
                status_forcelist=_PASSING,
                allowed_methods=_READING,
                raise_on_status=False,
            )
        )

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools of connections, which are watched."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Make them for a proxy."""
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager

    def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
        """Send a request; without a timeout of its own it gets `TIMEOUT_S`."""
        options["timeout"] = options.get("timeout") or TIMEOUT_S
        try:
            return super().send(request, *args, **options)
        except requests.RequestException:
            raise
        except OSError as error:
            raise LlamaError(no_certificates(error)) from error


def open_session() -> requests.Session:
    """Return a session whose every exchange goes through `ReadingAdapter`."""
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, ReadingAdapter())
    return session


def no_certificates(error: OSError) -> str:
    """Return what to say of requests' only plain `OSError`, before anything is sent."""
    return f"{error}; correct or unset REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE"


def read_again(read: Callable[[], T]) -> T:
    """Return what `read` returns; called up to 3 times while bodies break off."""
    attempts = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(3),
        wait=tenacity.wait_exponential(PAUSE_S),
        retry=tenacity.retry_if_exception_type(_BROKEN_BODY),
        reraise=True,
    )
    return attempts(read)


def body(
    raw: Any, max_bytes: int, limit_s: float | None = None, progress_s: float | None = None
) -> bytes:
    """Return the decoded body of a urllib3 response; `ValueError` above `max_bytes` or too slow.

    limit_s: for all of it (default: `DEADLINE_S`); progress_s: between two packets, if not the
    request's own limit.
    """
    content, limit_s = bytearray(), DEADLINE_S if limit_s is None else limit_s
    sock = getattr(raw, "llama_sock", None)
    if sock is not None and progress_s is not None:
        sock.settimeout(progress_s)
    try:
        with _Watch(sock, limit_s) as watch:
            try:
                for chunk in raw.stream(min(1 << 16, max_bytes + 1), decode_content=True):
                    content += chunk
                    if len(content) > max_bytes:
                        raise ValueError(f"the answer has more than {max_bytes:,} bytes")
                    if watch.expired:
                        break
            except (urllib3.exceptions.HTTPError, OSError):
                if not watch.expired:
                    raise
        if watch.expired:
            raise ValueError(f"the answer took more than {limit_s:g} s")
    finally:
        raw.release_conn()
        raw.close()
    return bytes(content)


def fetch(url: str, max_bytes: int, what: str) -> bytes:
    """Return the file at an HTTPS address; `LlamaError` for anything else that answers.

    Redirects are followed to HTTPS only, pages of HTML are refused, and nothing is told of who
    asks. what: its name in errors.
    """

    def read() -> bytes:
        place = url
        with open_session() as session:
            session.auth = lambda request: request  # no .netrc
            for _ in range(_MAX_REDIRECTS + 1):
                if not place.startswith("https://"):
                    raise ValueError(f"it is sent on to {place[:100]}, which is not HTTPS")
                answer = session.get(
                    place, stream=True, allow_redirects=False, timeout=_FETCH_TIMEOUT_S
                )
                with answer:
                    if answer.is_redirect:
                        place = urljoin(place, answer.headers["location"])
                        continue
                    if answer.status_code != 200:
                        raise ValueError(f"status {answer.status_code}")
                    if "html" in answer.headers.get("content-type", "").lower():
                        raise ValueError("a page of HTML, not a file")
                    size = answer.headers.get("content-length", "")
                    if size.isdecimal() and int(size) > max_bytes:
                        raise ValueError(f"{int(size):,} bytes, where {max_bytes:,} are read")
                    return body(answer.raw, max_bytes, _FETCH_S)
        raise ValueError("it is sent on again and again")

    try:
        return read_again(read)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        reason = str(error) if type(error) is ValueError else type(error).__name__
        raise LlamaError(
            f"{what} at {url[:200]} cannot be fetched ({reason}); try again later, or give it as a "
            "file"
        ) from error


def answer_body(raw: Any, max_bytes: int = ANSWER_BYTES) -> bytes:
    """Return a body that is only looked at; `ValueError` above `max_bytes` or too slow."""
    try:
        return body(raw, max_bytes, _ANSWER_S, _PROGRESS_S)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ValueError(f"the answer broke off ({type(error).__name__})") from error


def parse_json(content: bytes) -> Any:
    """Return the JSON in `content`; `ValueError` for NaN, infinities and anything else."""
    try:
        return json.loads(content, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("the answer is nested too deeply") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
