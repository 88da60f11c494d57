"""S3 and what speaks like it: one client, bounded patience, errors in sentences without keys."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import msgspec
import tenacity

from llama.errors import LlamaError

CONNECTIONS = 16
PATIENCE_S = 45.0  # of pauses, so that an outage of half a minute is waited for
_PAGE = 1000  # what S3 lists at once
_UNKNOWN = {"404", "NoSuchKey", "NotFound"}
_REPLACED = {*_UNKNOWN, "412", "416", "PreconditionFailed", "InvalidRange"}  # of one that was there
_REFUSED = {
    *("401", "403", "AccessDenied", "AccountProblem", "InvalidAccessKeyId"),
    *("SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"),
}
_PASSING = {"SlowDown", "RequestTimeout", "Throttling", "TooManyRequests", "RequestTimeTooSkewed"}

T = TypeVar("T")
Item = TypeVar("Item")


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


class Stored(NamedTuple):
    """An object: key, size [bytes], date [Unix s], ETag, sha256 or "", and notes put with it."""

    key: str
    size: int
    modified: float
    etag: str
    sha256: str = ""
    notes: Mapping[str, str] = MappingProxyType({})


class Begun(msgspec.Struct, frozen=True, rename="pascal"):
    """An upload in parts that was begun and not ended."""

    key: str
    upload_id: str


class Part(msgspec.Struct, frozen=True, rename="pascal"):
    """A part of such an upload; its ETag is the MD5, quoted."""

    part_number: int
    etag: str = msgspec.field(name="ETag")


class _Object(msgspec.Struct, frozen=True, rename="pascal"):
    key: str
    size: int
    last_modified: datetime
    etag: str = msgspec.field(name="ETag")


class _List(NamedTuple):
    """A request, its items, how it goes on: by options that an answer tells (as `Next..`).

    after: the same from the last item, for a store that tells nothing.
    """

    action: str
    items: str
    told: tuple[str, ...]
    after: dict[str, str]


_LISTS: dict[type, _List] = {
    _Object: _List("list_objects_v2", "Contents", ("ContinuationToken",), {"StartAfter": "key"}),
    Begun: _List(
        "list_multipart_uploads",
        "Uploads",
        ("KeyMarker", "UploadIdMarker"),
        {"KeyMarker": "key", "UploadIdMarker": "upload_id"},
    ),
    Part: _List("list_parts", "Parts", ("PartNumberMarker",), {"PartNumberMarker": "part_number"}),
}


class Bucket:
    """A bucket, asked with patience; `tell` hears of the pauses, errors are sentences."""

    def __init__(
        self,
        client: Any,
        name: str,
        remedies: Remedies,
        tell: Callable[[str], object] = lambda text: None,
        patience_s: float | None = None,
    ) -> None:
        self.client, self.name, self._remedies = client, name, remedies
        self._tell, self._patience_s = tell, patience_s

    def once(self, action: str, **options: Any) -> Any:
        """Return S3's answer to one request, such as head_object."""
        return getattr(self.client, action)(Bucket=self.name, **options)

    def ask(self, action: str, **options: Any) -> Any:
        """Return S3's answer; the request may be sent several times."""
        about = options.get("Key") or options.get("Prefix", "")
        return self.patiently(lambda: self.once(action, **options), about)

    def patiently(self, call: Callable[[], T], about: str = "") -> T:
        """Return what `call`, which may be repeated, returns; again while S3 is out of order.

        Ends with the last error, as a sentence that names `about`, after `patience_s`
        (`PATIENCE_S`) of pauses. `tell` hears of each pause from the second on.
        """
        patience_s = PATIENCE_S if self._patience_s is None else self._patience_s

        def pausing(state: tenacity.RetryCallState) -> None:
            if state.attempt_number > 1 and state.outcome and state.next_action:
                error = state.outcome.exception()
                answered = getattr(error, "response", None)  # None where the connection broke
                reason = _code(error) if answered else type(error).__name__
                pause_s = state.upcoming_sleep
                self._tell(f"S3 does not answer as it should ({reason}); again in {pause_s:g} s")

        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_passing),
            wait=tenacity.wait_exponential(0.5, max=5),
            stop=lambda state: state.idle_for >= patience_s,
            before_sleep=pausing,
            reraise=True,
        )
        with sentences(f"s3://{self.name}/{about}".rstrip("/"), self.name, self._remedies):
            return attempts(call)

    def if_there(self, call: Callable[[], T], about: str = "") -> T | None:
        """Return what `call` returns, patiently; None if it asks for what is not there."""
        from botocore.exceptions import ClientError

        def look() -> T | None:
            try:
                return call()
            except ClientError as error:
                if _code(error) in _UNKNOWN:
                    return None
                raise

        return self.patiently(look, about)

    def objects(self, prefix: str) -> Iterator[Stored]:
        """Yield the objects whose keys begin with `prefix`; a list does not tell their sha256."""
        for one in self.every(_Object, Prefix=prefix, MaxKeys=_PAGE):
            yield Stored(one.key, one.size, one.last_modified.timestamp(), one.etag.strip('"'))

    def every(self, form: type[T], **options: str | int) -> Iterator[T]:
        """Yield all items of a list (`_LISTS`), page by page, each once; `LlamaError` if it is cut.

        A store that says that there is more and not where goes on after the last item.
        """
        action, items, told, after = _LISTS[form]
        place, seen, asked = dict[str, str | int](), set[object](), set[object]()
        while True:
            page = self.ask(action, **options, **place)
            found = [msgspec.convert(item, form) for item in page.get(items, ())]
            places = [tuple(getattr(item, name) for name in after.values()) for item in found]
            new = [item for item, there in zip(found, places, strict=True) if there not in seen]
            seen.update(places)
            yield from new
            place = {option: page[f"Next{option}"] for option in told if page.get(f"Next{option}")}
            if not page.get("IsTruncated", bool(place)):
                return
            if len(place) < len(told):
                place = dict(zip(after, places[-1], strict=True)) if places else {}
            answered = tuple(sorted(place.items()))
            if not place or answered in asked or (found and not new):
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


def in_threads(call: Callable[[Item], T], items: Iterable[Item], count: int) -> list[T]:
    """Return what `call` returns for each item, in any order; the first error ends it."""
    with ThreadPoolExecutor(count) as pool:
        try:
            return [job.result() for job in as_completed([pool.submit(call, i) for i in items])]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


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
        elif code in _REPLACED:
            text = f"{what} has been replaced or removed meanwhile; run the same command again"
        else:
            text = f"S3 fails at {what} ({code}); run the same command again"
        raise LlamaError(text) from error
    except (BotoCoreError, RetriesExceededError) as error:
        raise LlamaError(
            f"{what} cannot be reached ({error}); {remedies.network}, "
            "then run the same command again"
        ) from error
