"""status.html and `llama status`: every event, how all is, and nothing that is blinded."""

import json
import os
import time

import page_samples as sample
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import to_builtins
from page_samples import Page

from llama.cli.main import main
from llama.figures.run_page import HEADER, run_content, write_run_page
from llama.files import read_json, write_json
from llama.listening.health import State, lock_path, state_path
from llama.locks import only_one
from llama.settings import from_dict
from llama.settings.render import defaults


@pytest.fixture
def setup(tmp_path):
    content = defaults() | {"output_dir": str(tmp_path)}
    return from_dict(content, "defaults")


def cells(content, name):
    row = next(row for row in content["rows"] if row["name"] == name)
    return dict(zip(HEADER[2:], (text for text, _ in row["cells"]), strict=True))


def health(content):
    return {name: (well, " ".join(words)) for name, well, words in content["health"]}


def complete(event_dir):
    """Add what the page does not read."""
    for name in ("lvc_skymap.fits", "index.html", "gcn_circular_draft.txt", "map_background.hdf5"):
        (event_dir / name).touch()
    for name in ("skymap", "scatter"):
        (event_dir / f"coinc_{name}_lvc-i3.pdf").touch()
    for kind in ("html", "pdf"):
        (event_dir / f"coinc_summary_i3_lvc.{kind}").touch()


def test_every_event_has_a_row_the_newest_alert_first(setup, tmp_path):
    for age_s, name in ((300, "S230518h"), (100, "S190425z"), (200, "MS230522j")):
        path = sample.write_event(tmp_path, name) / "skymap_info.json"
        os.utime(path, (time.time() - age_s,) * 2)
    complete(tmp_path / "current_run" / "S190425z")
    (tmp_path / "current_run" / "lost+found").mkdir()
    content = run_content(setup)
    assert [row["name"] for row in content["rows"]] == ["S190425z", "MS230522j", "S230518h"]
    assert content["rows"][0]["page"] == "events/S190425z/index.html"
    assert content["rows"][1]["page"] is None
    row = cells(content, "S190425z")
    assert row["State"] == "complete"
    assert row["Alert"] == "2-Initial"
    assert row["Notice (UTC)"] == "2023-05-18 13:30"
    assert row["FAR (Hz)"] == "3.2e-10"
    assert row["Odds ratio"] == "0.0248"
    assert row["p-value"] == "0.0123"
    assert row["Neutrinos"] == "2"
    assert "products are missing" in cells(content, "MS230522j")["State"]
    listed = tmp_path / "current_run" / "S190425z" / "icecube_neutrino_list.json"
    listed.write_text(json.dumps(json.loads(listed.read_bytes()) | {"unusable": ["a notice"]}))
    assert cells(run_content(setup), "S190425z")["State"] == "1 neutrino notice cannot be used"


def test_the_result_of_an_earlier_alert_is_not_taken_for_that_of_the_present_one(setup, tmp_path):
    event_dir = sample.write_event(tmp_path)
    complete(event_dir)
    write_json(event_dir / "skymap_info.json", sample.info(revision=3, notice="S230518h-3-Update"))
    assert cells(run_content(setup), "S230518h")["State"] == "result of 2-Initial, revision 2"
    retraction = sample.info(revision=3, notice="S230518h-3-Retraction", retracted=True)
    write_json(event_dir / "skymap_info.json", retraction)
    assert cells(run_content(setup), "S230518h")["State"] == "complete"


@pytest.mark.parametrize(
    ("flags", "changes", "marks"),
    [
        ({}, {}, ["TEST"]),
        ({"ROLE": "observation"}, {}, ["REAL"]),
        ({"ROLE": "observation"}, {"role": "test"}, ["TEST"]),
        ({"ROLE": "observation"}, {"search": "MDC"}, ["TEST"]),
        ({"VETOED": True}, {"retracted": True}, ["RETRACTED", "TEST", "VETOED"]),
    ],
)
def test_real_and_test_are_told_apart(setup, tmp_path, flags, changes, marks):
    sample.write_event(tmp_path, flags=flags, **changes)
    assert run_content(setup)["rows"][0]["marks"] == marks


@pytest.mark.parametrize("by", ["flag", "list"])
def test_blinded_values_are_hidden_everywhere(setup, tmp_path, by, monkeypatch, capsys):
    kind = "blinded" if by == "list" else "observation"
    event_dir = sample.write_event(
        tmp_path,
        events=[sample.neutrino(1, type=kind)],
        flags={"BLINDED_NEUTRINOS": by == "flag"},
    )
    row = cells(run_content(setup), "S230518h")
    assert row["Odds ratio"] == row["p-value"] == "blinded"
    path, _ = write_run_page(setup)
    monkeypatch.setattr("llama.cli.events.load", lambda: setup)
    assert main(["status"]) == 0
    seen = path.read_text() + capsys.readouterr().out
    odds = read_json(event_dir / "significance_lvc-i3.json")["odds_ratio"]
    for value in ("0.0123", f"{odds:.3g}", f"{odds:.4g}"):
        assert value not in seen


def test_a_broken_event_is_named_and_hides_no_other(setup, tmp_path):
    sample.write_event(tmp_path, "S230518h")
    (sample.write_event(tmp_path, "S190425z") / "flags.json").write_text("{")
    (sample.write_event(tmp_path, "S190426c") / "significance_lvc-i3.json").write_text("[]")
    content = run_content(setup)
    rows = {row["name"]: row for row in content["rows"]}
    assert rows["S190425z"]["marks"] == ["BROKEN"]
    assert "flags.json is not valid JSON" in rows["S190425z"]["cells"][HEADER.index("State") - 2][0]
    assert rows["S230518h"]["marks"] == ["TEST"]
    assert all(len(row["cells"]) == len(HEADER) - 2 for row in content["rows"])


