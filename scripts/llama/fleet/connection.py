"""One request to DigitalOcean. The only module that knows python-digitalocean.

What that library (1.17, its last release) leaves to us: time limits, and errors that tell the
status and never show the token.
"""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
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


class Connection:
    """Asks as the owner of `token`; each request once."""

    def __init__(self, token: str) -> None:
        from digitalocean.baseapi import BaseAPI

        class Library(BaseAPI):  # type: ignore[misc]
            """The library's request, with a time limit and the response kept."""

            last: Any = None

            def get_timeout(self) -> float:
                return ANSWER_WITHIN_S

            def _BaseAPI__perform_request(self, *arguments: Any) -> Any:  # noqa: N802
                self.last = None
                self.last = super()._BaseAPI__perform_request(*arguments)
                return self.last

        _check_end_point(os.environ.get("DIGITALOCEAN_END_POINT", ""))
        self._make: Callable[[], Any] = lambda: Library(token=token)
        self._token = token

    def ask(self, verb: str, url: str, details: Mapping[str, object] | None = None) -> object:
        """Send one request and return its JSON; every failure is a `CloudError`."""
        import requests
        from digitalocean.baseapi import Error

        from llama.web import no_certificates

        connection = self._make()
        try:
            answer: object = connection.get_data(url, type=verb, params=dict(details or {}))
            return answer
        except requests.RequestException as error:
            what = "did not answer in time" if isinstance(error, requests.Timeout) else "is away"
            if connection.last is not None or isinstance(error, ValueError):
                what = "gave half of an answer"
            problem: CloudError = PassingError(f"DigitalOcean {what}; try again later")
        except OSError as error:
            problem = CloudError(no_certificates(error))
        # the library takes errors apart without looking what they are made of
        except (Error, LookupError, TypeError, AttributeError) as error:
            if connection.last is None:
                raise
            problem = self._problem(connection.last, str(error), f"{verb} {url}")
        finally:
            connection._session.close()
        # `from None`: what the library says may quote the request, and tracebacks are logged
        raise problem from None

    def _problem(self, response: Any, text: str, request: str) -> CloudError:
        status = response.status_code
        said = text.replace(self._token, "[token]")[:300] or "no reason given"
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
        if status >= 500 or status < 300:
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
