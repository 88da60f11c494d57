"""Receipts as products of the workflow, with real Snakemake and real kills."""

import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from receivers import WebhookDouble, webhook_server
from workspace import (
    ALL,
    EVENT,
    SUMMARY,
    Workspace,
    alert,
    assert_described,
    skymap_fits,
    strict_json,
)

TARGET = f"{EVENT}/all"
RECEIPT = "receipts/webhook.json"


@pytest.fixture
def hook() -> Iterator[tuple[object, WebhookDouble]]:
    with webhook_server() as (server, double):
        yield server, double


def publishing(machine: Workspace, server: object) -> Workspace:
    """Give the event a webhook for tests."""
    text = (machine.clone / "config.yaml").read_text()
    real, test = text.split("\n  test:\n")
    test = test.replace("webhook: null", f'webhook: "{server.url}/hook"', 1)
    (machine.clone / "config.yaml").write_text(f"{real}\n  test:\n{test}")
    return machine


def test_without_destination_there_are_no_receipts(copied: Workspace) -> None:
    assert copied.plan(TARGET) == []
    assert not (copied.event / "receipts").exists()


def test_from_refusal_to_message_update_and_withdrawal(event: Workspace, hook) -> None:
    server, double = hook
    publishing(event, server)
    # the manifest has the settings
    assert event.plan(TARGET) == ["publish", "write_manifest", "write_page"]
    event.snakemake(TARGET)
    receipt = strict_json(event.event / RECEIPT)
    assert (receipt["status"], receipt["reasons"]) == ("refused", ["the flag UPLOAD is false"])
    assert_described("receipts/<channel>.json", event.event / RECEIPT)
    log = event.output / "logs" / EVENT / "publish-webhook.log"
    assert log.read_text() == "webhook: nothing is sent: the flag UPLOAD is false\n"
    assert double.posts == []
    # the page shows the receipt; it may have been written before there was one
    assert event.plan(TARGET) in ([], ["write_page"])
    event.snakemake(TARGET)
    assert event.plan(TARGET) == []
    assert "the flag UPLOAD is false" in (event.event / "index.html").read_text()

    # flags: exactly what depends on them; the page shows all of them
    for names in (("ICECUBE_UPLOAD", "MANUAL"), ("VETOED",), ("UPLOAD",)):
        event.run("llama", "flags", EVENT, *(f"{name}=true" for name in names))
        publishes = set() if "MANUAL" in names else {"publish"}
        assert event.plan(TARGET) == sorted(SUMMARY | publishes), names
        event.run("llama", "flags", EVENT, *(f"{name}=false" for name in names))
    assert event.plan(TARGET) == []
    event.run("llama", "flags", EVENT, "UPLOAD=true")
    event.snakemake(TARGET)
    assert strict_json(event.event / RECEIPT)["status"] == "sent"
    # the page says when it went out, and that sends nothing
    assert event.plan(TARGET) == sorted({"write_latency", *SUMMARY})
    event.snakemake(TARGET)
    assert event.plan(TARGET) == []
    assert len(double.posts) == 1

    # a receipt that is deleted is made again, and nothing is sent again
    (event.event / RECEIPT).unlink()
    event.snakemake(TARGET)
    assert strict_json(event.event / RECEIPT)["status"] == "sent"
    assert len(double.posts) == 1

    event.take(alert("UPDATE", far=2e-9, minute=30))
    assert "publish" in event.plan(TARGET)
    event.snakemake(TARGET)
    event.take(alert("RETRACTION", minute=40))
    event.snakemake(f"{EVENT}/{RECEIPT}")
    kinds = [post["kind"] for _, post in double.posts]
    assert kinds == ["new", "update", "withdrawal"]
    assert strict_json(event.event / RECEIPT)["status"] == "withdrawn"
    assert [post["refers_to"] for _, post in double.posts] == [None, "post-1", "post-1"]


def test_a_network_failure_is_one_sentence_and_tried_again(event: Workspace, hook) -> None:
    server, double = hook
    publishing(event, server)
    event.run("llama", "flags", EVENT, "UPLOAD=true")
    server.faults = {"/hook": [None, 429]}
    printed = event.snakemake(TARGET, code=1)
    assert "answered 429; it is tried again later" in printed
    assert "Traceback" not in printed
    assert not (event.event / RECEIPT).exists()
    # everything else is there
    assert event.plan(TARGET) == ["publish"]
    event.snakemake(TARGET)
    assert len(double.posts) == 1
    assert "(test)" in event.run("llama", "publish", EVENT)
    assert len(double.posts) == 1
    assert "nothing new for" in event.run("llama", "publish", "--dry-run")


