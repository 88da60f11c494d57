"""What is kept, what is outdated, why it failed, and when it is tried again. No Snakemake here."""

import fcntl
import importlib
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alert_samples import gwalert_bytes, take

from llama.cli.main import main
from llama.errors import LlamaError
from llama.event.find import parse_downselect
from llama.event.flags import write_flags
from llama.listening.spool import Record, Spool
from llama.locks import only_one
from llama.neutrinos.importing import import_release
from llama.neutrinos.mock import write_mock_release
from llama.running import decide, keeper, warm
from llama.running.failing import Failing, pass_lock
from llama.running.keeper import Choice, Keeper
from llama.running.workflow import Workflow, outdated
from llama.settings import Settings, default_yaml, load


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    config = tmp_path / "config.yaml"
    config.write_text(default_yaml().replace("output_dir: null", f"output_dir: {tmp_path}/out"))
    monkeypatch.setenv("LLAMA_CONFIG", str(config))
    return load()


def event(settings: Settings, name: str, **options: Any) -> Path:
    run_dir = settings.output_dir / "current_run"
    return take(run_dir, gwalert_bytes(superevent_id=name, **options)).event_dir


def test_events_that_cannot_or_may_not_be_made_are_left_alone(settings: Settings) -> None:
    names = ["S240101a", "S240101b", "S240101c", "S240101d"]
    directories = [event(settings, name) for name in names]
    write_flags(directories[0], {"VETOED": True})
    (directories[1] / "flags.json").write_text("{")
    event(settings, "S240101e", event=None, alert_type="RETRACTION")
    run_dir = settings.output_dir / "current_run"
    take(run_dir, gwalert_bytes({"skymap": None}, superevent_id="S240101f"))
    kept = Choice(40).directories(settings.output_dir)
    assert sorted(kept) == [f"current_run/S240101{letter}" for letter in "cde"]
    few = Choice(40, pattern="*d", conditions=parse_downselect("group=CBC"))
    assert few.directories(settings.output_dir) == ["current_run/S240101d"]
    assert Choice(40, "past_runs/o3").directories(settings.output_dir) == []


