"""The audit of records: each is archived, and each alert has led to its event."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alert_samples import UPDATE, gwalert_bytes

from llama.audit.alerts import Records, audit_records
from llama.listening.replay import replay
from llama.listening.spool import Record, Spool
from llama.running.takeover import take_over

EVENT = "S240101ab"


def hear(output: Path, *contents: bytes, topic: str = "igwn.gwalert", offset: int = 0) -> list[str]:
    """Put records into the spool and return their names."""
    records = [
        Record(topic=topic, content=content, partition=0, offset=offset + n)
        for n, content in enumerate(contents)
    ]
    return [entry.name for entry in Spool(output).keep(records)]


def audit(output: Path) -> tuple[list[tuple[str, str]], Records]:
    records = Records()
    found = list(audit_records(output, records))
    return [(finding.subject, f"{finding.check}: {finding.sentence}") for finding in found], records


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Two alerts and two other records taken over, one that is no alert left, one waiting."""
    hear(tmp_path, gwalert_bytes(), UPDATE, b"{ cut off")
    hear(tmp_path, b'{"mission": "Fermi"}', b"", topic="gcn.notices.fermi")
    assert len(list(take_over(tmp_path, "TRIGGERED_TEST"))) == 5
    hear(tmp_path, gwalert_bytes(superevent_id="S240101cd"), offset=9)
    aside = entry(tmp_path, "quarantine", "igwn")
    aside.rename(tmp_path / "spool/done" / aside.name)  # the operator has seen it
    return tmp_path


def entry(output: Path, state: str, part: str) -> Path:
    (path,) = (output / "spool" / state).glob(f"{part}*.json")
    return path


def test_sound_records_pass_and_are_counted(output: Path) -> None:
    found, records = audit(output)
    assert found == []
    assert records.count == {"pending": 1, "done": 5, "quarantine": 0}
    assert records.alerts == 3


@pytest.mark.parametrize("state", ["done", "pending"])
@pytest.mark.parametrize("lost", [True, False])
def test_a_record_that_the_archive_has_not(output: Path, state: str, lost: bool) -> None:
    name = next((output / "spool" / ("" if state == "pending" else state)).glob("*.json")).stem
    (path,) = output.glob(f"gcn/*/*/{name}.*")
    path.unlink() if lost else path.write_bytes(b"other")
    found, _ = audit(output)
    assert [subject for subject, _ in found] == [name]
    wanted = "cannot be read (No such file" if lost else "has been changed; put the original back"
    assert found[0][1].startswith("archived: the archived record ")
    assert wanted in found[0][1]


def test_an_alert_without_its_revision(output: Path) -> None:
    event = output / "current_run" / EVENT
    (event / "alerts/2-Update.json").rename(event / "alerts/2-Update.json.bak")
    (event / "alerts/2-Update.json.bak").write_bytes(b"other")
    ((subject, sentence),) = audit(output)[0]
    assert subject == entry(output, "done", "igwn.gwalert-0-000000001").stem
    assert sentence.startswith(f"taken over: {EVENT} does not have this alert; move its entry from")
    # the remedy
    path = entry(output, "done", "igwn.gwalert-0-000000001")
    path.rename(output / "spool" / path.name)
    (event / "alerts/2-Update.json.bak").unlink()
    list(take_over(output, "TRIGGERED_TEST"))
    assert audit(output)[0] == []


def test_an_event_that_was_moved_to_past_runs_or_is_gone(output: Path) -> None:
    past = output / "past_runs/o4" / EVENT
    past.parent.mkdir(parents=True)
    (output / "current_run" / EVENT).rename(past)
    assert audit(output)[0] == []
    past.rename(output / "elsewhere")
    assert len(audit(output)[0]) == 2


