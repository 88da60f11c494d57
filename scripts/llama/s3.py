"""S3 and what speaks like it: one client, bounded patience, errors in sentences without keys."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import tenacity

from llama.errors import LlamaError

CONNECTIONS = 16
PATIENCE_S = 45.0  # of pauses, so that an outage of half a minute is waited for
_UNKNOWN = {"404", "NoSuchKey", "NotFound"}
_REFUSED = {
    *("401", "403", "AccessDenied", "AccountProblem", "InvalidAccessKeyId"),
    *("SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"),
}
_PASSING = {"SlowDown", "RequestTimeout", "Throttling", "TooManyRequests", "RequestTimeTooSkewed"}

T = TypeVar("T")


class Keys(NamedTuple):
    """An access key and its secret; neither is shown."""

    access: str
    secret: str

    def __repr__(self) -> str:
        return "Keys(...)"


class Remedies(NamedTuple):
    """What to do when there is no such bucket, no key, or no answer; each ends a sentence."""

    bucket: str
    keys: str
    network: str


class _List(NamedTuple):
    """How a list goes on: its items, and what of an answer, or of its last item, is asked for next.

    Each maps a name in the answer to the option of the next request.
    """

    items: str
    next: dict[str, str]
    after: dict[str, str]


_LISTS = {
    "list_objects_v2": _List(
        "Contents", {"NextContinuationToken": "ContinuationToken"}, {"Key": "StartAfter"}
    ),
    "list_multipart_uploads": _List(
        "Uploads",
        {"NextKeyMarker": "KeyMarker", "NextUploadIdMarker": "UploadIdMarker"},
        {"Key": "KeyMarker", "UploadId": "UploadIdMarker"},
    ),
    "list_parts": _List(
        "Parts",
        {"NextPartNumberMarker": "PartNumberMarker"},
        {"PartNumber": "PartNumberMarker"},
    ),
}


class Bucket:
    """A bucket, asked with patience; `tell` hears of the pauses."""

    def __init__(
        self,
        client: Any,
        name: str,
        tell: Callable[[str], object] = lambda text: None,
        patience_s: float | None = None,
    ) -> None:
        self.client, self.name, self._tell, self._patience_s = client, name, tell, patience_s

    def once(self, action: str, **options: Any) -> Any:
        """Return S3's answer to one request, such as head_object."""
        return getattr(self.client, action)(Bucket=self.name, **options)

    def ask(self, action: str, **options: Any) -> Any:
        """Return S3's answer; the request may be sent several times."""
        return self.patiently(lambda: self.once(action, **options))

    def patiently(self, call: Callable[[], T]) -> T:
        """Return what `call` returns; again while S3 is out of order."""
        return patiently(call, self._tell, self._patience_s)

    def objects(self, prefix: str, page_size: int = 1000) -> Iterator[dict[str, Any]]:
        """Yield every object whose key begins with `prefix` as S3 describes it."""
        return self.every("list_objects_v2", Prefix=prefix, MaxKeys=page_size)

    def every(self, action: str, **options: Any) -> Iterator[dict[str, Any]]:
        """Yield all items of a list (`_LISTS`), page by page, each once; `LlamaError` if it is cut.

        A store that says that there is more and not where goes on after the last item.
        """
        kind, place = _LISTS[action], dict[str, Any]()
        seen, asked = set[tuple[Any, ...]](), set[tuple[Any, ...]]()
        while True:
            page = self.ask(action, **options, **place)
            items = page.get(kind.items, ())
            new = [item for item in items if tuple(item[key] for key in kind.after) not in seen]
            seen.update(tuple(item[key] for key in kind.after) for item in new)
            yield from new
            place = {kind.next[key]: page[key] for key in kind.next if page.get(key)}
            if not page.get("IsTruncated", bool(place)):
                return
            if len(place) < len(kind.next):
                place = {kind.after[key]: items[-1][key] for key in kind.after if items}
            answered = tuple(sorted(place.items()))
            if not place or answered in asked or (items and not new):
                raise LlamaError(
                    f"the store of {self.name} cuts lists off ({action}) and does not continue "
                    "them; nothing that it lists can be taken for complete: use another store"
                )
            asked.add(answered)


def make_client(
    endpoint_url: str | None = None, keys: Keys | None = None, region: str | None = None
) -> Any:
    """Return a boto3 client; what is None is boto3's own business (environment, ~/.aws).

    Every wait ends, and each request is sent at most twice: `patiently` does the rest.
    """
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=keys and keys.access,
        aws_secret_access_key=keys and keys.secret,
        config=Config(
            # stores that only resemble S3 refuse the newer checksums, or keep them in the file
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": 2},
            connect_timeout=10,
            read_timeout=30,
            max_pool_connections=CONNECTIONS,
        ),
    )


def patiently(
    call: Callable[[], T],
    tell: Callable[[str], object] = lambda text: None,
    patience_s: float | None = None,
) -> T:
    """Return what `call`, which may be repeated, returns; again while S3 is out of order.

    Ends with the last error after `patience_s` (`PATIENCE_S`) of pauses. `tell` hears of each pause
    from the second on.
    """
    patience_s = PATIENCE_S if patience_s is None else patience_s

    def pausing(state: tenacity.RetryCallState) -> None:
        if state.attempt_number > 1 and state.outcome and state.next_action:
            error = state.outcome.exception()
            answered = getattr(error, "response", None)  # None where the connection broke
            reason = _code(error) if answered else type(error).__name__
            tell(f"S3 does not answer as it should ({reason}); again in {state.upcoming_sleep:g} s")

    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_passing),
        wait=tenacity.wait_exponential(0.5, max=5),
        stop=lambda state: state.idle_for >= patience_s,
        before_sleep=pausing,
        reraise=True,
    )
    return attempts(call)


def is_passing(error: BaseException) -> bool:
    """Return whether the same request may work later: no answer, half of one, 429 or 5xx."""
    from botocore import exceptions as boto
    from s3transfer.exceptions import RetriesExceededError

    if isinstance(error, boto.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status == 429 or status >= 500 or _code(error) in _PASSING
    if isinstance(error, boto.SSLError):
        return False
    passing = (boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError)
    return isinstance(error, (*passing, RetriesExceededError))


def is_unknown(error: Any) -> bool:
    """Return whether a ClientError says that there is no such object (or, to HEAD, bucket)."""
    return _code(error) in _UNKNOWN


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextlib.contextmanager
def sentences(what: str, bucket: str, remedies: Remedies) -> Iterator[None]:
    """Turn errors of boto3 within the block, which is about `what`, into `LlamaError`."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        CredentialRetrievalError,
        NoCredentialsError,
        PartialCredentialsError,
    )
    from s3transfer.exceptions import RetriesExceededError

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
        raise LlamaError(f"there is no key for {what}; {remedies.keys}") from error
    except ClientError as error:
        code = _code(error)
        if code == "NoSuchBucket":
            text = f"there is no bucket {bucket}; {remedies.bucket}"
        elif code in _REFUSED:
            text = f"S3 does not let us use {what} ({code}); check key and endpoint"
        else:
            text = f"S3 fails at {what} ({code}); run the same command again"
        raise LlamaError(text) from error
    except (BotoCoreError, RetriesExceededError) as error:
        raise LlamaError(
            f"{what} cannot be reached ({error}); {remedies.network}, "
            "then run the same command again"
        ) from error
