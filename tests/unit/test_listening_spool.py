"""What was heard is archived once, waits once, and is taken over once, whatever it is called."""

import json
import os
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama.errors import LlamaError
from llama.files import sha256_bytes
from llama.listening import spool as spool_module
from llama.listening.spool import Record, Spool


def record(content=b'{"a": 1}', offset=0, **given):
    return Record(
        **{"topic": "igwn.gwalert", "partition": 0, "offset": offset, **given}, content=content
    )


def archived(output):
    return sorted(path for path in (output / "gcn").rglob("*") if path.is_file())


def test_a_record_is_archived_under_its_day_and_waits(tmp_path):
    spool = Spool(tmp_path)
    before = datetime.now(UTC)
    (entry,) = spool.keep([record(key=b"S1\xff", kafka_time_ms=1234)])
    assert re.fullmatch(
        r"gcn/[0-9]{4}-[0-9]{2}/[0-9]{2}/igwn\.gwalert-0-000000000-[0-9a-f]{16}\.json",
        entry.archive,
    )
    assert entry.archive.startswith(f"gcn/{before:%Y-%m/%d}")
    assert before <= datetime.fromisoformat(entry.received_at) <= datetime.now(UTC)
    assert (tmp_path / entry.archive).read_bytes() == b'{"a": 1}'
    on_disk = json.loads((tmp_path / "spool" / f"{entry.name}.json").read_text())
    assert on_disk["sha256"] == sha256_bytes(b'{"a": 1}')
    assert (on_disk["topic"], on_disk["partition"], on_disk["offset"]) == ("igwn.gwalert", 0, 0)
    assert (on_disk["key"], on_disk["kafka_time_ms"]) == ("S1\\xff", 1234)
    assert spool.pending() == [entry]
    assert spool.read(entry) == b'{"a": 1}'


def test_entries_wait_in_the_order_in_which_they_were_heard(tmp_path):
    spool = Spool(tmp_path)
    first = spool.keep([record(b"2", 2), record(b"10", 10), record(b"1", 1, topic="zz")])
    second = spool.keep([record(b"0", 0, topic="aa")])
    assert Spool(tmp_path).pending() == first + second
    assert [entry.offset for entry in first + second] == [2, 10, 1, 0]


@pytest.mark.parametrize("state", ["pending", "finished", "quarantined"])
def test_what_is_delivered_again_changes_nothing_in_any_state(tmp_path, state):
    spool = Spool(tmp_path)
    (entry,) = spool.keep([record(), record()])
    if state == "finished":
        spool.finish(entry)
        spool.finish(entry)
    if state == "quarantined":
        spool.quarantine(entry, "it was bad")
    waiting = spool.pending()
    for again in (spool, Spool(tmp_path)):
        assert again.keep([record()]) == []
    assert spool.pending() == waiting == ([entry] if state == "pending" else [])
    assert len(archived(tmp_path)) == 1


def test_other_content_at_the_same_offset_is_another_record(tmp_path):
    spool = Spool(tmp_path)  # a broker whose topic was made anew counts from 0 again
    spool.keep([record(b"old")])
    spool.keep([record(b"new")])
    assert [spool.read(entry) for entry in spool.pending()] == [b"old", b"new"]


def test_a_record_archived_yesterday_by_a_killed_process_is_not_archived_again(tmp_path):
    spool = Spool(tmp_path)
    (entry,) = spool.keep([record()])
    yesterday = datetime.now(UTC) - timedelta(days=1)
    old = (
        tmp_path
        / "gcn"
        / f"{yesterday:%Y-%m}"
        / f"{yesterday:%d}"
        / os.path.basename(entry.archive)
    )
    old.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / entry.archive).rename(old)
    (tmp_path / "spool" / f"{entry.name}.json").unlink()
    (again,) = spool.keep([record()])
    assert archived(tmp_path) == [old] == [tmp_path / again.archive]


def test_the_archive_is_never_overwritten(tmp_path):
    spool = Spool(tmp_path)
    (entry,) = spool.keep([record()])
    (tmp_path / entry.archive).write_bytes(b"edited")
    with pytest.raises(LlamaError, match="has been changed; put the original back"):
        spool.read(entry)
    (tmp_path / "spool" / f"{entry.name}.json").unlink()
    (again,) = spool.keep([record()])
    assert (tmp_path / entry.archive).read_bytes() == b"edited"
    assert spool.read(again) == b'{"a": 1}'
    (tmp_path / again.archive).unlink()
    with pytest.raises(LlamaError, match=r"cannot be read .*; put it back"):
        spool.read(again)


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff\x00", b"<x/>", b"\xef\xbb\xbf {", b"x" * 5_000_000]
)
def test_any_content_is_kept_as_it_is(tmp_path, content):
    spool = Spool(tmp_path)
    (entry,) = spool.keep([record(content)])
    assert spool.read(entry) == (content or b"")
    assert entry.is_null is (content is None)
    suffix = {b"<": ".xml", b"\xef": ".json"}.get((content or b"")[:1], ".bin")
    assert entry.archive.endswith(suffix)


@given(topic=st.text(max_size=300), key=st.none() | st.binary(max_size=2000))
def test_no_topic_or_key_leads_out_of_the_archive(tmp_path_factory, topic, key):
    output = tmp_path_factory.mktemp("out")
    hostile = record(topic=topic, key=key)
    spool = Spool(output)
    (entry,) = spool.keep([hostile])
    assert spool.pending() == [entry]
    (path,) = archived(output)
    assert len(path.relative_to(output / "gcn").parts) == 3
    assert not path.name.startswith(".")
    assert spool.keep([hostile]) == []


