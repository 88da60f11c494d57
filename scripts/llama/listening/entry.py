"""One record that was heard, and what the spool says about it."""

import contextlib
import re
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from llama.errors import LlamaError
from llama.files import first_sign, read_json, sha256_bytes
from llama.topics import REPLAY
from llama.typed import convert

_MOST_BYTES = 100_000  # of an entry
_REMEDY = "remove it, and hear its record in gcn/ again with llama listen replay"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was heard: raw bytes (None for Kafka's null), and where in which topic they stood."""

    topic: str
    content: bytes | None
    key: bytes | None = None
    partition: int | None = None
    offset: int | None = None
    kafka_time_ms: int | None = None  # Unix time, as the broker or the sender says


class Entry(msgspec.Struct, frozen=True, kw_only=True):
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


def name_of(record: Record, content: bytes) -> str:
    """Return the record's name: safe in any file system whatever the topic is called."""
    digest = sha256_bytes(content)
    if record.partition is None or record.offset is None:
        return f"{REPLAY}-{digest[:32]}"
    topic = re.sub(r"[^A-Za-z0-9._-]", "_", record.topic[:100]).lstrip(".") or "_"
    return f"{topic}-{record.partition}-{record.offset:09d}-{digest[:16]}"


def suffix_of(content: bytes) -> str:
    return {b"{": ".json", b"<": ".xml"}.get(first_sign(content), ".bin")


def load_entry(path: Path) -> Entry:
    """Return the entry in a file of the spool; `LlamaError` if it is none, or was changed."""
    with contextlib.suppress(OSError):  # `read_json` says why
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise LlamaError(
                f"{path} has {size:,} bytes, more than any entry of the spool; {_REMEDY}"
            )
    content = read_json(path)
    if not isinstance(content, dict) or not {*Entry.__struct_fields__} <= content.keys():
        raise LlamaError(f"{path} is not an entry of the spool; {_REMEDY}")
    with contextlib.suppress(msgspec.ValidationError):
        entry = convert(content, Entry)
        inside = re.fullmatch(r"gcn/[^/]+/[^/]+/[^/]+", entry.archive)
        if inside and ".." not in entry.archive.split("/") and entry.name == path.stem:
            return entry
    raise LlamaError(f"{path} has been changed; {_REMEDY}")


def has_reason(path: Path) -> bool:
    """Tell whether a file is there that says why its record was set aside."""
    content = read_json(path) if path.exists() else None
    return isinstance(content, dict) and "reason" in content


def entry_files(directory: Path) -> list[Path]:
    """Return the files of entries in a directory of the spool."""
    return [path for path in directory.glob("*.json") if not path.name.startswith(".")]


def written(path: Path) -> float:
    """Return when a file was written, in Unix seconds."""
    try:
        return path.stat().st_mtime
    except OSError:  # it has just been moved away
        return time.time()