@pytest.mark.parametrize(
    "content", [gwalert_bytes(), b'{"mission": "\\ud800"}', b"", b"x" * 9_000_000]
)
def test_what_is_in_quarantine_is_named_with_its_reason(tmp_path: Path, content: bytes) -> None:
    (name,) = hear(tmp_path, content)
    Spool(tmp_path).quarantine(Spool(tmp_path).pending()[0], "the disk was on \ud800 fire")
    ((subject, sentence),) = audit(tmp_path)[0]
    assert subject == name
    assert sentence.startswith("quarantine: the disk was on \\ud800 fire (the record: gcn/")
    # the remedy
    path = entry(tmp_path, "quarantine", name)
    path.rename(tmp_path / "spool" / path.name)
    list(take_over(tmp_path, "TRIGGERED_TEST"))
    for path in (tmp_path / "spool/quarantine").glob("*"):
        assert [found for found, _ in audit(tmp_path)[0]] == [path.stem]
        path.rename(tmp_path / "spool/done" / path.name)
    assert audit(tmp_path)[0] == []


def test_an_alert_that_is_left_in_quarantine_and_one_that_is_lost_later(tmp_path: Path) -> None:
    (name,) = hear(tmp_path, gwalert_bytes())
    Spool(tmp_path).quarantine(Spool(tmp_path).pending()[0], "its map is hostile")
    path = entry(tmp_path, "quarantine", name)
    path.rename(tmp_path / "spool/done" / path.name)
    assert audit(tmp_path)[0] == []  # a person has decided
    (tmp_path / "spool/done" / path.name).rename(tmp_path / "spool" / path.name)
    list(take_over(tmp_path, "TRIGGERED_TEST"))
    assert audit(tmp_path)[0] == []
    shutil.rmtree(tmp_path / "current_run" / EVENT)
    ((subject, sentence),) = audit(tmp_path)[0]
    assert (subject, sentence[:10]) == (name, "taken over")


def test_a_damaged_entry_in_quarantine_is_named_once(output: Path) -> None:
    path = entry(output, "", "igwn.gwalert-0-000000009")
    path.write_text("{")
    list(take_over(output, "TRIGGERED_TEST"))
    ((subject, sentence),) = audit(output)[0]
    assert subject == path.stem
    assert "is not valid JSON" in sentence


@pytest.mark.parametrize("state", ["", "done"])
def test_an_entry_that_is_gone(output: Path, state: str) -> None:
    path = entry(output, state, "igwn.gwalert-0-000000001" if state else "igwn.gwalert-0-000000009")
    path.unlink()
    ((subject, sentence),) = audit(output)[0]
    (archived,) = output.glob(f"gcn/*/*/{path.stem}.*")
    assert subject == archived.relative_to(output).as_posix()
    assert sentence.startswith("heard: this record has no entry in the spool")
    # the remedy
    assert str(archived) in sentence
    replay(archived, output, lambda *_: None)
    list(take_over(output, "TRIGGERED_TEST"))
    assert audit(output)[0] == []
    assert (output / "current_run" / ("S240101cd" if not state else EVENT)).exists()


def test_entries_that_were_done_a_month_ago_may_be_forgotten(output: Path) -> None:
    for path in (output / "spool/done").glob("*.json"):
        path.unlink()
    assert len(audit(output)[0]) == 5
    (day,) = output.glob("gcn/*/*")
    old = output / "gcn" / f"{datetime.now(UTC) - timedelta(days=31):%Y-%m/%d}"
    old.parent.mkdir(parents=True, exist_ok=True)
    waiting = entry(output, "", "igwn.gwalert-0-000000009")
    day.rename(old)
    waiting.unlink()
    assert audit(output)[0] == []


def test_one_record_that_cannot_be_told_hides_no_other(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recognise(topic: str, content: bytes) -> object:
        raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")

    monkeypatch.setattr("llama.audit.alerts.recognise", recognise)
    found, records = audit(output)
    assert len(found) == sum(records.count.values()) == 6
    assert all(
        "cannot be checked: a defect of LLAMA: UnicodeEncodeError" in said for _, said in found
    )
    assert all(said.isprintable() for _, said in found)


@pytest.mark.parametrize("text", ["", "{}", '{"name": "x"}'])
def test_a_damaged_entry_is_named_and_left(output: Path, text: str) -> None:
    path = entry(output, "done", "igwn.gwalert-0-000000000")
    path.write_text(text)
    ((subject, sentence),) = audit(output)[0]
    assert subject == path.stem
    assert sentence.startswith("record: ")
    assert path.read_text() == text