def test_an_event_that_waits_for_its_map_says_so(setup, tmp_path):
    sample.write_event(tmp_path, skymap_file=None)
    assert cells(run_content(setup), "S230518h")["State"] == "waits for a sky map"


def test_silence_is_not_well(setup):
    content = run_content(setup)
    told = health(content)
    assert told["Listener"] == (False, "No listener is running; start it with llama listen gcn.")
    assert told["Run"][0] is False
    assert "No process updates the events" in told["Run"][1]
    assert told["Spool"] == (True, "0 waiting, 0 in quarantine.")
    assert told["Outbox"] == (True, "Nothing waits to be sent.")
    assert content["lead"].startswith("Look at: listener, run. 0 events")


def test_all_is_well_when_both_run_and_nothing_waits(setup, tmp_path):
    now = time.time()
    state = State(since=now - 9e4, started_at=now - 100, renewed_at=now, heartbeat_at=now)
    state.alert_at = now - 120
    write_json(state_path(tmp_path), to_builtins(state))
    with only_one(lock_path(tmp_path), "x"), only_one(tmp_path / "runner" / "lock", "y"):
        content = run_content(setup)
        told = health(content)
        assert told["Listener"][0] is True
        assert "LVK alert 2 min ago" in told["Listener"][1]
        assert told["Run"] == (True, f"Running, pid {os.getpid()}. The last pass began 0 s ago.")
        assert content["lead"].startswith("All is well.")
    assert health(run_content(setup))["Run"] == (True, "The last pass began 0 s ago.")
    os.utime(tmp_path / "runner" / "lock", (now - 3600, now - 3600))
    assert health(run_content(setup))["Run"][0] is False


def test_what_fails_and_what_waits_is_told(setup, tmp_path):
    line = {"reason": "S190425z: no map", "times": 3, "next_try": 1.0}
    write_json(tmp_path / "runner" / "failing.json", {"current_run/S190425z": line})
    intent = sample.write_event(tmp_path) / "outbox" / "slack" / "1.intent.json"
    write_json(intent, {})
    told = health(run_content(setup))
    assert "current_run/S190425z fails: S190425z: no map" in told["Run"][1]
    assert told["Outbox"] == (True, "S230518h: slack/1")  # it may be on its way
    os.utime(intent, (time.time() - 3600,) * 2)
    assert health(run_content(setup))["Outbox"][0] is False
    write_json(intent.with_name("1.receipt.json"), {})
    assert health(run_content(setup))["Outbox"] == (True, "Nothing waits to be sent.")


def test_the_page_asks_nothing_and_can_be_read_aloud(setup, tmp_path):
    sample.write_event(tmp_path)
    path, _ = write_run_page(setup)
    source = path.read_text()
    page = Page(source)
    assert path == tmp_path / "status.html"
    assert "unsafe" not in next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert len(page.all("script")) == 1
    assert all(cell["scope"] in {"row", "col"} for cell in page.all("th"))
    assert len(page.all("button")) == len(HEADER)
    assert len(source.encode()) < 2_000_000


@settings(max_examples=30)
@given(bad=st.text(max_size=40).filter(str.isprintable) | st.sampled_from(sample.HOSTILE))
def test_hostile_text_stays_text(tmp_path_factory, bad):
    output = tmp_path_factory.mktemp("hostile")
    settings_ = from_dict(defaults() | {"output_dir": str(output)}, "defaults")
    event_dir = output / "current_run" / "S230518h"
    write_json(event_dir / "skymap_info.json", sample.info(group=""))
    write_json(event_dir / "flags.json", sample.FLAGS)
    write_json(event_dir / "receipts" / "a.json", {"channel": bad, "status": "sent"})
    write_json(output / "runner" / "failing.json", {bad: {"reason": bad}, "b": bad})
    path, _ = write_run_page(settings_)
    page = Page(path.read_text())
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert not page.all("img")
    assert not [a for _, a in page.tags if any(k.startswith("on") for k in a)]


def test_the_command_prints_a_table_and_where_the_page_is(setup, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("llama.cli.events.load", lambda: setup)
    assert main(["status"]) == 0
    printed = capsys.readouterr()
    assert printed.err == f"the page: {tmp_path / 'status.html'}\n"
    assert "listener  NOT WELL: No listener" in printed.out
    sample.write_event(tmp_path)
    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].split()[:3] == ["Event", "What", "p-value"]
    assert lines[-1].split()[:5] == ["S230518h", "TEST", "0.0123", "0.0248", "2"]


def test_a_second_page_replaces_the_first_whole(setup, tmp_path):
    write_run_page(setup)
    sample.write_event(tmp_path)
    path, content = write_run_page(setup)
    assert "S230518h" in path.read_text()
    assert json.dumps(content)
    assert not list(tmp_path.glob(".status*"))


def test_a_fleet_that_nobody_looks_after_is_told(setup, tmp_path):
    assert "Fleet" not in health(run_content(setup))
    watch = tmp_path / "fleet/slurm/notice.json"
    write_json(watch, {"notice": "", "time": time.time(), "problem": "", "since": 0.0})
    assert health(run_content(setup))["Fleet"][0]
    write_json(watch, {"notice": "", "time": 1.8e9, "problem": "no token", "since": 1.8e9})
    content = run_content(setup)
    assert "fleet" in content["lead"]
    well, words = health(content)["Fleet"]
    assert not well
    assert "cannot look after the droplets since 2027-01-15 08:00 UTC: no token" in words
    assert "llama fleet up" in words
    watch.write_text("{")
    assert not health(run_content(setup))["Fleet"][0]
