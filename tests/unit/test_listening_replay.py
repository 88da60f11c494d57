"""Old notices, from a directory or an archive, are heard again in the order of their dates."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile

import pytest

from llama.errors import LlamaError
from llama.listening import replay as replay_module
from llama.listening.replay import notice_gps, replay
from llama.listening.spool import Spool
from llama.times import iso_to_gps

GW = b'{"superevent_id": "S1a", "time_created": "2023-04-25T10:00:02Z", "event": null}'
ICECUBE = b'{"alert_datetime": "2023-04-25T10:00:01Z", "trigger_time": "2011-01-01T00:00:00Z"}'
VOEVENT = (
    b'<?xml version="1.0"?><voe:VOEvent><Who><Date>2019-12-16T21:38:11</Date></Who>'
    b"<WhereWhen><ISOTime>2019-12-16T21:33:38</ISOTime></WhereWhen></voe:VOEvent>"
)
CUT = b'{"time_created": "2023-04-25T10:00:03Z", "event": {"far": 1e-'
UNDATED = b"{}"
FILES = {
    "a/UNDATED.json": UNDATED,
    "a/gw.json": GW,
    "b/cut": CUT,
    "b/deep/icecube.json": ICECUBE,
    "z.xml": VOEVENT,
}
OTHER = {
    "README.txt": b"no notice",
    "map.fits": b"SIMPLE  =",
    ".hidden.json": GW + b" ",
    "__MACOSX/b/._x.json": GW + b"  ",
}
ORDER = [VOEVENT, ICECUBE, GW, CUT, UNDATED]


def heard(output):
    spool = Spool(output)
    return [spool.read(entry) for entry in spool.pending()]


def tar(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def as_directory(path, files):
    for name, content in files.items():
        (path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (path / "d" / name).write_bytes(content)
    return path / "d"


def as_zip(path, files):
    with zipfile.ZipFile(path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path / "x.zip"


FORMS = {
    "directory": as_directory,
    "tar": lambda path, files: tar(path / "x.tar", files, "w"),
    "tar.gz": lambda path, files: tar(path / "x.tar.gz", files),
    "tar.xz": lambda path, files: tar(path / "x.tar.xz", files, "w:xz"),
    "zip": as_zip,
}


@pytest.mark.parametrize("form", FORMS)
def test_notices_are_heard_in_the_order_of_their_dates(tmp_path, form):
    output, seen = tmp_path / "out", []
    source = FORMS[form](tmp_path, FILES | OTHER)
    done = replay(source, output, lambda *numbers: seen.append(numbers))
    assert heard(output) == ORDER
    assert (done.notices, done.new, done.left_out, done.undated) == (5, 5, 2, 1)
    assert seen == [(5, 5)]
    entry = Spool(output).pending()[0]
    assert (entry.topic, entry.key, entry.offset) == ("replay", "z.xml", None)
    again = replay(source, output, lambda *_: None)
    assert (again.notices, again.new) == (5, 0)
    assert heard(output) == ORDER


@pytest.mark.parametrize(
    "content",
    [
        *[b"{", b"[1]", b"<x/>", b"<Date>nonsense</Date>", b'{"time_created": 5}', b"{" * 100_000],
        *[b'{"time_created": "2023-13-45T99:00:00Z"}', b'{"time_created": "\\ud800"}', b"{\xff}"],
    ],
)
def test_notices_without_a_date_have_none(content):
    assert notice_gps(content) is None


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n\t ", b" \n"])
def test_a_byte_order_mark_hides_no_date(mark):
    for content in (VOEVENT, GW, ICECUBE):
        assert notice_gps(mark + content) == notice_gps(content) is not None


def test_dates_are_those_of_the_notice(shared_data):
    found = {
        path.name: notice_gps(path.read_bytes())
        for path in (shared_data / "alerts").rglob("*")
        if path.is_file()
    }
    assert found["MS230425k-preliminary.json"] < found["MS230425k-initial.json"]
    assert found["userguide_MS181101ab-1-EarlyWarning.xml"] == iso_to_gps("2018-11-01T22:34:20")
    assert sum(gps is None for gps in found.values()) <= 1, found


def test_names_in_an_archive_are_never_paths(tmp_path):
    hostile = {"../../evil.json": GW, "/tmp/evil.xml": VOEVENT, "a/../../x.json": ICECUBE}  # noqa: S108
    path = tar(tmp_path / "x.tar.gz", hostile)
    with tarfile.open(tmp_path / "links.tar", "w") as archive:
        for name, kind, target in (
            ("link.json", tarfile.SYMTYPE, "/etc/passwd"),
            ("hard.json", tarfile.LNKTYPE, "../../x"),
            ("pipe.json", tarfile.FIFOTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    replay(path, tmp_path / "out", lambda *_: None)
    assert heard(tmp_path / "out") == [VOEVENT, ICECUBE, GW]
    with pytest.raises(LlamaError, match="has no notices"):
        replay(tmp_path / "links.tar", tmp_path / "out2", lambda *_: None)
    assert {p.name for p in tmp_path.iterdir()} == {"x.tar.gz", "links.tar", "out"}


def test_pipes_in_a_directory_are_left_alone(tmp_path):
    source = as_directory(tmp_path, {"a.json": GW})
    os.mkfifo(source / "pipe.json")
    assert replay(source, tmp_path / "out", lambda *_: None).notices == 1


@pytest.mark.parametrize("form", FORMS)
def test_what_is_larger_than_any_notice_is_left_out(tmp_path, form):
    source = FORMS[form](tmp_path, {"bomb.json": b"{" + b" " * 20_000_000, "good.json": GW})
    done = replay(source, tmp_path / "out", lambda *_: None)
    assert (done.notices, done.left_out) == (1, 1)
    assert heard(tmp_path / "out") == [GW]


def test_an_archive_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(replay_module, "_MAX_TOTAL_BYTES", 1000)
    source = as_zip(
        tmp_path, {f"{n}.json": json.dumps({"n": "x" * 300}).encode() for n in range(9)}
    )
    with pytest.raises(LlamaError, match="larger than any set of notices; replay it in parts"):
        replay(source, tmp_path / "out", lambda *_: None)
    assert not (tmp_path / "out").exists()


def test_what_is_no_archive_is_one_sentence(tmp_path):
    whole = tar(tmp_path / "whole.tar.gz", FILES).read_bytes()
    damaged = bytearray(whole)
    damaged[40:60] = b"\x00" * 20
    cases = {
        "empty": b"",
        "text": b"hello",
        "cut.tar.gz": whole[:-30],
        "damaged.tar.gz": bytes(damaged),
        "cut.zip": as_zip(tmp_path, FILES).read_bytes()[:100],
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
    for name in (*cases, "missing"):
        with pytest.raises(LlamaError, match=r"give a notice, a directory of them, or a tar"):
            replay(tmp_path / name, tmp_path / "out", lambda *_: None)
    assert not (tmp_path / "out").exists()


def gzipped(path, *pieces):
    """A gzip file of pieces (content, times), which are never held together."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        for content, times in pieces:
            for _ in range(times):
                file.write(content)
    return path


