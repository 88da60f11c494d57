"""Where the pieces of a study lie: a directory, or a prefix in an S3 bucket. It is only read."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from llama.errors import LlamaError
from llama.files import atomic_path, is_litter
from llama.s3 import CONNECTIONS, Bucket, Remedies, in_threads, make_client, sentences

_REMEDIES = Remedies(
    "correct background.studies",
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials",
    "check AWS_ENDPOINT_URL and the network",
)


class Piece(NamedTuple):
    """A file: path below the store's root, size [bytes], date [Unix s], and S3's ETag or ""."""

    path: str
    size: int
    modified: float
    etag: str


class Store:
    """A directory; nothing is copied."""

    def __init__(self, root: Path) -> None:
        self.name, self._root = str(root), root

    def read(self, path: str) -> bytes | None:
        """Return a file's content, None when it is not there."""
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(self._root / path, error) from error

    def files(self, folder: str) -> dict[str, Piece]:
        """Return every file below a folder by its path, without litter (`llama.files`)."""
        pieces = self._walk(folder)
        return {piece.path: piece for piece in pieces if not is_litter(piece.path)}

    def local(self, piece: Piece) -> Path:
        """Return where a piece is on this machine once it is fetched."""
        return self._root / piece.path

    def fetch(self, pieces: Sequence[Piece]) -> list[Path]:
        """Return the pieces as files of this machine."""
        return [self.local(piece) for piece in pieces]

    def _walk(self, folder: str) -> Iterator[Piece]:
        try:
            with os.scandir(self._root / folder) as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}"
                    if entry.is_dir():
                        yield from self._walk(path)
                    elif entry.is_file():
                        about = entry.stat()
                        yield Piece(path, about.st_size, about.st_mtime, "")
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unreadable(self._root / folder, error) from error


def _unreadable(path: Path, error: OSError) -> LlamaError:
    return LlamaError(f"{path} cannot be read ({error.strerror}); correct its permissions")


def open_store(source: str, cache: str | Path) -> Store:
    """Open a directory or `s3://bucket/prefix`; `cache` keeps what is fetched from the latter."""
    if source.startswith("s3://"):
        bucket, _, prefix = source.removeprefix("s3://").partition("/")
        return S3Store(bucket, prefix.strip("/"), Path(cache))
    return Store(Path(source))


class S3Store(Store):
    """A prefix in a bucket; key, region and endpoint are boto3's own business.

    A piece is fetched once: whole, with the size and the MD5 that S3 tells, and its date; a fetched
    piece of another size or date is fetched again. The ETag of an object that was uploaded in
    parts is no MD5: there the size alone is checked.
    """

    def __init__(self, bucket: str, prefix: str, cache: Path) -> None:
        super().__init__(cache)
        self.name = f"s3://{bucket}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        with sentences(self.name, bucket, _REMEDIES):
            self._bucket = Bucket(make_client(), bucket, _REMEDIES)

    def read(self, path: str) -> bytes | None:
        """Return an object's content, None when it is not there."""
        key = self._prefix + path
        return self._bucket.if_there(
            lambda: bytes(self._bucket.once("get_object", Key=key)["Body"].read()), key
        )

    def files(self, folder: str) -> dict[str, Piece]:
        """Return every object below a folder by its path; a page is one request."""
        found = {}
        for item in self._bucket.objects(f"{self._prefix}{folder}/"):
            path = item.key[len(self._prefix) :]
            if not (path.endswith("/") or ".." in path.split("/") or is_litter(path)):
                found[path] = Piece(path, item.size, item.modified, item.etag)
        return found

    def fetch(self, pieces: Sequence[Piece]) -> list[Path]:
        """Download what is not there yet; what has arrived stays when the rest fails."""
        wanted = [piece for piece in pieces if not self._is_there(piece)]
        in_threads(self._download, wanted, CONNECTIONS)
        return [self.local(piece) for piece in pieces]

    def _is_there(self, piece: Piece) -> bool:
        try:
            about = self.local(piece).stat()
        except OSError:
            return False
        return (about.st_size, about.st_mtime) == (piece.size, piece.modified)

    def _download(self, piece: Piece) -> None:
        key = self._prefix + piece.path
        with atomic_path(self.local(piece)) as temporary:
            self._bucket.patiently(lambda: self._copy(key, temporary), key)
            if not _is_what_was_listed(temporary, piece):
                raise LlamaError(
                    f"{self.name}/{piece.path} did not arrive as it was listed (size or MD5); "
                    "run the same command again when nobody is writing there"
                )
            os.utime(temporary, (piece.modified, piece.modified))

    def _copy(self, key: str, path: Path) -> None:
        from boto3.s3.transfer import TransferConfig

        alone = TransferConfig(use_threads=False)
        with path.open("wb") as stream:  # boto3 takes up a broken transfer by itself
            self._bucket.once("download_fileobj", Key=key, Fileobj=stream, Config=alone)


def _is_what_was_listed(path: Path, piece: Piece) -> bool:
    if path.stat().st_size != piece.size or len(piece.etag) != 32:
        return path.stat().st_size == piece.size
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, partial(hashlib.md5, usedforsecurity=False))
    return digest.hexdigest() == piece.etag