@pytest.mark.parametrize("moment", ["GET", "POST"])
def test_kill_9_while_sending(event: Workspace, hook, moment: str) -> None:
    """Killed while the look-up or the message itself hangs; for the message, after it arrived."""
    server, double = hook
    publishing(event, server)
    event.run("llama", "flags", EVENT, "UPLOAD=true")
    server.faults = {"/hook": ["hang"] if moment == "GET" else [None, "late"]}
    with event.started(sys.executable, "-m", "llama", "publish", EVENT) as process:
        deadline = time.monotonic() + 60
        while not [hit for hit in server.hits if hit.startswith(moment)]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    intent = event.event / "outbox/webhook/1.intent.json"
    assert intent.exists()
    assert not (event.event / "outbox/webhook/1.receipt.json").exists()
    assert "would be looked up there first" in event.run("llama", "publish", "--dry-run")
    event.snakemake(f"{EVENT}/{RECEIPT}")
    assert set(Counter(key for key, _ in double.posts).values()) == {1}
    assert len(double.posts) == 1


def test_killed_before_the_message_left_it_is_not_resent_too_early(event: Workspace, hook) -> None:
    server, double = hook
    publishing(event, server)
    event.run("llama", "flags", EVENT, "UPLOAD=true")
    server.faults = {"/hook": [None, "drop"]}
    event.run("llama", "publish", EVENT, code=1)
    printed = event.run("llama", "publish", EVENT, code=1)
    assert re.search(r"was sent \d+ s ago without an answer.* again in \d+ s", printed)
    assert double.posts == []
    path = event.event / "outbox/webhook/1.intent.json"
    intent = json.loads(path.read_text())
    path.write_text(json.dumps(intent | {"tried_at": intent["tried_at"] - 61}))
    event.run("llama", "publish", EVENT)
    assert len(double.posts) == 1


def test_plain_snakemake_publishes_what_it_tracks(fresh: Workspace, hook, tmp_path: Path) -> None:
    server, double = hook
    publishing(fresh, server)
    neutrinos = tmp_path / "neutrinos.csv"
    neutrinos.write_text("mjd,ra,dec,sigma,energy\n60310.0004,40.3,20.2,0.5,20000\n")
    fresh.write_background()
    fresh.take(alert(skymap=skymap_fits()), "--neutrinos", str(neutrinos))
    assert fresh.plan() == sorted([*ALL, "publish"])
    assert double.posts == []


def test_a_withdrawal_reaches_a_destination_that_the_settings_have_lost(
    event: Workspace, hook
) -> None:
    server, double = hook
    before = (event.clone / "config.yaml").read_text()
    publishing(event, server)
    event.run("llama", "flags", EVENT, "UPLOAD=true")
    event.snakemake(f"{EVENT}/{RECEIPT}")
    (event.clone / "config.yaml").write_text(before)
    event.run("llama", "flags", EVENT, "UPLOAD=false", "VETOED=true", "ONLINE=false")
    assert "publish" not in event.plan(TARGET)
    event.take(alert("RETRACTION", minute=40))
    where = f"{server.url}/hook"
    assert f"a withdrawal would go to {where} (test)" in event.run("llama", "publish", "--dry-run")
    server.faults = {"/hook": 502}
    printed = event.snakemake(TARGET, code=1)
    assert f"its withdrawal has not reached webhook {where} (test)" in printed
    assert f"--withdrawn-by-hand '{where}'" in printed
    assert f"was retracted but not withdrawn: webhook {where}" in event.run("llama", "status")
    server.faults = {}
    event.snakemake(TARGET)
    assert [post["kind"] for _, post in double.posts] == ["new", "withdrawal"]
    assert strict_json(event.event / RECEIPT)["status"] == "withdrawn"
    assert_described("receipts/<channel>.json", event.event / RECEIPT)
    event.snakemake(TARGET)
    assert event.plan(TARGET) == []
    assert len(double.posts) == 2
