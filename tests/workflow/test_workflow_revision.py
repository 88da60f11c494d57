"""A revision that comes while Snakemake works: nothing false goes out, and nothing is lost."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import proofs
import pytest
from receivers import WebhookDouble, webhook_server
from workspace import EVENT, GRACEID, Workspace, alert, skymap_fits, strict_json

SENT = f"{EVENT}/receipts/webhook.json"
SECOND = alert("UPDATE", skymap=skymap_fits(ra=80.0, dec=-30.0), minute=20, far=1e-7)
THIRD = alert("UPDATE", skymap=skymap_fits(ra=40.2, dec=20.1), minute=30, far=1e-10)
# Gives an alert to skymap_info, once, in the middle of a job or while Snakemake reads its rules.
_GIVE = """
import pathlib, subprocess, time
_root = pathlib.Path({root!r})
if (_root / "give").exists():
    (_root / "give").unlink()
    pathlib.Path({lock!r}).unlink(missing_ok=True) if {unlocked} else None
    with (_root / "given.log").open("w") as _log:
        _given = subprocess.Popen(
            ["skymap_info", "--alert", str(_root / "third.json"), "--role", "test"],
            stdout=_log, stderr=_log, stdin=subprocess.DEVNULL, start_new_session=True,
        )
    _said, _ended = "", False
    while {until!r} not in _said:
        assert not _ended, _said
        time.sleep(0.02)
        _ended = _given.poll() is not None  # what it said before it ended is read after this
        _said = (_root / "given.log").read_text()
"""
# the whole proof meets the first, too
SCRIPTS = ["convert_skymap.py", "compute_significance.py", "publish.py"][proofs.size(0, 1) :]
WAITS, DONE = "waiting until that has ended", f"{GRACEID}: revision 3, Update"


@pytest.fixture
def hook() -> Iterator[tuple[Any, WebhookDouble]]:
    with webhook_server() as (server, double):
        yield server, double


@pytest.fixture
def published(event: Workspace, hook: Any) -> Workspace:
    """A finished event that may be published to a webhook for tests, and its first update."""
    path = event.clone / "config.yaml"
    real, test = path.read_text().split("\n  test:\n")
    test = test.replace("webhook: null", f'webhook: "{hook[0].url}/hook"', 1)
    path.write_text(f"{real}\n  test:\n{test}")
    event.run("llama", "flags", EVENT, "UPLOAD=true")
    event.take(SECOND)
    (event.root / "third.json").write_bytes(THIRD)
    return event


def give(event: Workspace, file: Path, until: str, unlocked: bool = False) -> None:
    """Have the third alert given when Snakemake comes to `file`; wait until skymap_info says so."""
    lock = str(event.event / ".lock")
    code = _GIVE.format(root=str(event.root), until=until, unlocked=unlocked, lock=lock)
    if file.name == "Snakefile":
        file.write_text(f"{file.read_text()}\n{code}")
    else:
        file.write_text(code + file.read_text())
    (event.root / "give").touch()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_true(event: Workspace, post: Any, revision: int) -> None:
    """Assert that a message says what the event's files, all of one revision, say."""
    significance = strict_json(event.event / "significance_lvc-i3.json")
    assert significance["inputs"]["gw_skymap_info"]["revision"] == revision
    said = post[1]["result"]
    assert said["revision"] == revision
    assert said["odds_ratio"] == significance["odds_ratio"]


@pytest.mark.proof
@pytest.mark.parametrize("script", SCRIPTS[:-1])
def test_an_alert_by_hand_waits_for_the_end_of_the_run(
    published: Workspace, hook: Any, script: str
) -> None:
    event, posts = published, hook[1].posts
    give(event, event.clone / "scripts" / script, WAITS)
    event.snakemake(SENT)
    assert len(posts) == 1
    assert_true(event, posts[0], 2)
    wait_for(lambda: DONE in (event.root / "given.log").read_text())
    event.snakemake(SENT)
    assert len(posts) == 2
    assert_true(event, posts[1], 3)
    first, second = (post[1]["result"]["odds_ratio"] for post in posts)
    assert first < 1e-3 * second


def test_an_alert_before_the_run_has_locked_the_event_is_made(
    published: Workspace, hook: Any
) -> None:
    give(published, published.clone / "Snakefile", DONE)
    published.snakemake(SENT)
    assert len(hook[1].posts) == 1
    assert_true(published, hook[1].posts[0], 3)
    # only what says when it went out
    assert "compute_significance" not in published.plan(SENT)


@pytest.mark.proof
@pytest.mark.parametrize("script", SCRIPTS)
def test_without_locks_nothing_of_two_revisions_is_sent(
    published: Workspace, hook: Any, script: str
) -> None:
    event, posts = published, hook[1].posts
    give(event, event.clone / "scripts" / script, DONE, unlocked=True)
    printed = event.snakemake(SENT, code=1)
    assert "was made from another" in printed
    assert posts == []
    event.snakemake(SENT)
    assert len(posts) == 1
    assert_true(event, posts[0], 3)


def test_a_veto_in_the_middle_of_a_run_holds(published: Workspace, hook: Any) -> None:
    script = published.clone / "scripts/compute_significance.py"
    command = ["llama", "flags", EVENT, "VETOED=true"]
    code = (
        f"import subprocess\nsubprocess.run({command}, check=True, cwd={str(published.clone)!r})\n"
    )
    script.write_text(code + script.read_text())
    published.snakemake(SENT)
    assert hook[1].posts == []
    receipt = strict_json(published.event / "receipts/webhook.json")
    assert "the flag VETOED is true" in receipt["reasons"]


def test_products_made_under_other_flags_are_not_sent(published: Workspace, hook: Any) -> None:
    published.run("llama", "flags", EVENT, "UPLOAD=false")
    script = published.clone / "scripts/publish.py"
    command = ["llama", "flags", EVENT, "UPLOAD=true"]
    code = (
        f"import subprocess\nsubprocess.run({command}, check=True, cwd={str(published.clone)!r})\n"
    )
    script.write_text(code + script.read_text())
    assert "has just changed" in published.snakemake(SENT, code=1)
    assert hook[1].posts == []
    published.snakemake(SENT)
    assert len(hook[1].posts) == 1
