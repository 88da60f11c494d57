"""One request to DigitalOcean. The only module that knows python-digitalocean, in `_send`.

What that library (1.17, its last release) leaves to us: time limits, and errors that tell the
status and never show the token.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from llama.errors import LlamaError

ANSWER_WITHIN_S = 20.0
_T = TypeVar("_T")


class CloudError(LlamaError):
    """The API has not done what it was asked to."""


class PassingError(CloudError):
    """May work later: no answer, half of one, 429 or 5xx. Whether anything was done is unknown.

    `wait_s` is the time that the API itself asks to wait, else None.
    """

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class BusyError(PassingError):
    """Too many requests (429): nothing was done."""


class RefusedError(CloudError):
    """The request as it is will never work (422)."""


class DropletLimitError(RefusedError):
    """The account may not have so many droplets."""


class ForbiddenError(CloudError):
    """The token may not do that (403)."""


class NotFoundError(CloudError):
    """There is no such thing (404)."""


def _send(token: str, verb: str, url: str, details: dict[str, object]) -> Any:
    """Return the response to one request: status_code, headers, json().

    All that is asked of the library, whose own reading of answers swallows status and errors; it
    finds the end point in the environment. What does not come is one of requests' exceptions.
    """
    from digitalocean.baseapi import BaseAPI

    class Library(BaseAPI):  # type: ignore[misc]
        def get_timeout(self) -> float:
            return ANSWER_WITHIN_S

    library = Library(token=token)
    try:
        return library._BaseAPI__perform_request(url, verb, details)
    finally:
        library._session.close()


class Connection:
    """Asks as the owner of `token`; each request once."""

    def __init__(self, token: str) -> None:
        _check_end_point(os.environ.get("DIGITALOCEAN_END_POINT", ""))
        self._token = token

    def ask(self, verb: str, url: str, details: Mapping[str, object] | None = None) -> object:
        """Send one request and return its JSON, None without; every failure is a `CloudError`."""
        import requests

        from llama.web import no_certificates

        try:
            response = _send(self._token, verb, url, dict(details or {}))
            if response.ok:
                return None if response.status_code == 204 else response.json()
            problem = self._problem(response, f"{verb} {url}")
        except requests.RequestException as error:
            what = "did not answer in time" if isinstance(error, requests.Timeout) else "is away"
            if isinstance(error, ValueError):
                what = "gave half of an answer"
            problem = PassingError(f"DigitalOcean {what}; try again later")
        except OSError as error:
            problem = CloudError(no_certificates(error))
        # `from None`: what the library says may quote the request, and tracebacks are logged
        raise problem from None

    def _problem(self, response: Any, request: str) -> CloudError:
        status, said = response.status_code, "no reason given"
        with contextlib.suppress(ValueError, TypeError, LookupError):  # whatever the body is
            said = str(response.json()["message"]).replace(self._token, "[token]")[:300] or said
        if status == 401:
            return CloudError(
                "DigitalOcean does not know this token; make a new one on its API page and "
                "export it as DIGITALOCEAN"
            )
        if status == 403:
            return ForbiddenError(
                f"this token may not do that ({said}); make one with write access and export it "
                "as DIGITALOCEAN"
            )
        if status == 404:
            where = request.split()[-1]
            return NotFoundError(f"DigitalOcean has nothing at {where}; list it again")
        if status == 429:
            wait_s = _asked_to_wait_s(response.headers)
            minutes = f" in {wait_s / 60:.0f} minutes" if wait_s else " later"
            return BusyError(f"too many requests to DigitalOcean; try again{minutes}", wait_s)
        if status == 422:
            kind = DropletLimitError if "droplet limit" in said.lower() else RefusedError
            return kind(f"DigitalOcean refuses this: {said}")
        if status >= 500:
            return PassingError(f"DigitalOcean is out of order ({status}: {said}); try again later")
        return CloudError(f"DigitalOcean answers {status} to {request}: {said}")


def _check_end_point(url: str) -> None:
    parts = urlsplit(url)
    if url and parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise LlamaError(
            "$DIGITALOCEAN_END_POINT is neither https nor on this machine, and the token would "
            "travel in clear; correct or unset it"
        )


def _asked_to_wait_s(headers: Any) -> float | None:
    for name, since in (("Retry-After", 0.0), ("Ratelimit-Reset", time.time())):
        with contextlib.suppress(TypeError, ValueError):
            return min(max(float(headers.get(name)) - since, 0.0), 3600.0)
    return None


def part(answer: object, key: str, form: type[_T]) -> _T:
    """Return `answer[key]` as `form`; `PassingError` for half of an answer."""
    try:
        found = answer.get(key) if isinstance(answer, dict) else None
        return msgspec.convert(found, form, strict=False)  # amounts are texts
    except msgspec.ValidationError as error:
        raise PassingError(f"DigitalOcean's answer holds no {key}; try again later") from error
