"""Reading and writing files so that a reader never sees half of one."""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

import tenacity

from llama.errors import LlamaError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block succeeds.

    The bytes are on disk before the name changes; on any error the temporary file is
    removed and an earlier `path` stays as it was. `LlamaError` for a full or read-only disk.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise _cannot_write(target, error) from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o664 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        if error.filename is None or Path(error.filename) in {target, temporary}:
            raise _cannot_write(target, error) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _cannot_write(target: Path, error: OSError) -> LlamaError:
    return LlamaError(
        f"cannot write {target}: {error.strerror or error}; "
        "free some space or correct the permissions, then run the same command again"
    )


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def sync_directory(directory: Path) -> None:
    """Bring the names in `directory` to disk; `LlamaError` where that cannot be done."""
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise LlamaError(
            f"cannot write {directory}: {error.strerror}; "
            "free some space or correct the permissions"
        ) from error


def write_bytes(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write `content` to `path` all at once or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def atomic_hdf5(path: str | os.PathLike[str], size: int | None = None) -> Iterator[Any]:
    """Yield an h5py file that is written to `path`, all at once, when the block succeeds.

    It is made in memory, since on a full disk the HDF5 library (2.0) ends the process; with
    `size`, the most bytes that it will have, on disk, where room for them is taken first.
    """
    import h5py

    if size is not None:
        with (
            atomic_path(path) as temporary,
            temporary.open("r+b") as stream,
            h5py.File(stream, "w") as file,
        ):
            os.posix_fallocate(stream.fileno(), 0, size)
            yield file
        return
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        yield file
    write_bytes(path, image.getbuffer())


def take_lock(file: int | IO[Any], timeout_s: float, refusal: Callable[[], str]) -> None:
    """Lock an open file for this process alone; `LlamaError(refusal())` after `timeout_s`."""
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(BlockingIOError),
        wait=tenacity.wait_fixed(0.05),
        stop=tenacity.stop_after_delay(timeout_s),
        reraise=True,
    )
    try:
        attempts(fcntl.flock, file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LlamaError(refusal()) from error


def dump_json(value: Any) -> str:
    """Return `value` as the project's JSON: sorted keys, UTF-8, no NaN (ValueError)."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    # half a surrogate pair, which UTF-8 does not have, becomes JSON's own escape
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as JSON (see `dump_json`) all at once or not at all."""
    write_bytes(path, dump_json(value).encode())


def read_json(path: str | os.PathLike[str]) -> Any:
    """Return the JSON content of `path`; `LlamaError` when it is missing, not JSON or has NaN."""
    try:
        with Path(path).open("rb") as stream:
            return json.load(stream, parse_constant=_refuse)
    except FileNotFoundError as error:
        raise LlamaError(f"{path} does not exist; check the path") from error
    except OSError as error:
        raise LlamaError(
            f"{path} cannot be read: {error.strerror or error}; check the path and its permissions"
        ) from error
    except (ValueError, RecursionError) as error:
        raise LlamaError(f"{path} is not valid JSON ({error}); replace the file") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def sha256_bytes(content: bytes) -> str:
    """Return the sha256 of `content` as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Return the sha256 of the file's bytes as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
