"""A reader never sees half of a file, and a full or read-only disk is one sentence."""

import errno
import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama.errors import LlamaError
from llama.files import (
    atomic_hdf5,
    atomic_path,
    dump_json,
    read_json,
    sha256_bytes,
    sha256_file,
    sync_directory,
    write_bytes,
    write_json,
)

REMEDY = "free some space or correct the permissions, then run the same command again"


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_replaced_when_the_block_succeeds(tmp_path):
    path = tmp_path / "new" / "directory" / "a.json"
    write_bytes(path, b"first")
    with path.open("rb") as reader:
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"second")
            assert temporary.parent == path.parent
            assert path.read_bytes() == b"first"
        assert path.read_bytes() == b"second"
        assert reader.read() == b"first"  # who was reading goes on with the old file
    assert names(path.parent) == ["a.json"]


@pytest.mark.parametrize("error", [ValueError("x"), LlamaError("x"), KeyboardInterrupt()])
def test_an_error_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.json"
    write_bytes(path, b"first")

    def fails_half_way():
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"half of the sec")
            raise error

    with pytest.raises(type(error)):
        fails_half_way()
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["a.json"]


def test_an_error_of_another_file_is_not_blamed_on_this_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"other\.fits"), atomic_path(tmp_path / "a.json"):
        (tmp_path / "other.fits").read_bytes()
    assert names(tmp_path) == []


def test_what_is_not_json_is_not_written(tmp_path):
    write_json(tmp_path / "a.json", {"p": 1.0})
    for value in ({"p": math.nan}, [math.inf]):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == {"p": 1.0}
    assert names(tmp_path) == ["a.json"]


def test_the_mode_is_the_umasks_not_the_temporary_files(tmp_path):
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


# -- disks that are full or read-only ----


def child(code, cwd, *arguments):
    """Run code in another Python; standard output is what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout


FULL = """
import resource, signal, sys
import numpy as np
from llama.errors import LlamaError
from llama.files import write_bytes
from llama.sky.tiles import SkyTiles
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing more gives EFBIG, as a full disk ENOSPC
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
tiles = SkyTiles(np.zeros(5000, np.int8), np.arange(5000), np.full(5000, 2e-4))
for write in (lambda: write_bytes("old", bytes(5000)), lambda: tiles.save("old")):
    try:
        write()
    except LlamaError as error:
        print(error)
"""


def test_a_full_disk_is_a_sentence_and_the_old_file_stays(tmp_path):
    (tmp_path / "old").write_bytes(b"first")
    said = child(FULL, tmp_path).splitlines()
    assert len(said) == 2
    for line in said:
        assert line.startswith("cannot write old: ")
        assert line.endswith(REMEDY)
    assert os.strerror(errno.EFBIG) in said[0]
    assert (tmp_path / "old").read_bytes() == b"first"
    assert names(tmp_path) == ["old"]


READ_ONLY = """
import os
from llama.errors import LlamaError
from llama.files import read_json, write_json
if os.geteuid() == 0:
    os.setuid(65534)  # root may write everywhere
for call in (lambda: write_json("new.json", {}), lambda: write_json("old.json", {}),
             lambda: write_json("deep/er/new.json", {}), lambda: read_json("secret.json")):
    try:
        call()
    except LlamaError as error:
        print(error)
"""


def test_a_read_only_directory_is_a_sentence(tmp_path):
    for name in ("old.json", "secret.json"):
        (tmp_path / name).write_text("[1]")
    (tmp_path / "secret.json").chmod(0)
    tmp_path.chmod(0o555)
    try:
        said = child(READ_ONLY, tmp_path).splitlines()
    finally:
        tmp_path.chmod(0o755)
    denied = os.strerror(errno.EACCES)
    assert said[:3] == [
        f"cannot write {name}: {denied}; {REMEDY}"
        for name in ("new.json", "old.json", "deep/er/new.json")
    ]
    assert said[3].startswith(f"secret.json cannot be read: {denied};")
    assert (tmp_path / "old.json").read_text() == "[1]"
    assert names(tmp_path) == ["old.json", "secret.json"]


def unwritable(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "directory").mkdir()
    yield tmp_path / "file" / "a.json"
    yield tmp_path / "file" / "deep" / "er" / "a.json"
    yield tmp_path / "directory"
    yield tmp_path / ("x" * 256)


def test_a_path_that_cannot_be_a_file_is_a_sentence(tmp_path):
    for path in unwritable(tmp_path):
        with pytest.raises(LlamaError) as caught:
            write_bytes(path, b"")
        assert str(caught.value).startswith(f"cannot write {path}: ")
        assert str(caught.value).endswith(REMEDY)
    assert names(tmp_path) == ["directory", "file"]


# -- reading ----


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b'{"p": NaN}', "NaN is no JSON number"),
        (b'{"p": -Infinity}', "-Infinity is no JSON number"),
        (b"[" * 100_000, "not valid JSON"),
        (None, "does not exist; check the path"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(tmp_path, content, says):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LlamaError, match=says) as caught:
        read_json(path)
    assert str(caught.value).startswith(str(path))


def test_what_is_no_file_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "a.json", tmp_path / ("x" * 300)):
        with pytest.raises(LlamaError, match=r"cannot be read: .*; check the path and its perm"):
            read_json(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip


@given(JSON)
def test_json_round_trip(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "round.json"
    try:
        dump_json(value).encode()
    except UnicodeEncodeError:  # half of a surrogate pair has no UTF-8
        return
    write_json(path, value)
    assert read_json(path) == value
    assert path.read_bytes() == dump_json(json.loads(dump_json(value))).encode()


def test_json_is_sorted_and_utf8():
    assert dump_json({"εmin": 1, "a": [1.0]}) == '{\n  "a": [\n    1.0\n  ],\n  "εmin": 1\n}\n'


def test_sha256(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    expected = hashlib.sha256(content).hexdigest()
    assert sha256_file(tmp_path / "a") == sha256_file(str(tmp_path / "a")) == expected
    assert sha256_bytes(content) == expected
    assert Path(tmp_path / "a").read_bytes() == content


def test_hdf5_on_disk_has_the_bytes_of_hdf5_in_memory(tmp_path):
    for name, size in (("memory", None), ("disk", 200_000), ("too_little", 100)):
        with atomic_hdf5(tmp_path / name, size) as file:
            dataset = file.create_dataset("a/b", (1000,), "<f8", track_times=False)
            dataset[:400], dataset[400:] = 1.0, np.arange(600.0)
            dataset.attrs["n"] = 1000
    assert (tmp_path / "disk").read_bytes() == (tmp_path / "memory").read_bytes()
    assert (tmp_path / "too_little").read_bytes() == (tmp_path / "memory").read_bytes()


def test_hdf5_that_has_no_room_is_not_begun(tmp_path):
    path = tmp_path / "large.hdf5"
    path.write_bytes(b"old")
    with (
        pytest.raises(LlamaError, match=r"cannot write .*large\.hdf5: .*free some space"),
        atomic_hdf5(path, 2**60),
    ):
        pytest.fail("there cannot be room for it")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_that_syncs_no_directories_is_no_full_disk():
    handle = os.open("/proc", os.O_RDONLY)
    with pytest.raises(OSError, match="Invalid argument"):
        os.fsync(handle)
    os.close(handle)
    sync_directory(Path("/proc"))


def test_the_longest_name_can_be_written(tmp_path):
    path = tmp_path / ("x" * 255)
    write_bytes(path, b"whole")
    assert path.read_bytes() == b"whole"
    assert names(tmp_path) == [path.name]
