"""Everything heard, for ever in the archive, and in the spool until it has been taken over.

The listener and replays `keep` records; `llama run` takes them over:

    spool = Spool(output_dir)
    for entry in spool.pending():            # in the order in which they were heard
        try:
            content = spool.read(entry)      # the raw bytes, checked against their sha256
            ...                              # take over; doing it twice must change nothing
        except LlamaError as error:
            spool.quarantine(entry, str(error))
        else:
            spool.finish(entry)

A record is first a file of raw bytes, `gcn/YEAR-MONTH/DAY/NAME` by the UTC day it was heard;
then an entry, `spool/NAME.json`, that says all about it and points to that file. NAME tells
topic, partition, offset and the sha256, so that a record that is delivered again is known by
its name, in whichever state it is:

    spool/NAME.json               heard, waits for `llama run`
    spool/done/NAME.json          taken over; forgotten after 30 days
    spool/quarantine/NAME.json    could not be taken over: `reason` says why. To try again, move
                                  it back into spool/

Everything is on disk, names too, before `keep`, `finish` and `quarantine` return. When the
process dies in the middle of `finish` or `quarantine` the entry is pending once more. A replayed
record has topic "replay", neither partition nor offset, and its file's name as key: what it is
has to be read from its content. No content has been looked at: it may be anything.
"""

import contextlib
import json
import os
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.files import read_json, sha256_bytes, sync_directory, write_bytes, write_json
from llama.times import utc_now
from llama.topics import REPLAY

