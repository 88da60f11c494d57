"""The fleet's bucket in Spaces: objects that are checked by sha256 both ways and taken up again.

Nothing here makes or deletes a bucket, or deletes an object.
"""

import configparser
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from llama.errors import LlamaError, system_errors
from llama.files import sha256_file
from llama.fleet import transfer
from llama.fleet.transfer import Progress, unheard
from llama.s3 import Bucket, Keys, Remedies, Stored, make_client
from llama.secrets import config_home, read_private

if TYPE_CHECKING:  # jobs do not need the settings, whose import takes 0.2 s
    from llama.settings.fleet import Spaces as SpacesSettings

MARKER = ".llama"  # some programs (Snakemake's storage plugin) delete a bucket with its last object
UPLOADS = "objects"
_PATIENCE_S = 900.0
_REMEDIES = Remedies(
    "correct spaces.bucket in the settings, or make the bucket on DigitalOcean's web page",
    "see docs/fleet.md, Spaces",
    "check spaces.endpoint_url and the network",
)


class Place(msgspec.Struct, frozen=True):
    """Which bucket it is, and the file with its keys: what jobs are told of the settings."""

    bucket: str | None
    endpoint_url: str
    credentials_file: str


class Spaces(Bucket):
    """The bucket of the settings, used with the keys of `credentials_file`.

    `tell` hears when the store is away, which is borne for pauses of `patience_s` (45 s).
    """

    def __init__(
        self,
        settings: "SpacesSettings | Place",
        tell: Callable[[str], object] = lambda text: None,
        patience_s: float | None = None,
    ) -> None:
        if settings.bucket is None:
            raise LlamaError("there is no bucket yet; name yours as spaces.bucket in the settings")
        self._endpoint = settings.endpoint_url
        # the signature needs a region; stores that have none take any
        client = make_client(self._endpoint, read_keys(settings), "us-east-1")
        super().__init__(client, settings.bucket, _REMEDIES, tell, patience_s)

    def check(self) -> None:
        """Make sure that the bucket is there and can never become empty, which would end it."""
        if self.if_there(lambda: self.once("head_bucket")) is None:
            raise LlamaError(f"there is no bucket {self.name}; {_REMEDIES.bucket}")
        if self.find(MARKER) is None:
            text = b"LLAMA keeps this object so that the bucket is never empty.\n"
            self.ask("put_object", Key=MARKER, Body=text)

    def url(self, key: str) -> str:
        """Return the address of an object, which asks for keys unless it is made public."""
        scheme, _, host = self._endpoint.partition("://")
        return f"{scheme}://{self.name}.{host}/{quote(key)}"

    def find(self, key: str) -> Stored | None:
        """Return what the store knows of an object, None if it is not there."""
        answer = self.if_there(lambda: self.once("head_object", Key=key), key)
        if answer is None:
            return None
        return Stored(
            key,
            answer["ContentLength"],
            answer["LastModified"].timestamp(),
            answer["ETag"].strip('"'),
            answer["Metadata"].get("sha256", ""),
            MappingProxyType(answer["Metadata"]),
        )

    def signed_url(self, key: str, days: int = 7) -> str:
        """Return an address with which anybody who knows it can read one object for some days."""
        signed = self.client.generate_presigned_url(
            "get_object", {"Bucket": self.name, "Key": key}, ExpiresIn=days * 86400
        )
        return str(signed)

    def uploads(self) -> list[Stored]:
        """Return what `upload` has put there, oldest first; its key tells the sha256."""
        found = []
        for stored in self.objects(f"{UPLOADS}/"):
            match = re.fullmatch(rf"{UPLOADS}/([0-9a-f]{{64}})/([^/\0]+)", stored.key)
            if match and match[2] not in (".", ".."):
                found.append(stored._replace(sha256=match[1]))
        return sorted(found, key=lambda stored: (stored.modified, stored.key))

    def upload(self, path: Path, progress: Progress = unheard) -> Stored:
        """Put a file under a key that holds its sha256, once, and return the object.

        What an upload that was interrupted has left in parts is not sent again. `progress` hears
        of bytes as they arrive.
        """
        digest, size = _digest_of(path)
        key = f"{UPLOADS}/{digest}/{path.name}"
        found = self.find(key)
        if found and (found.size, found.sha256) == (size, digest):
            progress(size)
            return found
        return self.put(path, key, progress, resume=True, sha256=digest)

    def put(
        self,
        path: Path,
        key: str,
        progress: Progress = unheard,
        resume: bool = False,
        **notes: str,
    ) -> Stored:
        """Put a file under `key`, with its sha256 and `notes`, and return the object.

        resume: the key holds the sha256, so that parts of an earlier upload can be used.
        """
        notes["sha256"] = notes.get("sha256") or _digest_of(path)[0]
        transfer.send(self, path, key, notes, progress, resume)
        found = self.find(key)
        if found is None or (found.size, found.sha256) != (path.stat().st_size, notes["sha256"]):
            raise LlamaError(f"{path} did not arrive as it is; run the same command again")
        return found

    download = transfer.receive

    def fetch(self, key: str, target: Path) -> None:
        """Download the object called `key`."""
        found = self.find(key)
        if found is None:
            raise LlamaError(f"there is no {key} in {self.name}; llama dev upload it")
        self.download(found, target)


def place_of(settings: "SpacesSettings") -> Place:
    """Return what jobs are told; there is no key in it."""
    return Place(settings.bucket, settings.endpoint_url, str(credentials_file(settings)))


def open_place(place: Place) -> Spaces:
    """Return a job's bucket; it may be away for a quarter of an hour."""
    return Spaces(place, lambda text: print(text, file=sys.stderr), _PATIENCE_S)  # noqa: T201


def credentials_file(settings: "SpacesSettings | Place") -> Path:
    """Return the file with the keys."""
    return Path(settings.credentials_file or config_home() / "spaces-credentials")


def read_keys(settings: "SpacesSettings | Place") -> Keys:
    """Return the keys of `credentials_file`; `LlamaError`, which never shows them."""
    path = credentials_file(settings)
    missing = (
        f"there are no keys for Spaces in {path}; make them on DigitalOcean's API page and "
        "write the file as docs/fleet.md shows, with mode 600"
    )
    text = read_private(path, "the keys of Spaces", missing)
    parser = configparser.RawConfigParser(default_section="no defaults")
    try:
        parser.read_string(text)
        section = parser["default"]
        keys = Keys(section["aws_access_key_id"], section["aws_secret_access_key"])
    except (configparser.Error, KeyError):  # their texts quote the file
        keys = Keys("", "")
    if not all(key and key.isascii() and key.isprintable() and " " not in key for key in keys):
        raise LlamaError(
            f"{path} does not hold keys of Spaces; it should have the lines [default], "
            "aws_access_key_id = ... and aws_secret_access_key = ..."
        )
    return keys


def environment(settings: "SpacesSettings") -> dict[str, str]:
    """Return what tells boto3 in other programs where the bucket is; there is no key in it."""
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials_file(settings)),
        "AWS_ENDPOINT_URL": settings.endpoint_url,
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }


def _digest_of(path: Path) -> tuple[str, int]:
    with system_errors(f"cannot read {path}", "correct the path"):
        if path.is_dir():
            raise LlamaError(
                f"{path} is a directory; pack it first: tar -czf {path.name}.tar.gz {path}"
            )
        return sha256_file(path), path.stat().st_size