def member(name="x", size=0, kind=tarfile.REGTYPE, **other):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    for key, value in other.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_is_not_unpacked_as_large_as_it_claims(tmp_path, kind):
    header = member(size=2**32, kind=kind)
    path = gzipped(tmp_path / "x.tar.gz", (header, 1), (bytes(2**20), 64))
    with pytest.raises(LlamaError, match=r"a header of [0-9,]* bytes"):
        replay(path, tmp_path / "out", lambda *_: None)


def test_members_that_are_no_notices_are_counted_too(tmp_path, monkeypatch):
    monkeypatch.setattr(replay_module, "_MAX_MEMBERS", 1000)
    directories = b"".join(member(f"d{n}", kind=tarfile.DIRTYPE) for n in range(1001))
    path = gzipped(tmp_path / "x.tar.gz", (directories, 1), (bytes(1024), 1))
    with pytest.raises(LlamaError, match="more than 1,000 members"):
        replay(path, tmp_path / "out", lambda *_: None)


def test_an_archive_is_not_unpacked_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(replay_module, "_MAX_TOTAL_BYTES", 10 * 2**20)
    path = gzipped(tmp_path / "x.tar.gz", (member(size=2**35), 1), (bytes(2**20), 64))
    with pytest.raises(LlamaError, match="larger than any set of notices"):
        replay(path, tmp_path / "out", lambda *_: None)


def test_a_sparse_member_is_no_notice(tmp_path):
    sparse = bytearray(member("s.json", 512, tarfile.GNUTYPE_SPARSE))
    sparse[386:410] = b"00000000000\0" + b"00000001000\0"  # offset and bytes of its only piece
    sparse[483:495] = b"77777777777\0"  # its claimed size
    sparse[148:156] = b" " * 8
    sparse[148:156] = b"%06o\0 " % sum(sparse)
    good = member("good.json", len(GW)) + GW.ljust(512, b"\0")
    path = gzipped(
        tmp_path / "x.tar.gz", (bytes(sparse) + GW.ljust(512, b"\0") + good, 1), (bytes(1024), 1)
    )
    assert replay(path, tmp_path / "out", lambda *_: None).notices == 1
    assert heard(tmp_path / "out") == [GW]


def test_numbers_that_are_none_are_one_sentence(tmp_path):
    for at, text in ((124, b"-1"), (124, b"\xff" * 12), (124, b"99999999999"), (136, b"\xff" * 12)):
        header = bytearray(member("x.json", 10))
        header[at : at + len(text)] = text
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        path = gzipped(tmp_path / "x.tar.gz", (bytes(header) + bytes(1536), 1))
        with pytest.raises(LlamaError):
            replay(path, tmp_path / "out", lambda *_: None)


def test_any_name_is_a_key(tmp_path):
    files = {"\udcff" + "x" * 5000 + "\udcff.json": GW}
    replay(tar(tmp_path / "x.tar.gz", files), tmp_path / "out", lambda *_: None)
    assert heard(tmp_path / "out") == [GW]


def test_a_bomb_in_an_archive_takes_no_memory(tmp_path):
    header = member("x.json", 2**33)
    path = gzipped(tmp_path / "x.tar.gz", (header, 1), (b"{" + bytes(2**20 - 1), 64))
    script = "import sys; from pathlib import Path; from llama.listening.replay import *\n"
    script += "try: replay(Path(sys.argv[1]), Path(sys.argv[2]), print)\n"
    script += "except LlamaError as error: print(error)\n"
    script += "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    command = [sys.executable, "-c", script, str(path), str(tmp_path / "out")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "x.tar.gz" in said[0]
    assert int(said[-1]) < 200_000  # KiB
