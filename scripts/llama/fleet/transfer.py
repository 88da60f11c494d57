"""Bytes to and from a bucket, part by part, so that what was interrupted is taken up again."""

import base64
import contextlib
import glob
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llama.errors import LlamaError, system_errors
from llama.files import sha256_file
from llama.s3 import Begun, Bucket, Part, Stored, in_threads, is_passing

PART = 16 << 20  # bytes; S3 takes 10,000 parts, and none but the last below 5 MiB
_MOST_PARTS = 10_000
_AT_ONCE = 4
# parts of other programs, whose ETags are MD5s of MD5s: boto3 (and Snakemake), s3cmd, AWS's old
_OTHER_PARTS = (8 << 20, 15 << 20, 5 << 20, PART)

Progress = Callable[[int], object]  # hears of bytes as they arrive


def unheard(done: int) -> None:
    """Let nobody hear how far a transfer is."""


def send(
    bucket: Bucket, path: Path, key: str, notes: dict[str, str], progress: Progress, resume: bool
) -> None:
    """Upload a file with `notes`, of which one is its sha256; in parts if it is large.

    Each part carries its MD5, without which the store would keep what has changed on the way.
    `resume`: the key holds the sha256, so that parts of an earlier upload are of the same content.
    """
    before = path.stat()
    if before.st_size <= PART:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != notes["sha256"]:
            raise _changed(path)
        bucket.ask("put_object", Key=key, Body=content, Metadata=notes, ContentMD5=_md5(content)[1])
        progress(len(content))
        return
    size = max(PART, -(-before.st_size // _MOST_PARTS // 2**20) * 2**20)
    begun = bucket.every(Begun, Prefix=key) if resume else ()
    place = {"Key": key, "UploadId": next((b.upload_id for b in begun if b.key == key), "")}
    there = dict[int, str]()
    if place["UploadId"]:
        there = {part.part_number: part.etag.strip('"') for part in bucket.every(Part, **place)}
    else:
        made = bucket.ask("create_multipart_upload", Key=key, Metadata=notes)
        place["UploadId"] = made["UploadId"]

    def put(number: int) -> dict[str, Any]:
        with path.open("rb") as stream:
            stream.seek((number - 1) * size)
            content = stream.read(size)
        plain, encoded = _md5(content)
        if there.get(number) != plain:
            bucket.ask("upload_part", **place, PartNumber=number, Body=content, ContentMD5=encoded)
        progress(len(content))
        return {"PartNumber": number, "ETag": f'"{plain}"'}

    try:
        parts = in_threads(put, range(1, -(-before.st_size // size) + 1), _AT_ONCE)
        after = path.stat()
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise _changed(path)
    except BaseException:
        if not resume:  # parts cost money until somebody takes them away
            with contextlib.suppress(Exception):
                bucket.once("abort_multipart_upload", **place)
        raise
    told = {"Parts": sorted(parts, key=lambda part: int(part["PartNumber"]))}
    bucket.ask("complete_multipart_upload", **place, MultipartUpload=told)


def receive(bucket: Bucket, stored: Stored, target: Path, progress: Progress = unheard) -> None:
    """Download an object beside `target`, check it, and give it that name.

    One that was interrupted is taken up where it was, by one process at a time.
    """
    version = hashlib.sha256(stored.etag.encode()).hexdigest()[:12]
    partial = target.with_name(f".{target.name}.{version}.part")
    remedy = "free some space or correct the permissions, then run the same command again"
    with system_errors(f"cannot write {target}", remedy):
        target.parent.mkdir(parents=True, exist_ok=True)
        versions = "[0-9a-f]" * len(version)  # not those of a file of a longer name
        for old in target.parent.glob(f".{glob.escape(target.name)}.{versions}.part"):
            if old != partial:  # of an object that has been replaced since
                old.unlink(missing_ok=True)
        with partial.open("ab") as stream:
            if stream.tell() > stored.size:
                stream.seek(stream.truncate(0))
            progress(stream.tell())
            while stream.tell() < stored.size:  # in parts: the patience is for each
                bucket.patiently(lambda: _append(bucket, stored, stream, progress), stored.key)
            os.fsync(stream.fileno())
        if is_same(partial, stored) is False:
            partial.unlink()
            raise LlamaError(
                f"{stored.key} did not arrive as the bucket describes it (sha256 or MD5 differs); "
                "run the same command again, and if that does not help upload it anew"
            )
        os.replace(partial, target)


def is_same(path: Path, stored: Stored) -> bool | None:
    """Return whether a file is the object; None when the store knows no more than an equal size."""
    if path.stat().st_size != stored.size:
        return False
    if stored.sha256:
        return sha256_file(path) == stored.sha256
    digest, _, parts = stored.etag.partition("-")
    if not parts:
        return _etag(path, None) == digest if len(digest) == 32 else None
    sizes = (size for size in _OTHER_PARTS if -(-stored.size // size) == int(parts))
    return any(_etag(path, size) == digest for size in sizes) or None


def _append(bucket: Bucket, stored: Stored, stream: Any, progress: Progress) -> None:
    """Append what comes of the next part; an error if nothing does."""
    from botocore.exceptions import BotoCoreError

    start, stop = stream.tell(), min(stream.tell() + PART, stored.size)
    wanted = f"bytes={start}-{stop - 1}"
    answer = bucket.once("get_object", Key=stored.key, IfMatch=stored.etag, Range=wanted)
    if answer["ContentLength"] != stop - start:
        raise LlamaError(f"{stored.key}: the store gives other bytes than asked for")
    try:
        for chunk in answer["Body"].iter_chunks(1 << 18):
            stream.write(chunk)
            progress(len(chunk))
    except BotoCoreError as error:
        if stream.tell() == start or not is_passing(error):
            raise
    finally:
        stream.flush()  # a kill loses no whole part


def _md5(content: bytes) -> tuple[str, str]:
    digest = hashlib.md5(content, usedforsecurity=False)
    return digest.hexdigest(), base64.b64encode(digest.digest()).decode()


def _etag(path: Path, part: int | None) -> str:
    """Return S3's ETag of a file in parts of so many bytes, without their number; None: whole."""
    with path.open("rb") as stream:
        if part is None:
            whole: Any = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
            return str(whole.hexdigest())
        digests = b""
        while content := stream.read(part):
            digests += hashlib.md5(content, usedforsecurity=False).digest()
    return hashlib.md5(digests, usedforsecurity=False).hexdigest()


def _changed(path: Path) -> LlamaError:
    return LlamaError(f"{path} has changed while it was read; run the same command again")
