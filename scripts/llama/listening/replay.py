"""`llama listen replay`: old notices, in the order of their own dates, as if heard now.

Their files are only data: names in an archive never become paths, links and devices are left
alone, and sizes are limited before anything is unpacked.
"""

import bz2
import gzip
import json
import lzma
import os
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from llama.alerts.gwalert import MAX_BYTES
from llama.errors import LlamaError
from llama.files import first_sign, is_litter
from llama.listening.spool import Record, Spool
from llama.topics import REPLAY

_MAX_NOTICES = 1_000_000
_STARTS = (b"{", b"<")
_MAX_MEMBERS = 2_000_000  # with directories, links and what else is no notice
_MAX_TOTAL_BYTES = 50 * 10**9
_LONGEST_NAME = 500
_BATCH = 20
_BYTES_OF_BATCH = 32_000_000
_UNREADABLE = (
    OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
    ValueError, OverflowError,  # tarfile, for numbers that are none
    RuntimeError,  # zipfile, for encrypted members and unknown compression
)  # fmt: skip
# Top-level keys of JSON notices that tell when they were made, the first that is there counts.
_JSON_DATES = ("time_created", "alert_datetime", "created", "trigger_time")
# The header of a VOEvent has it; a regular expression also dates what is cut off after it.
_XML_DATE = re.compile(rb"<(?:\w+:)?Date>\s*([0-9T:.Z+ -]{10,40})\s*</")
_XML_TIME = re.compile(rb"<(?:\w+:)?ISOTime>\s*([0-9T:.Z+ -]{10,40})\s*</")
_JSON_DATE = re.compile(rb'"(?:%s)"\s*:\s*"([0-9T:.Z+ -]{10,40})"' % "|".join(_JSON_DATES).encode())


@dataclass(frozen=True)
class Summary:
    """What a replay did: notices found, those that are new, files left out and those undated."""

    notices: int
    new: int
    left_out: int
    undated: int


@dataclass(frozen=True, order=True)
class _Notice:
    undated: bool  # those come last
    gps: float
    name: str
    path: Path


def replay(path: Path, output_dir: Path, progress: Callable[[int, int], None]) -> Summary:
    """Put every notice under `path`, a directory, an archive or a notice, into archive and spool.

    Notices are files that begin as JSON or XML do, of at most 8 MB. `progress` is called with
    the number done and of all. What has been replayed in the last 30 days changes nothing.
    `LlamaError` if `path` cannot be read or is too large to be honest.
    """
    with tempfile.TemporaryDirectory(prefix="llama-replay-") as directory:
        notices, left_out = _survey(path, Path(directory))
        if not notices:
            raise LlamaError(f"{path} has no notices: no file that begins as JSON or XML does")
        notices.sort()
        spool = Spool(output_dir)
        done = new = 0
        for batch in _batches(notices):
            new += len(spool.keep(batch))
            done += len(batch)
            progress(done, len(notices))
    return Summary(len(notices), new, left_out, sum(notice.undated for notice in notices))


def _batches(notices: list[_Notice]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for notice in notices:
        content = notice.path.read_bytes()
        key = os.fsencode(notice.name)[-_LONGEST_NAME:]  # it may be anything, and of any length
        batch.append(Record(topic=REPLAY, content=content, key=key))
        size += len(content)
        if len(batch) == _BATCH or size > _BYTES_OF_BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _survey(path: Path, scratch: Path) -> tuple[list[_Notice], int]:
    """Return the notices, those of an archive unpacked into `scratch`, and how many files are none.

    An unpacked file is called by its number, whatever the archive calls it.
    """
    notices: list[_Notice] = []
    left_out = total = 0
    try:
        for name, size, stream in _files(path):
            # what has to be unpacked, even if only to get past it
            total += 0 if path.is_dir() else max(size, 512)
            if len(notices) >= _MAX_NOTICES or total > _MAX_TOTAL_BYTES:
                raise LlamaError(f"{path} is larger than any set of notices; replay it in parts")
            with stream:
                content = b"" if size > MAX_BYTES else stream.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES or first_sign(content) not in _STARTS:
                left_out += 1
                continue
            place = path / name
            if not path.is_dir():
                place = scratch / f"{len(notices):06d}"
                place.write_bytes(content)
            gps = notice_gps(content)
            notices.append(_Notice(gps is None, gps or 0.0, name, place))
    except _UNREADABLE as error:
        reason = getattr(error, "strerror", None) or error
        raise LlamaError(
            f"{path} cannot be read ({' '.join(str(reason).split())[:200]}); "
            "give a notice, a directory of them, or a tar, tar.gz or zip archive"
        ) from error
    return notices, left_out


def _files(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Yield name, size in bytes as told, and stream of every regular file that is not hidden."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            name = file.relative_to(path).as_posix()
            if file.is_file() and not is_litter(name):
                yield name, file.stat().st_size, file.open("rb")
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir() and not is_litter(info.filename):
                    yield info.filename, info.file_size, archive.open(info)
    elif first_sign(_beginning(path)) in _STARTS:
        yield path.name, path.stat().st_size, path.open("rb")
    else:
        with (
            _unpacked(path) as unpacked,
            tarfile.open(fileobj=cast(IO[bytes], _Bounded(unpacked)), mode="r:") as tar,
        ):
            for count, member in enumerate(tar):
                if count >= _MAX_MEMBERS:
                    raise tarfile.ReadError(f"it has more than {_MAX_MEMBERS:,} members")
                cast(Any, tar).members.clear()  # it would keep a description of every one
                plain = member.isreg() and not member.issparse() and not is_litter(member.name)
                stream = tar.extractfile(member) if plain else None
                if stream is not None:
                    yield member.name, member.size, stream


def _beginning(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(200)


def _unpacked(path: Path) -> IO[bytes]:
    start = _beginning(path)
    for sign, unpack in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open)):
        if start.startswith(sign):
            return cast(IO[bytes], unpack(path))
    return path.open("rb")


class _Bounded:
    """An unpacked archive that gives as much at once as notices have, whatever a header claims."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= 2 * MAX_BYTES:
            raise tarfile.ReadError(f"it has a header of {size:,} bytes")
        return self._file.read(size)

    def seek(self, place: int, whence: int = 0) -> int:
        if place > _MAX_TOTAL_BYTES:
            raise tarfile.ReadError("it is larger than any set of notices")
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()


def notice_gps(content: bytes) -> float | None:
    """Return when a notice says it was made, in GPS seconds; None if it does not say so."""
    from llama.times import iso_to_gps

    try:
        return iso_to_gps(_date(content))
    except LlamaError:
        return None


def _date(content: bytes) -> str:
    if first_sign(content) == b"<":
        match = _XML_DATE.search(content) or _XML_TIME.search(content)
    else:
        try:
            notice: object = json.loads(content)
        except (ValueError, RecursionError):
            match = _JSON_DATE.search(content)
        else:
            dates = [notice.get(key) for key in _JSON_DATES] if isinstance(notice, dict) else []
            return next((date for date in dates if isinstance(date, str)), "")
    return match[1].decode() if match else ""
