"""Reading from the network: every wait ends, only reading is repeated, sizes are limited."""

import json
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import requests
import tenacity
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from llama.errors import LlamaError

TIMEOUT_S = (5.0, 30.0)  # to connect, between two packets; the libraries wait for ever
PAUSE_S = 0.2  # before the second repetition; doubled before each later one
DEADLINE_S = 600.0  # for one body, so that a server that sends a byte now and then ends too
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

    def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
        """Send a request; without a timeout of its own it gets `TIMEOUT_S`."""
        options["timeout"] = options.get("timeout") or TIMEOUT_S
        try:
            return super().send(request, *args, **options)
        except requests.RequestException:
            raise
        except OSError as error:
            raise LlamaError(no_certificates(error)) from error


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


def body(raw: Any, max_bytes: int) -> bytes:
    """Return the decoded body of a urllib3 response; `ValueError` above `max_bytes` or too slow."""
    content = bytearray()
    end = time.monotonic() + DEADLINE_S
    try:
        for chunk in raw.stream(1 << 16, decode_content=True):
            content += chunk
            if len(content) > max_bytes:
                raise ValueError(f"the answer has more than {max_bytes:,} bytes")
            if time.monotonic() > end:
                raise ValueError(f"the answer took more than {DEADLINE_S:g} s")
    finally:
        raw.release_conn()
        raw.close()
    return bytes(content)


def parse_json(content: bytes) -> Any:
    """Return the JSON in `content`; `ValueError` for NaN, infinities and anything else."""
    try:
        return json.loads(content, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("the answer is nested too deeply") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
