"""Whatever goes wrong with a record, an event or a pass: the rest goes on, and all is named."""

import logging
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from alert_samples import gwalert_bytes
from test_running_keeper import _Recorder, event, settled

from llama.cli.main import main
from llama.errors import LlamaError, sentence
from llama.listening.health import Monitor
from llama.listening.spool import Record, Spool
from llama.running import keeper
from llama.running.failing import Troubles, daemon_lock, problems_of_run, troubles_of_run
from llama.running.keeper import Choice, Keeper
from llama.running.workflow import Workflow
from llama.settings import Settings, default_yaml, load


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    config = tmp_path / "config.yaml"
    config.write_text(default_yaml().replace("output_dir: null", f"output_dir: {tmp_path}/out"))
    monkeypatch.setenv("LLAMA_CONFIG", str(config))
    return load()


UNFORESEEN = [
    LlamaError("cannot write; free some space"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    ZeroDivisionError("not foreseen"),
    MemoryError(),
]


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("part", ["_reap", "_take_over", "_sweep", "_start", "show"])
def test_a_part_that_fails_stops_no_other_and_is_named(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    part: str,
    error: Exception,
) -> None:
    monkeypatch.setattr(keeper, "_LOOK_S", 0.0)
    done: list[str] = []

    def fail(*_: object) -> None:
        done.append("failed")
        raise error

    names = ["_reap", "_take_over", "_sweep", "_start"]
    for name in names:
        monkeypatch.setattr(Keeper, name, lambda self, name=name: done.append(name))
    monkeypatch.setattr(Keeper, "_is_done", lambda self: len(done) > 20)
    show = fail if part == "show" else list
    if part != "show":
        monkeypatch.setattr(Keeper, part, fail)
        fail.__name__ = part
    one = Keeper(settings, Choice(40), show)
    one.state = replace(one.state, is_seen=False)
    assert one.keep(threading.Event(), once=True) > 0
    assert done.count("failed") == 1  # a pass does not repeat it
    assert all(done.count(name) > 3 for name in names if name != part)
    about = {"show": "show news"}.get(part, part.strip("_").replace("_", " "))
    (trouble,) = troubles_of_run(settings.output_dir)
    assert trouble == f"{about}: {sentence(error)}"
    assert trouble.isprintable()
    assert (f"{about} met a defect of LLAMA" in caplog.text) != isinstance(error, LlamaError)
    # the next pass in which all goes well
    Troubles(settings.output_dir).settle()
    assert troubles_of_run(settings.output_dir) == []


def test_one_event_that_fails_in_any_way_stops_no_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = Keeper(settings, Choice(40), list)
    for name in ("S240101ab", "S240101cd"):
        one._made[f"current_run/{name}"] = subprocess.Popen(["sh", "-c", "exit 1"])
        one._made[f"current_run/{name}"].wait()

    def reason(self: Workflow, log: Path) -> str:
        if "S240101ab" in str(log):
            raise PermissionError(13, "Permission denied", str(log))
        return "no map"

    monkeypatch.setattr(Workflow, "reason", reason)
    one._reap()
    assert not one._made
    assert list(one._failing.events) == ["current_run/S240101cd"]
    assert list(one._troubles.now) == ["current_run/S240101ab"]
    assert "Permission denied" in caplog.text


def test_what_ends_the_daemon_is_in_log_and_status(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("not foreseen")

    monkeypatch.setattr(Keeper, "keep", fail)
    root = logging.getLogger("llama")
    before = list(root.handlers)
    try:
        with pytest.raises(ZeroDivisionError):
            main(["run", "-o"])
    finally:
        for handler in set(root.handlers) - set(before):
            root.removeHandler(handler)
            handler.close()
    said = (settings.output_dir / "logs/llamad.log").read_text()
    assert "ended by a defect of LLAMA" in said
    assert "Traceback" in said
    assert "ZeroDivisionError: not foreseen" in said
    (trouble,) = troubles_of_run(settings.output_dir)
    assert trouble.startswith(
        "llama run: ended with an error: a defect of LLAMA: ZeroDivisionError"
    )


def test_a_pass_that_set_a_record_aside_has_not_ended_well(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = b'{"mission": "\\ud800"}'
    heard = Record(topic="igwn.gwalert", partition=0, offset=0, content=bad)
    (entry,) = Spool(settings.output_dir).keep([heard])
    assert settled(settings) == 1
    assert settled(settings) == 0  # it has been told
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert "spool     NOT WELL" in said
    assert f"{entry.name} is in quarantine" in said
    assert "not an LVK gravitational-wave alert (\\ud800)" in said
    assert entry.name in (settings.output_dir / "status.html").read_text()
    alarms: list[str] = []
    for _ in range(2):
        Monitor(settings.output_dir, settings.listen, alarms.append, problems_of_run).tick(now=True)
    assert any(f"ALARM: {entry.name} is in quarantine" in alarm for alarm in alarms)


def test_what_ended_a_pass_is_an_alarm_until_it_is_over(settings: Settings) -> None:
    alarms: list[str] = []
    monitor = Monitor(settings.output_dir, settings.listen, alarms.append, problems_of_run)
    one = Keeper(settings, Choice(40), list)
    one._fail("current_run/S240101ab", "no map")
    one._troubles.add("summary", "snakemake failed")
    one._troubles.settle()
    monitor.tick(now=True)
    monitor.tick(now=True)
    one._fail("current_run/S240101ab", "again no map")
    monitor.tick(now=True)
    assert sorted(alarms) == [
        "ALARM: current_run/S240101ab fails: no map",
        "ALARM: summary: snakemake failed",
    ]
    one._failing.remove("current_run/S240101ab")
    one._troubles.remove("summary")
    one._troubles.settle()
    monitor.tick(now=True)
    assert len(alarms) == 4
    assert all(alarm.startswith("over: ") for alarm in alarms[2:])


_KILLED = """
import os, signal, sys
from pathlib import Path
from llama.locks import only_one
with only_one(Path(sys.argv[1]), "llama run"):
    if sys.argv[2:]:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_was_killed_is_named_until_the_next_one(settings: Settings) -> None:
    lock = daemon_lock(settings.output_dir)
    for words in ([], ["killed"], []):
        done = subprocess.run([sys.executable, "-c", _KILLED, str(lock), *words])
        said = troubles_of_run(settings.output_dir)
        assert bool(said) == (done.returncode == -9), said
        assert all("was killed or crashed; start it again" in sentence for sentence in said)


def test_a_record_that_somebody_takes_away_is_no_trouble_any_more(settings: Settings) -> None:
    (event(settings, "S240101ab") / "flags.json").write_text("{")
    update = gwalert_bytes(alert_type="UPDATE", time_created="2024-01-01T01:00:00Z")
    (entry,) = Spool(settings.output_dir).keep([Record(topic="replay", content=update)])
    one = _Recorder(settings, Choice(40), list)
    one._take_over()
    assert list(one._troubles.now) == [entry.name]
    (settings.output_dir / f"spool/{entry.name}.json").unlink()
    one._take_over()
    assert one._troubles.now == {}


def test_an_event_whose_files_are_broken_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = event(settings, "S240101ab")
    event(settings, "S240101cd")
    good = (directory / "flags.json").read_text()
    monkeypatch.setattr(Workflow, "summarise", lambda *_: subprocess.Popen(["true"]))
    for content, kept in (("{", 1), ("[]", 1), ('{"ROLE": {}}', 1), (good, 2)):
        (directory / "flags.json").write_text(content)
        one = Keeper(settings, Choice(40), list)
        one._sweep()
        one._troubles.settle()
        assert one._summary is not None
        one._summary[0].wait()
        assert len(one._summary[1]) == kept
        said = troubles_of_run(settings.output_dir)
        assert len(said) == 2 - kept
        assert all("current_run/S240101ab: left alone: " in s for s in said)


@pytest.mark.parametrize("name", ["failing.json", "troubles.json"])
@pytest.mark.parametrize("content", ["", "{", "[1]", '{"current_run/S1": 5}', "null"])
def test_a_broken_list_of_what_is_wrong_is_wrong_too(
    settings: Settings, name: str, content: str
) -> None:
    path = settings.output_dir / "runner" / name
    path.parent.mkdir(parents=True)
    path.write_text("{}\n")
    assert troubles_of_run(settings.output_dir) == []
    path.write_text(content)
    assert any(f"runner/{name} cannot be read" in s for s in troubles_of_run(settings.output_dir))
