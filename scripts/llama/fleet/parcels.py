"""What travels between head and workers through Spaces: whole, checked, known by its sha256."""

import configparser
import contextlib
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llama.errors import LlamaError
from llama.files import atomic_path, sha256_file
from llama.fleet.token import token_file

if TYPE_CHECKING:
    from llama.settings import Settings

PATIENCE_S = 900.0
_T = TypeVar("_T")
_BUSY = {
    "SlowDown",
    "RequestTimeout",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeTooSkewed",
}


class Parcels:
    """One bucket. It is never made and never deleted; what fails in passing is tried again."""

    def __init__(
        self,
        endpoint_url: str,
        bucket: str | None,
        credentials_file: Path,
        patience_s: float = PATIENCE_S,
    ) -> None:
        import boto3
        from botocore.config import Config

        if not bucket:
            raise LlamaError("no bucket is set; make one on Spaces and name it in spaces.bucket")
        key, secret = read_credentials(credentials_file)
        self.bucket, self._patience_s = bucket, patience_s
        self._client = boto3.Session().client(
            "s3",
            endpoint_url=endpoint_url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            region_name="us-east-1",
            config=Config(
                connect_timeout=10,
                read_timeout=60,
                retries={"total_max_attempts": 2, "mode": "standard"},
                # newer checksums are unknown to several S3-compatible stores
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def about(self, key: str) -> dict[str, str] | None:
        """Return the notes that were put with an object, None when it is not there."""
        return self._patiently(lambda: self._head(key))

    def put(self, path: Path, key: str, **notes: str) -> None:
        """Upload a file with `notes`; its sha256 goes along."""
        extra = {"Metadata": {"sha256": sha256_file(path), **notes}}
        self._patiently(
            lambda: self._client.upload_file(str(path), self.bucket, key, ExtraArgs=extra)
        )

    def get(self, key: str, path: Path, sha256: str) -> None:
        """Download to `path`, whole or not at all; `LlamaError` when the sha256 is another."""

        def download() -> None:
            with atomic_path(path) as temporary:
                self._client.download_file(self.bucket, key, str(temporary))
                if sha256_file(temporary) != sha256:
                    raise LlamaError(
                        f"{key} in {self.bucket} is not what was put there; delete it and try again"
                    )

        self._patiently(download)

    def link(self, key: str, days: int = 7) -> str:
        """Return an address that lets anybody who knows it read one object."""
        return str(
            self._client.generate_presigned_url(
                "get_object", {"Bucket": self.bucket, "Key": key}, ExpiresIn=days * 86400
            )
        )

    def _head(self, key: str) -> dict[str, str] | None:
        from botocore.exceptions import ClientError

        try:
            return dict(self._client.head_object(Bucket=self.bucket, Key=key)["Metadata"])
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
        self._client.head_bucket(Bucket=self.bucket)
        return None

    def _patiently(self, call: Callable[[], _T]) -> _T:
        import tenacity
        from boto3.exceptions import S3UploadFailedError
        from botocore.exceptions import BotoCoreError, ClientError

        def passing(error: BaseException) -> bool:
            if isinstance(error, S3UploadFailedError):
                error = error.__context__ or error
            if isinstance(error, ClientError):
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                code = error.response["Error"]["Code"]
                return status in (408, 429) or status >= 500 or code in _BUSY
            return isinstance(error, BotoCoreError | ConnectionError | S3UploadFailedError)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(passing),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=20),
            stop=tenacity.stop_before_delay(self._patience_s),
            before_sleep=_tell,
            reraise=True,
        )
        try:
            return retrying(call)
        except (BotoCoreError, ClientError, S3UploadFailedError, ConnectionError) as error:
            raise LlamaError(self._sentence(error)) from error

    def _sentence(self, error: Exception) -> str:
        response: Any = getattr(error.__context__ or error, "response", None)
        response = response or getattr(error, "response", None) or {}
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status in (401, 403):
            return (
                f"Spaces does not let this key into {self.bucket}; correct spaces.credentials_file"
            )
        if status == 404:
            return (
                f"there is no bucket {self.bucket}, or it lost an object; "
                "make it on Spaces, or correct spaces.bucket"
            )
        return f"Spaces is away ({type(error).__name__}); try again later"


def _tell(state: Any) -> None:
    sys.stderr.write(f"Spaces is away; again in {state.upcoming_sleep:.0f} s\n")


def read_credentials(path: Path) -> tuple[str, str]:
    """Return key and secret of the file's profile `default`; only its owner may read it."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with path.open(encoding="utf-8") as stream:
            if stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & 0o077:
                raise LlamaError(
                    f"others may read or write {path}, which holds the key to Spaces; "
                    f"make it yours with chmod 600 {path}"
                )
            parser.read_file(stream)
        found = parser["default"]
        return found["aws_access_key_id"], found["aws_secret_access_key"]
    except OSError as error:
        raise LlamaError(
            f"cannot read the key to Spaces in {path} ({error.strerror}); "
            "see docs/fleet.md how to make it"
        ) from error
    except (configparser.Error, KeyError, UnicodeDecodeError):
        with contextlib.suppress(KeyError):
            parser.clear()
        raise LlamaError(
            f"{path} holds no key to Spaces; write aws_access_key_id and aws_secret_access_key "
            "below [default]"
        ) from None


def open_parcels(place: dict[str, Any], patience_s: float = PATIENCE_S) -> Parcels:
    """Return the bucket at a place, as `place_of` tells it."""
    credentials = Path(place["credentials_file"])
    return Parcels(place["endpoint_url"], place["bucket"], credentials, patience_s)


def place_of(settings: "Settings") -> dict[str, str | None]:
    """Return where the parcels are: end point, bucket, and the file with the key."""
    given = settings.spaces.credentials_file
    return {
        "endpoint_url": settings.spaces.endpoint_url,
        "bucket": settings.spaces.bucket,
        "credentials_file": str(given or token_file().with_name("spaces-credentials")),
    }
