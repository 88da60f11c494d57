"""The bytes of a published map, unpacked block by block: what they claim to hold is never held."""

import zlib
from collections.abc import Iterator

from llama.errors import LlamaError

MAX_PACKED_BYTES = 1 << 27  # published maps have a few MB, the largest some ten
MAX_BYTES = 1 << 31  # NSIDE 2048 with four double columns is 1.6 GB
AGAIN = "download the map again"
SMALLER = "give the multi-order map"

_CHUNK = 1 << 18
_LAYERS = 2  # of gzip; maps gzipped twice are seen in the wild
_MAGIC = b"\x1f\x8b"
_OTHERS = {  # what comes instead of a FITS file, and what to do about it
    b"BZh": "compressed with bzip2; unpack it with bunzip2",
    b"\xfd7zXZ": "compressed with xz; unpack it with unxz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it with unzstd",
    b"PK\x03\x04": "a ZIP archive; unpack it with unzip",
    b"\x1f\x9d": "compressed with compress; unpack it with uncompress",
    b"\x89HDF": "an HDF5 file; give the FITS file",
    b"U0lNUExF": "base64 text, as in an alert; unpack it with base64 -d",
    b"version https://git-lfs": "a Git LFS pointer; get the file with git lfs pull",
}


class Unpacked:
    """The FITS file in `content`, gzipped or not, read forward; `LlamaError` once it is broken."""

    def __init__(self, content: bytes, name: str) -> None:
        if len(content) > MAX_PACKED_BYTES:
            raise LlamaError(f"{name} has more than {MAX_PACKED_BYTES >> 20} MiB; {SMALLER}")
        self._name = name
        self._left = MAX_BYTES
        view = memoryview(content)
        chunks = (bytes(view[at : at + _CHUNK]) for at in range(0, len(content), _CHUNK))
        self._chunks: Iterator[bytes] = chunks
        self._held = b""
        for layers in range(_LAYERS + 1):
            self._held = self._peek(200)
            if not self._held.startswith(_MAGIC):
                break
            if layers == _LAYERS:
                raise LlamaError(
                    f"{name} is gzipped more than {_LAYERS} times; unpack it with gunzip"
                )
            self._chunks, self._held = _members(self._held, self._chunks, name), b""
        _check_start(self._held[:200], name)

    def _peek(self, size: int) -> bytes:
        held = bytearray(self._held)
        while len(held) < size and (chunk := next(self._chunks, b"")):
            held += chunk
        return bytes(held)

    def read(self, size: int) -> bytearray:
        """Return the next `size` bytes, fewer only at the end; so many are held, and no more."""
        self._count(size)
        data, at = bytearray(size), 0
        for part in self._parts(size):
            data[at : at + len(part)] = part
            at += len(part)
        del data[at:]
        return data

    def finish(self) -> None:
        """Read the rest, whose checksum may tell that what came before is broken."""
        self.skip(self._left)
        if self._held or next(self._chunks, b""):
            self._count(1)

    def skip(self, size: int) -> int:
        """Go on by `size` bytes, and return how many there were."""
        self._count(size)
        return sum(len(part) for part in self._parts(size))

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise LlamaError(f"{self._name} is larger than {MAX_BYTES >> 30} GiB; {SMALLER}")

    def _parts(self, size: int) -> Iterator[bytes]:
        while size > 0:
            if not self._held and not (chunk := next(self._chunks, b"")):
                return
            part = self._held or chunk
            self._held = part[size:]
            size -= min(size, len(part))
            yield part[: len(part) - len(self._held)]


def _check_start(start: bytes, name: str) -> None:
    if start.startswith(b"SIMPLE  ="):
        return
    for magic, what in _OTHERS.items():
        if start.startswith(magic):
            raise LlamaError(f"{name} is {what}")
    page = start.lstrip().lower().startswith((b"<!doctype html", b"<html"))
    kind = "an HTML page, not a sky map" if page else "not a FITS file"
    raise LlamaError(f"{name} is {kind}; download the FITS file again")


def _members(held: bytes, packed: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield what a gzip file holds, all members one after the other as gunzip does."""
    unzip, pending = zlib.decompressobj(wbits=31), False
    while True:
        if not pending:
            held = held or next(packed, b"")
        if unzip.eof:
            if held == _MAGIC[:1]:  # cut by the end of a chunk
                held += next(packed, b"")
            if not held.startswith(_MAGIC):
                return  # fill, or what some server has appended
            unzip = zlib.decompressobj(wbits=31)
        elif not held and not pending:
            raise LlamaError(f"{name} is a gzip file cut short; {AGAIN}")
        try:
            content = unzip.decompress(held, _CHUNK)
        except zlib.error as error:
            raise LlamaError(f"{name} is a broken gzip file ({error}); {AGAIN}") from error
        held = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
        pending = len(content) == _CHUNK and not held and not unzip.eof
        if content:
            yield content