def test_dry_run_dirs(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("S240101a", "S240101b"):
        event(settings, name)
    assert main(["run", "--dry-run-dirs", "S*b"]) == 0
    assert capsys.readouterr().out == f"{settings.output_dir}/current_run/S240101b\n"
    for words in (["past_runs/S*"], ["elsewhere/S*"], ["/etc/S*"], ["-n", "-1"]):
        assert main(["run", "--dry-run-dirs", *words]) == 1
        assert "give" in capsys.readouterr().err
    full = f"{settings.output_dir}/current_run/*a"
    assert main(["run", "--dry-run-dirs", "-n", "1", full]) == 0
    assert capsys.readouterr().out == f"{settings.output_dir}/current_run/S240101a\n"
    assert not (settings.output_dir / "runner").exists()


def test_a_pass_is_quiet_while_another_one_runs(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    with only_one(pass_lock(settings.output_dir), "llama run"):
        start = time.monotonic()
        assert keeper.run_once(settings, Choice(40), threading.Event(), list) == 0
        assert time.monotonic() - start < 10
    assert capfd.readouterr() == ("", "")


def settled(settings: Settings, show: Callable[[], object] = list) -> int:
    return keeper.run_once(settings, Choice(40), threading.Event(), show)


def test_a_pass_has_shown_what_there_is(settings: Settings) -> None:
    shown: list[int] = []
    assert settled(settings, lambda: shown.append(1)) == 0
    assert shown


def test_what_is_outdated_is_read_from_the_summary() -> None:
    head = "output_file\tdate\trule\tlog-file(s)\tstatus\tplan\n"
    lines = [
        "events/S240101ab/p_astro.json\t-\tread_alert\t-\tmissing\tupdate pending",
        "events/S240101cd/p_astro.json\tMon\tread_alert\t-\tok\tno update",
        "past_runs/o3/S190425z/p_astro.json\tMon\tr\tl\tparams changed\tupdate pending",
        "populations.hdf5\t-\tcollate\t-\tmissing\tupdate pending",
    ]
    found = outdated(head + "\n".join(lines))
    assert found == {"current_run/S240101ab", "past_runs/o3/S190425z"}


FAILED = (
    "[Fri Nov 27 21:30:13 2026]\nError in rule publish:\n    message: None\n    jobid: 14\n"
    "    output: x.json\n    log: logs/events/S240101ab/{name}.log (check log file(s) for ...)\n"
    "[Fri Nov 27 21:30:13 2026]\nFinished jobid: 12 (Rule: write_manifest)\n"
)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("x\nllama: there is no archive; make it\n", "there is no archive; make it"),
        (FAILED.format(name="publish-webhook"), "publish: the webhook is silent"),
        (
            "Command 'set -e; python x.py' died with <Signals.SIGKILL: 9>.\n"
            + FAILED.format(name="publish-webhook"),
            "publish was ended by SIGKILL",
        ),
        (FAILED.format(name="never-written"), "publish failed; see "),
        ("Error in rule unknown:\n", "unknown failed; see "),
        (
            "MissingInputException in rule a in file x.smk, line 1:\n"
            "Missing input files for rule a:\n    output: x\n    affected files:\n  events/S1/y\n",
            "a: events/S1/y is not there and no rule makes it; put it back",
        ),
        (
            "WorkflowError in rule a in file x.smk, line 1:\nOutput x has older modification time\n"
            "WorkflowError:\nAt least one job did not complete successfully.\n",
            "WorkflowError in rule a in file x.smk, line 1: Output x has older",
        ),
        (
            "InputFunctionException in rule a in file x.smk, line 1:\nError:\n"
            "  OSError: no such thing\nWildcards:\n  event=events/S1\n",
            "a: OSError: no such thing; see ",
        ),
        ("", "snakemake failed; see "),
    ],
)
def test_a_failure_is_one_sentence(settings: Settings, said: str, reason: str) -> None:
    logs = settings.output_dir / "logs" / "events" / "S240101ab"
    logs.mkdir(parents=True)
    for name in ("slack", "webhook"):
        told = f"Traceback\nllama.publish.outbox.NotSentError: the {name} is silent\n"
        (logs / f"publish-{name}.log").write_text(told)
    log = logs / "llamad-snakemake.log"
    log.write_text(said)
    found = Workflow(settings.output_dir).reason(log)
    assert found.startswith(reason)
    assert "\n" not in found


def test_a_failing_event_is_tried_less_and_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1e9
    monkeypatch.setattr(time, "time", lambda: now)
    waits_s = []
    for _ in range(9):
        Failing(tmp_path).add("current_run/S1", "no map")
        failing = Failing(tmp_path)  # another process
        start = now
        while failing.waits("current_run/S1"):
            now += 1
        waits_s.append(now - start + 5)
    assert waits_s == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    now -= 86400  # the clock is put back
    assert not failing.waits("current_run/S1")
    failing.remove("current_run/S1")
    assert Failing(tmp_path).events == {}
    (tmp_path / "runner/failing.json").write_text("broken")
    assert Failing(tmp_path).events == {}


class _Recorder(Keeper):
    """A keeper that notes what it would start."""

    started: list[str]

    def _start(self) -> None:
        self.started = [*getattr(self, "started", []), *self.state.new]
        self.state = replace(self.state, new=())

    def _sweep(self) -> None:
        self.state = replace(self.state, swept=True)


def test_only_events_with_a_new_revision_are_started(settings: Settings) -> None:
    spool = Spool(settings.output_dir)
    other = gwalert_bytes(superevent_id="S240101cd")
    spool.keep(Record(topic="replay", content=c) for c in (gwalert_bytes(), other, b"{}"))
    first = _Recorder(settings, Choice(40), list)
    assert first.keep(threading.Event(), once=True) == 0
    assert sorted(first.started) == ["current_run/S240101ab", "current_run/S240101cd"]
    spool.keep([Record(topic="igwn.gwalert", content=other, partition=0, offset=0)])  # once more
    again = _Recorder(settings, Choice(40), list)
    again.keep(threading.Event(), once=True)
    assert again.started == []