# How long brokers, who keep records for a few days, may deliver one again.
_REDELIVERY_DAYS = 8
_DONE_KEPT_S = 30 * 86400.0
_STALE_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was heard: raw bytes (None for Kafka's null), and where in which topic they stood."""

    topic: str
    content: bytes | None
    key: bytes | None = None
    partition: int | None = None
    offset: int | None = None
    kafka_time_ms: int | None = None  # Unix time, as the broker or the sender says


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What the spool says about one record; the same keys are in its JSON file."""

    name: str
    topic: str
    partition: int | None
    offset: int | None
    key: str | None  # its first 1000 characters; bytes that are not UTF-8 as \\xNN
    kafka_time_ms: int | None
    received_at: str  # ISO 8601 UTC with microseconds; later records have later times
    size_bytes: int
    is_null: bool
    sha256: str
    archive: str  # path of the raw bytes, relative to the output directory


class Spool:
    """The archive `gcn/` and the spool `spool/` of one output directory."""

    def __init__(self, output_dir: Path) -> None:
        self._output_dir = output_dir
        self.directory = output_dir / "spool"
        self._done = self.directory / "done"
        self._quarantine = self.directory / "quarantine"
        self._last = datetime.min.replace(tzinfo=UTC)
        self._durable: set[Path] = set()

    def keep(self, records: Iterable[Record]) -> list[Entry]:
        """Put records into archive and spool, durably, and return the entries that are new.

        Records that are known already change nothing. On `LlamaError`, such as for a full disk,
        some may have been kept: give all of them again.
        """
        new: dict[str, Entry] = {}
        archived, known = set(), set()
        for record in records:
            content = record.content or b""
            name = _name(record, content)
            state = self._state(name)
            if state is not None:
                known.add(state)
            elif name not in new:
                new[name] = self._archive(name, record, content)
                archived.add((self._output_dir / new[name].archive).parent)
        self._sync(archived)
        for entry in new.values():
            write_json(self.directory / f"{entry.name}.json", asdict(entry))
        # a known one may have come from a process that was killed before its name was on disk
        self._sync(known | {self.directory} if new else known)
        return list(new.values())

    def pending(self) -> list[Entry]:
        """Return what waits to be taken over, in the order in which it was heard.

        An entry that was damaged from outside is moved to the quarantine.
        """
        entries = []
        for path in _entries(self.directory):
            try:
                entries.append(_load(path))
            except LlamaError as error:
                _set_aside(path, self._quarantine, str(error))
        return sorted(entries, key=lambda entry: (entry.received_at, entry.name))

    def count(self) -> dict[str, int]:
        """Return how many entries are pending and in quarantine."""
        places = {"pending": self.directory, "quarantine": self._quarantine}
        return {state: len(_entries(place)) for state, place in places.items()}

    def entries(self) -> dict[str, dict[str, Entry | LlamaError]]:
        """Return every entry by its state and name, or what is wrong with it; change nothing."""
        found: dict[str, dict[str, Entry | LlamaError]] = {}
        places = {"pending": self.directory, "done": self._done, "quarantine": self._quarantine}
        for state, place in places.items():
            entries = found[state] = {}
            for path in sorted(_entries(place)):
                try:
                    entries[path.stem] = _load(path)
                except LlamaError as error:
                    if path.exists():  # else it has just been taken over
                        entries[path.stem] = error
        return found

    def read(self, entry: Entry) -> bytes:
        """Return the record's raw bytes; `LlamaError` if the archive has lost them."""
        path = self._output_dir / entry.archive
        try:
            content = path.read_bytes()
        except OSError as error:
            raise LlamaError(
                f"the archived record {path} cannot be read ({error.strerror}); put it back"
            ) from error
        if sha256_bytes(content) != entry.sha256:
            raise LlamaError(f"the archived record {path} has been changed; put the original back")
        return content

    def finish(self, entry: Entry) -> None:
        """Say that `entry` has been taken over."""
        source = self.directory / f"{entry.name}.json"
        self._done.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # finished by another process
            source.replace(self._done / source.name)
            os.utime(self._done / source.name)
        self._sync({self._done, self.directory})

    def quarantine(self, entry: Entry, reason: str) -> None:
        """Set `entry` aside with the reason why it cannot be taken over."""
        _set_aside(self.directory / f"{entry.name}.json", self._quarantine, reason)

    def tidy(self) -> None:
        """Forget what was taken over long ago, and remove what killed processes left behind."""
        now = time.time()
        days = [self._day(utc_now() - timedelta(days=age)) for age in range(2)]
        for directory in (self.directory, self._done, self._quarantine, *days):
            for path in directory.glob(".*"):
                _remove_older(path, now - _STALE_S)
        for path in _entries(self._done):
            _remove_older(path, now - _DONE_KEPT_S)

    def _state(self, name: str) -> Path | None:
        """Return the directory that has the entry, None if nothing is known of it."""
        places = (self.directory, self._done, self._quarantine)
        return next((place for place in places if (place / f"{name}.json").exists()), None)

    def _archive(self, name: str, record: Record, content: bytes) -> Entry:
        received = max(utc_now(), self._last + timedelta(microseconds=1))
        self._last = received
        path = self._archive_path(name, received, content)
        if not path.exists():
            write_bytes(path, content)
        return Entry(
            name=name,
            topic=record.topic[:250],
            partition=record.partition,
            offset=record.offset,
            key=_text(record.key),
            kafka_time_ms=record.kafka_time_ms,
            received_at=f"{received:%Y-%m-%dT%H:%M:%S.%f}Z",
            size_bytes=len(content),
            is_null=record.content is None,
            sha256=sha256_bytes(content),
            archive=path.relative_to(self._output_dir).as_posix(),
        )

    def _archive_path(self, name: str, received: datetime, content: bytes) -> Path:
        """Return where the bytes are, from a process killed on this or an earlier day, or belong.

        What was changed from outside is never overwritten: the bytes go beside it.
        """
        file_name = f"{name}{_suffix(content)}"
        days = [self._day(received - timedelta(days=age)) for age in range(_REDELIVERY_DAYS)]
        candidates = [day / file_name for day in days]
        for path in candidates:
            if path.exists() and path.read_bytes() == content:
                return path
        path = candidates[0]
        for number in range(2, 1000):
            if not path.exists() or path.read_bytes() == content:
                break
            path = path.with_name(f"{name}.{number}{_suffix(content)}")
        return path

    def _day(self, moment: datetime) -> Path:
        return self._output_dir / "gcn" / f"{moment:%Y-%m}" / f"{moment:%d}"

    def _sync(self, directories: Iterable[Path]) -> None:
        """Bring names to disk; of a directory that is new, its own name and those above too."""
        for directory in directories:
            sync_directory(directory)
            if directory not in self._durable:
                for above in directory.parents:
                    sync_directory(above)
                    if above == self._output_dir:
                        break
                self._durable.add(directory)


def _name(record: Record, content: bytes) -> str:
    """Return the record's name: safe in any file system whatever the topic is called."""
    digest = sha256_bytes(content)
    if record.partition is None or record.offset is None:
        return f"{REPLAY}-{digest[:32]}"
    topic = re.sub(r"[^A-Za-z0-9._-]", "_", record.topic[:100]).lstrip(".") or "_"
    return f"{topic}-{record.partition}-{record.offset:09d}-{digest[:16]}"


def _suffix(content: bytes) -> str:
    start = content[:200].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return {b"{": ".json", b"<": ".xml"}.get(start, ".bin")


def _text(key: bytes | None) -> str | None:
    return None if key is None else key[:1000].decode("utf-8", "backslashreplace")[:1000]


def _entries(directory: Path) -> list[Path]:
    return [path for path in directory.glob("*.json") if not path.name.startswith(".")]


def _load(path: Path) -> Entry:
    content: Any = read_json(path)
    names = [field.name for field in fields(Entry)]
    if not isinstance(content, dict) or not set(names) <= content.keys():
        raise LlamaError(f"{path} is not an entry of the spool; remove it")
    entry = Entry(**{name: content[name] for name in names})
    inside = isinstance(entry.archive, str) and re.fullmatch(
        r"gcn/[^/]+/[^/]+/[^/]+", entry.archive
    )
    safe = inside and ".." not in entry.archive.split("/")
    if entry.name != path.stem or not safe or not isinstance(entry.received_at, str):
        raise LlamaError(f"{path} has been changed; remove it")
    return entry


def _set_aside(path: Path, quarantine: Path, reason: str) -> None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        content = None
    target = quarantine / path.name
    if isinstance(content, dict):
        at = f"{utc_now():%Y-%m-%dT%H:%M:%SZ}"
        write_json(target, content | {"reason": reason[:2000], "quarantined_at": at})
    elif path.exists():
        write_bytes(target, path.read_bytes())
    path.unlink(missing_ok=True)
    for directory in (quarantine, path.parent):
        sync_directory(directory)


def _remove_older(path: Path, limit_s: float) -> None:
    with contextlib.suppress(OSError):
        if path.is_file() and path.stat().st_mtime < limit_s:
            path.unlink()
