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
    spool/quarantine/NAME.json    could not be taken over: `reason` says why. Move it to spool/ to
                                  try again, or to spool/done/ to dismiss it
    spool/.begun                  the record that is being taken over, and how often that was begun

Everything is on disk, names too, before `keep`, `finish` and `quarantine` return; a process that
dies inside the last two leaves the entry pending. A replayed record has topic "replay", neither
partition nor offset, and its file's name as key. The spool checks no content: it may be anything.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import asdict

from llama.alerts.gwalert import MAX_BYTES
from llama.errors import LlamaError, printable, system_errors
from llama.files import (
    has_content,
    read_json,
    remove_older,
    sha256_bytes,
    sha256_file,
    sync_directory,
    write_bytes,
    write_json,
)
from llama.listening.entry import (
    Entry,
    Record,
    entry_files,
    has_reason,
    load_entry,
    name_of,
    suffix_of,
    written,
)
from llama.times import utc_now

__all__ = ["Entry", "Record", "Spool"]

# How long brokers, who keep records for a few days, may deliver one again.
_REDELIVERY_DAYS = 8
_DONE_KEPT_DAYS = 30
_STALE_S = 3600.0


class Spool:
    """The archive `gcn/` and the spool `spool/` of one output directory."""

    def __init__(self, output_dir: Path) -> None:
        self._output_dir = output_dir
        self.directory = output_dir / "spool"
        self._done = self.directory / "done"
        self._quarantine = self.directory / "quarantine"
        self._begun = self.directory / ".begun"
        self._places = {
            "pending": self.directory, "done": self._done, "quarantine": self._quarantine
        }  # fmt: skip
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
            name = name_of(record, content)
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

        An entry that was damaged from outside is moved to the quarantine, as it is.
        """
        entries = []
        for path in entry_files(self.directory):
            try:
                entries.append(load_entry(path))
            except LlamaError:
                self._quarantine.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # finished by another process
                    path.replace(self._quarantine / path.name)
        return sorted(entries, key=lambda entry: (entry.received_at, entry.name))

    def count(self) -> dict[str, int]:
        """Return how many entries are pending and in quarantine."""
        return {state: len(entry_files(self._places[state])) for state in ("pending", "quarantine")}

    def entries(self) -> dict[str, dict[str, Entry | LlamaError]]:
        """Return every entry by its state and name, or what is wrong with it; change nothing."""
        found: dict[str, dict[str, Entry | LlamaError]] = {}
        for state, place in self._places.items():
            entries = found[state] = {}
            for path in sorted(entry_files(place)):
                try:
                    entries[path.stem] = load_entry(path)
                except LlamaError as error:
                    if path.exists():  # else it has just been taken over
                        entries[path.stem] = error
        return found

    def reasons(self) -> Iterator[tuple[str, str]]:
        """Yield name and reason of each record in quarantine, oldest first, with the remedy."""
        for path in sorted(entry_files(self._quarantine), key=written):
            try:
                entry = load_entry(path)
                reason = printable(read_json(path).get("reason", ""), 1500)
                reason += f" (the record: {entry.archive}); move its entry from spool/quarantine/ "
                reason += "to spool/ to try again, or to spool/done/ to dismiss it"
            except LlamaError as error:
                reason = str(error)
            if path.exists():  # else it has just been moved away
                yield printable(path.stem, 200), printable(reason, 2000)

    def longest_wait_s(self) -> float:
        """Return how long the oldest waiting record has waited, 0 if none waits."""
        return time.time() - min(map(written, entry_files(self.directory)), default=time.time())

    def archived(self) -> list[Path]:
        """Return the records in the archive that should have an entry in the spool."""
        first = f"{utc_now() - timedelta(days=_DONE_KEPT_DAYS - 1):%Y-%m/%d}"
        days = [
            day
            for day in self._output_dir.glob("gcn/[0-9]*-[0-9]*/[0-9]*")
            if "/".join(day.parts[-2:]) > first
        ]
        return sorted(path for day in days for path in day.glob("[!.]*"))

    def check(self, entry: Entry) -> Path:
        """Return where the raw bytes are; `LlamaError` if the archive has lost or changed them."""
        path = self._output_dir / entry.archive
        with system_errors(f"the archived record {path} cannot be read", "put it back"):
            same = path.stat().st_size == entry.size_bytes and sha256_file(path) == entry.sha256
        if same:
            return path
        raise LlamaError(f"the archived record {path} has been changed; put the original back")

    def read(self, entry: Entry) -> bytes:
        """Return the raw bytes, as `check` does; `LlamaError` for more than any alert has."""
        if entry.size_bytes > MAX_BYTES:
            raise LlamaError(
                f"the record has {entry.size_bytes:,} bytes, more than the {MAX_BYTES:,} of any "
                f"alert, and was not read; look at {entry.archive}"
            )
        return self.check(entry).read_bytes()

    def begin(self, entry: Entry) -> int:
        """Mark a record as begun; return how many processes died between that and `end`."""
        deaths = 0
        with contextlib.suppress(OSError, ValueError):
            name, count = self._begun.read_text().split()
            deaths = int(count) if name == entry.name else 0
        self._begun.write_text(f"{entry.name} {deaths + 1}\n")
        return deaths

    def end(self) -> None:
        """Remove the mark: the process has not died of the record."""
        self._begun.unlink(missing_ok=True)

    def finish(self, entry: Entry) -> None:
        """Say that `entry` has been taken over."""
        source = self.directory / f"{entry.name}.json"
        self._done.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # finished by another process
            if has_reason(source):
                write_json(source, asdict(entry))  # moved back from the quarantine, and now taken
            source.replace(self._done / source.name)
            os.utime(self._done / source.name)
        self._sync({self._done, self.directory})

    def is_left(self, entry: Entry) -> bool:
        """Tell whether a person has moved `entry` from the quarantine to what is done."""
        return has_reason(self._done / f"{entry.name}.json")

    def quarantine(self, entry: Entry, reason: str) -> None:
        """Set `entry` aside with the reason why it cannot be taken over."""
        name = f"{entry.name}.json"
        self._done.mkdir(parents=True, exist_ok=True)  # to dismiss it into
        at = f"{utc_now():%Y-%m-%dT%H:%M:%SZ}"
        about = {"reason": printable(reason, 2000), "quarantined_at": at}
        write_json(self._quarantine / name, asdict(entry) | about)
        (self.directory / name).unlink(missing_ok=True)
        self._sync({self._quarantine, self.directory})

    def tidy(self) -> None:
        """Forget what was taken over long ago, and remove what killed processes left behind."""
        now = time.time()
        days = [self._day(utc_now() - timedelta(days=age)) for age in range(2)]
        for directory in (*self._places.values(), *days):
            for path in directory.glob(".*"):
                remove_older(path, now - _STALE_S)
        for path in entry_files(self._done):
            remove_older(path, now - _DONE_KEPT_DAYS * 86400.0)

    def _state(self, name: str) -> Path | None:
        places = self._places.values()
        return next((place for place in places if (place / f"{name}.json").exists()), None)

    def _archive(self, name: str, record: Record, content: bytes) -> Entry:
        received = max(utc_now(), self._last + timedelta(microseconds=1))
        self._last = received
        key = None if record.key is None else record.key[:1000].decode("utf-8", "backslashreplace")
        path = self._archive_path(name, received, content)
        if not path.exists():
            write_bytes(path, content)
        return Entry(
            name=name,
            topic=record.topic[:250],
            partition=record.partition,
            offset=record.offset,
            key=key and key[:1000],
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
        file_name = f"{name}{suffix_of(content)}"
        days = [self._day(received - timedelta(days=age)) for age in range(_REDELIVERY_DAYS)]
        candidates = [day / file_name for day in days]
        for path in candidates:
            if has_content(path, content):
                return path
        path = candidates[0]
        for number in range(2, 1000):
            if not path.exists() or has_content(path, content):
                break
            path = path.with_name(f"{name}.{number}{suffix_of(content)}")
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