def test_what_cannot_be_taken_over_now_is_told_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(decide, "RETRY_S", 0.0)
    directory = event(settings, "S240101ab")
    (directory / "flags.json").write_text("{")
    update = gwalert_bytes(alert_type="UPDATE", time_created="2024-01-01T01:00:00Z")
    Spool(settings.output_dir).keep([Record(topic="replay", content=update)])
    one = _Recorder(settings, Choice(40), list)
    for _ in range(3):
        one._take_over()
    assert caplog.text.count("flags.json is not valid JSON") == 1
    write_flags(directory, {})
    one._take_over()
    assert one.state.new == ("current_run/S240101ab",)


def test_an_alert_of_an_event_that_is_being_made_waits(settings: Settings) -> None:
    Spool(settings.output_dir).keep([Record(topic="replay", content=gwalert_bytes())])
    directory = event(settings, "S240101ab", alert_type="EARLYWARNING")
    one = _Recorder(settings, Choice(40), list)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        one._take_over()
        assert not one.state.new
        assert not one.state.has_news(one._spool(), time.monotonic())  # not at once again
    one.state = replace(one.state, look_at=0.0)
    one._take_over()
    assert Spool(settings.output_dir).count()["pending"] == 0


def test_an_event_that_changed_while_it_was_looked_at_has_not_failed(settings: Settings) -> None:
    one = Keeper(settings, Choice(40), list)
    (settings.output_dir / "runner").mkdir(parents=True)
    asked = ["current_run/S240101ab", "current_run/S240101cd", "current_run/S240101ef"]
    told = "WorkflowError:\nUnable to obtain modification time of events/{}/p_astro.json\n"
    (settings.output_dir / "runner" / "summary.log").write_text(
        told.format("S240101ab") + told.format("S240101cd")
    )
    one.state = replace(one.state, meanwhile=frozenset(asked[:1]))
    one._read_summary(1, asked)
    assert one._failing.events.keys() == {asked[1]}


def test_an_event_with_nothing_to_be_made_fails_no_more(settings: Settings) -> None:
    one = Keeper(settings, Choice(40), list)
    asked = ["current_run/S240101ab", "current_run/S240101cd"]
    for directory in asked:
        one._fail(directory, "whatever")
    (settings.output_dir / "runner/summary.tsv").write_text(
        "events/S240101ab/p_astro.json\t-\tread_alert\t\tok\tno update\n"
        "events/S240101cd/p_astro.json\t-\tread_alert\t\tok\tupdate pending\n"
    )
    one._read_summary(0, asked)
    assert (one._failing.events.keys(), one.state.old) == ({asked[1]}, (asked[1],))


def test_a_run_that_was_killed_is_called_so(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    one = Keeper(settings, Choice(40), list)
    one._made["current_run/S240101ab"] = subprocess.Popen(["sh", "-c", "kill -9 $$"])
    one._made["current_run/S240101ab"].wait()
    one._reap()
    assert "S240101ab: snakemake was ended by SIGKILL" in caplog.text


def test_there_must_be_a_workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loading = importlib.import_module("llama.settings.load")  # `load` there is a function too
    monkeypatch.setattr(loading, "clone_directory", lambda: tmp_path)
    with pytest.raises(LlamaError, match="this is no clone of LLAMA"):
        Workflow(tmp_path)


@pytest.mark.parametrize("matrix", [False, True])  # each has compiled code of its own
def test_the_statistic_is_compiled_ahead(settings: Settings, tmp_path: Path, matrix: bool) -> None:
    release = tmp_path / "release"
    write_mock_release(release, 1, 500, mjd_start=58000.0, mjd_stop=58010.0, matrix=matrix)
    import_release(release, settings.output_dir / "archive", settings.neutrinos.archive)
    assert warm.compute(settings) > 1
    # with nothing to compile from, it ends without a word: the daemon does not wait for it
    (settings.output_dir / "archive").rename(tmp_path / "away")
    with pytest.raises(LlamaError, match="tables"):
        warm.compute(settings)
