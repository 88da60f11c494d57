"""The audit of records: each is archived, and each alert has led to its event."""

from pathlib import Path

import pytest
from alert_samples import UPDATE, gwalert_bytes

from llama.alerts.audit import Records, audit_records
from llama.alerts.spool import Record, Spool
from llama.alerts.takeover import take_over

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
    """Two alerts and two other records taken over, one waiting, one that is no alert set aside."""
    hear(tmp_path, gwalert_bytes(), UPDATE, b"{ cut off")
    hear(tmp_path, b'{"mission": "Fermi"}', b"", topic="gcn.notices.fermi")
    assert len(list(take_over(tmp_path, "TRIGGERED_TEST"))) == 5
    hear(tmp_path, gwalert_bytes(superevent_id="S240101cd"), offset=9)
    return tmp_path


def entry(output: Path, state: str, part: str) -> Path:
    (path,) = (output / "spool" / state).glob(f"{part}*.json")
    return path


def test_sound_records_pass_and_are_counted(output: Path) -> None:
    found, records = audit(output)
    assert found == []
    assert records.count == {"pending": 1, "done": 4, "quarantine": 1}
    assert records.alerts == 3


@pytest.mark.parametrize("state", ["done", "pending", "quarantine"])
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


def test_an_alert_in_quarantine(tmp_path: Path) -> None:
    (name,) = hear(tmp_path, gwalert_bytes())
    Spool(tmp_path).quarantine(Spool(tmp_path).pending()[0], "the disk was on fire")
    ((subject, sentence),) = audit(tmp_path)[0]
    assert subject == name
    assert sentence.startswith(f"taken over: an alert of {EVENT} is in quarantine; its entry says")


@pytest.mark.parametrize("text", ["", "{}", '{"name": "x"}'])
def test_a_damaged_entry_is_named_and_left(output: Path, text: str) -> None:
    path = entry(output, "done", "igwn.gwalert-0-000000000")
    path.write_text(text)
    ((subject, sentence),) = audit(output)[0]
    assert subject == path.stem
    assert sentence.startswith("record: ")
    assert path.read_text() == text
