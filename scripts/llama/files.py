"""Reading and writing files so that a reader never sees half of one."""

import contextlib
import errno
import hashlib
import io
import json
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from llama.errors import LlamaError

_UNFINISHED = "_unfinished"
_MOST_DIGITS = 300  # a longer integer is no float


def is_unfinished(name: str) -> bool:
    """Tell whether a file's name is one that `atomic_path` gives until the block succeeds."""
    return name.startswith(".") and name.endswith(_UNFINISHED)


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block succeeds.

    The bytes are on disk before the name changes; on any error the temporary file is
    removed and an earlier `path` stays as it was. `LlamaError` for a full or read-only disk.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name[:100]}.", suffix=_UNFINISHED, dir=target.parent
        )
        os.close(handle)
    except OSError as error:
        raise cannot_write(target, error) from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o664 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        if error.filename is None or Path(error.filename) in {target, temporary}:
            raise cannot_write(target, error) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def cannot_write(target: Path, error: OSError) -> LlamaError:
    """Return the error of a file that cannot be written, with the remedy."""
    return LlamaError(
        f"cannot write {target}: {error.strerror or error}; "
        "free some space or correct the permissions, then run the same command again"
    )


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def sync_directory(directory: Path) -> None:
    """Bring the names in `directory` to disk; `LlamaError` when that fails.

    File systems that do so by themselves, such as some of FUSE and CIFS, refuse to be asked.
    """
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return
        raise LlamaError(
            f"cannot write {directory}: {error.strerror}; "
            "free some space or correct the permissions"
        ) from error


def write_bytes(path: str | Path, content: bytes | memoryview) -> None:
    """Write `content` to `path` all at once or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def atomic_hdf5(path: str | Path, size: int | None = None) -> Iterator[Any]:
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


def open_hdf5(path: str | Path) -> Any:
    """Return the h5py file `path` for reading.

    Unlocked: nobody changes it, and where a file system has no locks HDF5 would call it broken.
    """
    import h5py

    return h5py.File(path, "r", locking=False)


@contextlib.contextmanager
def reading_hdf5(path: str | Path, sentence: str) -> Iterator[Any]:
    """Yield the h5py file `path`; a `LlamaError` with `sentence` if the block cannot read it."""
    try:
        with open_hdf5(path) as file:
            yield file
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise LlamaError(sentence) from error


def dump_json(value: Any) -> str:
    """Return `value` as the project's JSON: sorted keys, UTF-8, no NaN (ValueError)."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    # half a surrogate pair, which UTF-8 does not have, becomes JSON's own escape
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as JSON (see `dump_json`) all at once or not at all."""
    write_bytes(path, dump_json(value).encode())


def read_json(path: str | Path) -> Any:
    """Return the JSON content of `path`; `LlamaError` if that is missing, no JSON or not finite."""
    try:
        with Path(path).open("rb") as stream:
            return json.load(
                stream, parse_constant=_refuse, parse_float=_finite, parse_int=_integer
            )
    except FileNotFoundError as error:
        raise LlamaError(f"{path} does not exist; check the path") from error
    except OSError as error:
        raise LlamaError(
            f"{path} cannot be read: {error.strerror or error}; check the path and its permissions"
        ) from error
    except (ValueError, RecursionError) as error:
        raise LlamaError(f"{path} is not valid JSON ({error}); replace the file") from error


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text[:40])


def _integer(text: str) -> int:
    return int(text) if len(text) <= _MOST_DIGITS else _refuse(f"{text[:40]}...")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def rendered(package: str, template: str, **values: object) -> str:
    """Return a template of a package with its values, for shells and services: none is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML; who calls refuses what is special where it goes
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)


def has_content(path: Path, content: bytes) -> bool:
    """Tell whether a file has `content`; one of another size is not read."""
    same_size = path.exists() and path.stat().st_size == len(content)
    return same_size and path.read_bytes() == content


def remove_older(path: Path, before_s: float) -> None:
    """Remove a file that was written before a Unix time; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        if path.is_file() and path.stat().st_mtime < before_s:
            path.unlink()


def first_sign(content: bytes) -> bytes:
    """Return the first byte that says what `content` is, such as `{` of JSON; empty if none does.

    A byte-order mark and white space before it say nothing.
    """
    return content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]


def is_litter(path: str) -> bool:
    """Tell whether a file is hidden, or below macOS's `__MACOSX`.

    macOS puts `._NAME` beside every NAME into archives and onto foreign disks.
    """
    *folders, name = path.split("/")
    return name.startswith(".") or "__MACOSX" in folders


def sha256_bytes(content: bytes) -> str:
    """Return the sha256 of `content` as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Return the sha256 of the file's bytes as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