@pytest.mark.parametrize(
    "topic", ["../../etc/passwd", "..", "/etc/x", "a/b", "\x00", "", "." * 300]
)
def test_a_hostile_topic_is_only_a_name(tmp_path, topic):
    (tmp_path / "out").mkdir()
    Spool(tmp_path / "out").keep([record(topic=topic)])
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(archived(tmp_path / "out")) == 1


def test_a_quarantined_record_keeps_its_reason_and_can_be_tried_again(tmp_path):
    spool = Spool(tmp_path)
    (entry,) = spool.keep([record()])
    spool.quarantine(entry, "its FAR is no number")
    assert (spool.pending(), spool.count()) == ([], {"pending": 0, "quarantine": 1})
    (path,) = (tmp_path / "spool" / "quarantine").iterdir()
    assert json.loads(path.read_text())["reason"] == "its FAR is no number"
    path.rename(tmp_path / "spool" / path.name)
    assert spool.pending() == [entry]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:40],
        lambda text: "[1]",
        lambda text: text.replace('"gcn/', '"gcn/../../../../'),
        lambda text: text.replace('"sha256"', '"sha"'),
        lambda text: re.sub('"received_at": "[^"]*"', '"received_at": 1', text),
        lambda text: re.sub('"size_bytes": [0-9]*', '"size_bytes": "1"', text),
        lambda text: re.sub('"topic": "[^"]*"', '"topic": null', text),
        lambda text: text.replace("{", '{"x": NaN,'),
        lambda text: text.replace("{", '{"x": "' + "x" * 100_000 + '",'),
    ],
)
def test_a_damaged_entry_goes_to_the_quarantine_and_stops_nobody(tmp_path, damage):
    spool = Spool(tmp_path)
    bad, good = spool.keep([record(b"1", 1), record(b"2", 2)])
    path = tmp_path / "spool" / f"{bad.name}.json"
    path.write_text(damage(path.read_text()))
    assert spool.pending() == [good]
    assert spool.count() == {"pending": 1, "quarantine": 1}


def test_an_entry_that_cannot_even_be_read_stops_nobody(tmp_path):
    spool = Spool(tmp_path)
    bad, good = spool.keep([record(b"1", 1), record(b"2", 2)])
    path = tmp_path / "spool" / f"{bad.name}.json"
    path.unlink()
    path.mkdir()
    assert spool.pending() == [good]
    ((name, reason),) = spool.reasons()
    assert name == bad.name
    assert "cannot be read: Is a directory" in reason


def test_half_a_surrogate_pair_in_an_entry_is_kept(tmp_path):
    spool = Spool(tmp_path)
    (entry,) = spool.keep([record(topic="\ud800", key=b"\xed\xa0\x80")])
    spool.quarantine(entry, "\ud800 is odd")
    ((_, reason),) = spool.reasons()
    assert reason.startswith("\\ud800 is odd (the record: gcn/")


def test_the_death_of_a_process_is_counted_per_record(tmp_path):
    spool = Spool(tmp_path)
    one, two = spool.keep([record(b"1", 1), record(b"2", 2)])
    assert [spool.begin(one), spool.begin(one), spool.begin(two), spool.begin(one)] == [0, 1, 0, 0]
    spool.end()
    assert spool.begin(one) == 0
    (tmp_path / "spool/.begun").write_text("")  # the disk was full
    assert spool.begin(one) == 0


def test_replayed_records_are_known_by_their_content(tmp_path):
    spool = Spool(tmp_path)
    one = Record(topic="replay", content=b"{}", key=b"a.json")
    (entry,) = spool.keep([one, Record(topic="replay", content=b"{}", key=b"copy of a.json")])
    assert entry.name.startswith("replay-")
    assert spool.keep([one]) == []


def test_tidying_forgets_what_is_old_only(tmp_path):
    spool = Spool(tmp_path)
    entries = spool.keep([record(b"%d" % i, i) for i in range(4)])
    for entry in entries[:2]:
        spool.finish(entry)
    spool.quarantine(entries[2], "x")
    old, left = (
        entries[0],
        [tmp_path / "spool" / ".x.json.abc", archived(tmp_path)[0].with_name(".y")],
    )
    for path in left:
        path.write_bytes(b"half")
    month = datetime.now().timestamp() - 31 * 86400
    for path in (tmp_path / "spool").rglob("*"):
        if old.name in path.name or path.name.startswith("."):
            os.utime(path, (month, month))
    os.utime(left[1], (month, month))
    os.utime(tmp_path / entries[1].archive, (month, month))
    spool.tidy()
    assert not any(path.exists() for path in left)
    assert [path.stem for path in (tmp_path / "spool" / "done").iterdir()] == [entries[1].name]
    assert spool.count() == {"pending": 1, "quarantine": 1}
    assert len(archived(tmp_path)) == 4


def test_a_full_disk_is_one_sentence_and_the_same_records_can_be_given_again(tmp_path, monkeypatch):
    def full(path, content):
        raise LlamaError("cannot write: No space left on device")

    spool = Spool(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(spool_module, "write_json", full)
        with pytest.raises(LlamaError, match="No space left"):
            spool.keep([record()])
    assert spool.pending() == []
    assert len(spool.keep([record()])) == 1
    assert len(archived(tmp_path)) == 1


def test_a_directory_that_cannot_be_synced_is_one_sentence(tmp_path, monkeypatch):
    def broken(handle):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(spool_module.os, "fsync", broken)
    with pytest.raises(LlamaError, match="Input/output error"):
        Spool(tmp_path).keep([record()])
