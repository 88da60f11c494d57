"""Slack, GraceDB and the webhook, with real clients against doubles over HTTPS."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import proofs
import pytest
import receivers
from https_server import Answer
from publish_samples import GRACEID, Crash, Killed, make_event, revise
from publish_sites import SITES, GraceDBSite, Site, SlackSite, WebhookSite

from llama.errors import LlamaError
from llama.event.flags import write_flags
from llama.event.messages import Receipt
from llama.files import read_json
from llama.publish import outbox, slack
from llama.publish.deliver import CHANNELS, plan

# What may become of a request. The first three never reach the one who receives.
FAULTS = ("drop", (429, 0), 502, "done", "lost", "short")
SCHEDULES = 60  # of the whole proof
SLOW_FAULTS = ("hang", "late")  # they cost the client's timeout


@pytest.fixture(params=SITES, ids=lambda site: site.name)
def site(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("SLACK_TOKEN", receivers.TOKEN)
    monkeypatch.setenv("LLAMA_WEBHOOK_TOKEN", "canary-webhook")
    monkeypatch.setenv("GRACEDB_TOKEN", "canary-gracedb")
    monkeypatch.setattr("llama.web.PAUSE_S", 0.001)
    monkeypatch.setattr(outbox, "SETTLE_S", 0.0)
    with SITES[request.param]() as (server, double):
        monkeypatch.setenv("SLACK_API_URL", f"{server.url}/api/")
        yield request.param(server, double)


@pytest.fixture
def event(tmp_path: Path) -> Path:
    return make_event(tmp_path / "current_run")


def test_first_message_update_and_withdrawal(site: Site, event: Path) -> None:
    first = site.publish(event)
    assert (first.status, first.audience) == ("sent", "test")
    assert site.publish(event) == first
    (_, text, refers_to) = site.arrived()[0]
    assert text.startswith(f"[TEST] {GRACEID}-1-Initial: 1 coincident neutrino, p-value 0.0056")
    assert refers_to is None
    revise(event)
    second = site.publish(event)
    assert (second.status, second.revision) == ("updated", 2)
    assert site.arrived()[1][2] == first.remote_id
    assert site.arrived()[1][1].startswith(f"[TEST] UPDATE {GRACEID}-2-Update")
    revise(event, retracted=True)
    third = site.publish(event)
    assert third.status == "withdrawn"
    assert "RETRACTED" in site.arrived()[2][1]
    assert site.arrived()[2][2] == first.remote_id
    assert site.publish(event) == third
    assert len(site.arrived()) == 3
    assert [h.remote_id for h in third.history] == [r.remote_id for r in (first, second, third)]
    for receipt in (first, second, third):
        path = event / "outbox" / site.name / f"{receipt.revision}.json"
        assert outbox.sha256_bytes(path.read_bytes()) == receipt.payload_sha256


@pytest.mark.parametrize("site", [SlackSite], indirect=True)
def test_slacks_figures_and_later_messages_are_in_the_thread(site: Site, event: Path) -> None:
    root = site.publish(event).remote_id
    revise(event)
    site.publish(event)
    assert {m["thread_ts"] for m in site.double.messages[1:]} == {root}
    assert [name[:19] for name in site.figures()] == [
        f"{GRACEID}-1-Initial",
        f"{GRACEID}-2-Update-",
    ]
    (file, _) = site.double.files.values()
    assert file["content"] == (event / "coinc_skymap_lvc-i3.png").read_bytes()


@pytest.mark.parametrize("site", [SlackSite], indirect=True)
def test_a_message_without_its_figures_is_completed_or_withdrawn(
    site: Site, event: Path, tmp_path: Path
) -> None:
    other = make_event(tmp_path / "other" / "current_run", graceid="S240101b")
    for each in (event, other):
        site.spoil("/files.completeUploadExternal", ["drop"])
        with pytest.raises(LlamaError):
            site.publish(each)
    assert (len(site.arrived()), site.figures()) == (2, [])
    assert site.publish(event).status == "sent"
    assert len(site.figures()) == 1
    revise(other, retracted=True)
    assert site.publish(other).status == "withdrawn"
    assert len(site.figures()) == 1  # nothing but the withdrawal went
    assert len(site.arrived()) == 3


def test_secrets_are_in_no_file(site: Site, event: Path) -> None:
    site.server.faults = dict.fromkeys(site.ends, 500)
    with pytest.raises(LlamaError) as caught:
        site.publish(event)
    assert "canary" not in str(caught.value)
    site.server.faults = {}
    site.publish(event)
    for path in event.rglob("*"):
        if path.is_file():
            assert b"canary" not in path.read_bytes()


@pytest.mark.parametrize("site", [WebhookSite, GraceDBSite], indirect=True)
def test_a_redirect_is_not_followed(site: Site, event: Path) -> None:
    moved = Answer(307, b"", {"Location": f"{site.server.url}/elsewhere"})
    site.spoil(site.ends[0], [moved])
    with pytest.raises(LlamaError):
        site.publish(event)
    assert not [hit for hit in site.server.hits if "elsewhere" in hit]
    site.server.faults = {}
    assert site.publish(event).status == "sent"
    assert len(site.arrived()) == 1


def test_hostile_text_mentions_nobody(site: Site, event: Path) -> None:
    revise(event, skymap_filename="<!channel>&\u202e<@U1>.fits")
    site.publish(event)
    text = site.arrived()[0][1]
    assert "sky map __channel____" in text
    assert not set("<>&@\u202e") & set(text)


def count_steps(site: Site, event: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    with monkeypatch.context() as patch:
        crash = Crash()
        crash.install(patch, site.kind)
        site.publish(event)
    return crash.steps


def attempt(
    site: Site, event: Path, monkeypatch: pytest.MonkeyPatch, at: int | None = None
) -> Receipt | None:
    """Try once; None when the process died or the remote failed."""
    with monkeypatch.context() as patch:
        Crash(at).install(patch, site.kind)
        try:
            return site.publish(event)
        except (Killed, LlamaError):
            return None


def assert_each_once(site: Site) -> None:
    keys = Counter(key for key, _, _ in site.arrived())
    assert set(keys.values()) <= {1}, keys
    assert set(Counter(site.figures()).values()) <= {1}, site.figures()


def test_killed_at_every_step_it_is_sent_once(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = count_steps(site, make_event(tmp_path / "count" / "current_run"), monkeypatch)
    assert steps == 12  # payload, intent, look-up, try, send, receipt: before and after
    for at in range(steps):
        before = len(site.arrived())
        event = make_event(tmp_path / str(at) / "current_run", graceid=f"S240101{chr(97 + at)}")
        assert attempt(site, event, monkeypatch, at) is None
        receipt = site.publish(event)
        assert receipt.status == "sent"
        assert len(site.arrived()) == before + 1
        assert_each_once(site)


def test_after_every_fault_it_is_sent_once(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = 0
    for end in site.ends:
        for fault in FAULTS + SLOW_FAULTS:
            number += 1
            before = len(site.arrived())
            event = make_event(
                tmp_path / str(number) / "current_run", graceid=f"S2401{number:02d}a"
            )
            site.spoil(end, [fault])
            with monkeypatch.context() as patch:
                if fault in SLOW_FAULTS:
                    patch.setattr("llama.web.TIMEOUT_S", (5.0, 0.5))
                    patch.setattr(slack, "TIMEOUT_S", 0.5)
                with pytest.raises(LlamaError):
                    site.publish(event)
            site.server.faults = {}
            assert site.publish(event).status == "sent"
            assert len(site.arrived()) == before + 1, (end, fault)
            assert_each_once(site)


@pytest.mark.proof
def test_random_schedules_end_with_each_message_once(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proven: Callable[..., None]
) -> None:
    """Deaths, faults, new notices and retractions in any order, many times."""
    rng = random.Random(site.name)
    for number in range(proofs.size(SCHEDULES, 8)):
        before = len(site.arrived())
        event = make_event(tmp_path / str(number) / "current_run", graceid=f"S2402{number:02d}a")
        retracted = False
        for _ in range(rng.randint(1, 4)):
            what = rng.choice(["kill", "kill", "fault", "fault", "both", "revise", "retract"])
            if what == "revise" and not retracted:
                revise(event)
            elif what == "retract":
                revise(event, retracted=True)
                retracted = True
            else:
                if what != "kill":
                    faults = [rng.choice((None, *FAULTS)) for _ in range(3)]
                    site.spoil(rng.choice(site.ends), faults)
                at = rng.randrange(14) if what != "fault" else None
                attempt(site, event, monkeypatch, at)
                site.server.faults = {}
        receipt = site.publish(event)
        assert site.publish(event) == receipt
        assert_each_once(site)
        assert_right_end(site.arrived()[before:], event, receipt)
    proven(site.name, SCHEDULES, messages=len(site.arrived()))


def assert_right_end(
    arrived: list[tuple[str, str, str | None]], event: Path, receipt: Receipt
) -> None:
    """What arrived last is what there is to say; what came first is what the others refer to."""
    info = read_json(event / "skymap_info.json")
    if receipt.status == "refused":
        assert receipt.reasons == ["the alert was retracted, and nothing had been published"]
        assert arrived == []
        return
    assert info["notice"] in arrived[-1][1]
    assert receipt.status == ("withdrawn" if info["retracted"] else receipt.status)
    firsts = {refers_to for _, _, refers_to in arrived[1:]}
    assert firsts <= {
        receipt.history[0].remote_id,
        *(h.remote_id for h in receipt.history if h.kind == "new" and h.remote_id is not None),
    }
    assert arrived[0][2] is None


def test_what_may_not_go_asks_nobody(site: Site, event: Path) -> None:
    for flags, reason in (
        ({}, "the flag UPLOAD is false"),
        ({"UPLOAD": True, "VETOED": True}, "the flag VETOED is true"),
        ({"UPLOAD": True, "ONLINE": False}, "the flag ONLINE is false"),
    ):
        write_flags(event, flags)
        receipt = site.publish(event)
        assert (receipt.status, receipt.reasons) == ("refused", [reason])
        assert receipt.sent_at is None
    assert site.server.hits == []


def test_a_plan_asks_nobody_and_says_what_is_due(site: Site, event: Path) -> None:
    assert plan(event, site.name, site.destinations)[0].kind == "new"
    assert site.server.hits == []
    site.publish(event)
    assert plan(event, site.name, site.destinations)[0].kind is None
    revise(event)
    site.spoil(site.ends[0], ["drop"])
    with pytest.raises(LlamaError):
        site.publish(event)
    (made,) = plan(event, site.name, site.destinations)
    assert (made.kind, made.pending) == ("update", True)


def test_every_channel_has_a_setting() -> None:
    from llama.settings.publish import Destinations

    assert set(CHANNELS) <= set(Destinations.model_fields)
