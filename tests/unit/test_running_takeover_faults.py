"""Records that nobody should send: each is set aside by itself, and the others are taken over."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alert_samples import gwalert_bytes
from test_running_takeover import hear, reasons, taken

from llama.listening.spool import Spool

pytestmark = pytest.mark.usefixtures("maps_checked_once")
HOSTILE_NAMES = ["\ud800", "\x1b[31m", "a\u202eb", "x\ny", "\x00", "x" * 100_000]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda name: ascii(name)[:12])
@pytest.mark.parametrize("place", ["mission", "class", "kind", "id", "search", "urls"])
def test_hostile_names_stop_no_other_record(
    tmp_path: Path, place: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    hostile = {
        "mission": json.dumps({"mission": name}).encode(),
        "class": gwalert_bytes({"classification": {name: "x", "Terrestrial": 1.0}}),
        "kind": gwalert_bytes(alert_type=name),
        "id": gwalert_bytes(superevent_id=name),
        "search": gwalert_bytes({"search": name}),
        "urls": gwalert_bytes(urls={name: name, "gracedb": name}),
    }[place]
    hear(tmp_path, hostile, gwalert_bytes(superevent_id="S240102c"))
    bad, good = taken(tmp_path)
    assert good.changed
    assert bad.quarantined == (place in ("mission", "kind", "id"))
    assert bad.said.isprintable()
    assert len(bad.said) < 1000
    assert all(reason.isprintable() for reason in reasons(tmp_path))
    assert [name for name, _ in Spool(tmp_path).reasons()] == [bad.entry.name] * bad.quarantined
    assert "defect" not in caplog.text


def test_even_a_quarantine_that_fails_stops_no_other_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("not foreseen")

    monkeypatch.setattr(Spool, "quarantine", fail)
    hear(tmp_path, b"{", gwalert_bytes())
    bad, good = taken(tmp_path)
    assert good.changed
    assert bad.stays
    assert "waits: a defect of LLAMA: ZeroDivisionError" in bad.said
    assert "Traceback" in caplog.text


def test_a_record_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear(tmp_path, b'{"superevent_id": "' + b"x" * 8_000_000 + b'"}', gwalert_bytes())
    (entry, _) = Spool(tmp_path).pending()
    read = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        assert path != tmp_path / entry.archive
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    bad, good = taken(tmp_path)
    assert good.changed
    assert "more than the 8,000,000 of any alert, and was not read" in bad.said
    assert bad.quarantined


_DIES = """
import os, signal, sys
from pathlib import Path
from llama.running import takeover
original = takeover.recognise
def recognise(topic, content):
    if b'"superevent_id": "S240101ab"' in content:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(topic, content)
takeover.recognise = recognise
for taken in takeover.take_over(Path(sys.argv[1]), "TRIGGERED_TEST"):
    print(taken.entry.offset, taken.quarantined)
"""


def test_a_record_that_has_killed_twice_is_set_aside(tmp_path: Path) -> None:
    other = gwalert_bytes(superevent_id="S240102c")
    hear(tmp_path, other, gwalert_bytes(), other.replace(b"2c", b"3d"))
    command = [sys.executable, "-c", _DIES, str(tmp_path)]
    ends = [subprocess.run(command, capture_output=True, text=True) for _ in range(4)]
    assert [end.returncode for end in ends] == [-9, -9, 0, 0]
    assert ends[2].stdout == "1 True\n2 False\n"
    assert ends[3].stdout == ""
    assert "killed while taking it over" in reasons(tmp_path)[0]
    assert not (tmp_path / "spool/.begun").exists()
    # once whatever killed is mended, it may be tried again
    (path,) = (tmp_path / "spool/quarantine").iterdir()
    path.rename(tmp_path / "spool" / path.name)
    assert taken(tmp_path)[0].changed
